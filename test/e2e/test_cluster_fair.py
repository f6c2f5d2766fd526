# SPDX-License-Identifier: Apache-2.0
"""What three nodes that ask for 90, 9 and 1 of a hundred make of one limit, and how soon tokens are where they are asked
for."""

import time

from client import expect
from cluster_load import LIMITED, OK
from cluster_net import Load, cluster
from harness import case, case_of_each

STEADY_S = 5
# Tokens at most, of a fill, ms between fills, and requests per second.
KINDS = {"a fill of a second": (1000, 1000, 1000, 2000), "a fill of 100 ms": (1000, 100, 100, 2000),
         "small fills": (1000, 10, 10, 2000), "few tokens": (20, 20, 1000, 60)}


def sparse(load):
    """How many each node's clients asked for, and were let through, in the next seconds."""
    nodes = load.net.nodes
    before = [(node.counted(OK) + node.counted(LIMITED), node.served) for node in nodes]
    time.sleep(STEADY_S)
    after = [(node.counted(OK) + node.counted(LIMITED), node.served) for node in nodes]
    return [[b[i] - a[i] for a, b in zip(before, after)] for i in range(2)]


@case_of_each(KINDS)
def uneven_nodes_use_all_of_it(env, kind):
    most, fill, ms, offered = kind
    rule = (f"{{name: all, maxTokens: {most}, tokensPerFill: {fill}, fillInterval: {ms}ms, scope: Cluster, initialCredit: 0, "
            "whenUnavailable: Closed}")
    with cluster(env, 3, rule) as net:
        for node in net.nodes:
            node.load()
        with Load(net, *(offered * share // 100 or 1 for share in (90, 9, 1))) as load:
            # It is steady load, whose window is a whole number of fills.
            load.more(2 * most)
            asked, used = sparse(load)
        whole = fill * STEADY_S * 1000 // ms
        print(kind, asked, used, f"{sum(used) / whole:.4f}")
        load.bounded(most, fill, ms / 1000)
        expect(sum(used) >= 0.98 * whole, f"{sum(used)} of {whole} used: {used}, of {asked} asked for")
        expect(all(used), f"each node has something: {used}, of {asked} asked for")
