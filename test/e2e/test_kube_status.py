# SPDX-License-Identifier: Apache-2.0
"""What the agent writes to the API server of a RateLimit: its status, and Events."""

import json
import os
import struct
import time

import apply
import bpfmap
from apiserver import refuse
from client import equal, expect, expect_compact, get
from harness import PORT, admitted, case, case_of_each, wait_for
from http2 import Client
from kube import NODE, Cluster, endpoint, endpoint_slice, ratelimit, service
from kube_status import condition, happened, node, second_node, settled, wait_condition, writes

KEY_BYTES = 24    # of struct krl_endpoint_key
APPLIED = "/apis/kmesh.net/v1alpha1/namespaces/default/ratelimits/limit/status"


def programmed(cluster, **spec):
    """An agent that has said of the RateLimit "limit" with @spec that it is in force."""
    cluster.api.put(ratelimit("limit", **spec))
    agent = cluster.agent("limit")
    wait_condition(cluster, "Programmed", "True", "Programmed")
    return agent


@case
def kube_status_programmed(env):
    """Accepted and programmed, with what kubectl get shows, by two field managers; one Event."""
    cluster = Cluster(env)
    cluster.api.put(ratelimit("limit", rules=[{"limit": "3/day"}, {"maxTokens": 5, "tokensPerFill": 1,
                                                                   "fillInterval": "1s"}]))
    cluster.agent("limit")
    found = wait_condition(cluster, "Programmed", "True", "Programmed")
    equal([found["message"], found["observedGeneration"]], ["it is in force", 1], "of Programmed")
    equal(condition(cluster, "Accepted")["status"], "True", "Accepted")
    status = cluster.api.status()
    equal([status[key] for key in ("observedGeneration", "service", "limit", "limited")],
          [1, f"127.0.0.1:{PORT}", "3/day, 1 per 1s (burst 5)", 0], "what is told in lists")
    equal(status["nodes"], [{"node": NODE, "observedGeneration": 1, "endpoints": 1, "limited": 0,
                             "reason": "Programmed", "message": "it is in force"}], "nodes")
    equal(sorted(cluster.api.managed["default", "limit"].owners), ["kmesh-rl", f"kmesh-rl-{NODE}"], "field managers")
    wait_for("an Event", lambda: happened(cluster, "Programmed"))
    event, = happened(cluster, "Programmed")
    equal([event["type"], event["count"], event["involvedObject"]["uid"]],
          ["Normal", 1, cluster.api.kinds["ratelimits"].objects["default", "limit"]["metadata"]["uid"]], "the Event")
    equal([path for verb, _, path, _ in cluster.api.requests if verb == "patch"],
          [f"{APPLIED}?fieldManager=kmesh-rl-{NODE}&force=true", f"{APPLIED}?fieldManager=kmesh-rl&force=true"],
          "what was applied")


@case
def kube_status_refused(env):
    """Refused with the field that is wrong, in the words of the log; what was in force stays, and the condition that
    keeps its status keeps its time."""
    cluster = Cluster(env)
    agent = programmed(cluster, limit="3/day")
    env.server()
    cluster.api.put(ratelimit("limit", rules=[{"name": "all", "limit": "many"}]))
    refused = wait_condition(cluster, "Accepted", "False", "Invalid")
    equal(refused["observedGeneration"], 2, "the generation that is refused")
    expect(refused["message"].startswith("spec.rules[0].limit: expected "), refused["message"])
    expect(f"RateLimit default/limit: {refused['message']}" in agent.text().replace('\\"', '"'),
           "the log has other words than the status")
    equal(condition(cluster, "Programmed")["status"], "False", "Programmed")
    equal(admitted(env, 5), 3, "requests admitted")
    equal(node(cluster)["endpoints"], 1, "endpoints of what is in force")
    wait_for("an Event", lambda: happened(cluster, "Refused"))
    event, = happened(cluster, "Refused")
    equal([event["type"], event["message"]], ["Warning", refused["message"]], "the Event")
    since = refused["lastTransitionTime"]
    cluster.api.put(ratelimit("limit", rules=[{"name": "all", "limit": "few"}]))
    wait_for("the second mistake", lambda: 'found "few"' in condition(cluster, "Accepted")["message"])
    equal(condition(cluster, "Accepted")["lastTransitionTime"], since, "time of a status that stayed")
    wait_for("the Event again", lambda: happened(cluster, "Refused")[0]["count"] == 2)
    equal(len(happened(cluster, "Refused")), 1, "Events")
    cluster.api.put(ratelimit("limit", limit="4/day"))
    wait_condition(cluster, "Accepted", "True", "Accepted")
    wait_condition(cluster, "Programmed", "True", "Programmed")


