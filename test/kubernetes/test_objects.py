# SPDX-License-Identifier: Apache-2.0
"""RateLimits, Services and EndpointSlices of a real API server, on real traffic."""

import json

from client import equal, expect
from cluster import (DISCOVERY, ELSEWHERE, GROUP, HERE, HERE6, MADE, NAMESPACE, OTHER, PORT, THERE, Cluster, endpoint,
                     endpoint_slice, ratelimit, service)
from harness import Skip, case, need_ipv6, wait_for


@case
def apply_edit_delete(env):
    cluster = Cluster(env)
    cluster.apply(ratelimit(limit="3/day"))
    agent = cluster.agent("limit")
    cluster.serve()
    equal(cluster.admitted(5), 3, "requests admitted")
    cluster.apply(ratelimit(rules=[{"name": "other", "limit": "5/day"}]))
    wait_for("the edited rule", lambda: [item["rule"] for item in env.stats()] == ["other"])
    equal(cluster.admitted(7), 5, "requests admitted after the edit")
    cluster.kubectl("patch", "rl", "limit", "--type=json",
                    "-p=[{\"op\": \"replace\", \"path\": \"/spec/rules/0/limit\", \"value\": \"7/day\"}]")
    wait_for("the patched rule", lambda: env.item()["maxTokens"] == 7)
    cluster.delete("ratelimit", "limit")
    wait_for("no rule", lambda: not env.stats())
    equal(cluster.admitted(9), 9, "requests admitted after the deletion")
    expect("the limits in force stay" not in agent.text(), "something was wrong with the API server")


@case
def services(env):
    """A Service and its slices, which come after the RateLimit, change, and go, in the version that the server has."""
    cluster = Cluster(env)
    cluster.apply(ratelimit(service="web"))
    agent = cluster.agent()
    cluster.serve()
    cluster.says(agent, f"RateLimit {NAMESPACE}/limit waits: service web has no endpoint")
    cluster.apply(service("web"), endpoint_slice("web"))
    wait_for("the rule is on its endpoint", lambda: env.lists("limit") and env.item()["endpoints"] == 1)
    equal(cluster.admitted(5), 3, "requests admitted")
    cluster.apply(endpoint_slice("web", endpoint(HERE), endpoint(THERE, ready=False)))
    wait_for("two endpoints", lambda: env.item()["endpoints"] == 2)
    equal(cluster.admitted(2), 0, "requests admitted on the endpoint that was there")
    cluster.apply(endpoint_slice("web", endpoint(THERE)))
    wait_for("one endpoint", lambda: env.item()["endpoints"] == 1)
    equal(cluster.admitted(9), 9, "requests admitted on the endpoint that is gone")
    cluster.delete("endpointslice", "web-x7k2p")
    wait_for("no endpoint", lambda: env.item()["endpoints"] == 0)
    expect("the limits in force stay" not in agent.text(), f"{DISCOVERY} is not found in silence: {agent.text()}")


@case
def ports_and_nodes(env):
    """The one port of several that the RateLimit names by its number in the Service; slices of other nodes."""
    cluster = Cluster(env)
    cluster.apply(service("web", ports=[{"name": "api", "port": 80, "targetPort": "http-api"},
                                        {"name": "admin", "port": 81, "targetPort": 9000}]),
                  endpoint_slice("web", endpoint(HERE), endpoint(THERE, node=f"{NAMESPACE}-node-b"),
                                 ports=[{"name": "api", "port": PORT, "protocol": "TCP"},
                                        {"name": "admin", "port": 9000, "protocol": "TCP"}]),
                  endpoint_slice("web", endpoint(ELSEWHERE, node=None), suffix="b", ports=[
                      {"name": "api", "port": PORT, "protocol": "TCP"}]),
                  ratelimit(service="web", port=80))
    cluster.agent("limit")
    wait_for("two endpoints", lambda: env.item()["endpoints"] == 2)
    for host in (HERE, THERE, ELSEWHERE):
        cluster.serve(host)
    cluster.serve(port=9000)
    equal([cluster.admitted(5, host) for host in (HERE, THERE, ELSEWHERE)], [3, 5, 3],
          "requests admitted here, on another node, and where no node is named")
    equal(cluster.admitted(5, port=9000), 5, "requests admitted on port 81 of the service")


