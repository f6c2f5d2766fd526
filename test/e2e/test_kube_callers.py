# SPDX-License-Identifier: Apache-2.0
"""direction: Outbound is for the pods of the RateLimit's namespace, on this node."""

import os
import signal

from client import equal, expect, get
from documents import ratelimit as document
from harness import PORT, case, wait_for
from kube import NODE, Cluster, pod, ratelimit
from peers import join_pod, pods_here

ANY = [{"ip": "0.0.0.0", "port": PORT}]
WEB, DB, FAR = (f"0a1b2c3d-0000-4000-8000-00000000000{number}" for number in range(3))


def outbound(cluster, *rules, name="limit", limit="2/day", ns="default", at=ANY, **spec):
    cluster.api.put(ratelimit(name, ns, endpoints=at, direction="Outbound",
                              rules=list(rules) or [{"name": "all", "limit": limit, "count": "Connections"}], **spec))


def put_pod(cluster, name, uid, *addresses, node=NODE, **options):
    object = pod(name, *addresses, nodeName=node, **options)
    object["metadata"]["uid"] = uid
    cluster.api.put(object)


def start(env, *rules, **options):
    cluster = Cluster(env)
    outbound(cluster, *rules, **options)
    env.server(host="0.0.0.0")
    return cluster


def found(agent, *uids):
    """Wait until @agent has seen whose the network namespaces are."""
    for uid in uids:
        wait_for(f"the network namespace of {uid}", lambda uid=uid: f"pod {uid}" in agent.text())


@case
def callers_of_the_namespace(env):
    """Connections of its pods are limited, and nobody else's: another namespace's, no pod's, the node's own."""
    cluster = start(env)
    with pods_here(env, web=WEB, db=DB, far=FAR, none=None) as peers:
        put_pod(cluster, "web", WEB)
        put_pod(cluster, "db", DB, peers["db"].address)
        put_pod(cluster, "far", FAR, namespace="elsewhere")
        found(cluster.agent("limit"), WEB, DB, FAR)
        equal({name: peer.dials(4) for name, peer in peers.items()}, {"web": 2, "db": 2, "far": 4, "none": 4},
              "connections let out of four")
        env.connect()
        env.connect()
        env.connect()
    lists = [path for verb, plural, path, _ in cluster.api.requests if (verb, plural) == ("list", "pods")]
    expect(lists and all(f"fieldSelector=spec.nodeName%3D{NODE}" in path for path in lists), f"Pods asked for: {lists}")


@case
def callers_requests(env):
    """The same of requests, on the client's own socket."""
    cluster = start(env, {"name": "all", "limit": "2/day"})
    with pods_here(env, web=WEB, far=FAR) as peers:
        put_pod(cluster, "web", WEB)
        put_pod(cluster, "far", FAR, namespace="elsewhere")
        found(cluster.agent("limit"), WEB, FAR)
        equal([peers["web"].admitted(4), peers["far"].admitted(4)], [2, 4], "requests admitted of four")
        equal(peers["web"].admitted(2, "X-Forwarded-For: 10.8.1.2", "X-Pod: far"), 0, "... of one that says it is another")


@case
def callers_by_labels(env):
    """clientSelector, labels that change, an edit of it, and a rule with selectors of its own."""
    cluster = start(env, {"name": "user", "limit": "1/day", "clientSelectors": [{"headers": [{"name": "x-user", "value": "a"}]}]},
                    {"name": "all", "limit": "2/day"}, clientSelector={"matchLabels": {"app": "web"}})
    with pods_here(env, web=WEB, db=DB) as peers:
        web, database = peers["web"], peers["db"]
        put_pod(cluster, "web", WEB, labels={"app": "web"})
        put_pod(cluster, "db", DB, labels={"app": "db"})
        found(cluster.agent("limit"), WEB, DB)
        equal([web.admitted(3), web.admitted(2, "x-user: a")], [2, 1], "requests of the selected pod admitted")
        equal([database.admitted(3), database.admitted(2, "x-user: a")], [3, 2], "requests of the other one")
        put_pod(cluster, "db", DB, labels={"app": "web"})
        wait_for("the label counts", lambda: database.admitted(1) == 0)
        outbound(cluster, {"name": "all", "limit": "2/day"}, clientSelector={"matchExpressions": [
            {"key": "app", "operator": "NotIn", "values": ["web"]}]})
        wait_for("the edit counts", lambda: web.admitted(1) == 1)


@case
def callers_max_connections(env):
    """Those that were open before their pod was known count; so do those of a pod whose label changes."""
    cluster = start(env, {"name": "open", "maxConnections": 2}, clientSelector={"matchLabels": {"app": "web"}})
    with pods_here(env, web=WEB) as peers:
        web = peers["web"]
        cluster.agent("limit")
        equal(web.dials(3), 3, "connections let out before the pod is known")
        put_pod(cluster, "web", WEB, labels={"app": "web"})
        wait_for("they count", lambda: env.tokens() == -1)
        equal(web.dials(1), 0, "connections let out then")
        put_pod(cluster, "web", WEB, labels={"app": "db"})
        wait_for("they do not count any more", lambda: web.dials(1) == 1)
        put_pod(cluster, "web", WEB, labels={"app": "web"})
        wait_for("all of them count", lambda: env.tokens() == -2)


@case
def callers_open_connections(env):
    """One that was open before the pod was known is taken in."""
    cluster = start(env, {"name": "all", "limit": "1/day"})
    with pods_here(env, web=WEB) as peers:
        agent = cluster.agent("limit")
        conn = peers["web"].connect()
        equal([conn.ask(get()).status for _ in range(3)], [200] * 3, "statuses before")
        put_pod(cluster, "web", WEB)
        cluster.says(agent, "open connections taken in")
        equal([conn.ask(get()).status for _ in range(3)], [200, 429, 429], "statuses once it is known")


