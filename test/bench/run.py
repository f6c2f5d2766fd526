#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compare the limiter with the unlimited server and with nginx's limit_req in front of it.

One nginx serves a static file on five ports: one without rules, one under a limit that admits
everything, one where the answers tell of that, one under a limit that refuses everything, one under 32 rules
with selectors, of which the last one asked admits everything. Another nginx is a proxy in front of the first
port, with limit_req admitting and refusing. wrk measures each in turn, round after round, so that
what else the machine does falls on all of them alike; medians are reported. CPU is that of the whole
machine, client included: what the kernel does for a request shows nowhere else.

Beside these, the least that programs on the same sockets can do (least.bpf.c): what the kernel itself takes for each of
their ways shows there.

Then, what the kernel spends on single steps, by test-run (steps.c): walking over and matching a head,
by the number of rules, and one take, by the number of buckets.

Prints tables and the same as JSON; --json FILE writes every round as well.
"""
import argparse
import glob
import json
import os
import random
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import isolation
import least

ALONE, ADMIT, REFUSE, PROXY_ADMIT, PROXY_REFUSE, SELECT, TELL, SEND = range(18480, 18488)
TIERS = 32

# A head of 600 bytes, as browsers and API clients send: the last of the tiers is asked for.
LONG_HEAD = [
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language: en-US,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br",
    f"X-User-Type: tier-{TIERS - 1}",
    "Cookie: session=" + "0123456789abcdef" * 8,
    "X-Request-Id: 7b0a3c1e-52d4-4c0b-9a55-0e9d9f7c5a11",
    "X-Trace: " + "f" * 76,
]
CASES = [
    ("server alone", ALONE, 200, []),
    ("kmesh-rl admits", ADMIT, 200, []),
    ("passed, and nothing else", least.PASS, 200, []),
    ("kmesh-rl admits, and tells", TELL, 200, []),
    ("64 constant bytes told", least.TELL, 200, []),
    ("nginx proxy admits", PROXY_ADMIT, 200, []),
    ("kmesh-rl answers 429", REFUSE, 429, []),
    ("nginx proxy answers 429", PROXY_REFUSE, 429, []),
    ("kmesh-rl 429, going out", SEND, 429, []),
    ("a constant 429, going out", least.REFUSE, 429, []),
    ("server alone, 600-byte head", ALONE, 200, LONG_HEAD),
    ("kmesh-rl, 32 tiers, same", SELECT, 200, LONG_HEAD),
]

NGINX = """
worker_processes 1; daemon off; pid {dir}/{name}.pid; error_log {dir}/{name}.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; sendfile on;
  client_body_temp_path {dir}/{name}.body; proxy_temp_path {dir}/{name}.proxy;
  fastcgi_temp_path {dir}/{name}.fcgi; uwsgi_temp_path {dir}/{name}.uwsgi; scgi_temp_path {dir}/{name}.scgi;
  {body}
}}
"""

SERVER = """
  server {{ listen 127.0.0.1:{0}; listen 127.0.0.1:{1}; listen 127.0.0.1:{2}; listen 127.0.0.1:{3}; listen 127.0.0.1:{4};
           listen 127.0.0.1:{5}; listen 127.0.0.1:{6}; listen 127.0.0.1:{7}; listen 127.0.0.1:{8}; root {dir}/www; }}