@case
def both_families(env):
    need_ipv6()
    cluster = Cluster(env)
    equal(env.run(["ip", "address", "add", f"{HERE6}/128", "dev", "lo", "nodad"]).returncode, 0, "exit status of ip")
    cluster.apply(service("web"), endpoint_slice("web", suffix="four"),
                  endpoint_slice("web", endpoint(HERE6), suffix="six", kind="IPv6"), ratelimit(service="web"))
    cluster.agent("limit")
    wait_for("two endpoints", lambda: env.item()["endpoints"] == 2)
    cluster.serve(HERE6)
    equal(cluster.admitted(5, HERE6), 3, "requests admitted over IPv6")
    cluster.delete("endpointslice", "web-six")
    wait_for("one endpoint", lambda: env.item()["endpoints"] == 1)


@case
def all_namespaces(env):
    """As the DaemonSet is shipped: without --namespace. Where RateLimits of others are, it would have a part in their
    status."""
    cluster = Cluster(env)
    found = cluster.kubectl("get", "ratelimits", "-A", "-o", "name", namespace=None).split()
    if found:
        raise Skip(f"the cluster has {len(found)} RateLimits of its own")
    at = cluster.flags.index("--namespace")
    del cluster.flags[at:at + 2]
    cluster.apply(ratelimit(), ratelimit("other", OTHER, at=9000))
    cluster.agent("limit", "other")
    cluster.serve()
    equal(cluster.admitted(5), 3, "requests admitted")
    cluster.apply(service("web", OTHER), endpoint_slice("web", namespace=OTHER), ratelimit("third", OTHER, service="web"))
    wait_for("a service of the other namespace", lambda: env.lists("third"))
    cluster.delete("ratelimit", "other", OTHER)
    wait_for("it is gone", lambda: not env.lists("other"))


@case
def one_namespace(env):
    cluster = Cluster(env)
    cluster.apply(ratelimit(), ratelimit("other", OTHER, at=9000))
    cluster.agent("limit")
    cluster.apply(ratelimit("third", OTHER, at=9001), ratelimit("second", at=9002))
    wait_for("the second one", lambda: env.lists("second"))
    equal(sorted(item["name"] for item in env.stats()), ["limit", "second"], "RateLimits in force")


@case
def pages(env):
    """More RateLimits than a page has; those that are deleted while no agent runs are gone for the next one."""
    cluster = Cluster(env)
    cluster.apply(*[ratelimit(f"limit-{number:03}", at=10000 + number) for number in range(600)])
    agent = cluster.agent("limit-000", "limit-599")
    equal(len(env.stats()), 600, "RateLimits in force")
    agent.terminate()
    cluster.delete("ratelimit", "limit-300")
    agent = cluster.agent("limit-000", "limit-599")
    wait_for("one less", lambda: len(env.stats()) == 599)
    expect("the limits in force stay" not in agent.text(), "something was wrong with the API server")


@case
def what_go_takes_for_json(env):
    """U+0000 in an annotation, a number of more than 64 bits, more levels than anybody reads: an object may have these, and
    hides no other by them, neither in a list nor in a watch."""
    cluster = Cluster(env)
    cluster.apply(service("web"), endpoint_slice("web"), ratelimit(service="web"))
    agent = cluster.agent("limit")
    limits = f"{GROUP}/namespaces/{NAMESPACE}/ratelimits"
    nul = {**service("nul"), "metadata": {"name": "nul", "annotations": {"a": "x\0y"}}}
    equal(cluster.admin("POST", f"/api/v1/namespaces/{NAMESPACE}/services", nul).status, 201, "status of the Service")
    large = ratelimit("large", at=9000, rules=[{"limit": {"requests": 1, "unit": "minute", "burst": 10**20}}])
    answer = cluster.admin("POST", limits, large)
    # The policy takes neither this nor the next one.
    equal(answer.status, 422 if MADE["policies"] else 201, f"status of the large number ({answer.body[:300]})")
    deep = json.dumps(ratelimit("deep", at=9001, rules=[{"limit": {"unit": "minute", "requests": 1}}]))
    deep = deep.replace('"requests": 1', f'"requests": {"[" * 3000}{"]" * 3000}')
    if not MADE["policies"]:
        expect(b"100000000000000000000" in answer.body, f"the number as the server writes it: {answer.body[:600]}")
        equal(cluster.admin("POST", limits, deep).status, 201, "status of the deep one")
        cluster.wait_condition("Accepted", "False", "Invalid", "large")
        cluster.wait_condition("Accepted", "False", "Invalid", "deep")
    cluster.apply(ratelimit("second", at=9002))
    wait_for("what came after them", lambda: env.lists("limit", "second"))
    agent.terminate()
    agent = cluster.agent("limit", "second")
    cluster.apply(ratelimit("third", service="web"))
    wait_for("one more", lambda: env.lists("third"))
    expect("the limits in force stay" not in agent.text(), agent.text())
