# SPDX-License-Identifier: Apache-2.0
"""What the agent writes, as a real API server keeps it and kubectl shows it."""

import contextlib
import re

from client import equal, expect
from cluster import GROUP, HERE, MADE, NAMESPACE, NODE, THERE, Cluster, endpoint, endpoint_slice, ratelimit, service
from harness import Skip, case, wait_for

SECOND = f"{NAMESPACE}-node-b"


def in_force(cluster, *flags, name="limit"):
    agent = cluster.agent(name, flags=flags)
    cluster.wait_condition("Programmed", "True", "Programmed", name)
    return agent


def managers(cluster):
    """Of the status, whose are its fields. Before Kubernetes 1.22 an entry does not say what subresource it is of."""
    return {entry["manager"] for entry in cluster.object()["metadata"]["managedFields"]
            if entry["operation"] == "Apply" and "f:status" in entry["fieldsV1"]}


@case
def status_and_columns(env):
    cluster = Cluster(env)
    cluster.apply(service("web", port=80), endpoint_slice("web"),
                  ratelimit(service="web", port=80, rules=[{"limit": "3/day"}, {"limit": "10/minute", "mode": "Shadow"}]))
    agent = in_force(cluster)
    status = cluster.status()
    equal([status[key] for key in ("observedGeneration", "service", "limit", "limited")],
          [1, "web:80", "3/day, 10/minute", 0], "what is told in lists")
    equal(status["nodes"], [{"node": NODE, "observedGeneration": 1, "endpoints": 1, "limited": 0,
                             "reason": "Programmed", "message": "it is in force"}], "nodes")
    equal(managers(cluster), {"kmesh-rl", f"kmesh-rl-{NODE}"}, "field managers")
    head, row = cluster.kubectl("get", "rl").splitlines()
    equal(head.split(), ["NAME", "SERVICE", "LIMIT", "ACCEPTED", "LIMITED", "AGE"], "columns")
    expect(re.fullmatch(r"limit +web:80 +3/day, 10/minute +True +0 +[0-9smh]+", row), row)
    wide = cluster.kubectl("get", "rl", "-o", "wide").splitlines()
    equal([wide[0].split()[-1], wide[1].split()[-1]], ["REASON", "Accepted"], "the last column of -o wide")
    described = cluster.kubectl("describe", "rl", "limit")
    expect("it is in force" in described, described)
    wait_for("the Event", lambda: re.search(r"Normal +Programmed +.* kmesh-rl-agent", cluster.kubectl("describe", "rl", "limit")))
    expect("not written" not in agent.text(), agent.text())
    # What a user applies anew says nothing of the status, and takes nothing away from it.
    cluster.apply(ratelimit(service="web", port=80, limit="4/day"))
    wait_for("the second generation", lambda: cluster.status()["observedGeneration"] == 2)
    equal(cluster.status()["limit"], "4/day", "the limit")
    equal(cluster.node()["endpoints"], 1, "endpoints")


@case
def refused_and_mended(env):
    """What the agent alone can refuse, since the schema takes it."""
    cluster = Cluster(env)
    cluster.apply(ratelimit())
    in_force(cluster)
    cluster.serve()
    cluster.apply(ratelimit(rules=[{"clientSelectors": [{"path": {"value": "/a%00"}}], "limit": "3/day"}]))
    refused = cluster.wait_condition("Accepted", "False", "Invalid")
    expect(refused["message"].startswith("spec.rules[0].clientSelectors[0].path.value: "), refused["message"])
    equal(cluster.admitted(5), 3, "requests admitted")
    wait_for("the Event", lambda: re.search(r"Warning +Refused +.* spec.rules", cluster.kubectl("describe", "rl", "limit")))
    equal(cluster.kubectl("get", "rl", "limit", "--no-headers").split()[3], "False", "the column Accepted")
    cluster.apply(ratelimit(limit="4/day"))
    cluster.wait_condition("Accepted", "True", "Accepted")
    cluster.wait_condition("Programmed", "True", "Programmed")


@case
def service_not_found(env):
    cluster = Cluster(env)
    cluster.apply(ratelimit(service="web"))
    cluster.start()
    cluster.wait_condition("Programmed", "False", "ServiceNotFound")
    equal(cluster.condition("Accepted")["status"], "True", "Accepted")
    cluster.apply(service("web"), endpoint_slice("web"))
    cluster.wait_condition("Programmed", "True", "Programmed")


