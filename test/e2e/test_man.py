# SPDX-License-Identifier: Apache-2.0
"""The man pages: clean, and saying what the help does."""

import os
import re
import shutil

from client import equal, expect
from harness import HERE, Skip, case, case_of_each

TOP = os.path.dirname(os.path.dirname(HERE))
SCRIPT = os.path.join(TOP, "tools", "dev", "man.sh")
PAGES = {"kmesh-rl": ("kmesh-rl", "1"), "kmesh-rl-agent": ("kmesh-rl-agent", "8")}


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"{program} is not installed")
    if not os.path.exists(SCRIPT):
        raise Skip("tools/dev/man.sh is not here")


def printed(env, *args):
    result = env.run(list(args), env=dict(os.environ, LC_ALL="C.UTF-8", MANWIDTH="200"))
    equal((result.returncode, result.stderr), (0, ""), f"exit status and complaints of {args[0]}")
    return result.stdout


def helps(env, name):
    """Every help text of the program."""
    program = os.path.join(env.build, name)
    if name == "kmesh-rl-agent":
        return printed(env, program, "--help")
    overview = printed(env, program, "help")
    return overview + "".join(printed(env, program, "help", command)
                              for command in re.findall(r"^  ([a-z]+) ", overview, re.MULTILINE))


@case_of_each(PAGES)
def man_page_is_clean_and_whole(env, page):
    name, section = page
    need("man", "groff")
    path = os.path.join(env.root, f"{name}.{section}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(printed(env, SCRIPT, os.path.join(env.build, name)))
    printed(env, "groff", "-man", "-Tutf8", "-ww", "-z", path)
    printed(env, "man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", path)
    shown = printed(env, "man", "-E", "ascii", "-l", path)
    text = helps(env, name)
    flags = set(re.findall(r"--[a-z][a-z-]+", text))
    expect(len(flags) > 8, f"flags of the help: {flags}")
    equal(flags - set(re.findall(r"--[a-z][a-z-]+", shown)), set(), "flags that the page does not have")
    for line in re.findall(r"^  .*?--[a-z-]+.*?  +(.*)$", text, re.MULTILINE):
        expect(" ".join(line.split()) in " ".join(shown.split()), f"{line!r} is not in the page")


@case
def make_installs_all(env):
    need("make")
    if env.build != os.path.join(TOP, "build"):
        raise Skip("another build")
    root = os.path.join(env.root, "installed")
    result = env.run(["make", "-C", TOP, "install", f"DESTDIR={root}", "PREFIX=/usr"])
    equal(result.returncode, 0, f"exit status of make ({result.stderr.strip()})")
    equal(sorted(os.path.relpath(os.path.join(path, name), root) for path, _, names in os.walk(root) for name in names),
          ["usr/bin/kmesh-rl", "usr/sbin/kmesh-rl-agent", "usr/share/bash-completion/completions/kmesh-rl",
           "usr/share/fish/vendor_completions.d/kmesh-rl.fish", "usr/share/man/man1/kmesh-rl.1",
           "usr/share/man/man8/kmesh-rl-agent.8", "usr/share/zsh/site-functions/_kmesh-rl"], "files")
