# SPDX-License-Identifier: Apache-2.0
"""Runs the end-to-end cases side by side, each in a process of its own with a network namespace, a PID
namespace, a cgroup and a BPF file system directory of its own; those that are marked alone come last, one
after another. Needs root. KRL_TIMEOUT_SCALE stretches every deadline, for machines that are slow.

    run.py --build build [--only PART,...] [--jobs N] [--results FILE] [--list] [--suites DIR]
"""

import argparse
import collections
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
from client import Failure, expect

CASE_DEADLINE_S = 180 * harness.SCALE
LOG_LINES = 25
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def load_cases(directory):
    """(suite, function) of every @case in test_*.py of @directory, in order."""
    cases = []
    sys.path.append(directory)
    for path in sorted(glob.glob(os.path.join(directory, "test_*.py"))):
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
    isolation.own_proc()
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
        left = [pid for pid in cgroup.pids() if pid != os.getpid()]
        expect(not left, f"processes {left} are left behind")
    except Exception as error:
        if status != "fail":
            status, reason = "fail", f"cleaning up: {reason_of(error)}"
    return status, reason, log


class Child:
    """One case in a process of its own, and what it might leave behind."""

    def __init__(self, case, build, number):
        self.suite, self.function = case
        name = f"krl-e2e-{os.getpid()}-{number}"
        self.cgroup = isolation.Cgroup(name)
        self.bpffs = os.path.join(isolation.BPFFS, name)
        self.root = tempfile.mkdtemp(prefix="krl-e2e-")
        self.cgroup.make()
        self.text = b""
        self.verdict = None
        self.started = time.monotonic()
        self.pipe, writing = os.pipe()
        self.pid = isolation.fork()
        if self.pid:
            os.close(writing)
            return
        signal.set_wakeup_fd(-1)
        for number in ENDING:
            signal.signal(number, signal.SIG_DFL)
        try:
            verdict = run_isolated(self.function, build, self.bpffs, self.cgroup, self.root)
        except BaseException as error:
            verdict = "fail", f"setting up: {error!r}", ""
        os.write(writing, json.dumps([verdict[0], verdict[1], verdict[2][-16384:]]).encode())
        os._exit(0)

    def left_s(self):
        """Seconds up to its deadline."""
        return self.started + CASE_DEADLINE_S - time.monotonic()

    def read(self):
        """What the child wrote: in the end there is a verdict, be it that there is none."""
        piece = os.read(self.pipe, 65536)
        self.text += piece
        try:
            self.verdict = json.loads(self.text)
        except ValueError:
            if not piece:
                self.give_up()

    def give_up(self):
        self.verdict = ["fail", "no verdict: the case hung or was killed", ""]
        self.kill()

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.cgroup.kill()

    def sweep(self):
        """After the child's end, which is the end of all that it started: remove what is left of the case.
        Returns the names of pins that were."""
        os.waitpid(self.pid, 0)
        while not self.cgroup.remove():
            time.sleep(0.01)
        pins = isolation.remove_pins(self.bpffs)
        shutil.rmtree(self.root)
        os.close(self.pipe)
        return pins

    def result(self):
        """Sweep; the case's status, reason and log."""
        status, reason, log = self.verdict
        pins = self.sweep()
        if pins and status != "fail":
            status, reason = "fail", f"left behind: pins {' '.join(pins)}"
        return status, " ".join(reason.split()), log


class Runner:
    """Up to @jobs children at a time; @report is called with each one that has come to its end."""

    def __init__(self, build, jobs, report):
        self.build = build
        self.jobs = jobs
        self.report = report
        self.children = []
        self.count = 0
        # A signal is a byte in a pipe, read when no child is half made or half swept.
        self.signals, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing)
        for number in ENDING:
            signal.signal(number, lambda *_: None)

    def run(self, cases, jobs):
        waiting = collections.deque(cases)
        while waiting or self.children:
            while waiting and len(self.children) < jobs:
                self.count += 1
                self.children.append(Child(waiting.popleft(), self.build, self.count))
            self._wait()
            for child in [child for child in self.children if child.verdict]:
                self.children.remove(child)
                self.report(child)

    def run_all(self, cases):
        self.run([case for case in cases if not case[1].alone], self.jobs)
        self.run([case for case in cases if case[1].alone], 1)

    def _wait(self):
        """Until a child has a verdict, or has none in time."""
        ready = select.select([self.signals, *(child.pipe for child in self.children)], [], [],
                              max(0, min(child.left_s() for child in self.children)))[0]
        if self.signals in ready:
            self._end(os.read(self.signals, 1)[0])
        for child in self.children:
            if child.pipe in ready:
                child.read()
            elif child.left_s() <= 0:
                child.give_up()

    def _end(self, number):
        for child in self.children:
            child.kill()
        for child in self.children:
            child.sweep()
        os._exit(128 + number)


class Report:
    def __init__(self, results):
        self.results = open(results, "w", encoding="utf-8") if results else None
        self.failed = 0

    def __call__(self, child):
        seconds = time.monotonic() - child.started
        status, reason, log = child.result()
        name = child.function.__name__
        word = {"pass": "ok", "fail": "FAIL", "skip": "skip"}[status]
        print(f"{word} {child.suite}/{name} ({seconds:.1f} s){': ' + reason if reason else ''}")
        if status == "fail":
            self.failed += 1
            for line in log.splitlines()[-LOG_LINES:]:
                print(f"     | {line}")
        sys.stdout.flush()
        if self.results:
            self.results.write(f"{status}\t{child.suite}\t{name}\t{reason}\n")
            self.results.flush()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build", help="the directory with the two binaries")
    parser.add_argument("--only", default="", help="cases whose suite/name holds one of these, separated by commas")
    parser.add_argument("--jobs", type=int, default=2 * os.cpu_count(), help="cases at a time (two for each CPU)")
    parser.add_argument("--results", help="write a line for each case here")
    parser.add_argument("--list", action="store_true", help="name the cases, run none")
    parser.add_argument("--suites", default=harness.HERE, help="the directory of the cases (this one)")
    options = parser.parse_args()

    parts = options.only.split(",")
    cases = [(suite, function) for suite, function in load_cases(options.suites)
             if any(part in f"{suite}/{function.__name__}" for part in parts)]
    if options.list:
        for suite, function in cases:
            print(f"{suite}/{function.__name__}{' (alone)' if function.alone else ''}")
        return 0
    if not cases:
        print(f"no case has {options.only!r} in its name", file=sys.stderr)
        return 2
    isolation.mount_bpffs()
    report = Report(options.results)
    Runner(options.build, max(1, options.jobs), report).run_all(cases)
    print(f"{len(cases)} cases, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
