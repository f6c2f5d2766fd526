# SPDX-License-Identifier: Apache-2.0
"""`kmesh-rl completion`: what real shells complete, from the live agent."""

import os
import shutil

from client import equal, expect, expect_ok
from documents import ratelimit
from harness import PORT, Skip, case
from tmux import Terminal

RULES = ["{name: users, limit: 3/day, clientSelectors: [{headers: [{name: x-client, type: Distinct}]}]}",
         "{name: rest, limit: 2/day}"]

# One line as it is being typed, by the function that bash would call for it.
BASH = r"""
set -u
PATH=$1:$PATH
source <(kmesh-rl completion bash)
shift
COMP_LINE="kmesh-rl $*"
COMP_POINT=${#COMP_LINE}
_kmesh_rl
printf '%s\n' "${COMPREPLY[@]}"
"""


def prepare(env):
    env.server()
    env.write("shop.yaml", ratelimit("cart", 8081).replace("namespace: default", "namespace: shop"))
    env.limit(rules=RULES)
    expect_ok(env.connect().ask(b"GET / HTTP/1.1\r\nHost: a\r\nX-Client: ann\r\n\r\n"))
    return f"--bpffs {env.bpffs} --control-socket {env.agents[-1].control}"


def in_bash(env, line):
    result = env.run(["bash", "--norc", "-c", BASH, "bash", env.build, line])
    equal(result.stderr, "", f"what bash says of {line!r}")
    return result.stdout.split()


@case
def bash_completes_commands_flags_and_names(env):
    agent = prepare(env)
    for line, expected in (
            ("des", ["describe"]),
            ("get ratelimit-", ["ratelimit-stats", "ratelimit-buckets", "ratelimit-tokens"]),
            ("get ratelimits --in", ["--interval"]),
            ("get ratelimits --li", []),
            ("get ratelimit-buckets --li", ["--limit"]),
            ("get ratelimits -o y", ["yaml"]),
            ("completion ", ["bash", "zsh", "fish"]),
            ("help res", ["reset"]),
            ("top --sort AV", ["AVAILABLE"]),
            (f"{agent} get ratelimits ", ["limit"]),
            (f"{agent} describe ratelimit -n shop ", ["cart"]),
            (f"{agent} get ratelimit-stats -A ", ["limit", "cart"]),
            (f"{agent} get ratelimit-stats -n s", ["shop"]),
            (f"{agent} reset limit --rule ", ["rest", "users"]),
            (f"{agent} events -A ", ["limit", "cart"]),
            ("events -o w", ["wide"]),
            (f"{agent} reset limit --descriptor ", ["x-client=ann"]),
            (f"{agent} reset limit --descriptor x-client=", ["ann"]),
            (f"{agent} get ratelimits limit ", []),
            ("nonsense ", [])):
        equal(in_bash(env, line), expected, f"completions of {line!r}")
    equal(in_bash(env, f"validate -f {env.config}/l"), [f"{env.config}/limit.yaml"], "files")
    env.agents[-1].kill()
    equal(in_bash(env, f"{agent} reset "), ["limit"], "names without an agent")


def in_a_terminal(env, shell, start):
    """A tab is pressed in an interactive shell, begun with @start."""
    if not shutil.which(shell[0]):
        raise Skip(f"{shell[0]} is not installed")
    agent = prepare(env)
    terminal = Terminal(env, shell, 200, 60, environment=[("PATH", f"{env.build}:{os.environ['PATH']}"), ("PS1", "> ")])
    terminal.keys("-l", start + "; echo rea''dy")
    terminal.keys("Enter")
    terminal.shows("a prompt", lambda lines: any(line.strip() == "ready" for line in lines))
    terminal.keys("-l", f"kmesh-rl {agent} describe ratelimit li")
    terminal.keys("Tab")
    terminal.shows("the name, completed", lambda lines: "describe ratelimit limit" in "".join(lines))
    terminal.keys("Enter")
    terminal.shows("its description", lambda lines: any(line.startswith("Namespace:") and "default" in line for line in lines))
    terminal.close()


@case
def a_tab_in_bash(env):
    in_a_terminal(env, ["bash", "--norc"], "source <(kmesh-rl completion bash)")


@case
def a_tab_in_zsh(env):
    in_a_terminal(env, ["zsh", "-f"], "autoload -Uz compinit && compinit -u -D && source <(kmesh-rl completion zsh)")


@case
def a_tab_in_fish(env):
    in_a_terminal(env, ["fish", "--no-config"], "kmesh-rl completion fish | source")


@case
def a_shell_that_is_not_known(env):
    result = env.tool("completion", "bsh")
    equal((result.returncode, result.stdout), (2, ""), "exit status and standard output")
    expect('did you mean "bash"?' in result.stderr, f"standard error: {result.stderr}")
