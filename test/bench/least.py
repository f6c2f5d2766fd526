# SPDX-License-Identifier: Apache-2.0
"""The programs of least.bpf.c, on connections of the processes in a cgroup, for as long as the block lasts."""

import contextlib
import os
import shutil
import subprocess

PASS, TELL, REFUSE = 18470, 18471, 18472


def _bpftool(*argv):
    path = shutil.which("bpftool") or "/usr/sbin/bpftool"
    subprocess.run([path, *argv], check=True, capture_output=True)


@contextlib.contextmanager
def attached(build, bpffs, cgroup):
    """Pinned below @bpffs; gone with the block's end, as the cgroup's owner takes that away."""
    programs, maps = os.path.join(bpffs, "programs"), os.path.join(bpffs, "maps")
    os.mkdir(bpffs)
    try:
        _bpftool("prog", "loadall", f"{build}/test/bench/least.bpf.o", programs, "pinmaps", maps)
        for program, sockets in (("least_pass", "passed"), ("least_tell", "told"), ("least_refuse", "refused")):
            _bpftool("prog", "attach", "pinned", f"{programs}/{program}", "msg_verdict", "pinned", f"{maps}/{sockets}")
        _bpftool("cgroup", "attach", cgroup, "sock_ops", "pinned", f"{programs}/least_enrol", "multi")
        yield
    finally:
        shutil.rmtree(bpffs)
