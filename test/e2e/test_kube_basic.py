# SPDX-License-Identifier: Apache-2.0
"""RateLimits from an API server, on real traffic."""

from apiserver import refuse
from client import equal, expect, get
from harness import PORT, admitted, case, need_ipv6, take, wait_for
from kube import NODE, Cluster, endpoint, endpoint_slice, ratelimit, service


@case
def kube_apply_edit_delete(env):
    cluster = Cluster(env)
    cluster.api.put(ratelimit("limit", limit="3/day"))
    cluster.agent("limit")
    env.server()
    equal(admitted(env, 5), 3, "requests admitted")
    cluster.api.put(ratelimit("limit", limit="5/day", rules=[{"name": "other", "limit": "5/day"}]))
    wait_for("the edited rule", lambda: [item["rule"] for item in env.stats()] == ["other"])
    equal(admitted(env, 7), 5, "requests admitted after the edit")
    cluster.api.delete("RateLimit", "limit")
    wait_for("no rule", lambda: not env.stats())
    equal(admitted(env, 9), 9, "requests admitted after the deletion")


@case
def kube_services(env):
    """By name, port name and number; the Services come after the RateLimit."""
    cluster = Cluster(env)
    cluster.api.put(ratelimit("limit", service="web"))
    agent = cluster.agent()
    env.server()
    cluster.says(agent, "RateLimit default/limit waits: service web has no endpoint")
    cluster.api.put(service("web"))
    cluster.api.put(endpoint_slice("web"))
    wait_for("the rule is on its endpoint", lambda: env.lists("limit") and env.item()["endpoints"] == 1)
    equal(admitted(env, 5), 3, "requests admitted")
    cluster.api.put(endpoint_slice("web", endpoint("127.0.0.1"), endpoint("127.0.0.2")))
    wait_for("two endpoints", lambda: env.item()["endpoints"] == 2)
    equal(admitted(env, 2), 0, "requests admitted on the endpoint that was there")
    cluster.api.put(endpoint_slice("web", endpoint("127.0.0.2")))
    wait_for("one endpoint", lambda: env.item()["endpoints"] == 1)
    equal(admitted(env, 9), 9, "requests admitted on the endpoint that is gone")


@case
def kube_service_ports(env):
    """A target port by name, and the one port of several that the RateLimit names by the Service's number."""
    cluster = Cluster(env)
    cluster.api.put(service("web", ports=[{"name": "api", "port": 80, "targetPort": "http-api"},
                                          {"name": "admin", "port": 81, "targetPort": 9000}]))
    cluster.api.put(endpoint_slice("web", ports=[{"name": "api", "port": PORT, "protocol": "TCP"},
                                                 {"name": "admin", "port": 9000, "protocol": "TCP"}]))
    cluster.api.put(ratelimit("limit", service="web", port=80))
    cluster.agent("limit")
    env.server()
    env.server(port=9000)
    equal(env.item()["endpoints"], 1, "endpoints")
    equal(admitted(env, 5), 3, "requests admitted on port 80 of the service")
    equal(admitted(env, 5, 9000), 5, "requests admitted on port 81 of the service")


@case
def kube_endpoint_conditions(env):
    """An endpoint that is not ready, or terminates, is limited, and does not get its tokens back by that."""
    cluster = Cluster(env)
    cluster.api.put(ratelimit("limit", service="web"))
    cluster.api.put(service("web"))
    cluster.api.put(endpoint_slice("web", endpoint("127.0.0.1", ready=False)))
    cluster.agent("limit")
    wait_for("its endpoint", lambda: env.item()["endpoints"] == 1)
    env.server()
    equal(admitted(env, 2), 2, "requests admitted")
    cluster.api.put(endpoint_slice("web", endpoint("127.0.0.1"), endpoint("127.0.0.2", ready=False)))
    wait_for("the second endpoint", lambda: env.item()["endpoints"] == 2)
    equal(admitted(env, 5), 1, "requests admitted once it is ready")
    gone = endpoint("127.0.0.1", ready=False)
    gone["conditions"].update(serving=True, terminating=True)
    cluster.api.put(endpoint_slice("web", gone))
    wait_for("one endpoint", lambda: env.item()["endpoints"] == 1)
    equal(admitted(env, 5), 0, "requests admitted while it terminates")


