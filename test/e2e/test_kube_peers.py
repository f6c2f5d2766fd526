# SPDX-License-Identifier: Apache-2.0
"""Which pod connects: decided by its address, which the API server tells."""

import json
import os

from client import equal, expect, expect_compact, get
from harness import PORT, case, need_ipv6, wait_for
from http2 import Client, request
from kube import Cluster, namespace, pod, ratelimit
from peers import Peer

ANY = [{"ip": "0.0.0.0", "port": PORT}]


def limit(cluster, *selectors, name="limit", limit="2/day", others="100/day", ns="default", **spec):
    """A RateLimit of @limit for @selectors, and of @others for everybody else."""
    rules = [{"name": "some", "limit": limit, "clientSelectors": list(selectors)},
             {"name": "others", "limit": others}]
    cluster.api.put(ratelimit(name, ns, endpoints=ANY, rules=rules, **spec))


def known(cluster, env, peer, what="the peer is known", admitted=0):
    """Wait until @peer, which has nothing left in rule some, is refused."""
    wait_for(what, lambda: peer.admitted(1) == admitted)


def start(env, *selectors, **options):
    cluster = Cluster(env)
    limit(cluster, *selectors, **options)
    env.server(host="0.0.0.0")
    return cluster


def ready(cluster, env, names=("limit",)):
    agent = cluster.agent(*names)
    wait_for("Pods are read", lambda: cluster.api.count("watch", "pods"))
    return agent


@case
def peers_by_labels(env):
    """Pods that are selected, others of the namespace, another namespace's, and an address that no pod has."""
    cluster = start(env, {"from": {"podSelector": {"matchLabels": {"app": "web"}}}})
    web, other, foreign, nobody = (Peer(env, number) for number in range(4))
    cluster.api.put(pod("web-1", web.address, labels={"app": "web", "tier": "front"}))
    cluster.api.put(pod("db-1", other.address, labels={"app": "db"}))
    cluster.api.put(pod("web-2", foreign.address, labels={"app": "web"}, namespace="elsewhere"))
    ready(cluster, env)
    equal(web.admitted(4), 2, "requests of the selected pod admitted")
    equal([peer.admitted(4) for peer in (other, foreign, nobody)], [4, 4, 4], "requests of the others admitted")
    # No header tells who it is.
    forged = [f"X-Forwarded-For: {web.address}", f"X-Real-IP: {web.address}", "X-Pod-Name: web-1",
              f"Forwarded: for={web.address}", "X-Envoy-Peer-Metadata-Id: web-1"]
    equal(other.admitted(3, *forged), 3, "requests admitted of one that says it is another")
    equal(web.admitted(3, f"X-Forwarded-For: {other.address}", "X-Pod-Name: db-1"), 0,
          "requests admitted of the selected one that says it is another")
    equal(cluster.api.count("list", "namespaces"), 0, "lists of Namespaces that nobody asks for")


@case
def peers_whatever_clientip_says(env):
    """clientIP is about addresses in headers, which are read here; from is about who connects."""
    cluster = start(env, {"from": {"podSelector": {"matchLabels": {"app": "web"}}}, "sourceCIDR": "10.0.0.0/8"},
                    clientIP={"header": "X-Forwarded-For", "trustedHops": 1})
    web, other = Peer(env, 0), Peer(env, 1)
    cluster.api.put(pod("web-1", web.address, labels={"app": "web"}))
    ready(cluster, env)
    equal(other.admitted(3, f"X-Forwarded-For: {web.address}"), 3, "requests admitted of one that names the pod")
    equal(web.admitted(3, f"X-Forwarded-For: {other.address}"), 2, "requests admitted of the pod that names another")


