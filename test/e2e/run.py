# SPDX-License-Identifier: Apache-2.0
"""Runs the end-to-end cases, one after another, each in a process of its own with a network namespace,
a cgroup and a BPF file system directory of its own. Needs root. KRL_TIMEOUT_SCALE stretches every
deadline, for machines that are slow.

    run.py --build build [--only SUBSTRING] [--results FILE] [--list]
"""

import argparse
import glob
import importlib
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback

import harness
import isolation
from client import Failure

CASE_DEADLINE_S = 180 * harness.SCALE
LOG_LINES = 25
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def load_cases():
    """(suite, function) of every @case in test_*.py, in order."""
    cases = []
    for path in sorted(glob.glob(os.path.join(harness.HERE, "test_*.py"))):
        suite = os.path.basename(path)[len("test_"):-len(".py")]
        importlib.import_module(f"test_{suite}")
        cases += [(suite, function) for function in harness.CASES]
        harness.CASES.clear()
    return cases


def reason_of(error):
    where = [frame for frame in traceback.extract_tb(error.__traceback__)
             if os.path.basename(frame.filename).startswith("test_")]
    place = f" ({os.path.basename(where[-1].filename)}:{where[-1].lineno})" if where else ""
    text = str(error) if isinstance(error, (Failure, harness.Skip)) else repr(error)
    return text + place


def run_isolated(function, build, bpffs, cgroup, root):
    """In the child: the verdict on one case, as (status, reason, log)."""
    cgroup.join()
    isolation.new_network()
    env = harness.Env(build, bpffs, cgroup.path, root)
    status, reason, log = "pass", "", ""
    try:
        function(env)
    except harness.Skip as skip:
        status, reason = "skip", str(skip)
    except Exception as error:
        status, reason, log = "fail", reason_of(error), env.agent_logs()
    try:
        env.close()
    except Exception as error:
        if status != "fail":
            status, reason = "fail", f"cleaning up: {reason_of(error)}"
    return status, reason, log


class Child:
    """One case in a process of its own, and what it might leave behind."""

    running = None

    def __init__(self, function, build, number):
        name = f"krl-e2e-{os.getpid()}-{number}"
        self.cgroup = isolation.Cgroup(name)
        self.bpffs = os.path.join(isolation.BPFFS, name)
        self.root = tempfile.mkdtemp(prefix="krl-e2e-")
        self.cgroup.make()
        self.pipe, writing = os.pipe()
        Child.running = self
        self.pid = os.fork()
        if self.pid:
            os.close(writing)
            return
        for number in ENDING:
            signal.signal(number, signal.SIG_DFL)
        try:
            verdict = run_isolated(function, build, self.bpffs, self.cgroup, self.root)
        except BaseException as error:
            verdict = "fail", f"setting up: {error!r}", ""
        os.write(writing, json.dumps([verdict[0], verdict[1], verdict[2][-16384:]]).encode())
        os._exit(0)

    def verdict(self):
        until = time.monotonic() + CASE_DEADLINE_S
        text = b""
        while select.select([self.pipe], [], [], max(0, until - time.monotonic()))[0]:
            piece = os.read(self.pipe, 65536)
            if not piece:
                break
            text += piece
            try:
                return json.loads(text)
            except ValueError:
                continue
        return ["fail", "no verdict: the case hung or was killed", ""]

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.cgroup.kill()

    def sweep(self):
        """After the child's end: remove what is left of the case; returns what that was."""
        left = []
        os.waitpid(self.pid, 0)
        if self.cgroup.pids():
            left.append(f"processes {self.cgroup.pids()}")
        self.cgroup.kill()
        while not self.cgroup.remove():
            time.sleep(0.01)
        pins = isolation.remove_pins(self.bpffs)
        if pins:
            left.append(f"pins {' '.join(pins)}")
        shutil.rmtree(self.root)
        os.close(self.pipe)
        Child.running = None
        return left


def run_case(function, build, number):
    child = Child(function, build, number)
    status, reason, log = child.verdict()
    if reason.startswith("no verdict"):
        child.kill()
    left = child.sweep()
    if left and status != "fail":
        status, reason = "fail", "left behind: " + ", ".join(left)
    return status, " ".join(reason.split()), log


def on_signal(number, _):
    for other in ENDING:
        signal.signal(other, signal.SIG_IGN)
    if Child.running:
        Child.running.kill()
        Child.running.sweep()
    os._exit(128 + number)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build", help="the directory with the two binaries")
    parser.add_argument("--only", default="", help="cases whose suite/name holds this")
    parser.add_argument("--results", help="write a line for each case here")
    parser.add_argument("--list", action="store_true", help="name the cases, run none")
    options = parser.parse_args()

    cases = [(suite, function) for suite, function in load_cases()
             if options.only in f"{suite}/{function.__name__}"]
    if options.list:
        for suite, function in cases:
            print(f"{suite}/{function.__name__}")
        return 0
    if not cases:
        print(f"no case has {options.only!r} in its name", file=sys.stderr)
        return 2
    for number in ENDING:
        signal.signal(number, on_signal)

    failed = 0
    results = open(options.results, "w", encoding="utf-8") if options.results else None
    for number, (suite, function) in enumerate(cases):
        status, reason, log = run_case(function, options.build, number)
        word = {"pass": "ok", "fail": "FAIL", "skip": "skip"}[status]
        print(f"{word} {suite}/{function.__name__}{': ' + reason if reason else ''}", flush=True)
        if status == "fail":
            failed += 1
            for line in log.splitlines()[-LOG_LINES:]:
                print(f"     | {line}")
        if results:
            results.write(f"{status}\t{suite}\t{function.__name__}\t{reason}\n")
            results.flush()
    print(f"{len(cases)} cases, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
