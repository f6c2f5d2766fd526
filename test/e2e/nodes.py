# SPDX-License-Identifier: Apache-2.0
"""Several agents, each with a cgroup and pins of its own, and one Redis."""

import contextlib
import os
import subprocess
import threading

from client import expect, get
from documents import ratelimit
from harness import PORT, Env, wait_for
from resp import Client, answers

REDIS = 6380


class Redis:
    """A server on loopback, with a directory of its own; @args as in redis.conf."""

    def __init__(self, env, *args, port=REDIS, host="127.0.0.1"):
        self.port, self.host = port, host
        self.directory = os.path.join(env.root, f"redis{port}")
        self.args = ["--port", str(port), "--bind", host, "--save", "", *args]
        os.makedirs(self.directory, exist_ok=True)
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", *self.args, "--dir", self.directory, "--logfile",
             os.path.join(self.directory, "redis.log")], stdin=subprocess.DEVNULL)
        wait_for("Redis answers", lambda: answers(self.port, self.host))

    def stop(self):
        self.process.kill()
        self.process.wait()

    close = stop

    def ask(self, *words):
        with Client(self.port, self.host) as client:
            return client.ask(*words)

    def buckets(self):
        """t, tokens that are left, and out, those that are leased, of each bucket."""
        return [tuple(map(int, self.ask("HMGET", key, "t", "out"))) for key in self.ask("KEYS", "krl:*:b:*")]

    def spent(self, count=1):
        """Have all buckets, at least @count, neither tokens nor leases?"""
        buckets = self.buckets()
        return len(buckets) >= count and all(t <= 0 and not out for t, out in buckets)


class Node(Env):
    """An agent, and a server in a cgroup of its own."""

    def __init__(self, env, name, port, document, redis=(f"redis://127.0.0.1:{REDIS}",), wait=True, flags=()):
        os.mkdir(os.path.join(env.root, name))
        cgroup = os.path.join(env.cgroup, name)
        os.mkdir(cgroup)
        super().__init__(env.build, env.bpffs + name, cgroup, os.path.join(env.root, name))
        self.metrics += ["--node-name", name, *(word for url in redis for word in ("--redis", url)), *flags]
        self.env = env
        self.port = port
        self.admitted = 0
        self.write("limit.yaml", document)
        self.outside = env.cgroup
        self.server(port=port)
        self.agent("limit")
        if wait:
            self.wait_for_redis()

    def wait_for_redis(self):
        wait_for("Redis is there", lambda: "Redis is there" in self.agents[-1].text())

    @staticmethod
    def enter(cgroup):
        with open(os.path.join(cgroup, "cgroup.procs"), "w", encoding="ascii") as procs:
            procs.write(str(os.getpid()))

    def server(self, *args, **options):
        """In this node's cgroup, of which its sockets are from when they are made."""
        self.enter(self.cgroup)
        try:
            return super().server(*args, **options)
        finally:
            self.enter(self.outside)

    def ask(self, *fields):
        status = self.connect(self.port).ask(get("/", *fields)).status
        self.close_conns()
        expect(status in (200, 429), f"status {status}")
        self.admitted += status == 200
        return status

    def ask_until(self, done, *fields):
        wait_for(f"enough was let through, {self.admitted} by this node", lambda: done() or self.ask(*fields) and False)


@contextlib.contextmanager
def running():
    """(nodes, servers): two lists that are stopped in the end, with their logs kept."""
    nodes, servers = [], []
    try:
        yield nodes, servers
    finally:
        for node in nodes:
            node.env.agents += node.agents
        with contextlib.ExitStack() as stack:
            for server in servers:
                stack.callback(server.stop)
            for node in nodes:
                stack.callback(node.close)


@contextlib.contextmanager
def cluster(env, count, *rules):
    """Redis, and @count nodes, whose limit has these @rules."""
    with running() as (nodes, servers):
        servers.append(Redis(env))
        for i in range(count):
            nodes.append(Node(env, f"n{i}", PORT + i, ratelimit("limit", PORT + i, rules=rules)))
        yield servers[0], nodes


def ask_all(redis, nodes, *fields, buckets=1):
    """Each node asks, beside the others, until the limit is spent in as many buckets."""
    threads = [threading.Thread(target=node.ask_until, args=(lambda: redis.spent(buckets), *fields)) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
