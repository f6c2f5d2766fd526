# SPDX-License-Identifier: Apache-2.0
"""The capabilities that the DaemonSet gives its container, read from the manifest, and a process with just those."""

import ctypes
import os
import re

from harness import HERE

MANIFEST = os.path.join(os.path.dirname(os.path.dirname(HERE)), "deploy", "base", "daemonset.yaml")
NUMBERS = {"NET_ADMIN": 12, "SYS_PTRACE": 19, "SYS_ADMIN": 21, "PERFMON": 38, "BPF": 39}  # linux/capability.h
PR_CAPBSET_DROP = 24

_libc = ctypes.CDLL(None, use_errno=True)


def of_the_daemonset():
    """The names in securityContext.capabilities.add, in order."""
    with open(MANIFEST, encoding="utf-8") as manifest:
        return re.search(r"^ *add: \[(.*)\]$", manifest.read(), re.MULTILINE)[1].split(", ")


def mask(names):
    return sum(1 << NUMBERS[name] for name in names)


def keep_only(names):
    """For root between fork and exec: what exec leaves of its capabilities is those that are in the bounding set
    (capabilities(7)), as it is for root in a container."""
    kept = mask(names)
    for number in range(64):
        if not kept >> number & 1:
            _libc.prctl(PR_CAPBSET_DROP, number)


def effective(pid):
    """Of process @pid, as mask()."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"^CapEff:\s*(\w+)$", status.read(), re.MULTILINE)[1], 16)