@case
def kube_status_nested_too_deeply(env):
    """What is not even looked at is refused too, by its generation."""
    cluster = Cluster(env)
    programmed(cluster)
    deep = []
    for _ in range(150):
        deep = [deep]
    cluster.api.put(ratelimit("limit", rules=deep))
    equal(wait_condition(cluster, "Accepted", "False", "Invalid")["message"], "nested too deeply", "message")


@case
def kube_status_service_not_found(env):
    """Nobody has anything of it, so that nodes[] is empty: still it is told."""
    cluster = Cluster(env)
    cluster.api.put(ratelimit("limit", service="web", port=80))
    agent = cluster.start()
    found = wait_condition(cluster, "Programmed", "False", "ServiceNotFound")
    equal(found["message"], "service web:80 has no endpoint", "message")
    cluster.says(agent, "RateLimit default/limit waits: service web:80 has no endpoint")
    equal(condition(cluster, "Accepted")["status"], "True", "Accepted")
    equal([cluster.api.status().get(key) for key in ("nodes", "service")], [None, "web:80"], "nodes and service")
    cluster.api.put(service("web"))
    cluster.api.put(endpoint_slice("web"))
    wait_condition(cluster, "Programmed", "True", "Programmed")
    equal(node(cluster)["endpoints"], 1, "endpoints")


@case
def kube_status_conflicted(env):
    """One of several that do not fit one endpoint together is refused."""
    cluster = Cluster(env)
    for number in range(6):
        rules = [{"name": f"r{rule}", "limit": f"{rule + 1}/day"} for rule in range(30)]
        cluster.api.put(ratelimit(f"limit-{number}", rules=rules))
    cluster.agent("limit-0")
    wait_for("one is refused", lambda: condition(cluster, "Accepted", "limit-5").get("reason") == "Conflicted")
    wait_condition(cluster, "Accepted", "True", "Accepted", "limit-0")
    expect("rules" in condition(cluster, "Accepted", "limit-5")["message"],
           condition(cluster, "Accepted", "limit-5")["message"])


@case
def kube_status_limited(env):
    """What is limited is counted, on the node and in all, and limiting is told of as it begins and ends; the Event is the
    same one the next time."""
    cluster = Cluster(env)
    programmed(cluster, limit="3/day")
    env.server()
    equal(admitted(env, 8), 3, "requests admitted")
    wait_for("5 limited", lambda: cluster.api.status()["limited"] == 5)
    equal(node(cluster)["limited"], 5, "limited on the node")
    wait_for("limiting began", lambda: happened(cluster, "LimitingStarted"))
    wait_for("limiting ended", lambda: happened(cluster, "LimitingEnded"))
    equal(admitted(env, 2), 0, "requests admitted again")
    wait_for("limiting began again", lambda: happened(cluster, "LimitingStarted")[0]["count"] == 2)
    began, = happened(cluster, "LimitingStarted")
    equal(began["message"], f"{NODE}: requests are beyond the limit", "message")
    expect(began["lastTimestamp"] > began["firstTimestamp"], "the Event has the times of both")
    wait_for("7 limited", lambda: cluster.api.status()["limited"] == 7)


def told(cluster, reason):
    """How often that was told, in one Event or another."""
    return sum(event["count"] for event in happened(cluster, reason))


