# SPDX-License-Identifier: Apache-2.0
"""What people see of rules with scope: Cluster."""

import json
import signal
import time

import kube
from client import equal, expect
from documents import ratelimit
from harness import PORT, case, wait_for
from kube_status import condition, wait_condition
from nodes import REDIS, Redis, cluster
from scrape import Scraper

STRICT = "{name: all, limit: 20/day, scope: Cluster, initialCredit: 0}"


def stats(node):
    """All that `get ratelimit-stats` says."""
    return json.loads(node.tool("get", "ratelimit-stats", "-o", "json").stdout)


def diagnosed(node):
    """The check of Redis, as its status and text."""
    checks = json.loads(node.tool("diagnose", "rate-limit", "-o", "json").stdout)["checks"]
    return next(((check["status"], check["text"]) for check in checks if check["name"] == "redis"), None)


def table(node, *args):
    """The rows of each of the tables that are printed, as words by title."""
    tables = []
    for part in node.tool("get", "ratelimit-stats", *args).stdout.split("\n\n"):
        title, *rows = [[word.strip() for word in line.split("   ") if word.strip()] for line in part.splitlines()]
        tables.append([dict(zip(title, row)) for row in rows])
    return tables


@case
def stats_tell_of_the_cluster(env):
    with cluster(env, 1, STRICT) as (redis, [node]):
        node.write("other.yaml", ratelimit("other", PORT + 1, rules=["{name: own, limit: 3/day}"]))
        wait_for("both are listed", lambda: node.lists("limit", "other"))
        before = node.item()
        equal([before["scope"], before["whenUnavailable"]], ["Cluster", "Local"], "of a rule of the cluster")
        expect("leasedTokens" not in before, "nothing was leased yet")
        own = node.item("other")
        equal(own["scope"], "Node", "of the other one")
        expect("clusterTokens" not in own, "that has no tokens of the cluster")
        node.ask_until(lambda: node.admitted >= 5)

        def settled():
            [(left, out)] = redis.buckets()
            item = node.item()
            return (item["clusterTokens"], item["leasedTokens"]) == (left, out) and left + out == 20 - node.admitted
        wait_for("what is told is what Redis has", settled)
        expect(0 <= node.item()["lastExchangeAge"] < 60e9, "the last exchange was just now")
        said = stats(node)["cluster"]
        equal([said["up"], said["at"], said["failures"]], [True, f"127.0.0.1:{REDIS}", 0], "of Redis")
        expect(said["exchanges"] > 0 and "why" not in said, "exchanges were answered")
        wait_for("exchanges per second", lambda: node.ask() and stats(node)["cluster"]["exchangesPerSecond"] > 0)
        rules, [is_there] = table(node)
        equal([rules[0][word] for word in ("RULE", "SCOPE")], ["all", "Cluster"], "a row")
        equal([is_there[word] for word in ("REDIS", "AT", "WHY")], ["there", f"127.0.0.1:{REDIS}", "<none>"], "the row of Redis")
        wide = table(node, "-o", "wide")
        equal([rule["SCOPE"] for rule in wide[0]], ["Cluster", "Node"], "scopes in the wide table")
        expect("SCOPE" not in table(node, "other")[0][0], "a table without rules of the cluster is as ever")
        redis.stop()
        wait_for("it is away", lambda: not stats(node)["cluster"]["up"])
        said = stats(node)["cluster"]
        expect(said["why"] and said["since"], f"why and since when: {said}")
        equal(table(node)[1][0]["REDIS"], "away", "the row of Redis")
        redis.start()
        wait_for("it is there again", lambda: stats(node)["cluster"]["up"])
        expect("why" not in stats(node)["cluster"], "nothing is wrong any more")


@case
def metrics_tell_of_the_cluster(env):
    with cluster(env, 1, "{name: all, limit: 9000/day, scope: Cluster, initialCredit: 0}") as (redis, [node]):
        node.agents[-1].terminate()
        scraper = Scraper(node, *node.metrics[2:])
        node.agent("limit")
        scraper.until("kmesh_ratelimit_cluster_up", lambda up: up == 1)
        equal(scraper.samples("kmesh_ratelimit_cluster_leased_tokens"), [], "leases before the first exchange")
        node.ask_until(lambda: node.admitted >= 5)

        def settled():
            # Who asks has tokens leased.
            node.ask()
            left, = scraper.samples("kmesh_ratelimit_cluster_left_tokens", name="limit", rule="all")
            leased, = scraper.samples("kmesh_ratelimit_cluster_leased_tokens", name="limit", rule="all")
            return leased[1] and [(left[1], leased[1])] == redis.buckets()
        wait_for("what is told is what Redis has", settled)
        expect(scraper.value("kmesh_ratelimit_cluster_exchanges_total") > 0, "exchanges")
        equal(scraper.value("kmesh_ratelimit_cluster_failures_total"), 0, "failures")
        last = scraper.value("kmesh_ratelimit_cluster_last_exchange_timestamp_seconds")
        expect(0 <= time.time() - last < 30, f"the last: {last}")
        redis.stop()
        scraper.until("kmesh_ratelimit_cluster_up", lambda up: up == 0)
        since = scraper.value("kmesh_ratelimit_cluster_last_exchange_timestamp_seconds")
        redis.start()
        scraper.until("kmesh_ratelimit_cluster_up", lambda up: up == 1)
        scraper.until("kmesh_ratelimit_cluster_last_exchange_timestamp_seconds", lambda value: value > since)


