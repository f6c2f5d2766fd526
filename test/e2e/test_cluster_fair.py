# SPDX-License-Identifier: Apache-2.0
"""What three nodes that ask for 90, 9 and 1 of a hundred make of one limit, and how soon tokens are where they are asked
for."""

import time

from client import expect
from cluster_net import Load, cluster
from harness import case, case_of_each

STEADY_S = 5
# Tokens at most, of a fill, ms between fills, and requests per second.
KINDS = {"a fill of a second": (1000, 1000, 1000, 2000), "a fill of 100 ms": (1000, 100, 100, 2000),
         "small fills": (1000, 10, 10, 2000), "few tokens": (20, 20, 1000, 60)}


@case_of_each(KINDS)
def uneven_nodes_use_all_of_it(env, kind):
    most, fill, ms, offered = kind
    rule = (f"{{name: all, maxTokens: {most}, tokensPerFill: {fill}, fillInterval: {ms}ms, scope: Cluster, initialCredit: 0, "
            "whenUnavailable: Closed}")
    with cluster(env, 3, rule) as net:
        for node in net.nodes:
            node.load()
        rates = [offered * share // 100 or 1 for share in (90, 9, 1)]
        with Load(net, *rates) as load:
            # It is steady load, whose window is a whole number of fills.
            load.more(2 * most)
            before, began = [node.served for node in net.nodes], time.monotonic()
            time.sleep(STEADY_S)
            after, took_s = [node.served for node in net.nodes], time.monotonic() - began
        used = [b - a for a, b in zip(before, after)]
        whole = fill * STEADY_S * 1000 / ms
        print(kind, used, f"{sum(used) / whole:.4f}", f"{took_s:.3f}")
        load.bounded(most, fill, ms / 1000)
        expect(sum(used) >= 0.98 * whole, f"{sum(used)} of {whole:.0f} used: {used}")