@case
def callers_of_others_go_unharmed(env):
    """failurePolicy: Closed is for the pods that are meant: what others send need not be HTTP."""
    cluster = Cluster(env)
    outbound(cluster, {"name": "all", "limit": "2/day"}, failurePolicy="Closed")
    server = env.server(host="0.0.0.0")
    with pods_here(env, web=WEB, far=FAR) as peers:
        put_pod(cluster, "web", WEB)
        put_pod(cluster, "far", FAR, namespace="elsewhere")
        found(cluster.agent("limit"), WEB, FAR)
        tls = b"\x16\x03\x01\x00\x05hello"
        before = env.reasons().get("tls", 0)
        peers["far"].connect().send(tls)
        wait_for("the server has it", lambda: server.bytes() == len(tls))
        equal(env.reasons().get("tls", 0), before, "connections with TLS that were judged")
        conn = peers["web"].connect()
        conn.send(tls)
        equal(conn.response().status, 400, "status of one that is meant")
        equal(env.reasons()["tls"], before + 1, "connections with TLS that were judged then")


@case
def callers_across_agents(env):
    """Known while no agent is there, and to the next one at once; a pod that went meanwhile is not."""
    cluster = start(env, limit="3/day")
    with pods_here(env, web=WEB, db=DB) as peers:
        put_pod(cluster, "web", WEB)
        put_pod(cluster, "db", DB)
        agent = cluster.agent("limit")
        found(agent, WEB, DB)
        equal([peers["web"].dials(1), peers["db"].dials(4)], [1, 3], "connections let out")
        agent.process.send_signal(signal.SIGKILL)
        agent.process.wait()
        equal([peers["web"].dials(1), peers["db"].dials(1)], [1, 0], "... without an agent")
        cluster.api.delete("Pod", "db")
        cluster.agent("limit")
        equal(peers["web"].dials(2), 1, "... with the next one")
        wait_for("the pod that is gone is not limited", lambda: peers["db"].dials(1))
        equal(peers["web"].dials(1), 0, "... and the other is")


@case
def callers_come_and_go(env):
    """A pod that comes, one that ends, one on the host's network, one that gets another network namespace."""
    cluster = start(env, limit="1/day")
    with pods_here(env, web=WEB, other=None) as peers:
        web, other = peers["web"], peers["other"]
        agent = cluster.agent("limit")
        wait_for("Pods are read", lambda: cluster.api.count("watch", "pods"))
        put_pod(cluster, "web", WEB, phase="Pending")
        found(agent, WEB)
        equal(web.dials(3), 1, "connections let out of a pod that has no address yet")
        put_pod(cluster, "web", WEB, phase="Failed")
        wait_for("a pod that has ended is not limited", lambda: web.dials(1))
        put_pod(cluster, "web", WEB)
        wait_for("... and is again", lambda: web.dials(1) == 0)
        put_pod(cluster, "web", WEB, hostNetwork=True)
        wait_for("one on the host's network is not", lambda: web.dials(1))
        put_pod(cluster, "web", WEB)
        wait_for("... and is again", lambda: web.dials(1) == 0)
        # Its sandbox is made anew.
        web.process.kill()
        web.process.wait()
        os.rmdir(os.path.join(env.cgroup, f"kubepods-burstable-pod{WEB.replace('-', '_')}.slice"))
        join_pod(env, other, WEB)
        equal(other.dials(1), 1, "connections let out of the other namespace")
        wait_for("the other one is its own now", lambda: other.dials(1) == 0)


@case
def callers_are_followed_while_some_rule_asks(env):
    """Pods of this node, and all where another rule asks who connects."""
    cluster = Cluster(env)
    cluster.api.put(ratelimit("plain", at=9000))
    agent = cluster.agent("plain")
    equal(cluster.api.count("list", "pods"), 0, "lists of Pods")
    before = cluster.api.watches
    outbound(cluster)
    env.server(host="0.0.0.0")
    with pods_here(env, web=WEB) as peers:
        put_pod(cluster, "web", WEB)
        found(agent, WEB)
        cluster.api.put(ratelimit("peers", at=9001, rules=[{"limit": "1/day", "clientSelectors": [
            {"from": {"podSelector": {}}}]}]))
        wait_for("all Pods are asked for", lambda: any(
            plural == "pods" and "fieldSelector" not in path for _, plural, path, _ in cluster.api.requests))
        equal(peers["web"].dials(3), 2, "connections let out")
        cluster.api.delete("RateLimit", "peers")
        cluster.api.delete("RateLimit", "limit")
        wait_for("no watch of Pods", lambda: cluster.api.watches == before)
        equal(peers["web"].dials(3), 3, "connections let out without the rule")


@case
def callers_need_the_api_server(env):
    """From a directory: what goes out is limited for all, and clientSelector is refused."""
    env.write("limit.yaml", document("limit", PORT, spec=("direction: Outbound", "clientSelector: {matchLabels: {app: web}}")))
    env.write("other.yaml", document("other", PORT, spec=("direction: Outbound",), limit="2/day"))
    agent = env.agent("other")
    wait_for("the agent says what is wrong", lambda: "limit.yaml:1:1: RateLimit default/limit: clientSelector asks for pods, "
             "of which the API server alone tells (--source kubernetes)" in agent.text())
    expect(not env.lists("limit"), "it is in force")
    env.server()
    equal([env.connect().ask(get()).status for _ in range(3)], [200, 200, 429], "statuses")