@case
def limited(env):
    """Counted, and told of as it begins and ends, each time by the same Event."""
    cluster = Cluster(env)
    cluster.apply(ratelimit())
    agent = in_force(cluster)
    cluster.serve()
    equal(cluster.admitted(8), 3, "requests admitted")
    wait_for("5 limited", lambda: cluster.status().get("limited") == 5)
    wait_for("it is written that requests are refused", lambda: cluster.node().get("limiting"))
    equal(cluster.kubectl("get", "rl", "limit", "--no-headers").split()[4], "5", "the column Limited")
    wait_for("limiting ended", lambda: cluster.events("LimitingEnded"))
    equal(cluster.admitted(2), 0, "requests admitted again")
    wait_for("limiting began again", lambda: cluster.events("LimitingStarted")[0]["count"] == 2)
    began, = cluster.events("LimitingStarted")
    equal([began["message"], began["source"]["host"]], [f"{NODE}: requests are beyond the limit", NODE], "the Event")
    wait_for("limiting ended again", lambda: cluster.events("LimitingEnded")[0]["count"] == 2)
    wait_for("so it is written", lambda: "limiting" not in cluster.node())
    expect("not written" not in agent.text(), agent.text())


@case
def limiting_across_agents(env):
    """The next agent tells that it ended, and not that it began again."""
    cluster = Cluster(env)
    cluster.apply(ratelimit())
    agent = in_force(cluster)
    cluster.serve()
    equal(cluster.admitted(5), 3, "requests admitted")
    wait_for("it is written that requests are refused", lambda: cluster.node().get("limiting"))
    wait_for("limiting began", lambda: cluster.events("LimitingStarted"))
    agent.kill()
    equal(cluster.events("LimitingEnded"), [], "Events that it ended, before the agent did")
    agent = cluster.agent("limit")
    wait_for("limiting ended", lambda: cluster.events("LimitingEnded"))
    wait_for("so it is written", lambda: "limiting" not in cluster.node())
    equal([event["count"] for event in cluster.events("LimitingStarted")], [1], "times that it began")
    expect("not written" not in agent.text(), agent.text())


LIMITING = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/nodes/items/properties/limiting"


def takes_limiting(cluster):
    answer = cluster.admin(
        "PATCH", f"{GROUP}/namespaces/{NAMESPACE}/ratelimits/limit/status?fieldManager=somebody&force=true&dryRun=All",
        {"apiVersion": "kmesh.net/v1alpha1", "kind": "RateLimit", "metadata": {"name": "limit"},
         "status": {"nodes": [{"node": "node-z", "limiting": True}]}}, "application/apply-patch+yaml")
    return answer.status == 200 and '"limiting":true' in answer.body.decode().replace(" ", "")


@case
def older_definition(env):
    """One that has no limiting in nodes[]: said once, all else is written, and limiting is told of as it begins and ends."""
    cluster = Cluster(env)
    if not MADE["owned"]:
        raise Skip("the definition was there before, and other agents go by it")
    cluster.apply(ratelimit())
    answer = cluster.admin("PATCH", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/ratelimits.kmesh.net",
                           [{"op": "remove", "path": LIMITING}], "application/json-patch+json")
    equal(answer.status, 200, "status of changing the definition")
    try:
        wait_for("the definition is the older one", lambda: not takes_limiting(cluster))
        agent = in_force(cluster)
        cluster.serve()
        equal(cluster.admitted(5), 3, "requests admitted")
        wait_for("2 limited", lambda: cluster.status().get("limited") == 2)
        wait_for("limiting began", lambda: cluster.events("LimitingStarted"))
        wait_for("limiting ended", lambda: cluster.events("LimitingEnded"))
        cluster.settled()
    finally:
        cluster.define()
        wait_for("the definition is as it was", lambda: takes_limiting(cluster))
    equal([agent.text().count(text) for text in ("not written", "nodes[].limiting is not in its CustomResourceDefinition")],
          [1, 1], "times that it is said")


