# SPDX-License-Identifier: Apache-2.0
"""`kmesh-rl top` and tables in a real terminal."""

import os

from client import equal, expect
from documents import ratelimit
from harness import PORT, admitted, case, case_of_each, wait_for
from tmux import Terminal

OTHERS = [f"rule-{number:02}" for number in range(40)]


def tool(env, *args):
    return [os.path.join(env.build, "kmesh-rl"), "--bpffs", env.bpffs, "--control-socket", env.agents[-1].control, *args]


def many(env):
    """A rule that is asked, and 40 that are not."""
    env.server()
    env.write("others.yaml", ratelimit("others", 8081, rules=[f"{{name: {name}, limit: {number + 1}/hour}}"
                                                              for number, name in enumerate(OTHERS)]))
    env.limit(limit="1000/day")


def row(lines, name="limit"):
    return next((line.split() for line in lines if line.split()[:1] == [name]), [])


@case_of_each({"80 columns": (80, ["NAME", "RULE", "LIMIT", "AVAILABLE", "REQ/S", "LIMITED/Sv", "TOTAL", "LIMITED"]),
               "200 columns": (200, ["NAME", "NAMESPACE", "SERVICE", "RULE", "LIMIT", "AVAILABLE", "REQ/S", "LIMITED/Sv",
                                     "REJECTED", "TOTAL", "LIMITED", "SHADOWED", "BUCKETS"])})
def top_fills_a_terminal_of(env, shape):
    width, titles = shape
    many(env)
    terminal = Terminal(env, tool(env, "top", "--interval", "0.2"), width)
    lines = terminal.shows("the keys", lambda lines: lines[23].startswith("q quit"))
    expect(all(len(line) <= width for line in lines), "no line is longer than the terminal")
    expect(lines[0].startswith("kmesh-rl ") and "41 rules" in lines[0], f"about all: {lines[0]}")
    shown = lines[1].split()
    equal([title for title in shown if title in titles], titles, "titles")
    expect("others" in lines[3] and "others" in lines[22], "the rows fill the terminal")
    admitted(env, 5)
    terminal.shows("requests in its total", lambda lines: "995" in row(lines))
    terminal.keys("q")
    equal(terminal.ended(), 0, "exit status")
    terminal.close()


@case
def top_sorts_by_any_column(env):
    many(env)
    terminal = Terminal(env, tool(env, "top", "--interval", "0.2", "--sort", "available"), 200)
    terminal.shows("the fullest bucket first", lambda lines: lines[2].split()[:1] == ["limit"])
    terminal.keys("r")
    terminal.shows("the emptiest first", lambda lines: "rule-00" in lines[2] and "AVAILABLE^" in lines[1])
    terminal.keys("Left", "Left")
    terminal.shows("sorted by rule, from Z", lambda lines: "rule-39" in lines[2] and "RULEv" in lines[1])
    terminal.keys("r")
    terminal.shows("from A", lambda lines: "RULE^" in lines[1] and "all" in lines[2])
    for _ in range(13):
        terminal.keys(">")
    terminal.shows("round to where it was", lambda lines: "RULE^" in lines[1])
    terminal.close()
    equal(env.tool("top", "--sort", "availabel").returncode, 2, "exit status of a column that is not there")


@case
def top_scrolls_and_follows_the_size(env):
    many(env)
    terminal = Terminal(env, tool(env, "top", "--interval", "0.2", "--sort", "rule"), 80)
    terminal.shows("the first row", lambda lines: "all" in lines[2])
    terminal.keys("Down", "Down")
    terminal.shows("two rows on", lambda lines: "rule-01" in lines[2])
    terminal.keys("End")
    terminal.shows("the last row", lambda lines: "rule-39" in lines[22])
    terminal.keys("PgUp")
    terminal.shows("a page before", lambda lines: "rule-19" in lines[22])
    terminal.resize(60, 12)
    lines = terminal.shows("the keys in the last line", lambda lines: lines[11].startswith("q quit"))
    expect(all(len(line) <= 60 for line in lines), "no line is longer than the terminal")
    terminal.resize(200, 50)
    terminal.shows("more columns and all rows", lambda lines: "BUCKETS" in lines[1] and "rule-39" in lines[42])
    terminal.close()


@case
def top_goes_on_without_an_agent(env):
    many(env)
    terminal = Terminal(env, tool(env, "top", "--interval", "0.2"), 200)
    terminal.shows("rules", lambda lines: "41 rules" in lines[0])
    env.agents[-1].kill()
    terminal.shows("that no agent runs", lambda lines: "agent not running" in lines[0])
    terminal.keys("C-c")
    equal(terminal.ended(), 0, "exit status")
    terminal.close()


@case
def top_needs_a_terminal(env):
    env.limit()
    result = env.tool("top")
    equal((result.returncode, result.stdout), (1, ""), "exit status and standard output")
    expect("needs a terminal" in result.stderr, f"standard error: {result.stderr}")


@case
def colours_are_for_terminals(env):
    env.server()
    env.limit()
    for variables, coloured in (((), True), ([("NO_COLOR", "1")], False)):
        terminal = Terminal(env, tool(env, "get", "ratelimits", "-A"), 100, environment=variables)
        lines = terminal.shows("the table", lambda lines: any("True" in line for line in lines), colours=True)
        equal(any("\x1b[" in line and "True" in line for line in lines), coloured, f"colours with {variables}")
        terminal.close()
    expect("\x1b" not in env.tool("get", "ratelimits", "-A").stdout, "no colours in a pipe")


@case
def a_watched_table_stays_in_its_place(env):
    env.server()
    env.limit()
    terminal = Terminal(env, tool(env, "get", "ratelimit-stats", "-w", "--interval", "0.2"), 120)
    terminal.shows("the table", lambda lines: row(lines)[-2:] == ["0", "0"])
    admitted(env, 3)
    lines = terminal.shows("what is new", lambda lines: row(lines)[-2:] == ["3", "0"])
    equal([line.split()[0] for line in lines if line], ["NAME", "limit"], "lines")
    terminal.close()