@case
def kube_several_slices(env):
    """Dual stack, and more than one slice of a family: the endpoints of all of them."""
    need_ipv6()
    cluster = Cluster(env)
    cluster.api.put(ratelimit("limit", service="web"))
    cluster.api.put(service("web"))
    cluster.api.put(endpoint_slice("web", endpoint("127.0.0.1"), suffix="a"))
    cluster.api.put(endpoint_slice("web", endpoint("127.0.0.2"), suffix="b"))
    cluster.api.put(endpoint_slice("web", endpoint("::1"), suffix="c", kind="IPv6"))
    cluster.agent("limit")
    wait_for("three endpoints", lambda: env.item()["endpoints"] == 3)
    env.server(host="::1")
    equal([env.connect(host="::1").ask(get()).status for _ in range(5)], [200] * 3 + [429] * 2, "answers over IPv6")
    cluster.api.delete("EndpointSlice", "web-c")
    wait_for("two endpoints", lambda: env.item()["endpoints"] == 2)


@case
def kube_other_nodes(env):
    """Endpoints on other nodes are not limited here; one without a node is."""
    cluster = Cluster(env)
    cluster.api.put(service("web"))
    cluster.api.put(endpoint_slice("web", endpoint("127.0.0.2", node="node-b"), endpoint("127.0.0.1")))
    cluster.api.put(endpoint_slice("web", {"addresses": ["127.0.0.3"]}, suffix="b"))
    cluster.api.put(service("far"))
    cluster.api.put(endpoint_slice("far", endpoint("127.0.0.4", node="node-b")))
    cluster.api.put(ratelimit("limit", service="web"))
    cluster.api.put(ratelimit("far", service="far"))
    agent = cluster.agent("limit")
    wait_for("two endpoints here", lambda: env.item()["endpoints"] == 2)
    expect("waits" not in agent.text(), "a service with endpoints elsewhere waits for none")
    env.server(host="127.0.0.2")
    equal([env.connect(host="127.0.0.2").ask(get()).status for _ in range(5)], [200] * 5, "answers of another node's")


@case
def kube_beta_slices(env):
    """discovery.k8s.io/v1beta1, where the server has no v1: the node is among the labels of topology."""
    cluster = Cluster(env, slices="discovery.k8s.io/v1beta1")
    cluster.api.put(service("web"))
    here, far = endpoint("127.0.0.1"), endpoint("127.0.0.2")
    for one, node in ((here, NODE), (far, "node-b")):
        del one["nodeName"]
        one["topology"] = {"kubernetes.io/hostname": node}
    cluster.api.put(endpoint_slice("web", here, far, version="discovery.k8s.io/v1beta1"))
    cluster.api.put(ratelimit("limit", service="web"))
    cluster.agent("limit")
    env.server()
    wait_for("one endpoint here", lambda: env.item()["endpoints"] == 1)
    equal(admitted(env, 5), 3, "requests admitted")


@case
def kube_namespace(env):
    """With --namespace nothing else is asked for."""
    cluster = Cluster(env)
    cluster.api.put(ratelimit("limit", "team"))
    cluster.api.put(ratelimit("other", "default", at=9000))
    agent = cluster.start("--namespace", "team")
    wait_for("the RateLimit of the namespace", lambda: env.lists("limit"))
    equal([item["name"] for item in env.stats()], ["limit"], "RateLimits in force")
    cluster.api.put(ratelimit("more", "default", at=9001))
    cluster.api.put(ratelimit("second", "team", at=9002))
    wait_for("the second one of the namespace", lambda: env.lists("second"))
    expect(not env.lists("more"), "one of another namespace is in force")
    equal({path.split("?")[0] for verb, _, path, _ in cluster.api.requests if verb in ("list", "watch")},
          {"/apis/kmesh.net/v1alpha1/namespaces/team/ratelimits"}, "paths asked for")
    expect(agent.process.poll() is None, "the agent exited")


