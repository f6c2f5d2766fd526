# SPDX-License-Identifier: Apache-2.0
"""Redis behind Sentinels: the master is found, and found again after a failover, and no more is let through."""

import contextlib
import os
import subprocess
import time

from client import expect
from documents import ratelimit
from harness import PORT, case, wait_for
from nodes import Node, Redis, running
from resp import Client, answers

MASTER, REPLICA, SENTINELS = 6380, 6381, (26379, 26380)
NOBODY = 26378
SECRET = "tell:no@one"
IN_URL = "tell%3Ano%40one"

RULE = "{name: all, maxTokens: 20, tokensPerFill: 5, fillInterval: 1s, scope: Cluster, initialCredit: 0, whenUnavailable: Closed}"


class Sentinel(Redis):
    """It writes what it learns into its file."""

    def __init__(self, env, port, secret=None):
        self.config = os.path.join(env.root, f"sentinel{port}.conf")
        env.publish(self.config, "\n".join([
            f"sentinel monitor one 127.0.0.1 {MASTER} 1", "sentinel down-after-milliseconds one 1000",
            "sentinel failover-timeout one 3000",
            *([f"sentinel auth-pass one {SECRET}", f"requirepass {SECRET}"] if secret else []), ""]))
        super().__init__(env, port=port)

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", self.config, "--sentinel", "--port", str(self.port), "--bind", "127.0.0.1", "--dir",
             self.directory, "--logfile", os.path.join(self.directory, "sentinel.log")], stdin=subprocess.DEVNULL)
        wait_for("the Sentinel answers", lambda: answers(self.port))


def asked(port, secret, *words):
    with Client(port) as client:
        if secret:
            client.ask("AUTH", secret)
        return client.ask(*words)


class Group:
    """A master, its replica, two Sentinels, and nodes whose agents are told of those."""

    def __init__(self, env, nodes, servers, secret=None, count=2):
        self.secret = secret
        auth = ["--requirepass", SECRET, "--masterauth", SECRET] if secret else []
        self.master = Redis(env, *auth, port=MASTER)
        servers.append(self.master)
        servers.append(Redis(env, *auth, "--replicaof", "127.0.0.1", str(MASTER), "--repl-diskless-sync-delay", "0", port=REPLICA))
        wait_for("the replica has the data", lambda: "master_link_status:up" in asked(REPLICA, secret, "INFO", "replication"))
        servers += [Sentinel(env, port, secret) for port in SENTINELS]
        wait_for("the Sentinels know the replica and each other", lambda: all(self.knows(port) for port in SENTINELS))
        user = f":{IN_URL}@" if secret else ""
        # Nobody is at the first, and the second is told of in a flag of its own.
        urls = [f"redis+sentinel://{user}127.0.0.1:{NOBODY},127.0.0.1:{SENTINELS[0]}/one",
                f"redis+sentinel://127.0.0.1:{SENTINELS[1]}/one"]
        for i in range(count):
            nodes.append(Node(env, f"n{i}", PORT + i, ratelimit("limit", PORT + i, rules=[RULE]), urls))
        self.nodes = nodes
        self.began = time.monotonic()

    def knows(self, port):
        told = asked(port, self.secret, "SENTINEL", "MASTER", "one")
        row = dict(zip(told[::2], told[1::2]))
        return row["num-slaves"] == "1" and row["num-other-sentinels"] == "1"

    def ask_until(self, done):
        def probe():
            for node in self.nodes:
                node.ask()
            return done()

        wait_for("enough was let through", probe)

    def admitted(self):
        return sum(node.admitted for node in self.nodes)

    def check_bound(self):
        """Of the time since before the first request."""
        bound = 20 + 5 * (int(time.monotonic() - self.began) + 1)
        expect(self.admitted() <= bound, f"let through: {self.admitted()}, of {bound}")

    def check_failover(self, fail_over):
        self.ask_until(lambda: self.admitted() >= 20)
        fail_over()
        for node in self.nodes:
            wait_for("the agent goes to the other", lambda: f"at=127.0.0.1:{REPLICA}" in node.agents[-1].text())
        before = self.admitted()
        self.ask_until(lambda: self.admitted() >= before + 10)
        self.check_bound()
        expect(asked(REPLICA, self.secret, "KEYS", "krl:*:b:*"), "the limit is kept there")


@contextlib.contextmanager
def group(env, **options):
    with running() as (nodes, servers):
        yield Group(env, nodes, servers, **options)


@case
def limits_go_on_after_a_failover(env):
    with group(env) as one:
        one.check_failover(lambda: asked(SENTINELS[0], None, "SENTINEL", "FAILOVER", "one"))


@case
def limits_go_on_when_the_master_dies(env):
    with group(env) as one:
        one.check_failover(one.master.stop)


@case
def a_failover_is_a_loss_of_data(env):
    with group(env, count=1) as one:
        one.ask_until(lambda: one.admitted() >= 20)
        key = asked(MASTER, None, "KEYS", "krl:*:s")[0]
        before = asked(MASTER, None, "HMGET", key, "epoch", "run")
        asked(SENTINELS[0], None, "SENTINEL", "FAILOVER", "one")
        one.ask_until(lambda: asked(REPLICA, None, "HGET", key, "dead") == before[0])
        epoch, run = asked(REPLICA, None, "HMGET", key, "epoch", "run")
        expect(epoch != before[0] and run != before[1], "the shard has another epoch, of another server")


@case
def sentinels_and_servers_have_passwords(env):
    with group(env, secret=SECRET, count=1) as one:
        one.ask_until(lambda: one.admitted() >= 1)
        text = one.nodes[0].agents[-1].text()
        expect(SECRET not in text and IN_URL not in text, "the log does not have it")


@case
def a_sentinel_without_the_master_is_told_of(env):
    with running() as (nodes, servers):
        servers.append(Redis(env, port=MASTER))
        servers.append(Sentinel(env, SENTINELS[0]))
        nodes.append(Node(env, "n", PORT, ratelimit("limit", PORT, rules=[RULE]),
                          [f"redis+sentinel://127.0.0.1:{SENTINELS[0]}/two"], wait=False))
        wait_for("it is told", lambda: f'127.0.0.1:{SENTINELS[0]}: there is no master' in nodes[0].agents[-1].text())


@case
def a_replica_is_no_master(env):
    with running() as (nodes, servers):
        servers.append(Redis(env, "--replicaof", "127.0.0.1", "1", port=MASTER))
        servers.append(Sentinel(env, SENTINELS[0]))
        nodes.append(Node(env, "n", PORT, ratelimit("limit", PORT, rules=[RULE]),
                          [f"redis+sentinel://127.0.0.1:{SENTINELS[0]}/one"], wait=False))
        wait_for("it is told", lambda: f"127.0.0.1:{MASTER}: it is no master" in nodes[0].agents[-1].text())
        # Its Sentinel goes by what it was told first.
        asked(MASTER, None, "REPLICAOF", "NO", "ONE")
        nodes[0].wait_for_redis()
