# SPDX-License-Identifier: Apache-2.0
"""A Python program of the suite as a process, without a start of the interpreter: where the CPU is emulated,
that costs as much as a case."""

import gc
import importlib
import os
import select
import signal
import subprocess
import sys
import traceback


class Program:
    """A fork that runs main() of a module with arguments of its own; used as a subprocess.Popen with pipes
    for standard input and output."""

    def __init__(self, module, args):
        main = importlib.import_module(module).main
        reading, stdin = os.pipe()
        stdout, writing = os.pipe()
        self.returncode = None
        self.pid = os.fork()
        if not self.pid:
            _become(main, [module, *args], reading, writing)
        os.close(reading)
        os.close(writing)
        self.stdin, self.stdout = open(stdin, "wb"), open(stdout, "rb")

    def poll(self):
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout):
        if self.poll() is None:
            end = os.pidfd_open(self.pid)
            select.select([end], [], [], timeout)
            os.close(end)
            if self.poll() is None:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return self.returncode

    def terminate(self):
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)

    def kill(self):
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _become(main, argv, stdin, stdout):
    """In the fork: the program, which has nothing of the process that it was; never returns."""
    status = 1
    try:
        # What is collected later would close files of the program.
        gc.freeze()
        os.dup2(stdin, 0)
        os.dup2(stdout, 1)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)
        sys.argv = argv
        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else bool(end.code)
    except BaseException:
        traceback.print_exc()
    os._exit(status)
