# SPDX-License-Identifier: Apache-2.0
"""Nodes of a cluster, each in a network namespace with an agent, pins and a cgroup of its own, and one Redis in the
namespace of the case, to which each has a link."""

import contextlib
import glob
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import cluster_load
import isolation
from client import equal, expect
from documents import ratelimit
from harness import DEADLINE_S, PORT, Env, Skip, wait_for
from process import Program

REDIS = 6379
SAMPLE_S = 0.02


class Namespace:
    def __init__(self):
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        isolation.new_network()
        self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        isolation.setns(own)
        os.close(own)

    @contextlib.contextmanager
    def inside(self):
        own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        isolation.setns(self.fd)
        try:
            yield
        finally:
            isolation.setns(own)
            os.close(own)


def clock_of(path):
    """What to call in a process that is to have, from its start on, a clock as far off as the file @path says, anew at
    each look; its timers are by another one."""
    fake = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not fake:
        raise Skip("libfaketime is not installed")
    # The allocator of Redis asks for the time before the library can answer: another one is taken instead.
    libraries = glob.glob("/lib/*/libc_malloc_debug.so.0")[:1] + fake[:1]
    fields = {"LD_PRELOAD": " ".join(libraries), "FAKETIME_TIMESTAMP_FILE": path, "FAKETIME_NO_CACHE": "1",
              "FAKETIME_DONT_FAKE_MONOTONIC": "1", "ASAN_OPTIONS": "verify_asan_link_order=0"}
    return lambda: os.environ.update(fields)


def set_clock(path, seconds):
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(f"{seconds:+}s")
    os.rename(path + ".new", path)


class Redis:
    """With @args of redis-server: no data are kept without. @before is called in its process first."""

    def __init__(self, directory, *args, before=None):
        self.directory = directory
        self.args = args or ("--save", "")
        self.before = before
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(REDIS), "--bind", "0.0.0.0", "--protected-mode", "no", "--dir", self.directory,
             "--enable-debug-command", "yes", "--logfile", os.path.join(self.directory, "redis.log"), *self.args],
            stdin=subprocess.DEVNULL, preexec_fn=self.before)
        wait_for("Redis answers", self.answers)

    def answers(self):
        with contextlib.suppress(OSError):
            return self.ask("PING") == ["+PONG"]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def freeze(self, seconds):
        """It does nothing for so long."""
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGCONT)

    @staticmethod
    def send(*words):
        sock = socket.create_connection(("127.0.0.1", REDIS), DEADLINE_S)
        sock.sendall((" ".join(words) + "\r\nQUIT\r\n").encode())
        return sock

    def ask(self, *words):
        """The lines of the answer, without what says how long each is."""
        with self.send(*words) as sock, sock.makefile("r", newline="") as stream:
            return [line for line in stream.read().split("\r\n")[:-2] if line[:1] not in ("*", "$")]

    def buckets(self):
        return [tuple(map(int, self.ask("HMGET", key, "t", "out"))) for key in self.ask("KEYS", "krl:*:b:*")]

    def lendable(self):
        """Tokens that nodes hold, or may have; of no bucket yet more than any."""
        return sum(t + out for t, out in self.buckets()) if self.buckets() else float("inf")

    def spent(self, count=1):
        """Have all buckets, at least @count, neither tokens nor leases?"""
        buckets = self.buckets()
        return len(buckets) >= count and all(t <= 0 and not out for t, out in buckets)


class Node(Env):
    def __init__(self, env, number, rules, tick_ms, **settings):
        name = f"n{number}"
        root, cgroup = os.path.join(env.root, name), os.path.join(env.cgroup, name)
        os.mkdir(root)
        os.mkdir(cgroup)
        super().__init__(env.build, env.bpffs + name, cgroup, root)
        self.name, self.outside = name, env.cgroup
        self.words = None
        # Another one for each: agents of one machine look into all of its namespaces.
        self.port = PORT + number
        self.link = f"krl{number}"
        self.space = Namespace()
        self.wire(number)
        self.metrics += ["--redis", f"redis://10.8.{number}.1:{REDIS}", "--node-name", name, "--cluster-tick", str(tick_ms)]
        self.write("limit.yaml", ratelimit("limit", self.port, rules=rules, **settings))

    def wire(self, number):
        peer = f"/proc/{os.getpid()}/fd/{self.space.fd}"
        for args in (f"link add {self.link} type veth peer name eth0 netns {peer}",
                     f"addr add 10.8.{number}.1/24 dev {self.link}", f"link set {self.link} up"):
            equal(self.run(["ip", *args.split()]).stderr, "", f"what ip {args} says")
        with self.space.inside():
            for args in (f"addr add 10.8.{number}.2/24 dev eth0", "link set eth0 up"):
                equal(self.run(["ip", *args.split()]).stderr, "", f"what ip {args} says")

    @contextlib.contextmanager
    def inside(self):
        """In its cgroup, of which sockets are from when they are made, and its namespace."""
        for path, undo in ((self.cgroup, False), (self.outside, True)):
            with contextlib.ExitStack() as stack:
                if not undo:
                    stack.enter_context(self.space.inside())
                with open(os.path.join(path, "cgroup.procs"), "w", encoding="ascii") as procs:
                    procs.write("0")
                if not undo:
                    yield

    def start_agent(self):
        with self.space.inside():
            return super().start_agent()

    def up(self):
        """An agent that has Redis."""
        agent = self.agent("limit")
        wait_for("Redis is there", lambda: "Redis is there" in agent.text())
        return agent

    def load(self, *fields):
        """A server and its clients, who ask nothing yet."""
        path = os.path.join(self.root, "words")
        with open(path, "wb") as file:
            file.truncate(8 * cluster_load.WORDS)
        self.words = cluster_load.mapped(path)
        with self.inside():
            for role in ("serve", "ask"):
                process = Program("cluster_load", [role, str(self.port), path, *fields])
                self.processes.append(process)
                equal(process.stdout.readline(), b"ready\n", f"what the process to {role} says")

    def server(self, *args, **options):
        with self.inside():
            return super().server(*args, **options)

    def connect(self, *args, **options):
        with self.inside():
            return super().connect(*args, **options)

    def counted(self, word):
        """What its server or its clients counted so far."""
        return self.words[word] if self.words else 0

    @property
    def served(self):
        return self.counted(cluster_load.SERVED)

    def rate(self, per_s):
        """Of its clients, from now on."""
        if self.words:
            self.words[cluster_load.RATE] = per_s

    def notes(self, text):
        """How often its agents said that."""
        return self.agent_logs().count(text)


