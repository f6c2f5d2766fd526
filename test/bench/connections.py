# SPDX-License-Identifier: Apache-2.0
"""Connections that come in: accepted with and without a rule, and refused beside nftables' limit. The server is in the
agent's cgroup, the client is not, as one from elsewhere. All cases are there at once, each in network namespaces of its
own, and take turns; needs root and nft.

    connections.py --build build [--rounds N] [--seconds S]
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

from documents import ratelimit
from harness import Env, wait_for
import isolation

PORT = 8080
RULE = "{name: all, count: Connections, limit: %s}"
EACH = RULE[:-1] + ", clientSelectors: [{sourceCIDR: {type: Distinct}}]}"

# name -> rule of the agent's, what nft is given
CASES = {
    "no rule": (None, None),
    "kmesh-rl, one bucket": (RULE % "1000000000/second", None),
    "kmesh-rl, a bucket for each source": (EACH % "1000000000/second", None),
    "kmesh-rl, maxConnections": ("{name: all, maxConnections: 1000000}", None),
    "nftables limit": (None, "4000000/second"),
    "kmesh-rl refuses": (RULE % "1/day", None),
    "nftables limit refuses": (None, "1/day"),
}


def nft_rules(limit):
    # A limit of nft has a burst of 5 unless it says otherwise, and counts no faster than 2^32.
    limit = "limit rate 1/day burst 1 packets" if limit == "1/day" else "limit rate 4000000/second burst 4000000 packets"
    return (f"table inet t {{ chain c {{ type filter hook input priority 0; tcp dport {PORT} tcp flags syn / "
            f"syn,ack {limit} accept; tcp dport {PORT} tcp flags syn / syn,ack reject with tcp reset; }}; }}")


def serve_case(build, seconds, rule, nft):
    """In a child: what connects says for each line of the input."""
    isolation.new_network()
    name = f"krl-bench-{os.getpid()}"
    cgroup = isolation.Cgroup(name)
    cgroup.make()
    with tempfile.TemporaryDirectory() as root:
        env = Env(build, os.path.join(isolation.BPFFS, name), cgroup.path, root)
        try:
            if nft:
                subprocess.run(["nft", "-f", "-"], input=nft_rules(nft), text=True, check=True)
            process = subprocess.Popen([os.path.join(build, "test/bench/connects"), str(PORT), str(seconds), cgroup.path])
            env.processes.append(process)
            if rule:
                env.write("limit.yaml", ratelimit("limit", PORT, rules=[rule]))
                env.agent("limit")
                wait_for("the namespace guarded",
                         lambda: any(name.startswith("link_lookup_") for name in env.pins()))
            process.wait()
        finally:
            env.close()
    wait_for("an empty cgroup", cgroup.remove)


class Case:
    """It is there from the beginning on, and rests while others are measured."""

    def __init__(self, name, args):
        self.process = subprocess.Popen([sys.executable, __file__, "--build", args.build, "--seconds", str(args.seconds),
                                         "--case", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.rounds = []
        self.measure()
        self.rounds.clear()

    def measure(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        let_in, refused, seconds, cpu = map(float, self.process.stdout.readline().split())
        self.rounds.append((let_in / seconds, refused / seconds, 1e6 * cpu / (let_in + refused)))

    def median(self, which):
        return statistics.median(one[which] for one in self.rounds)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


LET_IN, REFUSED, CPU_US = range(3)

PAIRS = {
    "accepted with one bucket / without": ("kmesh-rl, one bucket", "no rule", LET_IN),
    "accepted with a bucket for each source / without": ("kmesh-rl, a bucket for each source", "no rule", LET_IN),
    "accepted with maxConnections / without": ("kmesh-rl, maxConnections", "no rule", LET_IN),
    "accepted with nftables / without": ("nftables limit", "no rule", LET_IN),
    "refused / by nftables": ("kmesh-rl refuses", "nftables limit refuses", REFUSED),
    "CPU of one refused / by nftables": ("kmesh-rl refuses", "nftables limit refuses", CPU_US),
}


def show(cases):
    print(f"{'':38}{'let in/s':>10}{'refused/s':>11}{'CPU us each':>13}")
    for name, case in cases.items():
        print(f"{name:38}{case.median(LET_IN):10.0f}{case.median(REFUSED):11.0f}{case.median(CPU_US):13.2f}")
    print(f"\n{'a round against the other of the same':52}{'median':>8}{'quartiles':>14}")
    for text, (one, other, which) in PAIRS.items():
        low, middle, high = statistics.quantiles(
            a[which] / b[which] for a, b in zip(cases[one].rounds, cases[other].rounds))
        print(f"{text:52}{middle:8.2f}{low:8.2f}{high:6.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case:
        serve_case(os.path.abspath(args.build), args.seconds, *CASES[args.case])
        return
    cases = {}
    try:
        for name in CASES:
            cases[name] = Case(name, args)
        for number in range(args.rounds):
            for name in random.Random(number).sample(list(CASES), len(CASES)):
                cases[name].measure()
    finally:
        for case in cases.values():
            case.close()
    show(cases)


if __name__ == "__main__":
    main()
