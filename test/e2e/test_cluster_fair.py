# SPDX-License-Identifier: Apache-2.0
"""What three nodes that ask for 90, 9 and 1 of a hundred make of one limit, and how soon tokens are where they are asked
for."""

import functools
import time

from client import expect
from cluster_load import LIMITED, OK, UNDERWAY
from cluster_net import Load, cluster
from harness import case, wait_for

WINDOWS = 3
# Tokens at most, of a fill, ms between fills, requests per second, and for how many seconds these are looked at: of 20 tokens
# a second, a node that asks for one gets none in five of them one time in eight, if each token goes to whom chance will.
KINDS = {"a fill of a second": (1000, 1000, 1000, 2000, 5), "a fill of 100 ms": (1000, 100, 100, 2000, 5),
         "small fills": (1000, 10, 10, 2000, 5), "few tokens": (200, 200, 1000, 600, 5),
         "20 tokens": (20, 20, 1000, 60, 15)}


def steady(load, interval_s, steady_s):
    """How many each node's clients asked for in the next seconds, and how many were let through. They begin ahead of a fill,
    when the one before is used."""
    def look():
        return [(node.counted(OK) + node.counted(LIMITED), node.served) for node in load.net.nodes]

    time.sleep((0.95 * interval_s - time.time()) % interval_s)
    before, until = look(), time.monotonic() + steady_s
    time.sleep(max(0, until - time.monotonic()))
    return [[b[i] - a[i] for a, b in zip(before, look())] for i in range(2)]


def uneven(env, kind):
    most, fill, ms, offered, steady_s = kind
    rule = (f"{{name: all, maxTokens: {most}, tokensPerFill: {fill}, fillInterval: {ms}ms, scope: Cluster, initialCredit: 0, "
            "whenUnavailable: Closed}")
    with cluster(env, 3, rule) as net:
        for node in net.nodes:
            node.load()
        whole = fill * steady_s * 1000 // ms
        with Load(net, *(offered * share // 100 or 1 for share in (90, 9, 1))) as load:
            load.more(2 * most)
            for _ in range(WINDOWS):
                asked, used = steady(load, ms / 1000, steady_s)
                if sum(used) >= 0.98 * whole and all(used):
                    break
        load.bounded(most, fill, ms / 1000)
        expect(sum(used) >= 0.98 * whole, f"{sum(used)} of {whole} used: {used}, of {asked} asked for")
        expect(all(used), f"each node has something: {used}, of {asked} asked for")


for name, kind in KINDS.items():
    CASE = functools.partial(uneven, kind=kind)
    CASE.__name__ = f"uneven_nodes_use_all_of_{name.replace(' ', '_')}"
    case(CASE, alone=True)


@case(alone=True)
def idle_tokens_are_where_they_are_asked_for_in_two_ticks(env):
    tick_s = 0.4
    with cluster(env, 2, "{name: all, limit: 600/day, scope: Cluster, initialCredit: 0}", tick_ms=int(1000 * tick_s)) as net:
        holder, other = net.nodes
        for node in net.nodes:
            node.load()
        with Load(net, 300, 0) as load:
            load.more(200)
            holder.rate(0)
            wait_for("the other one is asked when nobody asks the holder", lambda: not holder.counted(UNDERWAY))
            time.sleep(tick_s)
            began = time.monotonic()
            other.rate(300)
            load.more(1)
            took_s = time.monotonic() - began
            expect(took_s < 2.5 * tick_s, f"the first token came after {took_s:.3f} s")
            # The holder keeps what one request needs, since it was refused in the beginning.
            left = 600 - 1 - net.served()
            load.more(left)
