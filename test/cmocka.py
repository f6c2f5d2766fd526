#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""cmocka.py SUITE RESULTS BINARY... [-- ARGUMENT...]: run cmocka binaries, write their results.

A binary that crashes, or runs no test, is a failure. Its output is shown only when something failed.
"""
import os
import re
import subprocess
import sys


def run(binary, arguments):
    """Lines (verdict, case, reason) of one binary, and what it printed."""
    name = os.path.basename(binary)
    try:
        done = subprocess.run([binary, *arguments], env={**os.environ, "CMOCKA_MESSAGE_OUTPUT": "tap"},
                              capture_output=True, text=True, errors="replace", timeout=600, check=False)
        output, status = done.stdout + done.stderr, done.returncode
    except subprocess.TimeoutExpired as late:
        output, status = str(late), "time-out"
    lines = []
    for line in output.splitlines():
        found = re.match(r"(not )?ok \d+ - (\S+)(.*)", line)
        if not found:
            continue
        skipped = re.search(r"# SKIP\s*(.*)", found.group(3))
        verdict = "skip" if skipped else "fail" if found.group(1) else "pass"
        lines.append((verdict, f"{name}/{found.group(2)}", skipped.group(1) if skipped else ""))
    if not lines or (status != 0 and not any(verdict == "fail" for verdict, _, _ in lines)):
        lines.append(("fail", name, f"ended with status {status}"))
    return lines, output


def main():
    suite, results, *rest = sys.argv[1:]
    arguments = rest[rest.index("--") + 1:] if "--" in rest else []
    binaries = rest[:rest.index("--")] if "--" in rest else rest
    os.makedirs(results, exist_ok=True)
    failed = 0
    with open(f"{results}/{suite}", "w") as file:
        for binary in binaries:
            lines, output = run(binary, arguments)
            counts = {verdict: sum(line[0] == verdict for line in lines) for verdict in ("pass", "fail", "skip")}
            failed += counts["fail"]
            print(f"{'FAIL' if counts['fail'] else 'ok'} {os.path.basename(binary)}: "
                  f"{counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped")
            if counts["fail"]:
                print(output)
            for verdict, case, reason in lines:
                file.write(f"{verdict}\t{suite}\t{case}\t{reason}\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
