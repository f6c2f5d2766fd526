# SPDX-License-Identifier: Apache-2.0
"""A Redis Cluster of three nodes: each bucket is where its slot is, also while slots move."""

import contextlib
import threading

from client import equal, expect
from documents import ratelimit
from harness import PORT, case, wait_for
from nodes import Node, Redis, running
from resp import Client, Refused

PORTS = 7000, 7001, 7002
SLOTS = 16384
ONE = "krl:*:b:*"
RULE = ("{name: all, limit: 30/day, scope: Cluster, initialCredit: 0, whenUnavailable: Closed, "
        "clientSelectors: [{headers: [{name: x-user, type: Distinct}]}]}")


def ask(port, *words):
    with Client(port) as client:
        return client.ask(*words)


def tokens(port, key):
    """What is left and what is leased, also where the slot is on its way; None if the key is not there any more."""
    with Client(port) as client, contextlib.suppress(Refused):
        client.ask("ASKING")
        return client.ask("HMGET", key, "t", "out")
    return None


class Cluster:
    def __init__(self, env, nodes, servers, count=2, rule=RULE, args=()):
        self.servers = [Redis(env, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000", *args, port=port) for port in PORTS]
        servers += self.servers
        self.ids = {port: ask(port, "CLUSTER", "MYID") for port in PORTS}
        for i, port in enumerate(PORTS):
            ask(port, "CLUSTER", "ADDSLOTSRANGE", SLOTS * i // 3, SLOTS * (i + 1) // 3 - 1)
            ask(port, "CLUSTER", "SET-CONFIG-EPOCH", i + 1)
        for port in PORTS[1:]:
            ask(port, "CLUSTER", "MEET", "127.0.0.1", PORTS[0])
        wait_for("all slots are known to all", lambda: all(
            "cluster_state:ok" in ask(port, "CLUSTER", "INFO") and len(ask(port, "CLUSTER", "SLOTS")) == 3 for port in PORTS))
        self.nodes = nodes
        for i in range(count):
            nodes.append(Node(env, f"n{i}", PORT + i, ratelimit("limit", PORT + i, rules=[rule]), [f"redis://127.0.0.1:{PORTS[0]}"]))

    def buckets(self):
        """(port, key) of all."""
        return [(server.port, key) for server in self.servers for key in ask(server.port, "KEYS", ONE)]

    def admitted(self):
        return sum(node.admitted for node in self.nodes)

    def ask_until(self, done, *fields):
        def probe():
            for node in self.nodes:
                node.ask(*fields)
            return done()

        wait_for("enough was let through", probe)

    def spend(self, user, tokens):
        """Until this user was let through as often."""
        before = self.admitted()
        self.ask_until(lambda: self.admitted() - before >= tokens, f"x-user: {user}")

    def nothing_left(self):
        return all(tokens(port, key) == ["0", "0"] for port, key in self.buckets())

    def text(self):
        return "".join(node.agents[-1].text() for node in self.nodes)

    def away(self):
        return self.text().count("Redis is away")


@contextlib.contextmanager
def three(env, **options):
    with running() as (nodes, servers):
        yield Cluster(env, nodes, servers, **options)


COUNTERS = "krl:{krl00}:c"


def moved(port, key):
    """Does another node have it?"""
    try:
        ask(port, "TYPE", key)
    except Refused:
        return True
    return False


def keys_in(port, slot):
    return ask(port, "CLUSTER", "GETKEYSINSLOT", slot, 1000)


class Move:
    """One slot from a node to another, in the steps of `redis-cli --cluster reshard`."""

    def __init__(self, cluster, source, key):
        self.source, self.slot = source, ask(source, "CLUSTER", "KEYSLOT", key)
        self.target = next(port for port in PORTS if port != source)
        self.ids = cluster.ids

    def begin(self):
        ask(self.target, "CLUSTER", "SETSLOT", self.slot, "IMPORTING", self.ids[self.source])
        ask(self.source, "CLUSTER", "SETSLOT", self.slot, "MIGRATING", self.ids[self.target])

    def migrate(self, *keys):
        for key in keys or keys_in(self.source, self.slot):
            ask(self.source, "MIGRATE", "127.0.0.1", self.target, key, 0, 5000)

    def end(self):
        for port in (self.target, self.source):
            ask(port, "CLUSTER", "SETSLOT", self.slot, "NODE", self.ids[self.target])


@case
def buckets_are_on_the_nodes_that_have_their_slots(env):
    with three(env) as one:
        for user in range(12):
            one.spend(user, 1)
        equal(len(one.buckets()), 12, "buckets")
        equal({port for port, _ in one.buckets()}, set(PORTS), "nodes that have some")
        for port in PORTS:
            expect(f"127.0.0.1:{port}" in one.text(), f"the log tells of {port}")
        equal(one.away(), 0, "times that Redis was away")


@case
def a_limit_is_kept_exactly(env):
    with three(env) as one:
        one.ask_until(lambda: one.buckets() and one.nothing_left(), "x-user: a")
        equal(one.admitted(), 30, "requests let through by both")


@case
def a_slot_that_moved_is_followed(env):
    with three(env) as one:
        one.spend("a", 10)
        [(port, key)] = one.buckets()
        move = Move(one, port, key)
        move.begin()
        move.migrate()
        move.end()
        one.ask_until(lambda: [where for where, _ in one.buckets()] == [move.target] and one.nothing_left(), "x-user: a")
        expect(10 <= one.admitted() <= 30, f"let through: {one.admitted()} of 30")
        equal(one.away(), 0, "times that Redis was away")


@case
def what_all_counted_is_read_where_it_moved(env):
    with three(env, count=1) as one:
        one.spend("a", 1)
        at = next(port for port in PORTS if not moved(port, COUNTERS))
        wait_for("it is told", lambda: ask(at, "SCARD", COUNTERS))
        move = Move(one, at, COUNTERS)
        move.begin()
        move.migrate()
        move.end()
        done = one.nodes[0].tool("get", "ratelimit-stats", "--cluster")
        equal((done.returncode, done.stderr), (0, ""), "what is said at once")


@case
def a_slot_on_its_way_is_asked_for_where_its_keys_are(env):
    with three(env) as one:
        one.spend("a", 10)
        [(port, key)] = one.buckets()
        shard = key[:key.index("}") + 1] + ":s"
        move = Move(one, port, key)
        move.begin()
        # One of its keys is here and one is there: nobody can be asked.
        move.migrate(shard)
        asking = threading.Thread(target=one.ask_until, args=(lambda: one.nothing_left(), "x-user: a"))
        asking.start()
        wait_for("it is tried", lambda: refused(port, "TRYAGAIN"))
        move.migrate()
        asking.join()
        expect(refused(port, "ASK"), "it was told to ask elsewhere")
        move.end()
        one.ask_until(lambda: one.nothing_left(), "x-user: a")
        expect(10 <= one.admitted() <= 30, f"let through: {one.admitted()} of 30")
        equal(one.away(), 0, "times that Redis was away")


def refused(port, error):
    """How often it answered with it."""
    for line in ask(port, "INFO", "errorstats").split("\r\n"):
        if line.startswith(f"errorstat_{error}:"):
            return int(line.split("=")[1])
    return 0


FOURTH = 7003


def add_fourth(env, cluster, servers):
    """A node without slots."""
    servers.append(Redis(env, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000", port=FOURTH))
    ask(FOURTH, "CLUSTER", "MEET", "127.0.0.1", PORTS[0])
    cluster.ids[FOURTH] = ask(FOURTH, "CLUSTER", "MYID")
    wait_for("all know it", lambda: all(cluster.ids[FOURTH] in ask(at, "CLUSTER", "NODES") for at in PORTS) and
             "cluster_state:ok" in ask(FOURTH, "CLUSTER", "INFO"))


@case
def a_node_that_is_new_is_connected_to(env):
    with running() as (nodes, servers):
        one = Cluster(env, nodes, servers, count=1)
        one.spend("a", 10)
        [(port, key)] = one.buckets()
        add_fourth(env, one, servers)
        move = Move(one, port, key)
        move.target = FOURTH
        move.begin()
        move.migrate()
        move.end()
        one.ask_until(lambda: ask(FOURTH, "KEYS", ONE) == [key] and tokens(FOURTH, key) == ["0", "0"], "x-user: a")
        expect(one.admitted() <= 30, f"let through: {one.admitted()} of 30")
        equal(one.away(), 0, "times that Redis was away")


@case
def other_nodes_are_asked_when_those_of_the_flag_are_gone(env):
    with running() as (nodes, servers):
        one = Cluster(env, nodes, servers, count=0)
        add_fourth(env, one, servers)
        nodes.append(Node(env, "n", PORT, ratelimit("limit", PORT, rules=[RULE]), [f"redis://127.0.0.1:{FOURTH}"]))
        one.spend("a", 1)
        servers[-1].stop()
        ask(PORTS[0], "CLIENT", "KILL", "TYPE", "normal")
        wait_for("it is there again", lambda: one.text().count("Redis is there") >= 2)


@case
def a_replica_takes_over(env):
    with running() as (nodes, servers):
        one = Cluster(env, nodes, servers)
        add_fourth(env, one, servers)
        one.spend("a", 10)
        [(port, key)] = one.buckets()
        ask(FOURTH, "CLUSTER", "REPLICATE", one.ids[port])
        wait_for("it has the data", lambda: "master_link_status:up" in ask(FOURTH, "INFO", "replication"))
        one.servers[PORTS.index(port)].stop()
        wait_for("it is there again", lambda: all(f"127.0.0.1:{FOURTH}" in node.agents[-1].text() for node in nodes))
        one.ask_until(lambda: tokens(FOURTH, key) == ["0", "0"], "x-user: a")
        expect(10 <= one.admitted() <= 30, f"let through: {one.admitted()} of 30")


@case
def a_script_that_was_flushed_is_loaded_again(env):
    with three(env) as one:
        one.spend("a", 10)
        for port in PORTS:
            ask(port, "SCRIPT", "FLUSH")
        one.ask_until(one.nothing_left, "x-user: a")
        equal(one.admitted(), 30, "requests let through by both")
        equal(one.away(), 0, "times that Redis was away")


@case
def without_one_node_all_is_away(env):
    with three(env, count=1, args=["--cluster-require-full-coverage", "no", "--appendonly", "yes"]) as one:
        one.spend("a", 1)
        one.servers[0].stop()
        wait_for("it is told", lambda: one.away())
        equal(one.nodes[0].ask("x-user: a"), 429, "an answer with Closed")
        one.servers[0].start()
        wait_for("it is there again", lambda: one.text().count("Redis is there") >= 2)
        one.ask_until(lambda: one.buckets() and one.nothing_left(), "x-user: a")
        expect(one.admitted() <= 30, f"let through: {one.admitted()} of 30")