@case
def peers_by_expressions_and_namespaces(env):
    """matchExpressions, labels of namespaces, which change; an empty selector is all of them."""
    cluster = Cluster(env)
    limit(cluster, {"from": {"namespaceSelector": {"matchLabels": {"team": "red"}},
                             "podSelector": {"matchExpressions": [
                                 {"key": "app", "operator": "NotIn", "values": ["batch"]},
                                 {"key": "tier", "operator": "Exists"}]}}},
          {"from": {"namespaceSelector": {}, "serviceAccounts": ["robot"]}})
    env.server(host="0.0.0.0")
    red, batch, blue, robot = (Peer(env, number) for number in range(4))
    for name, labels in (("a", {"team": "red"}), ("b", {"team": "blue"}), ("c", {})):
        cluster.api.put(namespace(name, **labels))
    cluster.api.put(pod("red", red.address, namespace="a", labels={"tier": "1"}))
    cluster.api.put(pod("batch", batch.address, namespace="a", labels={"app": "batch", "tier": "1"}))
    cluster.api.put(pod("blue", blue.address, namespace="b", labels={"tier": "1"}))
    cluster.api.put(pod("robot", robot.address, namespace="c", account="robot"))
    ready(cluster, env)
    wait_for("Namespaces are read", lambda: cluster.api.count("watch", "namespaces"))
    equal(red.admitted(3), 2, "requests of the one of the red team admitted")
    equal([peer.admitted(3) for peer in (batch, blue)], [3, 3], "requests of those that are not meant")
    equal(robot.admitted(1), 0, "requests of the robot, for which nothing is left in the same bucket")
    cluster.api.put(namespace("b", team="red"))
    known(cluster, env, blue, "the namespace's label counts")
    cluster.api.put(namespace("a"))
    wait_for("the other namespace's does not any more", lambda: red.admitted(1) == 1)
    headers = next(headers for verb, plural, _, headers in cluster.api.requests if plural == "namespaces")
    expect("PartialObjectMetadata" in headers["Accept"], f"Namespaces are asked for as {headers['Accept']}")


@case
def peers_by_account(env):
    """Names of the RateLimit's namespace, and NAMESPACE/NAME."""
    cluster = start(env, {"from": {"serviceAccounts": ["ci", "other/ci"]}}, limit="3/day")
    here, there, third, default = (Peer(env, number) for number in range(4))
    cluster.api.put(pod("here", here.address, account="ci"))
    cluster.api.put(pod("there", there.address, account="ci", namespace="other"))
    cluster.api.put(pod("third", third.address, account="ci", namespace="third"))
    cluster.api.put(pod("default", default.address))
    ready(cluster, env)
    equal([here.admitted(2), there.admitted(2)], [2, 1], "requests of the two accounts, which share a bucket")
    equal([third.admitted(3), default.admitted(3)], [3, 3], "requests of the others")


@case
def peers_inverted(env):
    """Everybody but the pods: also who is unknown."""
    cluster = start(env, {"from": {"podSelector": {"matchLabels": {"app": "web"}}, "invert": True}})
    web, nobody = Peer(env, 0), Peer(env, 1)
    cluster.api.put(pod("web-1", web.address, labels={"app": "web"}))
    ready(cluster, env)
    equal(web.admitted(3), 3, "requests of the pod admitted")
    equal(nobody.admitted(3), 2, "requests of nobody admitted")


@case
def peers_each_with_a_bucket(env):
    """Distinct by Pod, Workload, Namespace and ServiceAccount; unknown ones are nobody's."""
    cluster = Cluster(env)
    by = ("Pod", "Workload", "Namespace", "ServiceAccount")
    for number, one in enumerate(by):
        port = PORT + number
        cluster.api.put(ratelimit(one.lower(), endpoints=[{"ip": "0.0.0.0", "port": port}], rules=[
            {"name": "each", "limit": "4/day", "clientSelectors": [{"from": {"type": "Distinct", "by": one}}]},
            {"name": "others", "limit": "100/day"}]))
        env.server(host="0.0.0.0", port=port)
    peers = [Peer(env, number) for number in range(5)]
    replicas = {"owner": ("ReplicaSet", "web-5c9d8"), "labels": {"pod-template-hash": "5c9d8"}}
    cluster.api.put(pod("web-5c9d8-a", peers[0].address, account="ci", **replicas))
    cluster.api.put(pod("web-5c9d8-b", peers[1].address, account="ci", **replicas))
    cluster.api.put(pod("web-7f7f7-c", peers[2].address, account="other", owner=("ReplicaSet", "web-7f7f7"),
                        labels={"pod-template-hash": "7f7f7"}))
    cluster.api.put(pod("job", peers[3].address, account="ci", namespace="batch", owner=("Job", "nightly-29384756")))
    ready(cluster, env, [one.lower() for one in by])
    found = {one: [peer.admitted(3, port=PORT + number) for peer in peers] for number, one in enumerate(by)}
    equal(found, {"Pod": [3, 3, 3, 3, 3], "Workload": [3, 1, 0, 3, 3], "Namespace": [3, 1, 0, 3, 3],
                  "ServiceAccount": [3, 1, 3, 3, 3]}, "requests admitted of each of three")
    rows = {}
    for row in env.buckets()["items"]:
        if row["rule"] == "each":
            rows.setdefault(row["name"], []).append(row["value"])
    rows = {name: sorted(values) for name, values in rows.items()}
    equal(rows, {"pod": ["pod=batch/job", "pod=default/web-5c9d8-a", "pod=default/web-5c9d8-b", "pod=default/web-7f7f7-c"],
                 "workload": ["workload=batch/CronJob/nightly", "workload=default/Deployment/web"],
                 "namespace": ["namespace=batch", "namespace=default"],
                 "serviceaccount": ["serviceaccount=batch/ci", "serviceaccount=default/ci", "serviceaccount=default/other"]},
          "whose buckets there are")