@case
def kube_status_limiting_across_agents(env):
    """An agent that was killed had told that limiting began: the next one tells that it ended, and not that it began again.
    What is refused between two agents is told of."""
    cluster = Cluster(env)
    agent = programmed(cluster, limit="3/day")
    env.server()
    equal(admitted(env, 5), 3, "requests admitted")
    wait_for("it is written that requests are refused", lambda: node(cluster).get("limiting"))
    wait_for("limiting began", lambda: told(cluster, "LimitingStarted"))
    agent.kill()
    equal(told(cluster, "LimitingEnded"), 0, "times that it ended, before the agent did")
    agent = cluster.agent("limit")
    wait_for("limiting ended", lambda: told(cluster, "LimitingEnded"))
    wait_for("so it is written", lambda: "limiting" not in node(cluster))
    equal(told(cluster, "LimitingStarted"), 1, "times that it began")
    settled(cluster)
    agent.kill()
    for _ in range(2):
        expect_compact(env.connect().ask(get("/without-an-agent", "X-Long: " + "a" * 64)))
    cluster.agent("limit")
    wait_for("limiting began again", lambda: told(cluster, "LimitingStarted") == 2)
    wait_for("... and ended", lambda: told(cluster, "LimitingEnded") == 2)


def strip_limiting(cluster):
    """Have the API server leave out what its definition does not have, and not refuse it."""
    def answer(handler):
        status = json.loads(handler.body)["status"]
        for entry in status.get("nodes", []):
            entry.pop("limiting", None)
        manager = handler.path.partition("fieldManager=")[2].partition("&")[0]
        handler.answer(200, cluster.api.apply_status("limit", "default", manager, status, True))
        return False
    cluster.api.fault("patch", "ratelimits/status", answer, 10**9)


@case_of_each(["refused", "left out"])
def kube_status_older_definition(env, how):
    """One that has no limiting in nodes[]: said once, all else is written, and limiting is told of as it begins and ends."""
    cluster = Cluster(env)
    fields = apply.FIELDS["nodes"]
    if how == "refused":
        apply.FIELDS["nodes"] = fields - {"limiting"}
    else:
        strip_limiting(cluster)
    try:
        agent = programmed(cluster, limit="3/day")
        env.server()
        equal(admitted(env, 5), 3, "requests admitted")
        wait_for("2 limited", lambda: cluster.api.status()["limited"] == 2)
        wait_for("limiting began", lambda: told(cluster, "LimitingStarted"))
        wait_for("limiting ended", lambda: told(cluster, "LimitingEnded"))
        settled(cluster)
    finally:
        apply.FIELDS["nodes"] = fields
    equal([agent.text().count(text) for text in ("not written", "nodes[].limiting is not in its CustomResourceDefinition")],
          [1, 1], "times that it is said")


@case
def kube_status_partially_applied(env):
    """Once a request over HTTP/2 has come that a rule does not apply to; over when none came for long."""
    cluster = Cluster(env)
    selector = [{"headers": [{"name": "x-user", "value": "a"}]}]
    programmed(cluster, rules=[{"name": "head", "limit": "3/day", "clientSelectors": selector},
                               {"name": "rest", "limit": "9/day"}])
    env.server("strict", program="http2_server")
    equal(condition(cluster, "PartiallyApplied"), {}, "before")
    Client(env.connect()).ask(1)
    says = ("requests over HTTP/2, of which the head is not read, are not matched by rule head at "
            f"127.0.0.1:{PORT}")
    found = wait_condition(cluster, "PartiallyApplied", "True", "HTTP2NotMatched")
    equal(found["message"], f"{NODE}: {says}", "message")
    equal([node(cluster)[key] for key in ("reason", "message")], ["HTTP2NotMatched", says], "of the node")
    equal([condition(cluster, kind)["status"] for kind in ("Accepted", "Programmed")], ["True", "True"], "of all else")
    expect(says in env.tool("describe", "ratelimit", "limit").stdout, "describe says so")
    # As if it had come so long ago that it is forgotten; a machine may have booted since.
    then_ns = (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 601 * 10**9) % 2**64
    bpfmap.write_each(os.path.join(env.bpffs, "krl_protocols"), 8, struct.pack("Q", then_ns), KEY_BYTES)
    wait_condition(cluster, "PartiallyApplied", "False", "AllMatched")
    equal(node(cluster)["reason"], "Programmed", "of the node")
    expect("PartiallyApplied" not in env.tool("describe", "ratelimit", "limit").stdout, "describe says so no more")


