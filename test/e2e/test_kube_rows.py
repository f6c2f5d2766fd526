# SPDX-License-Identifier: Apache-2.0
"""Rules whose services have no endpoint on this node: they take no room from those that have."""

from client import equal, expect
from harness import PORT, admitted, case, wait_for
from kube import Cluster, endpoint, endpoint_slice, ratelimit, service

RULES = [{"name": f"rule-{number}", "limit": "1/day"} for number in range(64)]
ROWS = 4096


def many(cluster, count, node):
    """@count services on @node, with as many rules as an endpoint may have."""
    for number in range(count):
        name = f"other-{number}"
        cluster.api.put(service(name))
        cluster.api.put(endpoint_slice(name, endpoint(f"127.0.1.{number}", node=node)))
        cluster.api.put(ratelimit(name, service=name, rules=RULES))


def put_limit(cluster):
    cluster.api.put(service("web"))
    cluster.api.put(endpoint_slice("web"))
    cluster.api.put(ratelimit("limit", service="web"))


@case
def kube_rules_of_other_nodes(env):
    """More of them than there is room for rules."""
    cluster = Cluster(env)
    many(cluster, ROWS // len(RULES) + 1, "node-b")
    put_limit(cluster)
    agent = cluster.agent("limit")
    wait_for("its endpoint", lambda: env.item()["endpoints"] == 1)
    env.server()
    equal(admitted(env, 5), 3, "requests admitted")
    equal(len(env.stats()), 1, "rules in the kernel")
    expect("more than" not in agent.text(), "some are refused")


@case
def kube_rules_give_way(env):
    """One whose endpoints went keeps its row, and what it counted, until another needs it."""
    cluster = Cluster(env)
    put_limit(cluster)
    cluster.agent("limit")
    wait_for("its endpoint", lambda: env.item()["endpoints"] == 1)
    env.server()
    equal(admitted(env, 5), 3, "requests admitted")
    cluster.api.put(endpoint_slice("web", endpoint("127.0.0.1", node="node-b")))
    wait_for("no endpoint", lambda: env.item()["endpoints"] == 0)
    equal(env.item()["rateLimitedRequests"], 2, "requests limited, before its endpoint went")
    many(cluster, ROWS // len(RULES), "node-a")
    wait_for("the others have all the rows", lambda: len(env.stats()) == ROWS and not env.lists("limit"))
    cluster.api.delete("RateLimit", "other-0")
    cluster.api.put(endpoint_slice("web"))
    wait_for("its endpoint again", lambda: env.lists("limit") and env.item()["endpoints"] == 1)
    equal(env.item()["rateLimitedRequests"], 0, "requests limited, since it has a row again")
