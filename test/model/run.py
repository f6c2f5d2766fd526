#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""run.py MODEL RESULTS: no run of leases is over the bound, and each mistake that is made on purpose is found.

MODEL MUTATION MAX FILL INTERVAL CREDIT TICKS FAULTS KINDS ends with 0 when it has seen all runs, with 1 and the
shortest one that is over the bound otherwise.
"""
import subprocess
import sys

# Kinds of faults: c a connection breaks, a an agent is replaced, d an older dump comes back, f all data are lost.
HOLDS = ("2 1 1 0 5 0 -", "2 1 2 0 6 0 -", "3 2 1 0 4 0 -", "2 1 1 1 4 0 -",
         "2 1 1 0 4 1 c", "2 1 1 0 4 1 a", "2 1 2 0 5 1 d", "2 1 2 0 5 1 cf")
BROKEN = {"refill-last": "2 1 1 0 5 0 -", "return-dead": "2 1 1 0 5 0 -", "end-late": "2 1 1 0 5 0 -",
          "expire-first": "2 1 1 0 5 0 -", "repeat": "2 1 1 0 4 1 c", "old-kept": "2 1 1 0 4 1 c",
          "no-floor": "2 1 1 0 4 1 f", "credit-again": "2 1 1 1 3 0 -", "seq-only": "2 1 1 0 4 1 d"}
TIMEOUT_S = 120


def main(model, results):
    runs = [(name, config, 0) for config in HOLDS for name in ["none"]]
    runs += [(name, config, 1) for name, config in BROKEN.items()]
    failed = 0
    with open(results, "w", encoding="utf-8") as rows:
        for name, config, wanted in runs:
            ran = subprocess.run([model, name, *config.split()], capture_output=True, text=True, timeout=TIMEOUT_S,
                                 check=False)
            case = f"{name} {config}".replace(" ", "_")
            good = ran.returncode == wanted and ("OVER" in ran.stdout) == bool(wanted)
            if not good:
                failed += 1
                print(ran.stdout + ran.stderr, end="")
                print(f"FAIL  model/{case}: ended with {ran.returncode}, not {wanted}")
            rows.write(f"{'pass' if good else 'fail'}\tmodel\t{case}\t{'' if good else f'status {ran.returncode}'}\n")
    print(f"{'FAIL' if failed else 'ok'} model: {len(runs) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