@case
def peers_with_headers(env):
    """A bucket for each value of a header of each pod, of some pods alone."""
    cluster = start(env, {"from": {"type": "Distinct", "by": "Pod", "podSelector": {"matchLabels": {"app": "web"}}},
                          "headers": [{"name": "x-user", "type": "Distinct"}], "methods": ["GET"]})
    first, second, other = (Peer(env, number) for number in range(3))
    cluster.api.put(pod("web-1", first.address, labels={"app": "web"}))
    cluster.api.put(pod("web-2", second.address, labels={"app": "web"}))
    cluster.api.put(pod("db-1", other.address))
    ready(cluster, env)
    equal([peer.admitted(3, f"x-user: {user}") for peer in (first, second) for user in ("a", "b")], [2, 2, 2, 2],
          "requests admitted of two users of two pods")
    equal([first.admitted(3), other.admitted(3, "x-user: a")], [3, 3], "... without a user, and of another pod")


@case
def peers_come_and_go(env):
    """A label that changes, a pod that ends, an address that goes to another: newest first, whatever comes when."""
    cluster = start(env, {"from": {"podSelector": {"matchLabels": {"app": "web"}}}}, limit="1/day")
    peer = Peer(env, 0)
    cluster.api.put(pod("web-1", peer.address, labels={"app": "web"}))
    ready(cluster, env)
    equal(peer.admitted(3), 1, "requests admitted of the pod")
    cluster.api.put(pod("web-1", peer.address, labels={"app": "db"}))
    wait_for("the label is gone", lambda: peer.admitted(1))
    cluster.api.put(pod("web-1", peer.address, labels={"app": "web"}))
    known(cluster, env, peer, "the label is back")
    conn = peer.connect()
    equal(conn.ask(get()).status, 429, "status on a connection")
    for phase in ("Succeeded", "Failed"):
        cluster.api.put(pod("web-1", peer.address, labels={"app": "web"}, phase=phase))
        wait_for(f"a pod that is {phase} has no address", lambda: peer.admitted(1))
        cluster.api.put(pod("web-1", peer.address, labels={"app": "web"}))
        known(cluster, env, peer, "... and has it again")
    cluster.api.put(pod("web-1", peer.address, labels={"app": "web"}, hostNetwork=True))
    wait_for("a pod on the host's network has none", lambda: peer.admitted(1))
    cluster.api.put(pod("web-1", peer.address, labels={"app": "web"}))
    known(cluster, env, peer, "it has again")
    # The address is another's before the first is told to be gone.
    newer = pod("db-1", peer.address, labels={"app": "db"})
    newer["metadata"]["creationTimestamp"] = "2026-02-01T00:00:00Z"
    cluster.api.put(newer)
    wait_for("the newer one has it", lambda: peer.admitted(1))
    equal(conn.ask(get()).status, 200, "status on a connection that was there")
    cluster.api.put(pod("web-1", peer.address, labels={"app": "web", "late": "1"}))
    cluster.api.put(ratelimit("mark", at=9000))
    wait_for("a later change", lambda: env.lists("mark"))
    equal(peer.admitted(1), 1, "requests admitted after the older one changed")
    cluster.api.delete("Pod", "db-1")
    known(cluster, env, peer, "the older one has it again")
    cluster.api.delete("Pod", "web-1")
    wait_for("nobody has it", lambda: peer.admitted(1))


