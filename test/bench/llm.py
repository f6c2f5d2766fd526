# SPDX-License-Identifier: Apache-2.0
"""What it takes to meter a model server: streams of 500 events and answers of 64 KiB, with and without rules that admit
everything, by servers as most model servers are (model_app.py), and by one that does nothing but write. All of them and one
agent are in a network namespace of their own, the cases round after round, each round in an order of its own; medians, and
of ratios the median of what each round says. CPU is that of the whole machine. Then what the scanners take, by test-run.
Needs root.

    llm.py --build build [--rounds N] [--seconds S] [--json FILE]
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

from documents import ratelimit
from harness import Env, wait_for
import isolation
from run import idle_s

APP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "model_app.py")
TOKENS = "{name: all, count: LLMTokens, maxTokens: 1000000000000, tokensPerFill: 1, fillInterval: 8760h%s}"
EACH_USER = ", onExhausted: Cut, clientSelectors: [{headers: [{name: x-user-id, type: Distinct}]}]"
UNMETERED = "no rule"

# name -> port, the rule
CASES = {
    UNMETERED: (8080, None),
    "requests": (8081, "{name: all, maxTokens: 1000000000, tokensPerFill: 1, fillInterval: 8760h}"),
    "tokens": (8082, TOKENS % ""),
    "tokens of each user, cut": (8083, TOKENS % EACH_USER),
}

# The port of model_app.py for each of them is this much higher.
TO_APP = 100


class Bench:
    def __init__(self, env, args):
        self.env = env
        self.args = args
        self.program = os.path.join(env.build, "test/bench/llm")

    def up(self):
        ports = [str(port) for port, _ in CASES.values()]
        self.env.processes.append(subprocess.Popen([self.program, "serve", *ports]))
        wait_for("the server", lambda: not self.ask(CASES[UNMETERED][0], "json", 0, 1).returncode)
        for port, _ in CASES.values():
            self.env.processes.append(subprocess.Popen([sys.executable, APP, str(port + TO_APP)]))
            wait_for("uvicorn", lambda at=port + TO_APP: not self.ask(at, "app", 0, 1).returncode)
        rules = {f"port-{at}": (at, rule) for port, rule in CASES.values() if rule for at in (port, port + TO_APP)}
        for name, (port, rule) in rules.items():
            self.env.write(f"{name}.yaml", ratelimit(name, port, rules=[rule]))
        self.env.agent(*rules)
        wait_for("the sockets' program", lambda: all(self.counts(name) for name in rules))

    def counts(self, name):
        """Does the RateLimit admit what comes? Until the agent has attached, nothing is counted."""
        port = int(name.rpartition("-")[2])
        self.ask(port, "app" if port > CASES[UNMETERED][0] + TO_APP else "json", 0, 1)
        return self.env.item(name)["totalRequests"] > 0

    def ask(self, port, kind, seconds, connections):
        return subprocess.run([self.program, "ask", str(port), kind, str(seconds), str(connections)],
                              capture_output=True, text=True, check=False)

    def measure(self, port, kind, connections):
        port += TO_APP if kind == "app" else 0
        start, idle = time.monotonic(), idle_s()
        done = self.ask(port, kind, self.args.seconds, connections)
        cpu = (time.monotonic() - start) * os.cpu_count() - (idle_s() - idle)
        if done.returncode:
            raise SystemExit(f"bench: {done.stderr.strip()}")
        answers, seconds, took_us = map(float, done.stdout.split())
        return {"answers_per_s": answers / seconds, "cpu_us": cpu * 1e6 / answers, "took_us": took_us}


def median(rounds, key):
    return statistics.median(one[key] for one in rounds)


def against(rounds, name, key, how):
    """The median of what each round says of @name beside no rule."""
    return statistics.median(how(one[key], two[key]) for one, two in zip(rounds[name], rounds[UNMETERED]))


def summary(measured):
    result = {}
    for kind, rounds in measured.items():
        for name in CASES:
            row = {key: median(rounds[name], key) for key in rounds[name][0]}
            row["rate_of_unmetered"] = against(rounds, name, "answers_per_s", lambda a, b: a / b)
            row["cpu_us_more"] = against(rounds, name, "cpu_us", lambda a, b: a - b)
            row["took_us_more"] = against(rounds, name, "took_us", lambda a, b: a - b)
            result.setdefault(kind, {})[name] = row
    return result


def show(result):
    for kind, rows in result.items():
        if kind.startswith("stream"):
            print(f"{kind:30}{'streams/s':>12}{'of no rule':>12}{'CPU us each':>13}{'us more':>10}")
            for name, row in rows.items():
                print(f"{name:30}{row['answers_per_s']:12.0f}{row['rate_of_unmetered']:12.2f}"
                      f"{row['cpu_us']:13.0f}{row['cpu_us_more']:10.0f}")
            print(f"{'':30}(to reach: 0.95)\n" if "written" not in kind else "")
            continue
        print(f"{kind:30}{'us each':>12}{'us more':>12}{'CPU us each':>13}{'us more':>10}")
        for name, row in rows.items():
            print(f"{name:30}{row['took_us']:12.1f}{row['took_us_more']:12.1f}{row['cpu_us']:13.1f}"
                  f"{row['cpu_us_more']:10.1f}")
        print(f"{'':30}(to reach: 100 us more)\n")


def scanners(build):
    """The lines that test/prog prints of them."""
    said = subprocess.run([os.path.join(build, "test/prog/test_llm"), os.path.join(build, "test/prog")],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    return [line for line in said.splitlines() if line.startswith("reading:")]


def run(bench, args):
    kinds = {"64 KiB, 1 connection": ("json", 1)}
    for count in args.streams:
        kinds[f"streams, {count} at once"] = ("app", count)
        kinds[f"streams only written, {count}"] = ("stream", count)
    measured = {kind: {name: [] for name in CASES} for kind in kinds}
    for number in range(args.rounds):
        for kind, (what, connections) in kinds.items():
            for name in random.Random(number).sample(list(CASES), len(CASES)):
                measured[kind][name].append(bench.measure(CASES[name][0], what, connections))
    return measured


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 16], metavar="N", help="so many at once")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()

    isolation.new_network()
    name = f"krl-bench-{os.getpid()}"
    cgroup = isolation.Cgroup(name)
    cgroup.make()
    cgroup.join()
    try:
        with tempfile.TemporaryDirectory() as root:
            env = Env(args.build, os.path.join(isolation.BPFFS, name), cgroup.path, root)
            try:
                bench = Bench(env, args)
                bench.up()
                measured = run(bench, args)
            finally:
                env.close()
    finally:
        with open(os.path.join(os.path.dirname(cgroup.path), "cgroup.procs"), "w", encoding="ascii") as procs:
            procs.write("0")
        cgroup.remove()
    show(summary(measured))
    scanned = scanners(args.build)
    print("\n".join(scanned))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"seconds": args.seconds, "summary": summary(measured), "scanners": scanned, "rounds": measured}, file, indent=2)


if __name__ == "__main__":
    main()