@case
def kube_status_written_seldom(env):
    """Not more often than every N seconds, and not at all when nothing changes, nor by an agent that starts anew."""
    cluster = Cluster(env)
    every_s = 2
    cluster.flags += ["--status-seconds", str(every_s)]
    agent = programmed(cluster, limit="3/day")
    equal(cluster.api.count("patch", "ratelimits/status"), 2, "the parts that are written at first")
    env.server()
    began = time.monotonic()
    while time.monotonic() - began < 1.5 * every_s:
        admitted(env, 4)
    wait_for("it is counted", lambda: cluster.api.status()["limited"])
    rounds = (time.monotonic() - began) / every_s + 1
    expect(cluster.api.count("patch", "ratelimits/status") <= 2 + 2 * rounds, "written too often")
    wait_for("limiting ended", lambda: happened(cluster, "LimitingEnded"))
    settled(cluster)
    before = writes(cluster)
    agent.terminate()
    agent = cluster.agent("limit")
    settled(cluster)
    equal(writes(cluster), before, "requests that write, by an agent to whom nothing is new")
    # Another generation that says the same is told of all the same.
    dying = ratelimit("limit", limit="3/day")
    dying["metadata"].update(deletionTimestamp="2026-01-02T00:00:00Z", finalizers=["example.com/wait"])
    cluster.api.put(dying)
    wait_for("the generation", lambda: cluster.api.status()["observedGeneration"] == 2)


@case
def kube_status_two_nodes(env):
    """Two agents have an entry each, and come to rest."""
    cluster = Cluster(env)
    cluster.api.put(service("web"))
    cluster.api.put(endpoint_slice("web", endpoint("127.0.0.1"), endpoint("127.0.0.2", node="node-b"),
                                   endpoint("127.0.0.3", node="node-b")))
    cluster.api.put(ratelimit("limit", service="web"))
    cluster.agent("limit")
    with second_node(env, cluster, "node-b"):
        wait_for("an entry each", lambda: [node(cluster, name).get("endpoints") for name in (NODE, "node-b")] == [1, 2])
        env.server()
        equal(admitted(env, 5), 3, "requests admitted")
        wait_for("what is limited on one", lambda: cluster.api.status()["limited"] == 2)
        equal([node(cluster, name)["limited"] for name in (NODE, "node-b")], [2, 0], "limited by node")
        wait_for("limiting ended", lambda: happened(cluster, "LimitingEnded"))
        settled(cluster)
        owners = cluster.api.managed["default", "limit"].owners
        equal(sorted(owners), ["kmesh-rl", f"kmesh-rl-{NODE}", "kmesh-rl-node-b"], "field managers")
        expect(not owners["kmesh-rl-node-b"] & owners[f"kmesh-rl-{NODE}"], "fields of both")
        equal(len(happened(cluster, "LimitingStarted")), 1, "Events of nodes that limit")
        # One that is refused is refused by both, once.
        cluster.api.put(ratelimit("limit", service="web", rules=[{"limit": "many"}]))
        wait_condition(cluster, "Accepted", "False", "Invalid")
        settled(cluster)
        expect(sum(event["count"] for event in happened(cluster, "Refused")) <= 2, "told more often than by each once")


@case
def kube_status_taken_back(env):
    """What another manager wrote over is taken back: it would be a conflict without force."""
    cluster = Cluster(env)
    programmed(cluster)
    cluster.api.apply_status("limit", "default", "somebody", {"limited": 99, "nodes": [
        {"node": NODE, "endpoints": 99}, {"node": "node-z", "endpoints": 7}]}, force=True)
    wait_for("the entry of the node", lambda: node(cluster)["endpoints"] == 1)
    wait_for("what is all nodes'", lambda: cluster.api.status()["limited"] == 0)
    equal(node(cluster, "node-z"), {"node": "node-z", "endpoints": 7}, "the entry of another node")