@case
def peers_are_followed_while_some_rule_asks(env):
    """Not before, and not after; and not where the rule that asks is for other nodes' endpoints."""
    cluster = Cluster(env)
    cluster.api.put(pod("web-1", "10.8.0.2", labels={"app": "web"}))
    cluster.api.put(ratelimit("plain", at=9000))
    cluster.api.put(ratelimit("away", service="none", rules=[{"limit": "1/day", "clientSelectors": [
        {"from": {"namespaceSelector": {}}}]}]))
    cluster.agent("plain")
    equal(cluster.api.count("list", "pods"), 0, "lists of Pods without a rule that asks")
    limit(cluster, {"from": {"podSelector": {}}})
    wait_for("the watch of Pods", lambda: cluster.api.count("watch", "pods"))
    equal(cluster.api.count("list", "namespaces"), 0, "lists of Namespaces")
    before = cluster.api.watches
    cluster.api.delete("RateLimit", "limit")
    wait_for("the watch of Pods is over", lambda: cluster.api.watches == before - 1)


@case
def peers_across_agents(env):
    """What is known stays while no agent is there; one that starts brings it to what is so by then."""
    cluster = start(env, {"from": {"podSelector": {"matchLabels": {"app": "web"}}}}, limit="1/day")
    first, second = Peer(env, 0), Peer(env, 1)
    cluster.api.put(pod("web-1", first.address, labels={"app": "web"}))
    agent = ready(cluster, env)
    equal(first.admitted(2), 1, "requests admitted")
    agent.kill()
    expect_compact(first.connect().ask(get("/", "X-Long: " + "a" * 64)))
    cluster.api.delete("Pod", "web-1")
    cluster.api.put(pod("db-1", first.address, labels={"app": "db"}))
    cluster.api.put(pod("web-2", second.address, labels={"app": "web"}))
    cluster.agent("limit")
    wait_for("the address is another's", lambda: first.admitted(1))
    known(cluster, env, second, "the new one is known")


@case
def peers_without_rights(env):
    """Pods that may not be read: said so, the other limits hold, nobody is known."""
    from apiserver import refuse
    cluster = start(env, {"from": {"podSelector": {}}})
    peer = Peer(env, 0)
    cluster.api.put(pod("web-1", peer.address))
    cluster.api.fault("list", "pods", refuse(403, "Forbidden", "pods is forbidden"), 1000)
    agent = cluster.agent("limit")
    cluster.says(agent, "Pods: 403 pods is forbidden: who has which address stays as it was known")
    equal(peer.admitted(3), 3, "requests admitted")

    def programmed():
        return [(one["status"], one["reason"], "pods is forbidden" in one["message"])
                for one in cluster.api.status().get("conditions", []) if one["type"] == "Programmed"]

    wait_for("the status says why", lambda: programmed() == [("False", "Pending", True)])
    cluster.api.faults.clear()
    wait_for("the watch", lambda: cluster.api.count("watch", "pods"))
    equal(peer.admitted(3), 2, "requests admitted once they may be read")
    wait_for("the status says that it is in force", lambda: programmed() == [("True", "Programmed", False)])


@case
def peers_need_the_api_server(env):
    """From a directory nothing is known of pods."""
    env.write("limit.yaml", "apiVersion: kmesh.net/v1alpha1\nkind: RateLimit\nmetadata: {name: limit}\nspec:\n"
                            f"  endpoints: [{{ip: 127.0.0.1, port: {PORT}}}]\n  rules:\n    - limit: 1/day\n"
                            "      clientSelectors: [{from: {podSelector: {}}}]\n")
    agent = env.start_agent()
    wait_for("the agent says what is wrong", lambda: "limit.yaml:1:1: RateLimit default/limit: from asks for pods, of "
             "which the API server alone tells (--source kubernetes)" in agent.text())
    env.server()
    expect(not env.lists("limit"), "it is in force")


@case
def peers_of_connections(env):
    """Connections are judged before there is a request: by who dials."""
    cluster = Cluster(env)
    cluster.api.put(ratelimit("limit", endpoints=ANY, rules=[
        {"name": "each", "count": "Connections", "limit": "2/day",
         "clientSelectors": [{"from": {"type": "Distinct", "by": "Pod"}}]},
        {"name": "open", "maxConnections": 1, "clientSelectors": [
            {"from": {"podSelector": {"matchLabels": {"app": "db"}}}}]}]))
    env.server(host="0.0.0.0")
    web, database, nobody = (Peer(env, number) for number in range(3))
    cluster.api.put(pod("web-1", web.address, labels={"app": "web"}))
    cluster.api.put(pod("db-1", database.address, labels={"app": "db"}))
    ready(cluster, env)

    def dials(peer):
        try:
            peer.connect()
        except ConnectionRefusedError:
            return False
        return True

    wait_for("the namespace is guarded", lambda: [name for name in env.pins() if name.startswith("link_lookup_")])
    equal([dials(web) for _ in range(3)], [True, True, False], "connections of the first pod")
    equal([dials(nobody) for _ in range(5)], [True] * 5, "connections of nobody")
    equal([dials(database) for _ in range(2)], [True, True], "connections of the second pod, in its first tier")


