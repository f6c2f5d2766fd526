# SPDX-License-Identifier: Apache-2.0
"""The bound of one limit for three nodes, under full load and whatever happens to agents, Redis and the network."""

import time

from cluster_load import CONNS, UNDERWAY
from cluster_net import Load, cluster
from client import equal, expect
from harness import case, case_of_each, wait_for

MOST, FILL, INTERVAL_S = 100, 50, 0.25
BUCKET = MOST, FILL, INTERVAL_S
RULE = f"maxTokens: {MOST}, tokensPerFill: {FILL}, fillInterval: 250ms, scope: Cluster, whenUnavailable: Closed"
FULL = 500, 500, 500


def nothing(load):
    load.more(8 * FILL)


def agents_killed(load):
    for node in load.net.nodes[:2]:
        node.agents[-1].kill()
        load.more(FILL)
        node.up()
        load.more(FILL)


def one_agent_gone(load):
    """Long enough for its leases to end."""
    load.net.nodes[0].agents[-1].kill()
    before = load.net.nodes[0].served
    time.sleep(4)
    gone = load.net.nodes[0].served
    expect(gone - before <= MOST, f"{gone - before} requests let through without an agent")
    load.more(2 * FILL)
    load.net.nodes[0].up()
    wait_for("the node has tokens again", lambda: load.net.nodes[0].served > gone)


def restarted(load):
    """With what its directory has."""
    load.net.redis.kill()
    load.net.redis.start()
    load.more(4 * FILL)


def flushed(load):
    load.net.redis.ask("FLUSHALL")
    load.more(4 * FILL)


def flushed_again(load):
    """Before the loss is over, and after."""
    for seconds in (1, 0):
        load.net.redis.ask("FLUSHALL")
        time.sleep(seconds)
    load.more(2 * FILL)
    load.net.redis.ask("FLUSHALL")
    load.more(2 * FILL)


def older_dump(load):
    load.net.redis.ask("SAVE")
    load.more(4 * FILL)
    restarted(load)


def away(node):
    return node.notes("Redis is away")


def one_node_apart(load):
    """With tokens that it has leased, and spends none of until its lease is over."""
    apart, *others = load.net.nodes
    for node in others:
        node.rate(0)
    apart.rate(150)
    load.more(2 * FILL)
    load.net.drop(come=f'iifname "{apart.link}"', go=f'oifname "{apart.link}"')
    apart.rate(0)
    wait_for("its agent notices", lambda: away(apart) and not apart.counted(UNDERWAY))
    time.sleep(0.1)
    gone = apart.served
    for node, rate in zip(load.net.nodes, FULL):
        node.rate(rate)
    load.more(4 * FILL)
    equal(apart.served, gone, "what a node apart has let through, when its leases have ended")
    load.net.drop()
    wait_for("it has tokens again", lambda: apart.served > gone + CONNS)


def answers_lost(load):
    apart = load.net.nodes[0]
    load.net.drop(go=f'oifname "{apart.link}"')
    wait_for("its agent notices", lambda: away(apart))
    gone = apart.served
    load.net.drop()
    wait_for("it has tokens again", lambda: apart.served > gone + CONNS)


def all_apart(load):
    load.net.drop(come='iifname "krl*"', go='oifname "krl*"')
    wait_for("all notice", lambda: all(map(away, load.net.nodes)))
    load.net.drop()
    load.more(4 * FILL)


def packets_lost(percent):
    def lost(load):
        load.net.drop(come=f'iifname "krl*" numgen random mod 100 < {percent}', go=f'oifname "krl*" numgen random mod 100 < {percent}')
        load.more(8 * FILL)
        load.net.drop()
        load.more(2 * FILL)
    return lost


FAULTS = {"nothing": (nothing,), "agents that die": (agents_killed, one_agent_gone),
          "data lost": (restarted, flushed, flushed_again, older_dump),
          "nodes apart": (one_node_apart, answers_lost, all_apart),
          "packets lost": (packets_lost(10), packets_lost(30))}


def bound(env, faults, credit=0, closed=0, **options):
    with cluster(env, 3, f"{{name: all, initialCredit: {credit}, {RULE}}}", **options) as net:
        for node in net.nodes:
            node.load()
        with Load(net, *FULL) as load:
            load.more(FILL)
            for happen in faults:
                happen(load)
        load.bounded(*BUCKET, credit=credit * len(net.nodes))
        load.answered(closed)


@case_of_each(FAULTS)
def the_bound_holds_with(env, faults):
    # A 429 that is on its way when the agent is killed ends its connection.
    bound(env, faults, closed=2 * CONNS if agents_killed in faults else 0)


@case
def the_bound_holds_with_redis_restarted_with_its_data(env):
    bound(env, (restarted, restarted), redis=("--appendonly", "yes", "--appendfsync", "always"))


@case
def the_bound_holds_with_the_credit_of_each_node(env):
    bound(env, (nothing, flushed), credit=5)
