# SPDX-License-Identifier: Apache-2.0
"""Connections that come in: accepted with and without a rule, and refused beside nftables' limit. Each case in
network namespaces of its own, round after round; needs root and nft.

    connections.py --build build [--rounds N] [--seconds S]
"""

import argparse
import os
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


def measure(build, seconds, rule, nft):
    """In a child: (let in, refused, seconds, CPU seconds)."""
    isolation.new_network()
    name = f"krl-bench-{os.getpid()}"
    cgroup = isolation.Cgroup(name)
    cgroup.make()
    cgroup.join()
    with tempfile.TemporaryDirectory() as root:
        env = Env(build, os.path.join(isolation.BPFFS, name), cgroup.path, root)
        try:
            if nft:
                subprocess.run(["nft", "-f", "-"], input=nft_rules(nft), text=True, check=True)
            process = subprocess.Popen([os.path.join(build, "test/bench/connects"), str(PORT), str(seconds)],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            env.processes.append(process)
            process.stdout.readline()
            if rule:
                env.write("limit.yaml", ratelimit("limit", PORT, rules=[rule]))
                env.agent("limit")
                wait_for("the namespace guarded",
                         lambda: any(name.startswith("link_lookup_") for name in env.pins()))
            print(process.communicate("\n")[0].strip(), flush=True)
        finally:
            env.close()
    with open(os.path.join(os.path.dirname(cgroup.path), "cgroup.procs"), "w", encoding="ascii") as procs:
        procs.write("0")
    cgroup.remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case:
        measure(os.path.abspath(args.build), args.seconds, *CASES[args.case])
        return
    rounds = {name: [] for name in CASES}
    for _ in range(args.rounds):
        for name in CASES:
            out = subprocess.run([sys.executable, __file__, "--build", args.build, "--seconds", str(args.seconds),
                                  "--case", name], stdout=subprocess.PIPE, text=True, check=True).stdout
            rounds[name].append([float(word) for word in out.split()])
    print(f"{'':38}{'let in/s':>10}{'refused/s':>11}{'CPU us each':>13}")
    for name, found in rounds.items():
        let_in, refused, cpu = (statistics.median(values) for values in zip(
            *((a / s, r / s, 1e6 * c / (a + r)) for a, r, s, c in found)))
        print(f"{name:38}{let_in:10.0f}{refused:11.0f}{cpu:13.2f}")
    pairs = {"accepted with one bucket / without": ("kmesh-rl, one bucket", "no rule", 0),
             "accepted with a bucket for each source / without": ("kmesh-rl, a bucket for each source", "no rule", 0),
             "accepted with maxConnections / without": ("kmesh-rl, maxConnections", "no rule", 0),
             "refused / by nftables": ("kmesh-rl refuses", "nftables limit refuses", 1)}
    for text, (one, other, which) in pairs.items():
        ratio = statistics.median(a[which] / a[2] / (b[which] / b[2]) for a, b in zip(rounds[one], rounds[other]))
        print(f"{text:52}{ratio:.2f}")


if __name__ == "__main__":
    main()