@case
def peers_over_ipv6(env):
    """The second address of a pod of two families, written in another way than the kernel does."""
    need_ipv6()
    cluster = Cluster(env)
    cluster.api.put(ratelimit("limit", endpoints=[{"ip": "::", "port": PORT}], rules=[
        {"name": "each", "limit": "2/day", "clientSelectors": [{"from": {"type": "Distinct", "by": "Pod"}}]},
        {"name": "others", "limit": "100/day"}]))
    peer, nobody = Peer(env, 0, ipv6=True), Peer(env, 1, ipv6=True)
    env.server(host="::")
    cluster.api.put(pod("web-1", "10.8.0.2", "fd00:0008:0::0:2"))
    ready(cluster, env)
    equal([peer.admitted(3), nobody.admitted(3)], [2, 3], "requests admitted of the pod, and of nobody")


@case
def peers_over_http2(env):
    """Where heads are not read, who connects is known all the same."""
    cluster = Cluster(env)
    limit(cluster, {"from": {"podSelector": {"matchLabels": {"app": "web"}}}})
    web, other = Peer(env, 0), Peer(env, 1)
    server = env.server("strict", program="http2_server", host="0.0.0.0")
    cluster.api.put(pod("web-1", web.address, labels={"app": "web"}))
    ready(cluster, env)
    for peer, streams in ((web, (1, 3)), (other, (1, 3, 5))):
        conn = Client(peer.connect())
        for stream in streams:
            conn.ask(stream)
        if peer is web:
            conn.send(request(5))
            conn.refused(3)
    equal(env.reasons().get("http2_unseen", 0), 0, "requests that a rule did not apply to")
    equal(env.settled(server).events("bad"), [], "what the server took for an error")


@case
def peers_are_checked(env):
    """`kmesh-rl check --pod` finds the very bucket."""
    cluster = Cluster(env)
    cluster.api.put(ratelimit("limit", endpoints=ANY, rules=[
        {"name": "each", "limit": "3/day", "clientSelectors": [{"from": {"type": "Distinct", "by": "Workload"}}]}]))
    peer = Peer(env, 0)
    env.server(host="0.0.0.0")
    web = pod("web-5c9d8-a", peer.address, owner=("ReplicaSet", "web-5c9d8"), labels={"pod-template-hash": "5c9d8"})
    cluster.api.put(web)
    ready(cluster, env)
    wait_for("the pod is known", lambda: peer.admitted(1) and env.buckets()["items"])
    wanted = [row["availableTokens"] for row in env.buckets()["items"] if row["value"] == "workload=default/Deployment/web"]
    file, limits = os.path.join(env.root, "pod.json"), os.path.join(env.root, "limit.json")
    env.publish(file, json.dumps(web))
    env.publish(limits, json.dumps(cluster.api.kinds["ratelimits"].objects["default", "limit"]))
    result = env.tool("check", "-f", limits, "--pod", file, "--live", "-o", "json")
    equal(result.returncode, 0, f"exit status of check ({result.stderr})")
    item = json.loads(result.stdout)["items"][0]
    equal([item["bucket"], [item["availableTokens"]]], ["workload=default/Deployment/web", wanted], "what check says")


@case
def peers_of_one_namespace(env):
    """With --namespace, Pods of that one are asked for, and no Namespaces."""
    cluster = Cluster(env)
    limit(cluster, {"from": {"podSelector": {}}}, {"from": {"namespaceSelector": {"matchLabels": {"a": "b"}}}}, ns="team")
    env.server(host="0.0.0.0")
    here, away = Peer(env, 0), Peer(env, 1)
    cluster.api.put(pod("web-1", here.address, namespace="team"))
    cluster.api.put(pod("web-2", away.address))
    cluster.agent("limit", flags=("--namespace", "team"))
    wait_for("Pods are read", lambda: cluster.api.count("watch", "pods"))
    equal([here.admitted(3), away.admitted(3)], [2, 3], "requests admitted of a pod of the namespace, and of another")
    equal({path.split("?")[0] for verb, plural, path, _ in cluster.api.requests if plural in ("pods", "namespaces")},
          {"/api/v1/namespaces/team/pods"}, "paths asked for")
