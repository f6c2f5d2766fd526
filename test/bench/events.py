# SPDX-License-Identifier: Apache-2.0
"""What it costs that the agent is told of limited requests: a flood of them with --event-rate 10 and with 0, which take
turns, refused on the server's side and on the client's. Needs root, wrk and nginx.

    events.py --build build [--rounds N] [--connections N]
"""

import argparse
import os
import random
import statistics
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "e2e"))

import bpfmap
import run

RATES = (0, 10)
PORTS = {"inbound": run.REFUSE, "outbound": run.SEND}
# Where krl_config has reports_per_s; include/kmesh_rl/abi.h.
AT = 52


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--connections", type=int, default=64)
    args = parser.parse_args()
    args.processes = False
    bench = run.Bench(args)
    found = {(name, rate): [] for name in PORTS for rate in RATES}
    try:
        bench.up()
        for number in range(args.rounds):
            for name, rate in random.Random(number).sample(list(found), len(found)):
                bpfmap.write(f"{bench.bpffs}/krl_config", AT, struct.pack("=I", rate))
                found[name, rate].append(bench.measure(PORTS[name], args.connections, []))
    finally:
        bench.down()
    print(f"{'':12}{'limited/s':>12}{'with events':>13}{'CPU us each':>13}{'with events':>13}{'a round against the other':>27}")
    for name in PORTS:
        off, on = (found[name, rate] for rate in RATES)
        median = [statistics.median(one[key] for one in runs) for key in off[0] for runs in (off, on)]
        low, middle, high = statistics.quantiles(b["cpu_us_per_request"] / a["cpu_us_per_request"] for a, b in zip(off, on))
        print(f"{name:12}{median[0]:12.0f}{median[1]:13.0f}{median[2]:13.2f}{median[3]:13.2f}"
              f"{f'{middle:.3f} ({low:.3f} to {high:.3f})':>27}")


if __name__ == "__main__":
    main()
