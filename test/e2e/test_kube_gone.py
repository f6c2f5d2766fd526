# SPDX-License-Identifier: Apache-2.0
"""Entries of nodes[] of nodes that are gone."""

from apiserver import refuse
from client import equal
from harness import case, wait_for
from kube import NODE, OTHER_NODE, Cluster, ratelimit


def entry(node):
    return {"nodes": [{"node": node, "observedGeneration": 1, "endpoints": 2, "limited": 7, "reason": "Programmed",
                       "message": "it is in force"}]}


def cluster_with(env, *nodes):
    """A RateLimit of which @nodes have said something, each as its agent does."""
    cluster = Cluster(env)
    cluster.api.put(ratelimit("limit"))
    for node in nodes:
        cluster.api.apply_status("limit", "default", f"kmesh-rl-{node}", entry(node), True)
    return cluster


def nodes(cluster):
    return sorted(entry["node"] for entry in cluster.api.status().get("nodes", []))


@case
def kube_entries_of_gone_nodes(env):
    """They go, before and behind the one that is left, with what they counted; one of a node that is there stays."""
    cluster = cluster_with(env, "a-node-that-went", OTHER_NODE, "node-z")
    cluster.agent("limit")
    wait_for("its own entry", lambda: NODE in nodes(cluster))
    wait_for("entries of nodes that are there", lambda: nodes(cluster) == [NODE, OTHER_NODE])
    wait_for("what those counted", lambda: cluster.api.status()["limited"] == 7)
    equal(sorted(cluster.api.managed["default", "limit"].owners),
          ["kmesh-rl", f"kmesh-rl-{NODE}", f"kmesh-rl-{OTHER_NODE}"], "field managers")


@case
def kube_entries_of_others_stay(env):
    """What somebody else than an agent applied is not taken away."""
    cluster = cluster_with(env)
    cluster.api.apply_status("limit", "default", "somebody", {"nodes": [{"node": "node-z", "endpoints": 3}]}, True)
    cluster.agent("limit")
    wait_for("its own entry", lambda: NODE in nodes(cluster))
    wait_for("it is applied that there is nothing",
             lambda: any("fieldManager=kmesh-rl-node-z" in path for verb, _, path, _ in cluster.api.requests))
    wait_for("that is done", lambda: cluster.api.count("patch", "ratelimits/status") >= 3)
    equal(nodes(cluster), [NODE, "node-z"], "entries")


@case
def kube_nodes_are_forbidden(env):
    """Without the right to ask for nodes their entries stay, which is said once."""
    cluster = cluster_with(env, "node-z")
    cluster.api.fault("get", "nodes", refuse(403, "Forbidden", "nodes is forbidden"), 10**9)
    agent = cluster.agent("limit")
    cluster.says(agent, "entries of nodes that are gone stay in nodes[]")
    equal(nodes(cluster), [NODE, "node-z"], "entries")
