# SPDX-License-Identifier: Apache-2.0
"""Rules with scope: Cluster: several agents, and one Redis."""

import os
import struct
import time

import bpfmap
from client import equal, expect, get
from documents import ratelimit
from harness import PORT, case, wait_for
from nodes import ask_all, cluster


@case
def three_nodes_have_one_limit(env):
    with cluster(env, 3, "{name: all, limit: 60/day, scope: Cluster, initialCredit: 0}") as (redis, nodes):
        ask_all(redis, nodes)
        equal(sum(node.admitted for node in nodes), 60, "requests let through by all")
        expect(all(node.admitted for node in nodes), f"each node lets some through: {[n.admitted for n in nodes]}")


@case
def each_value_has_one_limit_on_all_nodes(env):
    rule = ("{name: all, limit: 6/day, scope: Cluster, initialCredit: 0, "
            "clientSelectors: [{headers: [{name: x-user, type: Distinct}]}]}")
    with cluster(env, 2, rule) as (redis, nodes):
        for buckets, user in enumerate(("a", "b"), 1):
            before = sum(node.admitted for node in nodes)
            ask_all(redis, nodes, f"x-user: {user}", buckets=buckets)
            equal(sum(node.admitted for node in nodes) - before, 6, f"requests of {user} let through by both")


@case
def all_of_a_tick_is_one_pipeline(env):
    rule = ("{name: all, limit: 1000/day, scope: Cluster, initialCredit: 0, "
            "clientSelectors: [{headers: [{name: x-user, type: Distinct}]}]}")
    with cluster(env, 1, rule) as (redis, [node]):
        looks = 0

        def done():
            """Exchanges, and how often Redis read what others than this sent."""
            nonlocal looks
            looks += 4  # two that ask, and the ends of their connections
            fields = dict(line.split(":") for section in ("commandstats", "stats") for line in redis.ask("INFO", section).split("\r\n")
                          if ":" in line)
            return int(fields.get("cmdstat_evalsha", "calls=0,").split(",")[0][6:]), int(fields["total_reads_processed"]) - looks

        wait_for("each has a lease", lambda: all([node.ask(f"x-user: {user}") == 200 for user in range(50)]))
        # It is renewed in each tick now, for some time.
        before = done()
        wait_for("they are renewed", lambda: done()[0] >= before[0] + 100)
        after = done()
        exchanges, reads = after[0] - before[0], after[1] - before[1]
        expect(exchanges >= 5 * reads, f"{exchanges} exchanges, which Redis read in {reads} times")


@case
def the_credit_is_given_at_once_and_debited(env):
    with cluster(env, 2, "{name: all, limit: 10/day, scope: Cluster}") as (redis, nodes):
        equal([node.ask() for node in nodes], [200, 200], "the first answer of each node")
        ask_all(redis, nodes)
        total = sum(node.admitted for node in nodes)
        expect(10 <= total <= 12, f"let through: {total}, of 10 and a credit of 1 for each node")


@case
def an_agent_that_dies_takes_no_more_than_it_had(env):
    with cluster(env, 2, "{name: all, limit: 40/day, scope: Cluster, initialCredit: 0}") as (redis, nodes):
        nodes[0].ask_until(lambda: nodes[0].admitted >= 10)
        nodes[0].agents[-1].kill()
        nodes[0].ask()
        nodes[0].agent("limit")
        ask_all(redis, nodes)
        total = sum(node.admitted for node in nodes)
        expect(10 < total <= 40, f"let through: {total} of 40")


@case
def redis_that_lost_all_gives_nothing_again(env):
    with cluster(env, 2, "{name: all, limit: 40/day, scope: Cluster, initialCredit: 0}") as (redis, nodes):
        nodes[0].ask_until(lambda: nodes[0].admitted >= 10)
        redis.ask("FLUSHALL")
        wait_for("a node notices", lambda: nodes[0].ask() and redis.spent())
        ask_all(redis, nodes)
        total = sum(node.admitted for node in nodes)
        expect(total <= 40, f"let through: {total} of 40")


@case
def without_redis_rules_do_as_they_say(env):
    ports = PORT, PORT + 1, PORT + 2
    with cluster(env, 1, "{name: all, limit: 100/second, scope: Cluster}") as (redis, [node]):
        for port, away in zip(ports[1:], ("Open", "Closed")):
            node.write(f"{away}.yaml", ratelimit(away.lower(), port, rules=[
                f"{{name: all, limit: 1/second, scope: Cluster, whenUnavailable: {away}}}"]))
            node.server(port=port)
        wait_for("all three are listed", lambda: node.lists("limit", "open", "closed"))

        def statuses(port):
            return {node.connect(port).ask(get()).status for _ in range(5)}

        redis.stop()
        wait_for("the agent notices", lambda: "Redis is away" in node.agents[-1].text())
        equal(statuses(ports[1]), {200}, "answers with Open")
        equal(statuses(ports[2]), {429}, "answers with Closed")
        wait_for("Local lets some through", lambda: node.ask() == 200)
        expect(node.reasons()["cluster_away"] >= 10, "it is counted")
        redis.start()
        wait_for("Closed gives again", lambda: 200 in statuses(ports[2]))


def share(node):
    """max_tokens that the node goes on with in the first row of krl_rules."""
    return struct.unpack_from("Q", next(iter(bpfmap.values(os.path.join(node.bpffs, "krl_rules")))), 88)[0]


@case
def without_redis_each_goes_on_with_its_share(env):
    """Of 40, the one that used three quarters has 30."""
    with cluster(env, 2, "{name: all, limit: 40/second, scope: Cluster, initialCredit: 0}") as (redis, nodes):
        equal([share(node) for node in nodes], [40, 40], "what each has before anybody used any")

        def one_uses_three_times_as_much():
            before = [node.admitted for node in nodes]
            while nodes[0].admitted < before[0] + 3:
                nodes[0].ask()
            while nodes[1].admitted < before[1] + 1:
                nodes[1].ask()
            got = [share(node) for node in nodes]
            return 25 <= got[0] <= 35 and 5 <= got[1] <= 15

        wait_for("shares are as they were used", one_uses_three_times_as_much)
        redis.stop()
        wait_for("both notice", lambda: all("Redis is away" in node.agents[-1].text() for node in nodes))
        had = [share(node) for node in nodes]
        # What is edited elsewhere, and the next agent, leave it.
        nodes[0].write("other.yaml", ratelimit("other", PORT + 9, rules=["{name: all, limit: 1/day}"]))
        nodes[0].agents[-1].terminate()
        nodes[0].agent("limit", "other")
        equal([share(node) for node in nodes], had, "the shares, with another agent")
        begin, before = time.monotonic(), sum(node.admitted for node in nodes)
        wait_for("100 more are let through", lambda: [node.ask() for node in nodes] and
                 sum(node.admitted for node in nodes) >= before + 100)
        seconds = time.monotonic() - begin
        total = sum(node.admitted for node in nodes) - before
        most = sum(had) * (seconds + 2)
        expect(total <= most, f"let through in {seconds:.1f} s: {total}, at most {most:.0f}")


@case
def an_agent_that_knows_no_redis_refuses(env):
    env.write("limit.yaml", ratelimit("limit", PORT, rules=["{name: all, limit: 1/day, scope: Cluster}"]))
    agent = env.start_agent()
    wait_for("it is refused", lambda: "--redis" in agent.text())
    expect("limit.yaml:" in agent.text(), "the line is named")
