#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""matrix.py BUILD RESULTS: the prog and the end-to-end suites on other kernels.

Each kernel boots under qemu, without KVM, from an initramfs with the suites. A guest that hangs, or
powers off before it has reported the end of its suites, is a failure. What a guest prints is in
BUILD/kernels/SERIES.log.
"""
import concurrent.futures
import os
import platform
import signal
import subprocess
import sys

import fetch
import initramfs

SERIES = ["6.1", "6.12"]

# What depends on the kernel most: its sockets, and its socket maps. An emulated CPU takes some seconds for a case;
# `make test-kernels CASES=LIST` runs others, as any of test/e2e/run.py --only: parts of names.
CASES = ["basic/fifteen", "basic/one_connection", "capabilities/connections", "capabilities/pods", "capabilities/tokens",
         "cluster/an_agent_that_dies", "segments/", "open/idle", "open/they_are_let_go", "connections/ten_are_let_in",
         "connections/with_syn_cookies", "concurrent/three_at_once", "events_told/what_", "http2/the_eleventh", "http2/goaway_stands",
         "kube_callers/callers_requests", "kube_peers/peers_by_labels", "llm_budget/fifty", "llm_reserve/of_a_client_that_resets",
         "lifecycle/limits_hold", "lifecycle/no_token_is_lost", "outbound/over_the_limit", "outbound/each_namespace",
         "send/one_connection", "send_tls/"]
# The helpers that programs call are most unlike on the oldest: what they do to answers, and what is read of bodies. Not
# cases that count segments: an emulated CPU is too slow for TCP to send what it is given at once.
CASES_OF_OLDEST = ["basic/ipv", "basic/wildcard", "basic/both_families", "basic/the_shortest", "basic/eight_clients",
                   "blocking/they_are", "blocking/a_connection", "bodies/a_limited_mebibyte_by", "concurrent/a_server_that_is_killed",
                   "connections/over_ipv6", "events_told/tokens", "headers/small", "headers/large", "headers/a_head",
                   "headers/chunked", "headers/twenty", "headers_zerocopy/", "lifecycle/detach_removes", "llm_cut/cut_in_good_form_chat",
                   "netns/what_slips", "outbound_recount/those_from_before", "pipelining/twenty", "selectors/an", "send/expect",
                   "send/nothing_of", "servers/deferred", "servers/requests_that_wait", "smuggling/a_limited", "takeover/limits_never"]
TIMEOUT_S = 3000
GUESTS = []
HERE = os.path.dirname(os.path.abspath(__file__))
# The clock is the CPU's: others are devices, and each look at them leaves the emulated CPU. The rest is work that
# is not what is tested.
COMMAND_LINE = ("console=ttyS0 quiet panic=-1 oops=panic mitigations=off tsc=reliable clocksource=tsc nokaslr "
                "audit=0 init_on_alloc=0 randomize_kstack_offset=off")


def boot(kernel, archive, log, results):
    """Run the guest to its end; returns how that came, in words."""
    command = ["nice", "-n", "5", "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-smp", "2", "-m", "1536",
               "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none",
               "-serial", f"file:{log}", "-serial", f"file:{results}",
               "-kernel", kernel.image, "-initrd", archive, "-append", COMMAND_LINE]
    guest = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             text=True)
    GUESTS.append(guest)
    try:
        said = guest.communicate(timeout=TIMEOUT_S)[0]
    except subprocess.TimeoutExpired:
        guest.kill()
        guest.communicate()
        return f"killed after {TIMEOUT_S} s"
    return f"qemu ended with status {guest.returncode} {said.strip()}".strip()


def on_signal(number, _):
    for guest in GUESTS:
        guest.kill()
    os._exit(128 + number)


def read(results, ended):
    """[verdict, suite, case, reason] of each line of the guest, and the failure to come to the end."""
    with open(results, encoding="utf-8", errors="replace") as file:
        lines = [line.rstrip("\r\n") for line in file]
    rows = [line.split("\t") for line in lines if line.count("\t") == 3]
    if lines[-1:] != ["end"]:
        last = "/".join(rows[-1][1:3]) if rows else "nothing"
        rows.append(["fail", "boot", "(all)", f"no end of the suites after {last}: {ended}"])
    elif all(row[1] == "boot" or row[1].startswith("prog") for row in rows):
        rows.append(["fail", "boot", "(all)", "no end-to-end case ran"])
    return rows


def prepare(series, build, base):
    """The kernel of @series and the archive for it; or the row that says why not."""
    directory = os.path.join(build, "kernels")
    if platform.machine() != "x86_64":
        return None, ["skip", "boot", "(all)", f"the guests are x86-64, this machine is {platform.machine()}"]
    try:
        kernel = fetch.kernel(series, directory)
    except fetch.Missing as missing:
        return None, ["skip", "boot", "(all)", str(missing)]
    except RuntimeError as error:
        return None, ["fail", "boot", "(all)", " ".join(str(error).split())]
    stage = initramfs.Stage(os.path.join(directory, f"{series}.root"))
    initramfs.modules(stage, kernel)
    with open(stage.path("cases"), "w", encoding="ascii") as file:
        file.write(os.environ.get("CASES") or ",".join(CASES + (CASES_OF_OLDEST if series == SERIES[0] else [])))
    initramfs.build_archive(os.path.join(directory, f"{series}.cpio"), [base, stage])
    return kernel, None


def run(series, build, kernel):
    """The rows of one guest."""
    archive, log, results = (os.path.join(build, "kernels", f"{series}.{end}") for end in ("cpio", "log", "results"))
    open(results, "w", encoding="utf-8").close()
    return read(results, boot(kernel, archive, log, results))


def report(series, rows, file):
    """Write and print the rows of one kernel; returns how many are failures."""
    for verdict, suite, case, reason in rows:
        if verdict == "fail":
            print(f"FAIL kernel-{series}/{suite}/{case}: {reason}")
        file.write(f"{verdict}\tkernel-{series}/{suite}\t{case}\t{reason}\n")
    verdicts = [row[0] for row in rows]
    failed = verdicts.count("fail")
    print(f"{'FAIL' if failed else 'ok'} kernel-{series}: {verdicts.count('pass')} passed, {failed} failed, "
          f"{verdicts.count('skip')} skipped", flush=True)
    return failed


def main():
    build, directory = (os.path.abspath(path) for path in sys.argv[1:])
    os.makedirs(directory, exist_ok=True)
    base = initramfs.Stage(os.path.join(build, "kernels", "root"))
    initramfs.base(base, build, HERE)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    prepared = {series: prepare(series, build, base) for series in SERIES}
    # A guest keeps one CPU busy: its suites do one thing after another.
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        guests = {series: pool.submit(run, series, build, kernel)
                  for series, (kernel, _) in prepared.items() if kernel}
        with open(os.path.join(directory, "test-kernels"), "w", encoding="utf-8") as file:
            failed = sum(report(series, guests[series].result() if series in guests else [prepared[series][1]], file)
                         for series in SERIES)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
