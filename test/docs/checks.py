# SPDX-License-Identifier: Apache-2.0
"""What a check works with. A check is a generator marked with @check that gets a Tree, and yields each breach as
"file:line: what"."""

import functools
import os
import re
import subprocess

from pages import all_pages

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


class Tree:
    """The sources, the documents and what was built of them."""

    def __init__(self, top, build):
        self.top = os.path.abspath(top)
        self.build = os.path.abspath(build)
        self.pages = all_pages(self.top)

    def read(self, path):
        with open(os.path.join(self.top, path), encoding="utf-8") as file:
            return file.read()

    def program(self, name):
        return os.path.join(self.build, name)

    @functools.lru_cache(maxsize=None)
    def printed(self, name, *args):
        return subprocess.run([self.program(name), *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, check=True).stdout

    def strings(self, path, pattern):
        """What the group of @pattern is in a file, each time."""
        return set(re.findall(pattern, self.read(path), re.MULTILINE))


def differ(told, known, where, source):
    """The breaches of two that should be the same: @told is what the documents say, name -> where; @known is what there
    is, @where it should be told."""
    if not told or not known:
        yield f"{where}: nothing to compare with {source}"
    for name in sorted(set(told) - set(known)):
        yield f"{told[name]}: {name} is not in {source}"
    for name in sorted(set(known) - set(told)):
        yield f"{where}: {name} of {source} is not told"
