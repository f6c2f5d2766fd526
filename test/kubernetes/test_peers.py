# SPDX-License-Identifier: Apache-2.0
"""Which pod connects, by the Pods of a real API server: objects alone, since on a node that is not there nobody runs them."""

from client import equal
from cluster import MADE, NAMESPACE, NODE, OTHER, PORT, Cluster, ratelimit
from harness import case, wait_for
from kube import pod
from peers import Peer

MERGE = "application/merge-patch+json"


def run(cluster, name, address, namespace=NAMESPACE, **labels):
    """A Pod with this address, as its kubelet would say."""
    account = {"account": MADE["account"]} if namespace == NAMESPACE else {"account": "default"}
    made = pod(name, namespace=namespace, labels=labels, nodeName=NODE, automountServiceAccountToken=False, **account)
    status = made.pop("status")
    if namespace == OTHER and MADE["bare"]:
        # What a controller makes in each namespace.
        cluster.admin("POST", f"/api/v1/namespaces/{OTHER}/serviceaccounts", {
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
    cluster.apply(made)
    answer = cluster.admin("PATCH", f"/api/v1/namespaces/{namespace}/pods/{name}/status",
                           {"status": {**status, "podIP": address, "podIPs": [{"ip": address}]}}, MERGE)
    equal(answer.status, 200, f"status of a Pod's status ({answer.body[:300]})")


@case
def peers_by_labels(env):
    """Pods that are selected, others, those of another namespace; one that comes later, and one whose labels change."""
    cluster = Cluster(env)
    at = cluster.flags.index("--namespace")
    del cluster.flags[at:at + 2]
    cluster.apply(ratelimit(endpoints=[{"ip": "0.0.0.0", "port": PORT}], rules=[
        {"name": "some", "limit": "2/day", "clientSelectors": [{"from": {"podSelector": {"matchLabels": {"app": "web"}}}}]},
        {"name": "others", "limit": "100/day"}]))
    web, other, foreign, late = (Peer(env, number) for number in range(4))
    run(cluster, "web-1", web.address, app="web")
    run(cluster, "db-1", other.address, app="db")
    run(cluster, "web-1", foreign.address, OTHER, app="web")
    cluster.agent("limit")
    cluster.serve("0.0.0.0")
    wait_for("the selected pod is refused", lambda: web.admitted(1) == 0)
    equal([peer.admitted(4) for peer in (other, foreign, late)], [4, 4, 4], "requests of the others admitted")
    run(cluster, "web-2", late.address, app="web")
    wait_for("the one that comes later is refused", lambda: late.admitted(1) == 0)
    cluster.kubectl("label", "pod", "db-1", "app=web", "--overwrite")
    wait_for("the one that is selected now is refused", lambda: other.admitted(1) == 0)
    cluster.kubectl("delete", "pod", "web-1", "--force", "--grace-period=0")
    wait_for("the address of one that is gone is let in", lambda: web.admitted(1) == 1)
    equal(foreign.admitted(2), 2, "requests of the other namespace's admitted")
