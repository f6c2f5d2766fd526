# SPDX-License-Identifier: Apache-2.0
"""One limit for several nodes while Redis is slow or away, clocks are wrong, or a node joins late."""

import os
import threading
import time

from client import equal, expect
from cluster_load import CONNS, LIMITED, OK
from cluster_net import Load, clock_of, cluster, set_clock
from harness import SCALE, case, case_of_each, wait_for

BUCKET = MOST, FILL, INTERVAL_S = 100, 50, 0.25
RULE = ("{name: all, maxTokens: 100, tokensPerFill: 50, fillInterval: 250ms, scope: Cluster, initialCredit: 0, "
        "whenUnavailable: Closed}")
FULL = 500, 500, 500


def sleeps(redis, seconds):
    redis.send("DEBUG", "SLEEP", str(seconds)).close()


def pauses(redis, seconds):
    redis.ask("CLIENT", "PAUSE", f"{1000 * seconds:.0f}", "ALL")


def hangs(redis, seconds):
    threading.Thread(target=redis.freeze, args=(seconds,)).start()


# Half of the longest wait for Redis: nothing that waited for it is that fast.
SLOW_S = 2


@case_of_each({"that sleeps": sleeps, "that pauses": pauses, "that hangs": hangs})
def nothing_waits_for_a_redis(env, slow):
    with cluster(env, 3, RULE) as net:
        for node in net.nodes:
            node.load()
        with Load(net, *FULL) as load:
            for seconds in (0.2, 2, 5):
                load.more(FILL)
                until = time.monotonic() + seconds
                slow(net.redis, seconds)
                while time.monotonic() < until:
                    for node in net.nodes:
                        began = time.monotonic()
                        equal(node.item()["name"], "limit", "what the agent lists")
                        took_s = time.monotonic() - began
                        expect(took_s < SLOW_S, f"the agent answered after {took_s:.3f} s")
            load.more(FILL)
        load.bounded(*BUCKET)
        load.answered(within_s=SLOW_S)


@case
def a_node_that_joins_late(env):
    with cluster(env, 3, RULE, late=1) as net:
        *_, late = net.nodes
        for node in net.nodes[:2]:
            node.load()
        with Load(net, *FULL) as load:
            load.more(4 * FILL)
            late.up()
            late.load()
            late.rate(FULL[-1])
            wait_for("it lets some through", lambda: late.served > FILL)
            load.more(2 * FILL)
        load.bounded(*BUCKET)
        load.answered()


@case
def clocks_of_nodes_that_differ(env):
    """A lease is by CLOCK_BOOTTIME, which nobody sets."""
    with cluster(env, 3, RULE, late=3) as net:
        for node, seconds in zip(net.nodes, (3600, -3600, 0)):
            clock = os.path.join(node.root, "clock-of-it")
            set_clock(clock, seconds)
            node.before_agent = clock_of(clock)
            node.up()
            node.load()
        with Load(net, *FULL) as load:
            load.more(4 * FILL)
            set_clock(os.path.join(net.nodes[0].root, "clock-of-it"), -3600)
            load.more(4 * FILL)
        load.bounded(*BUCKET)
        load.answered()


@case
def the_clock_of_redis_is_set(env):
    """Back, no fill comes twice; ahead, the bucket may be full once more."""
    clock = os.path.join(env.root, "clock-of-redis")
    set_clock(clock, 3600)
    with cluster(env, 3, RULE, before_redis=clock_of(clock)) as net:
        expect(float(net.redis.ask("TIME")[0]) > time.time() + 3000, "Redis has another clock")
        for node in net.nodes:
            node.load()
        for seconds, extra in ((-3600, 0), (7200, MOST), (7201, MOST), (7199, 0)):
            with Load(net, *FULL) as load:
                load.more(2 * FILL)
                set_clock(clock, seconds)
                load.more(4 * FILL)
            load.bounded(*BUCKET, credit=extra)


def judged(node):
    return node.counted(OK) + node.counted(LIMITED)


def goes_by_redis(node):
    """Redis is there a while before the kernel hears of it: has it judged some since without whenUnavailable?"""
    away, before = node.reasons()["cluster_away"], judged(node)
    wait_for("some are judged", lambda: judged(node) > before + 10)
    return node.reasons()["cluster_away"] == away


def awayness(load, node):
    """What was let through and refused, in how many seconds, without Redis."""
    began, served, limited = time.monotonic(), node.counted(OK), node.counted(LIMITED)
    wait_for("some are judged", lambda: judged(node) > served + limited + 400)
    return node.counted(OK) - served, node.counted(LIMITED) - limited, time.monotonic() - began


def local(served, limited, seconds):
    bound = 20 + 20 * (int(seconds) + 1) + CONNS
    expect(0 < served <= bound and limited, f"{served} let through of {bound}, {limited} refused, in {seconds:.3f} s")


def opened(_, limited, __):
    equal(limited, 0, "requests refused with Open")


def closed(served, limited, _):
    expect(not served and limited, f"{served} let through, {limited} refused with Closed")


@case_of_each({"Local": local, "Open": opened, "Closed": closed})
def redis_away_with(env, check):
    away = {local: "Local", opened: "Open", closed: "Closed"}[check]
    rule = f"{{name: all, limit: 20/second, scope: Cluster, initialCredit: 0, whenUnavailable: {away}}}"
    with cluster(env, 2, rule) as net:
        for node in net.nodes:
            node.load()
        with Load(net, 200, 200) as load:
            load.more(20)
            net.drop(come='iifname "krl*"', go='oifname "krl*"')
            for node in net.nodes:
                wait_for("the agent notices", lambda node=node: node.notes("Redis is away"))
            time.sleep(0.1 * SCALE)
            for node in net.nodes:
                check(*awayness(load, node))
                expect(node.reasons()["cluster_away"] > 400, "it is counted")
            net.drop()
            for node in net.nodes:
                wait_for("Redis is there again", lambda node=node: node.notes("Redis is there") == 2)
                wait_for("its bucket counts again", lambda node=node: goes_by_redis(node))
        with Load(net, 200, 200) as load:
            load.more(60)
        load.bounded(20, 20, 1)
        load.answered()