@contextlib.contextmanager
def second_node(env, cluster):
    """Another agent, which takes itself for the node SECOND: other maps, in the same network."""
    first, flags = env.bpffs, cluster.flags
    try:
        env.bpffs, cluster.flags = first + "-b", [SECOND if flag == NODE else flag for flag in flags]
        agent = cluster.start()
        env.bpffs, cluster.flags = first, flags
        yield
    finally:
        agent.terminate()
        env.bpffs = first + "-b"
        left = env.detach().stderr
        env.bpffs, cluster.flags = first, flags
        equal(left, "", "what --detach of the second agent says")


@contextlib.contextmanager
def nodes_there(cluster, *names):
    """Node objects, without which agents take each other's entries for those of nodes that are gone."""
    if not MADE["bare"]:
        raise Skip("a cluster's controllers would take Nodes that are made for their own")
    for name in names:
        cluster.admin("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    try:
        yield
    finally:
        for name in names:
            cluster.admin("DELETE", f"/api/v1/nodes/{name}")


@case
def two_nodes(env):
    """An entry each, by a field manager each; they come to rest."""
    cluster = Cluster(env)
    with nodes_there(cluster, NODE, SECOND):
        entry_each(env, cluster)


def entry_each(env, cluster):
    cluster.apply(service("web"), endpoint_slice("web", endpoint(HERE), endpoint(THERE, node=SECOND)),
                  ratelimit(service="web"))
    cluster.agent("limit")
    with second_node(env, cluster):
        wait_for("an entry each", lambda: [cluster.node(name).get("endpoints") for name in (NODE, SECOND)] == [1, 1])
        cluster.serve()
        equal(cluster.admitted(5), 3, "requests admitted")
        wait_for("what is limited on one", lambda: cluster.status().get("limited") == 2)
        equal([cluster.node(name)["limited"] for name in (NODE, SECOND)], [2, 0], "limited by node")
        equal(managers(cluster), {"kmesh-rl", f"kmesh-rl-{NODE}", f"kmesh-rl-{SECOND}"}, "field managers")
        wait_for("limiting ended", lambda: cluster.events("LimitingEnded"))
        cluster.settled()
        cluster.apply(ratelimit(service="web", limit="9/day"))
        wait_for("both have the edit", lambda: [cluster.node(name)["observedGeneration"] for name in (NODE, SECOND)] == [2, 2])


@case
def gone_node(env):
    """The entry of a node that is not there any more goes, by an agent behind it."""
    cluster = Cluster(env)
    cluster.apply(ratelimit())
    gone = f"a-{NAMESPACE}"
    answer = cluster.admin(
        "PATCH", f"{GROUP}/namespaces/{NAMESPACE}/ratelimits/limit/status?fieldManager=kmesh-rl-{gone}&force=true",
        {"apiVersion": "kmesh.net/v1alpha1", "kind": "RateLimit", "metadata": {"name": "limit"},
         "status": {"nodes": [{"node": gone, "endpoints": 1, "limited": 3}]}}, "application/apply-patch+yaml")
    equal(answer.status, 200, "status of what is applied")
    agent = in_force(cluster)
    wait_for("the entry of the gone node is gone", lambda: not cluster.node(gone) and cluster.node())
    expect("not written" not in agent.text() and "stay in nodes" not in agent.text(), agent.text())


@case
def taken_back(env):
    """What somebody forces over the agent's own is taken back, what is somebody else's is left alone."""
    cluster = Cluster(env)
    cluster.apply(ratelimit())
    in_force(cluster)
    answer = cluster.admin(
        "PATCH", f"{GROUP}/namespaces/{NAMESPACE}/ratelimits/limit/status?fieldManager=somebody&force=true",
        {"apiVersion": "kmesh.net/v1alpha1", "kind": "RateLimit", "metadata": {"name": "limit"},
         "status": {"limited": 99, "nodes": [{"node": NODE, "endpoints": 99}, {"node": "node-z", "endpoints": 7}]}},
        "application/apply-patch+yaml")
    equal([answer.status, answer.json["status"]["limited"]], [200, 99], "what somebody is answered")
    wait_for("the entry of the node", lambda: cluster.node()["endpoints"] == 1)
    wait_for("what is all nodes'", lambda: cluster.status().get("limited") == 0)
    equal(cluster.node("node-z"), {"node": "node-z", "endpoints": 7}, "the entry of another node")
