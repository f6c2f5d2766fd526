#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Rules with scope: Cluster beside the same with scope: Node, and what 100,000 callers on three nodes cost; needs root,
redis-server, nginx and wrk.

    cluster.py --build build [--rounds N] [--seconds S] [--users N]
"""

import argparse
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

from documents import ratelimit
from harness import Env, wait_for
import isolation
from nodes import Node, Redis, running

PORT = 18500
NGINX = """
worker_processes 1; daemon off; pid {dir}/pid; error_log {dir}/log crit;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000;
  client_body_temp_path {dir}/a; proxy_temp_path {dir}/b; fastcgi_temp_path {dir}/c; uwsgi_temp_path {dir}/d; scgi_temp_path {dir}/e;
  server {{ {listen} location / {{ return 200 "ok"; }} }} }}
"""
# Each caller is on all nodes, in an order of each node's own; a connection asks every DELAY ms.
USERS = """
local n = %d
function request()
  n = (n + 7919) %% %d
  return wrk.format("GET", "/", {["x-user"] = "u" .. n})
end
function delay() return %d end
"""


class BenchNode(Node):
    """With nginx as its server, on some ports."""

    ports = ()

    def server(self, port, **_):
        os.makedirs(directory := os.path.join(self.root, "nginx"), exist_ok=True)
        path = os.path.join(directory, "conf")
        with open(path, "w", encoding="ascii") as conf:
            conf.write(NGINX.format(dir=directory, listen="".join(f"listen 127.0.0.1:{each};" for each in self.ports or (port,))))
        self.processes.append(subprocess.Popen(["nginx", "-c", path, "-e", os.path.join(directory, "log")],
                                               preexec_fn=lambda: self.enter(self.cgroup)))


def wrk(port, connections, seconds, *more):
    return subprocess.Popen(["wrk", "-t1", f"-c{connections}", f"-d{seconds}", *more, f"http://127.0.0.1:{port}/"],
                            stdout=subprocess.PIPE, text=True)


def requests_of(process):
    text = process.communicate()[0]
    if "Non-2xx" in text:
        raise SystemExit(f"bench: refused: {text}")
    return int(re.search(r"(\d+) requests in", text).group(1))


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) / 1024


def exchanges(redis):
    found = re.search(r"cmdstat_evalsha:calls=(\d+)", redis.ask("INFO", "commandstats"))
    return int(found.group(1)) if found else 0


def rates(env, args):
    """One node: requests a second with a rule of the node and one of the cluster, in turns."""
    cases = {"no rule": PORT, "scope: Node": PORT + 1, "scope: Cluster": PORT + 2}
    BenchNode.ports = tuple(cases.values())
    found = {name: [] for name in cases}
    asked, answered = 0, 0
    with running() as (nodes, servers):
        servers.append(Redis(env))
        rule = "{name: all, limit: 1000000/second, scope: %s}"
        node = BenchNode(env, "n0", PORT, ratelimit("limit", PORT + 1, rules=[rule % "Node"]))
        nodes.append(node)
        node.write("cluster.yaml", ratelimit("cluster", PORT + 2, rules=[rule % "Cluster"]))
        wait_for("both are listed", lambda: node.lists("limit", "cluster"))
        for number in range(args.rounds):
            for name in random.Random(number).sample(list(cases), len(cases)):
                # Leases are no longer than their use, and a new one takes two ticks.
                wrk(cases[name], 64, 1).communicate()
                before, begin = exchanges(servers[0]), time.monotonic()
                requests = requests_of(wrk(cases[name], 64, args.seconds))
                found[name].append(requests / (time.monotonic() - begin))
                if name == "scope: Cluster":
                    asked += exchanges(servers[0]) - before
                    answered += requests
    for name, each in found.items():
        print(f"{name:20}{statistics.median(each):10.0f} requests/s")
    for one, two in (("scope: Node", "no rule"), ("scope: Cluster", "no rule"), ("scope: Cluster", "scope: Node")):
        low, middle, high = statistics.quantiles(a / b for a, b in zip(found[one], found[two]))
        print(f"{one} / {two}: {middle:.3f} ({low:.3f} to {high:.3f})")
    print(f"exchanges with Redis for 1000 requests: {1000 * asked / answered:.3f} (to reach: below 1)\n")


def users(env, args):
    """Three nodes, each caller on all of them."""
    BenchNode.ports = ()
    rule = ("{name: each, limit: 600/minute, scope: Cluster, clientSelectors: [{headers: [{name: x-user, type: Distinct}]}]}")
    with running() as (nodes, servers):
        servers.append(Redis(env))
        for i in range(3):
            nodes.append(BenchNode(env, f"n{i}", PORT + i, ratelimit("limit", PORT + i, rules=[rule])))
        pids = {"redis": servers[0].process.pid, **{f"agent {i}": node.agents[-1].process.pid for i, node in enumerate(nodes)}}
        before, asked, begin = {name: cpu_s(pid) for name, pid in pids.items()}, exchanges(servers[0]), time.monotonic()
        clients = []
        for i, node in enumerate(nodes):
            script = os.path.join(node.root, "users.lua")
            with open(script, "w", encoding="ascii") as file:
                file.write(USERS % (i * args.users // 3, args.users, args.delay))
            clients.append(wrk(node.port, args.connections, args.long, "-s", script))
        requests = sum(map(requests_of, clients))
        seconds = time.monotonic() - begin
        print(f"{args.users} callers, each on 3 nodes: {requests / seconds:.0f} requests/s, "
              f"{(exchanges(servers[0]) - asked) / seconds:.0f} exchanges/s")
        for name, pid in pids.items():
            print(f"{name:10}{100 * (cpu_s(pid) - before[name]) / seconds:6.1f} % of a CPU{rss_mib(pid):8.1f} MiB")
        buckets = len(servers[0].ask("KEYS", "krl:*:b:*"))
        memory = int(re.search(r"used_memory:(\d+)", servers[0].ask("INFO", "memory")).group(1))
        print(f"buckets in Redis: {buckets}, {memory / max(buckets, 1):.0f} bytes each")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=int, default=1, help="of each round")
    parser.add_argument("--users", type=int, default=100000)
    parser.add_argument("--connections", type=int, default=100, help="to each node, with many users")
    parser.add_argument("--delay", type=int, default=50, help="ms between two requests on one of them")
    parser.add_argument("--long", type=int, default=60, help="seconds with many users")
    args = parser.parse_args()
    isolation.new_network()
    for measure in (rates, users):
        name = f"krl-bench-{os.getpid()}"
        cgroup = isolation.Cgroup(name)
        cgroup.make()
        with tempfile.TemporaryDirectory() as root:
            os.chmod(root, 0o755)
            env = Env(os.path.abspath(args.build), os.path.join(isolation.BPFFS, name), cgroup.path, root)
            try:
                measure(env, args)
            finally:
                env.close()
                wait_for("an empty cgroup", cgroup.remove)


if __name__ == "__main__":
    main()
