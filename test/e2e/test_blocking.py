# SPDX-License-Identifier: Apache-2.0
"""Servers that wait in a blocking recv(): it never says EAGAIN to them while an agent runs, whatever is admitted or
refused, and rules come and go without their noticing."""

import json
import os

from client import equal, expect, expect_limited, expect_ok, get, post
from documents import ratelimit
from harness import PORT, SCALE, Skip, case, wait_for

REQUESTS = int(50000 / SCALE)


def limit_now(env, **settings):
    """The rule comes; the agent runs already."""
    env.write("limit.yaml", ratelimit("limit", PORT, **settings))
    wait_for("the rule in force", lambda: env.lists("limit"))


def driven(env, *flags):
    """What test/bench/blocking.c counts on PORT."""
    program = next((path for path in (os.path.join(env.build, "test/bench/blocking"),
                                      os.path.join(env.build, "../test/bench/blocking")) if os.path.exists(path)), None)
    if not program:
        raise Skip("test/bench/blocking is not built")
    result = env.run([program, "-p", str(PORT), *map(str, flags)])
    equal(result.returncode, 0, f"exit status of {program} ({result.stderr.strip()})")
    return json.loads(result.stdout)


def undisturbed(counts, **wanted):
    """Every request was answered, and no recv() said EAGAIN."""
    for name in ("eagain_between", "eagain_inside", "failed", "ended", "other"):
        equal(counts[name], 0, f"{name} in {counts}")
    for name, count in wanted.items():
        equal(counts[name], count, f"{name} in {counts}")


def ended_well(env, server):
    equal({event["why"] for event in env.settled(server).events("closed")}, {"eof"}, "how connections ended")


@case(alone=True)
def admitted_requests_never_show_eagain(env):
    env.limit(limit="1000000/day")
    undisturbed(driven(env, "-c", 16, "-n", REQUESTS), refused=0)
    undisturbed(driven(env, "-c", 16, "-n", REQUESTS // 10, "-k", 1), refused=0)
    undisturbed(driven(env, "-c", 4, "-n", REQUESTS // 125, "-b", 500000), refused=0)
    undisturbed(driven(env, "-c", 4, "-n", REQUESTS // 125, "-a", 500000), refused=0)


@case(alone=True)
def refused_requests_never_show_eagain(env):
    env.limit(limit="500/day")
    undisturbed(driven(env, "-c", 16, "-n", REQUESTS // 10), admitted=500)
    undisturbed(driven(env, "-c", 16, "-n", REQUESTS // 10, "-k", 1), admitted=0)
    undisturbed(driven(env, "-c", 4, "-n", REQUESTS // 20, "-b", 5000), admitted=0)
    equal(env.reasons()["reader_woken"], 0, "refused requests that may have shown EAGAIN")


@case
def they_are_counted(env):
    """Once each connection, and no server that does not block."""
    blocking, epoll = env.server("blocking"), env.server(port=PORT + 1)
    env.limit(PORT, PORT + 1, limit="6/day")
    many, one = env.connect(), env.connect()
    for number in range(4):
        expect_ok(many.ask(get(f"/{number}")), f"/{number}")
        expect_ok(env.connect(PORT + 1).ask(get(f"/{number}")), f"/{number}")
    equal(env.reasons()["blocking_reader"], 1, "after four requests on one connection")
    expect_ok(one.ask(get("/one")), "/one")
    equal(env.reasons()["blocking_reader"], 1, "after one request on the other, which no second look has confirmed")
    env.settled(blocking)
    env.settled(epoll)
    wait_for("the second is counted at its end", lambda: env.reasons()["blocking_reader"] == 2)


@case
def without_an_agent_eagain_is_counted(env):
    env.server("blocking")
    agent = env.limit(limit="1/day")
    conn = env.connect()
    expect_ok(conn.ask(get("/first")), "/first")
    agent.kill()
    conn.send(get("/over", "X-Padding: " + "a" * 60))
    answer = conn.response_or_eof()
    expect(answer is None or answer.status == 429, f"without an agent, answered {answer!r}")
    equal(env.reasons()["reader_woken"], 1, "refused requests that may have shown EAGAIN")


@case
def a_connection_from_before_the_rule_is_never_stuck(env):
    """Its server waits in the recv() of a socket without rules, and would not see what the verdict lets through: the
    connection is left out, those that are new are limited."""
    server = env.server("blocking")
    conn = env.connect()
    expect_ok(conn.ask(get("/before")), "/before")
    agent = env.agent()
    limit_now(env, limit="1/day")
    for number in range(5):
        expect_ok(conn.ask(get(f"/{number}")), f"/{number}")
    wait_for("the agent says so", lambda: "left out" in agent.text())
    expect_ok(env.connect().ask(get("/new")), "/new")
    expect_limited(env.connect().ask(get("/over")), limit=1, text="1 per 1 day")
    ended_well(env, server)


@case
def a_rule_goes_without_eagain(env):
    server = env.server("blocking")
    env.limit(limit="2/day")
    conn = env.connect()
    expect_ok(conn.ask(get("/under")), "/under")
    os.unlink(os.path.join(env.config, "limit.yaml"))
    wait_for("the rule gone", lambda: not env.stats())
    for number in range(3):
        expect_ok(conn.ask(get(f"/{number}")), f"/{number}")
        expect_ok(conn.ask(post(f"/{number}", b"x" * 5000)), f"/{number}")
    ended_well(env, server)
