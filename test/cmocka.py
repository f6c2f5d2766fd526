#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""cmocka.py SUITE RESULTS JOBS BINARY... [-- ARGUMENT...]: run cmocka binaries, JOBS at a time, write their results.

One line for a binary that is well; the whole output of one that is not. A binary that crashes, hangs,
runs no test or fewer than it announced is a failure.
"""
import concurrent.futures
import os
import re
import signal
import subprocess
import sys

TIMEOUT_S = 300 * float(os.environ.get("KRL_TIMEOUT_SCALE", "1"))
# cmocka writes "not ok 3 # SKIP name" for a test that was skipped.
TEST = re.compile(r"(?P<bad>not )?ok \d+ (?:- |(?P<skip># SKIP ))(?P<name>\S+)\s*(?P<rest>.*)")
RUNNING = set()
PLAN = re.compile(r"1\.\.(\d+)$")


def parse(output):
    """[verdict, case, reason] of each test that cmocka reports, and how many it announced."""
    rows, plan, row = [], 0, None
    for line in output.splitlines():
        if PLAN.match(line):
            plan += int(PLAN.match(line)[1])
        test = TEST.match(line)
        if test:
            verdict = "skip" if test["skip"] else "fail" if test["bad"] else "pass"
            row = [verdict, test["name"], test["rest"]]
            rows.append(row)
        elif row and row[0] != "pass" and line.startswith("# ") and "ok - " not in line:
            row[2] = f"{row[2]} {line[2:]}".strip()
    return rows, plan


def output_of(command):
    """What a program printed, on its two outputs, and how it ended."""
    process = subprocess.Popen(command, env={**os.environ, "CMOCKA_MESSAGE_OUTPUT": "tap"},
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, errors="replace")
    RUNNING.add(process)
    status = None
    try:
        output, errors = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
        status = f"a time-out after {TIMEOUT_S:.0f} s"
    RUNNING.remove(process)
    return output, errors, status or f"status {process.returncode}"


def run(binary, arguments):
    """The rows of one binary, and what it printed."""
    output, errors, status = output_of([binary, *arguments])
    rows, plan = parse(output)
    if not rows:
        rows.append(["fail", "(all)", f"ran no test, ended with {status}"])
    elif len(rows) < plan:
        rows.append(["fail", "(all)", f"ran {len(rows)} of {plan} tests, ended with {status}"])
    elif status != "status 0" and all(row[0] != "fail" for row in rows):
        rows.append(["fail", "(all)", f"ended with {status}"])
    return rows, output + errors


def on_signal(number, _):
    for process in list(RUNNING):
        process.kill()
    os._exit(128 + number)


def main():
    suite, results, jobs, *rest = sys.argv[1:]
    split = rest.index("--") if "--" in rest else len(rest)
    os.makedirs(results, exist_ok=True)
    failed = 0
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    with concurrent.futures.ThreadPoolExecutor(int(jobs)) as pool, \
            open(os.path.join(results, suite), "w", encoding="utf-8") as file:
        runs = pool.map(lambda binary: run(binary, rest[split + 1:]), rest[:split])
        for binary, (rows, output) in zip(rest[:split], runs):
            name = os.path.basename(binary)
            verdicts = [row[0] for row in rows]
            bad = verdicts.count("fail")
            failed += bad
            if bad:
                print(output)
            print(f"{'FAIL' if bad else 'ok'} {suite}/{name}: {verdicts.count('pass')} passed, {bad} failed, "
                  f"{verdicts.count('skip')} skipped", flush=True)
            for verdict, case, reason in rows:
                file.write(f"{verdict}\t{suite}/{name}\t{case}\t{reason}\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
