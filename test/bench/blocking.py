#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How often a server that waits in a blocking recv() is told EAGAIN, where plain TCP never says it.

test/bench/blocking.c is server and clients; an agent has one of its ports under a limit that admits everything, one
under a limit that refuses a part. At last the agent is killed, and the second is asked again. Prints a table, and the
same as JSON.
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ADMIT, PART = 18490, 18491

RATE_LIMIT = """
apiVersion: kmesh.net/v1alpha1
kind: RateLimit
metadata: {{name: {name}, namespace: bench}}
spec:
  endpoints: [{{ip: 127.0.0.1, port: {port}}}]
  rules:
    - {{maxTokens: {tokens}, tokensPerFill: {tokens}, fillInterval: {interval}}}
---
"""

# name, port, share of the requests asked for, what blocking.c is told
EVERY_COUNT = [
    ("admits everything", ADMIT, 1, []),
    ("refuses a part", PART, 1, []),
]
ONE_COUNT = [
    ("admits, a connection for each request", ADMIT, 0.1, ["-k", "1"]),
    ("admits, bodies of 1 MB", ADMIT, 0.01, ["-b", "1000000"]),
    ("admits, bodies of 1 MB, a slow server", ADMIT, 0.001, ["-b", "1000000", "-s", "100"]),
    ("admits, answers of 1 MB", ADMIT, 0.05, ["-a", "1000000"]),
    ("refuses a part, a connection for each request", PART, 0.1, ["-k", "1"]),
    ("refuses a part, bodies of 5 kB", PART, 0.1, ["-b", "5000"]),
]
WITHOUT_AGENT = ("refuses a part, without an agent", PART, 0.01, [])


class Bench:
    def __init__(self, args):
        self.args = args
        self.dir = tempfile.mkdtemp(prefix="krl-blocking-")
        self.bpffs = f"/sys/fs/bpf/krl-blocking-{os.getpid()}"
        self.agent = None
        self.rows = []

    def tool(self, *args):
        return subprocess.run([f"{self.args.build}/kmesh-rl", "--bpffs", self.bpffs,
                               "--control-socket", f"{self.dir}/agent.sock", *args],
                              capture_output=True, text=True, check=False)

    def reasons(self):
        out = self.tool("get", "ratelimit-stats", "-A", "-o", "json").stdout
        return json.loads(out)["reasons"] if out else None

    def up(self):
        os.makedirs(f"{self.dir}/config")
        with open(f"{self.dir}/config/limits.yaml", "w") as file:
            file.write(RATE_LIMIT.format(name="admit", port=ADMIT, tokens=10**18, interval="8760h"))
            file.write(RATE_LIMIT.format(name="part", port=PART, tokens=1000, interval="100ms"))
        self.agent = subprocess.Popen([f"{self.args.build}/kmesh-rl-agent", "--source", f"dir:{self.dir}/config",
                                       "--bpffs", self.bpffs, "--control-socket", f"{self.dir}/agent.sock",
                                       "--metrics", "off", "--log-level", "warn"])
        for _ in range(200):
            if self.tool("version").stdout.count("\n") > 1 and self.reasons():
                return
            time.sleep(0.05)
        raise SystemExit("bench: the agent did not come up")

    def down(self):
        if self.agent:
            self.agent.terminate()
            self.agent.wait()
        subprocess.run([f"{self.args.build}/kmesh-rl-agent", "--detach", "--bpffs", self.bpffs], check=False)
        shutil.rmtree(self.dir)

    def run(self, name, port, share, flags, connections):
        before = self.reasons()
        out = subprocess.run([f"{self.args.build}/test/bench/blocking", "-p", str(port), "-c", str(connections),
                              "-n", str(int(self.args.requests * share)), *flags],
                             check=True, capture_output=True, text=True).stdout
        row = {"case": name, **json.loads(out)}
        row["eagain"] = row["eagain_between"] + row["eagain_inside"]
        row["reader_woken"] = self.reasons()["reader_woken"] - before["reader_woken"]
        self.rows.append(row)
        print(f"{name:46}{connections:>4}{row['admitted']:>10}{row['refused']:>9}{row['eagain']:>8}"
              f"{row['reader_woken']:>8}{row['ended']:>7}", flush=True)

    def all(self):
        print(f"{'':46}{'conn':>4}{'admitted':>10}{'refused':>9}{'EAGAIN':>8}{'woken':>8}{'ended':>7}")
        for name, port, share, flags in EVERY_COUNT:
            for connections in self.args.connections:
                self.run(name, port, share, flags, connections)
        for name, port, share, flags in ONE_COUNT:
            self.run(name, port, share, flags, 16)
        self.agent.kill()
        self.agent.wait()
        self.run(*WITHOUT_AGENT, 16)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--requests", type=int, default=1000000)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 4, 16, 64])
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    bench = Bench(args)
    try:
        bench.up()
        bench.all()
    finally:
        bench.down()
    print(json.dumps(bench.rows))


if __name__ == "__main__":
    main()