class Net:
    def __init__(self, env, redis):
        self.env, self.redis = env, redis
        self.nodes = []

    def add(self, rules, tick_ms, **settings):
        node = Node(self.env, len(self.nodes), rules, tick_ms, **settings)
        self.nodes.append(node)
        return node

    def served(self):
        return sum(node.served for node in self.nodes)

    def drop(self, come="", go=""):
        """These packets, as nftables selects them, do not come to Redis, or do not go from it; none is dropped without."""
        chains = "".join(f"chain {hook} {{ type filter hook {hook} priority 0\n {select} drop\n}}\n"
                         for hook, select in (("input", come), ("output", go)) if select)
        text = f"table ip krl\ndelete table ip krl\ntable ip krl {{ {chains} }}\n"
        result = subprocess.run(["nft", "-f", "-"], input=text, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        equal((result.returncode, result.stderr), (0, ""), "what nft says")


@contextlib.contextmanager
def cluster(env, count, *rules, redis=(), tick_ms=100, late=0, before_redis=None, **settings):
    """A Net of @count nodes, with agents on all but the @late last ones."""
    for program in ("ip", "nft", "redis-server"):
        if not shutil.which(program):
            raise Skip(f"{program} is missing")
    net = Net(env, None)
    with contextlib.ExitStack() as stack:
        net.redis = Redis(env.root, *redis, before=before_redis)
        stack.callback(net.redis.kill)
        for _ in range(count):
            node = net.add(rules, tick_ms, **settings)
            # Also where a machine without time for it could not end its agent.
            stack.callback(isolation.remove_pins, node.bpffs)
            stack.callback(node.close)
        try:
            for node in net.nodes[:count - late]:
                node.up()
            yield net
        finally:
            env.agents += [agent for node in net.nodes for agent in node.agents]


class Load:
    """Clients on each node of @net that ask at @rates; what the servers got is looked at all the while."""

    def __init__(self, net, *rates):
        self.net, self.rates = net, rates
        self.samples = []
        self.on = False

    def __enter__(self):
        self.on = True
        self.thread = threading.Thread(target=self.sample)
        self.thread.start()
        for node, rate in zip(self.net.nodes, self.rates):
            node.rate(rate)
        return self

    def sample(self):
        while self.on:
            self.look()
            time.sleep(SAMPLE_S)

    def look(self):
        """When it was between, and what was served by then."""
        before = time.monotonic()
        self.samples.append((before, self.net.served(), time.monotonic()))

    def __exit__(self, *exc):
        for node in self.net.nodes:
            node.rate(0)
        try:
            wait_for("each request has its answer", lambda: not any(node.counted(cluster_load.UNDERWAY) for node in self.net.nodes))
        finally:
            self.on = False
            self.thread.join()
        self.look()

    def total(self):
        return self.samples[-1][1] - self.samples[0][1]

    def more(self, count):
        """Wait for @count requests more than are served now."""
        wanted = self.net.served() + count
        wait_for(f"{count} more requests are let through", lambda: self.net.served() >= wanted)

    def bounded(self, most, fill, interval_s, credit=0):
        """In no time was more let through than the bucket of these parameters allows."""
        first, last = self.samples[0], self.samples[-1]
        bound = most + fill * (int((last[2] - first[0]) / interval_s) + 1) + credit
        expect(self.total() <= bound, f"{self.total()} requests let through in {last[2] - first[0]:.3f} s, of {bound}")
        # Of those let through before a look, so many may not have been counted yet.
        late = cluster_load.CONNS * len(self.net.nodes)
        for at, (since, before, _) in enumerate(self.samples):
            for _, count, until in self.samples[at + 1:]:
                bound = most + fill * (int((until - since) / interval_s) + 1) + credit + late
                expect(count - before <= bound, f"{count - before} requests let through in {until - since:.3f} s, of {bound}, "
                       f"{since - first[0]:.3f} s after the first")

    def answered(self, closed=0, within_s=DEADLINE_S):
        """Each request was, by the server or with a 429, but for @closed connections of each node."""
        for node in self.net.nodes:
            equal(node.counted(cluster_load.OTHER), 0, f"other answers on {node.name}")
            ended = node.counted(cluster_load.CLOSED)
            expect(ended <= closed, f"{ended} connections ended on {node.name}")
            longest_s = node.counted(cluster_load.LONGEST_NS) / 1e9
            expect(longest_s < within_s, f"an answer took {longest_s:.3f} s on {node.name}")
