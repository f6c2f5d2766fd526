# SPDX-License-Identifier: Apache-2.0
"""A kernel that refuses, for agents of the cases: see test/fake/refuse.c."""

import errno
import os
import shutil
import subprocess

from harness import Skip

SOURCE = os.path.join(os.path.dirname(__file__), os.pardir, "fake", "refuse.c")


class Refusals:
    """What the kernel refuses agents of @env from now on, nothing at first."""

    def __init__(self, env):
        if not shutil.which("cc"):
            raise Skip("there is no cc")
        self.path = os.path.join(env.root, "refused")
        library = os.path.join(env.root, "refuse.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", library, SOURCE, "-ldl"], check=True)
        fields = {"LD_PRELOAD": library, "KRL_REFUSE": self.path, "ASAN_OPTIONS": "verify_asan_link_order=0"}
        env.before_agent = lambda: os.environ.update(fields)

    def refuse(self, what, how):
        with open(self.path + ".new", "w", encoding="ascii") as file:
            file.write(f"{what} {getattr(errno, how)}\n")
        os.rename(self.path + ".new", self.path)

    def end(self):
        os.unlink(self.path)