"""

PROXY = """
  upstream server {{ server 127.0.0.1:{0}; keepalive 64; }}
  limit_req_zone $server_port zone=admit:1m rate=1000000r/s;
  limit_req_zone $server_port zone=refuse:1m rate=1r/m;
  limit_req_status 429;
  proxy_http_version 1.1; proxy_set_header Connection "";
  server {{ listen 127.0.0.1:{1}; location / {{ limit_req zone=admit burst=1000000 nodelay; proxy_pass http://server; }} }}
  server {{ listen 127.0.0.1:{2}; location / {{ limit_req zone=refuse; proxy_pass http://server; }} }}
"""

RATE_LIMIT = """
apiVersion: kmesh.net/v1alpha1
kind: RateLimit
metadata: {{name: {name}, namespace: bench}}
spec:
  direction: {direction}
  endpoints: [{{ip: 127.0.0.1, port: {port}}}]
  responseHeaders: {headers}
  rules:
{rules}
---
"""
RULE = """\
    - {{maxTokens: {tokens}, tokensPerFill: {tokens}, fillInterval: 8760h{selectors}}}
"""


def rate_limit(name, port, *tokens, headers="Limited", direction="Inbound"):
    """A RateLimit with a rule for each of @tokens; of several, each has a selector."""
    selectors = [f", clientSelectors: [{{headers: [{{name: x-user-type, value: tier-{n}}}]}}]"
                 for n in range(len(tokens))] if len(tokens) > 1 else [""]
    rules = "".join(RULE.format(tokens=n, selectors=s) for n, s in zip(tokens, selectors))
    return RATE_LIMIT.format(name=name, port=port, rules=rules, headers=headers, direction=direction)


def idle_s():
    """CPU seconds that the machine has been idle since boot. The kernel keeps idle time exactly, while it
    samples busy time at its tick (fs/proc/stat.c, get_idle_time)."""
    with open("/proc/stat") as stat:
        idle, iowait = map(int, stat.readline().split()[4:6])
    return (idle + iowait) / os.sysconf("SC_CLK_TCK")


def process_s(pids):
    """CPU seconds that these processes and those that they started have had."""
    total = 0
    for stat in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(stat) as file:
                pid, rest = file.read().split(" (", 1)
        except OSError:
            continue
        fields = rest.rsplit(")", 1)[1].split()
        if int(pid) in pids or int(fields[1]) in pids:
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def wait_for(what, condition):
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    raise SystemExit(f"bench: {what} did not come up")


def status_of(port):
    out = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://127.0.0.1:{port}/file"],
                         capture_output=True, text=True, check=False).stdout
    return int(out or 0)


class Bench:
    def __init__(self, args):
        self.args = args
        self.dir = tempfile.mkdtemp(prefix="krl-bench-")
        os.chmod(self.dir, 0o755)
        self.bpffs = f"/sys/fs/bpf/krl-bench-{os.getpid()}"
        self.processes = []

    def start(self, argv):
        self.processes.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL))

    def start_nginx(self, name, body):
        path = f"{self.dir}/{name}.conf"
        with open(path, "w") as conf:
            conf.write(NGINX.format(dir=self.dir, name=name, body=body))
        self.start(["nginx", "-c", path, "-e", f"{self.dir}/{name}.log"])

    def up(self):
        os.makedirs(f"{self.dir}/www")
        with open(f"{self.dir}/www/file", "wb") as file:
            file.write(os.urandom(512).hex().encode())
        os.makedirs(f"{self.dir}/config")
        with open(f"{self.dir}/config/limits.yaml", "w") as file:
            file.write(rate_limit("admit", ADMIT, 10**9))
            file.write(rate_limit("tell", TELL, 10**9, headers="Always"))
            file.write(rate_limit("refuse", REFUSE, 1))
            file.write(rate_limit("send", SEND, 1, direction="Outbound"))
            file.write(rate_limit("select", SELECT, *[1] * (TIERS - 1), 10**9))
        self.start_nginx("server", SERVER.format(ALONE, ADMIT, REFUSE, SELECT, TELL, SEND,
                                                 least.PASS, least.TELL, least.REFUSE, dir=self.dir))
        self.start_nginx("proxy", PROXY.format(ALONE, PROXY_ADMIT, PROXY_REFUSE))
        self.start([f"{self.args.build}/kmesh-rl-agent", "--source", f"dir:{self.dir}/config",
                    "--bpffs", self.bpffs, "--control-socket", f"{self.dir}/agent.sock",
                    "--metrics", "off", "--log-level", "warn"])
        for name, port, status, _ in CASES:
            wait_for(name, lambda port=port, status=status: status_of(port) == status)

    def down(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait()
        subprocess.run([f"{self.args.build}/kmesh-rl-agent", "--detach", "--bpffs", self.bpffs], check=False)
        shutil.rmtree(self.dir)

    def own_s(self):
        """CPU seconds of what runs for this benchmark, and of what ran to its end."""
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return process_s([process.pid for process in self.processes]) + ended.ru_utime + ended.ru_stime

    def measure(self, port, connections, headers):
        start, idle = time.monotonic(), idle_s()
        before = self.own_s()
        out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{self.args.seconds}",
                              *(arg for header in headers for arg in ("-H", header)),
                              f"http://127.0.0.1:{port}/file"],
                             capture_output=True, text=True, check=True).stdout
        cpu = (time.monotonic() - start) * os.cpu_count() - (idle_s() - idle)
        if self.args.processes:
            cpu = self.own_s() - before
        requests = int(re.search(r"(\d+) requests in", out).group(1))
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
        return {"requests_per_s": rate, "cpu_us_per_request": cpu * 1e6 / max(requests, 1)}

    def steps(self):
        """What steps.c measures, as {step: {row: {number: ns}}}."""
        out = subprocess.run([f"{self.args.build}/test/bench/steps", f"{self.args.build}/test/prog"],
                             check=True, capture_output=True, text=True).stdout
        return json.loads(out)

    def take_ns(self):
        """One take from a hot bucket: the test program's average over a test-run."""
        pin = f"{self.bpffs}-take"
        packet = f"{self.dir}/packet"
        with open(packet, "wb") as file:
            file.write(bytes(64))
        bpftool = shutil.which("bpftool") or "/usr/sbin/bpftool"
        try:
            subprocess.run([bpftool, "prog", "loadall", f"{self.args.build}/test/prog/bucket.bpf.o", pin],
                           check=True, capture_output=True)
            runs = [subprocess.run([bpftool, "prog", "run", "pinned", f"{pin}/take_hot", "data_in", packet,
                                    "repeat", "1000000"],
                                   check=True, capture_output=True, text=True).stdout for _ in range(5)]
            return statistics.median(int(re.search(r"duration \(average\): (\d+)ns", run).group(1)) for run in runs)
        finally:
            shutil.rmtree(pin, ignore_errors=True)


def medians(rounds):
    return {name: {key: statistics.median(r[key] for r in runs) for key in runs[0]}
            for name, runs in rounds.items()}


def median_of(runs):
    """Of each number in nested objects of one shape."""
    if not isinstance(runs[0], dict):
        return round(statistics.median(runs), 1)
    return {key: median_of([run[key] for run in runs]) for key in runs[0]}


def spread(row):
    return max(row.values()) / min(row.values())


def show_steps(steps):
    print("rules" + " " * 25 + "".join(f"{rules:>10}" for rules in steps["head_ns"]))
    print(f"{'a head of 600 bytes, ns':30}" + "".join(f"{ns:10.0f}" for ns in steps["head_ns"].values()) +
          "   (0: framed, not matched)\n")
    takes = steps["take_ns"]
    print("live buckets" + " " * 18 + "".join(f"{count:>10}" for count in takes["one"]))
    for name, row in (("one take, of one value, ns", takes["one"]), ("one take, of any value, ns", takes["any"])):
        print(f"{name:30}" + "".join(f"{ns:10.0f}" for ns in row.values()) +
              f"   most / least {spread(row):.2f} (to reach: 1.50)")
    print(f"{'the first of a new value, ns':30}{takes['new']:30.0f}\n")


def ratios(rounds):
    """Medians of what each round says: in one, all cases have the machine in the same mood."""
    def ratio(name, other, key):
        return statistics.median(one[key] / two[key] for one, two in zip(rounds[name], rounds[other]))

    return {
        "admitted_of_alone": ratio("kmesh-rl admits", "server alone", "requests_per_s"),
        "passed_of_alone": ratio("passed, and nothing else", "server alone", "requests_per_s"),
        "told_of_alone": ratio("kmesh-rl admits, and tells", "server alone", "requests_per_s"),
        "constant_told_of_alone": ratio("64 constant bytes told", "server alone", "requests_per_s"),
        "admitted_of_proxied": ratio("kmesh-rl admits", "nginx proxy admits", "requests_per_s"),
        "alone_of_proxied": ratio("server alone", "nginx proxy admits", "requests_per_s"),
        "selected_of_alone": ratio("kmesh-rl, 32 tiers, same", "server alone, 600-byte head", "requests_per_s"),
        "cpu_429_of_proxy_429": ratio("kmesh-rl answers 429", "nginx proxy answers 429", "cpu_us_per_request"),
        "cpu_429_out_of_proxy_429": ratio("kmesh-rl 429, going out", "nginx proxy answers 429", "cpu_us_per_request"),
        "cpu_constant_429_out_of_proxy_429": ratio("a constant 429, going out", "nginx proxy answers 429",
                                                   "cpu_us_per_request"),
    }


def show_rates(connections, median):
    print(f"{f'{connections} connections':30}{'requests/s':>12}{'CPU us/request':>16}")
    for name, m in median.items():
        print(f"{name:30}{m['requests_per_s']:12.0f}{m['cpu_us_per_request']:16.1f}")


def show(connections, median, ratio):
    show_rates(connections, median)
    print(f"admitted / server alone  {ratio['admitted_of_alone']:.2f}   (to reach: 0.97; "
          f"passed, and nothing else: {ratio['passed_of_alone']:.2f})")
    print(f"told / server alone      {ratio['told_of_alone']:.2f}   (to reach: 0.85; "
          f"64 constant bytes: {ratio['constant_told_of_alone']:.2f})")
    print(f"admitted / proxied       {ratio['admitted_of_proxied']:.2f}   (to reach: 2.00; "
          f"the server alone: {ratio['alone_of_proxied']:.2f})")
    print(f"32 tiers / server alone  {ratio['selected_of_alone']:.2f}   (to reach: 0.95)")
    print(f"CPU of a 429 / proxy's   {ratio['cpu_429_of_proxy_429']:.2f}   (to reach: 1.00)")
    print(f"... going out / proxy's  {ratio['cpu_429_out_of_proxy_429']:.2f}   (to reach: 0.33; "
          f"a constant one: {ratio['cpu_constant_429_out_of_proxy_429']:.2f})\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--connections", type=int, nargs="+", default=[16, 64, 128])
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--cases", default="", metavar="PART", help="only those whose name holds PART, and no steps")
    parser.add_argument("--processes", action="store_true",
                        help="CPU of wrk, the servers and the agent alone: for a machine that does other things too")
    parser.add_argument("--steps", action="store_true", help="only the steps in the kernel, without servers")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))

    name = f"krl-bench-least-{os.getpid()}"
    cgroup = isolation.Cgroup(name)
    cgroup.make()
    cgroup.join()
    try:
        with least.attached(args.build, os.path.join(isolation.BPFFS, name), cgroup.path):
            run(Bench(args), args)
    finally:
        with open(os.path.join(os.path.dirname(cgroup.path), "cgroup.procs"), "w", encoding="ascii") as procs:
            procs.write("0")
        cgroup.remove()


def run(bench, args):
    cases = [case for case in CASES if args.cases in case[0]]
    rounds = {count: {name: [] for name, *_ in cases} for count in args.connections}
    steps = []
    try:
        steps = [bench.steps() for _ in range(min(args.rounds, 5))] if not args.cases else []
        if args.steps:
            show_steps(median_of(steps))
            return
        bench.up()
        for number in range(args.rounds):
            for count in args.connections:
                # In an order of its own: what ran before has its effect on what the machine has left.
                for name, port, _status, headers in random.Random(number).sample(cases, len(cases)):
                    rounds[count][name].append(bench.measure(port, count, headers))
        take_ns = bench.take_ns() if not args.cases else 0
    finally:
        bench.down()

    if args.cases:
        for count in args.connections:
            show_rates(count, medians(rounds[count]))
        return
    result = {"seconds": args.seconds, "take_ns": take_ns, "steps": median_of(steps), "connections": {}}
    for count in args.connections:
        median = medians(rounds[count])
        result["connections"][count] = {"median": median, "ratios": ratios(rounds[count])}
        show(count, median, ratios(rounds[count]))
    print(f"one take, hot bucket     {take_ns} ns\n")
    show_steps(result["steps"])
    print(json.dumps(result))
    if args.json:
        with open(args.json, "w") as file:
            json.dump({**result, "rounds": rounds, "step_rounds": steps}, file, indent=2)


if __name__ == "__main__":
    main()