@case
def kube_only_what_is_referred_to(env):
    """Services are asked for as soon as a RateLimit refers to one, and no longer than that."""
    cluster = Cluster(env)
    cluster.api.put(ratelimit("plain", at=9000))
    cluster.api.put(service("web"))
    cluster.api.put(endpoint_slice("web"))
    cluster.agent("plain")
    equal(cluster.api.count("list", "services"), 0, "lists of Services without a reference")
    cluster.api.put(ratelimit("limit", service="web"))
    wait_for("the rule is on its endpoint", lambda: env.lists("limit") and env.item()["endpoints"] == 1)
    equal(cluster.api.count("list", "services"), 1, "lists of Services")
    cluster.api.delete("RateLimit", "limit")
    wait_for("no watch but that of the RateLimits", lambda: cluster.api.watches == 1)
    wait_for("the other RateLimit alone", lambda: [item["name"] for item in env.stats()] == ["plain"])


@case
def kube_refused_keeps(env):
    """One that is refused stays as it was; the complaint names the object and the field, once."""
    cluster = Cluster(env)
    cluster.api.put(ratelimit("limit", limit="3/day"))
    agent = cluster.agent("limit")
    env.server()
    cluster.api.put(ratelimit("limit", rules=[{"name": "all", "limit": "many"}]))
    complaint = "RateLimit default/limit: spec.rules[0].limit: "
    cluster.says(agent, complaint)
    equal(admitted(env, 5), 3, "requests admitted")
    cluster.api.put(ratelimit("second", at=9000))
    wait_for("a second RateLimit", lambda: env.lists("limit", "second"))
    equal(agent.text().count(complaint), 1, "complaints")
    cluster.api.put(ratelimit("limit", limit="4/day"))
    wait_for("the good version", lambda: env.item()["maxTokens"] == 4)


@case
def kube_pages(env):
    """A list of several pages, whole before anything of it that is missing is taken for gone."""
    cluster = Cluster(env)
    for number in range(1100):
        cluster.api.put(ratelimit(f"limit-{number:04}", at=10000 + number))
    cluster.agent("limit-0000", "limit-1099")
    equal(len(env.stats()), 1100, "RateLimits in force")
    pages = [path for verb, _, path, _ in cluster.api.requests if verb == "list"]
    equal(len(pages), 3, "pages asked for")


@case
def kube_takes_over(env):
    """An agent that starts while the API server is away leaves alone what is in force; one that finds a RateLimit gone
    removes it."""
    cluster = Cluster(env)
    cluster.api.put(ratelimit("limit"))
    cluster.agent("limit").terminate()
    cluster.api.stop()
    env.server()
    agent = cluster.start()
    cluster.says(agent, "the limits in force stay")
    equal(admitted(env, 5), 3, "requests admitted")
    cluster.api.delete("RateLimit", "limit")
    cluster.api.start()
    wait_for("no rule", lambda: not env.stats())


@case
def kube_takes_over_without_services(env):
    """Limits on services stay until the Services and EndpointSlices are read, though the RateLimits are."""
    cluster = Cluster(env)
    cluster.api.put(service("web"))
    cluster.api.put(endpoint_slice("web"))
    cluster.api.put(ratelimit("limit", service="web"))
    first = cluster.agent("limit")
    wait_for("its endpoint", lambda: env.item()["endpoints"] == 1)
    first.terminate()
    env.server()
    take(env, 1)
    cluster.api.fault("list", "endpointslices", refuse(403, "Forbidden", "endpointslices is forbidden"), 1000)
    cluster.api.put(ratelimit("plain", at=9000))
    agent = cluster.agent("limit", "plain")
    cluster.says(agent, "EndpointSlices: 403 endpointslices is forbidden")
    equal(admitted(env, 5), 2, "requests admitted")
    cluster.api.faults.clear()
    wait_for("the watch", lambda: cluster.api.count("watch", "endpointslices"))
    equal(admitted(env, 2), 0, "requests admitted after the slices are read")
    equal(env.item()["endpoints"], 1, "endpoints")