@case
def kube_status_late_answer(env):
    """An answer that is older than what the watch has said meanwhile is not what there is."""
    cluster = Cluster(env)
    somebody = {"nodes": [{"node": NODE, "endpoints": 99}]}

    def answer_late(handler):
        if "fieldManager=kmesh-rl&" not in handler.path:
            return True
        found = cluster.api.apply_status("limit", "default", "kmesh-rl", json.loads(handler.body)["status"], True)
        cluster.api.apply_status("limit", "default", "somebody", somebody, True)
        time.sleep(0.3)
        handler.answer(200, found)
        return False

    cluster.api.fault("patch", "ratelimits/status", answer_late, 2)
    cluster.api.put(ratelimit("limit"))
    cluster.agent("limit")
    wait_for("what was written over", lambda: node(cluster).get("endpoints") == 99)
    wait_for("the entry of the node again", lambda: node(cluster)["endpoints"] == 1)


@case
def kube_status_refusals(env):
    """409, 422, 5xx and 429 are said once each, and tried again."""
    cluster = Cluster(env)
    for code, reason in ((409, "Conflict"), (422, "Invalid")):
        cluster.api.fault("patch", "ratelimits/status", refuse(code, reason, f"no {reason}"), 2)
    cluster.api.fault("patch", "ratelimits/status", refuse(503, "ServiceUnavailable", "starting"))
    cluster.api.fault("patch", "ratelimits/status", refuse(429, "TooManyRequests", "slowly", Retry_After=1))
    agent = programmed(cluster)
    for said in ("status of default/limit: 409 no Conflict", "status of default/limit: 422 no Invalid",
                 "status: 503 starting", "status: 429 slowly"):
        equal(agent.text().count(said), 1, f"times that the agent says {said!r}")


@case
def kube_status_forbidden(env):
    """Without the rights limits are in force all the same, also those of Events; said once, whatever there is to write."""
    cluster = Cluster(env)
    cluster.api.fault("patch", "ratelimits/status", refuse(403, "Forbidden", "may not patch"), 10**9)
    for name in range(5):
        cluster.api.put(ratelimit(f"limit-{name}", at=9000 + name))
    cluster.api.put(ratelimit("limit"))
    agent = cluster.agent("limit")
    cluster.says(agent, "status: 403 forbidden")
    wait_for("more tries", lambda: cluster.api.count("patch", "ratelimits/status") >= 3)
    equal(agent.text().count("status: 403"), 1, "times that it is said")
    env.server()
    equal(admitted(env, 5), 3, "requests admitted")
    wait_for("an Event nevertheless", lambda: happened(cluster, "LimitingStarted"))
    cluster.api.faults.clear()
    cluster.api.fault("create", "events", refuse(403, "Forbidden", "may not create"), 10**9)
    wait_condition(cluster, "Programmed", "True", "Programmed")
    cluster.says(agent, "events: 403 forbidden")


@case
def kube_status_deleted(env):
    """Deleted before the request about it is answered: that concerns nobody, and the others get their status."""
    cluster = Cluster(env)

    def delete_first(handler):
        cluster.api.delete("RateLimit", "gone")
        time.sleep(0.5)
        return True

    cluster.api.fault("patch", "ratelimits/status", delete_first)
    cluster.api.put(ratelimit("gone", at=9000))
    agent = cluster.start()
    wait_for("the request", lambda: cluster.api.count("patch", "ratelimits/status"))
    cluster.api.put(ratelimit("limit"))
    wait_condition(cluster, "Programmed", "True", "Programmed")
    settled(cluster)
    equal([path for verb, _, path, _ in cluster.api.requests if verb == "patch" and "/gone/" in path][1:], [],
          "tries after it is gone")
    expect("404" not in agent.text(), "the agent complains about what is gone")
    expect(agent.process.poll() is None, "the agent exited")


@case
def kube_status_event_gone(env):
    """Events end after an hour: then there is another one."""
    cluster = Cluster(env)
    cluster.api.put(ratelimit("limit", rules=[{"limit": "many"}]))
    cluster.start()
    wait_for("an Event", lambda: happened(cluster, "Refused"))
    with cluster.api.lock:
        cluster.api.kinds["events"].objects.clear()
    cluster.api.put(ratelimit("limit", rules=[{"limit": "few"}]))
    wait_for("another Event", lambda: happened(cluster, "Refused"))
    equal(happened(cluster, "Refused")[0]["count"], 1, "count of the other one")