@case
def diagnose_says_what_follows_without_redis(env):
    with cluster(env, 1, STRICT, "{name: shut, limit: 9/day, scope: Cluster, whenUnavailable: Closed}") as (redis, [node]):
        equal(diagnosed(node), ("ok", f"127.0.0.1:{REDIS}"), "while Redis is there")
        redis.stop()
        wait_for("it is away", lambda: diagnosed(node)[0] == "warn")
        wait_for("a request is judged without it", lambda: node.ask() and node.reasons()["cluster_away"])
        text = diagnosed(node)[1]
        for part in ("1 rule is kept by each node for itself", "1 rule refuses all (Closed)", "cluster_away "):
            expect(part in text, f"{part!r} is not in: {text}")
        redis.start()
        wait_for("it is there again", lambda: diagnosed(node)[0] == "ok")


def of_all(node):
    """What `get ratelimit-stats --cluster` says: total and limited requests by node, and the sum."""
    done = node.tool("get", "ratelimit-stats", "--cluster", "-o", "json")
    if done.returncode:
        return done.stderr
    told = json.loads(done.stdout)
    counts = [[item[key] for key in ("totalRequests", "rateLimitedRequests")] for item in told["items"] + told["sums"]]
    return dict(zip([item["node"] for item in told["items"]] + ["sum"], counts))


@case
def a_node_tells_of_all(env):
    with cluster(env, 2, STRICT) as (redis, nodes):
        for node in nodes:
            node.ask_until(lambda node=node: node.admitted >= 3)

        def is_told():
            own = [[node.item()[key] for key in ("totalRequests", "rateLimitedRequests")] for node in nodes]
            wanted = {"n0": own[0], "n1": own[1], "sum": [sum(pair) for pair in zip(*own)]}
            return all(of_all(node) == wanted for node in nodes)
        wait_for("each node tells of both", is_told)
        rows, = table(nodes[0], "--cluster")
        equal([row["NODE"] for row in rows], ["n0", "n1", "(all)"], "rows of the table")
        before = of_all(nodes[1])
        nodes[0].agents[-1].kill()
        equal(of_all(nodes[1]), before, "what a node has told stays when its agent is gone")
        redis.ask("DEL", "krl:{krl00}:c:n0")
        wait_for("... until that expires", lambda: set(of_all(nodes[1])) == {"n1", "sum"})
        redis.stop()
        wait_for("without Redis it is an error", lambda: "Redis is away" in of_all(nodes[1]))
        redis.start()
        wait_for("it is told anew", lambda: "n1" in of_all(nodes[1]))
        redis.process.send_signal(signal.SIGSTOP)
        try:
            expect("Error" in of_all(nodes[1]), "a Redis that hangs is given up")
        finally:
            redis.process.send_signal(signal.SIGCONT)


@case
def a_status_is_degraded_while_redis_is_away(env):
    redis = Redis(env)
    try:
        kubernetes = kube.Cluster(env)
        kubernetes.flags += ["--redis", f"redis://127.0.0.1:{REDIS}"]
        kubernetes.api.put(kube.ratelimit("limit", rules=[{"limit": "9/day", "scope": "Cluster", "whenUnavailable": "Closed"}]))
        kubernetes.agent("limit")
        wait_condition(kubernetes, "Programmed", "True", "Programmed")
        equal(condition(kubernetes, "Degraded"), {}, "before")
        redis.stop()
        found = wait_condition(kubernetes, "Degraded", "True", "RedisAway")
        expect("Closed refuse all" in found["message"] and kube.NODE in found["message"], found["message"])
        equal(condition(kubernetes, "Programmed")["status"], "True", "Programmed")
        redis.start()
        wait_condition(kubernetes, "Degraded", "False", "RedisThere")
    finally:
        redis.stop()


@case
def a_reset_is_of_nodes(env):
    with cluster(env, 1, STRICT, "{name: own, limit: 30/day}") as (redis, [node]):
        node.ask_until(lambda: node.admitted >= 5)
        done = node.tool("reset", "limit")
        equal(done.returncode, 0, "exit status, with a rule of the node")
        expect("reset: 1 buckets" in done.stdout, f"what is filled: {done.stdout}")
        expect("scope: Cluster are left out" in done.stderr, f"what is left out: {done.stderr}")
        done = node.tool("reset", "limit", "--rule", "all")
        equal(done.returncode, 1, "exit status, with a rule of the cluster alone")
        expect("krl:*:b:" in done.stderr, f"what is said: {done.stderr}")
        node.ask_until(redis.spent)
        for key in redis.ask("KEYS", "krl:*:b:default/limit/*"):
            redis.ask("DEL", key)
        before = node.admitted
        node.ask_until(lambda: node.admitted > before)


@case
def without_redis_stats_are_of_nodes(env):
    env.limit()
    wait_for("it is listed", lambda: env.lists("limit"))
    expect("cluster" not in stats(env), "no Redis is told of")
    equal(env.item()["scope"], "Node", "scope")
    expect("--redis" in of_all(env), "there is nobody to ask for other nodes")
