# SPDX-License-Identifier: Apache-2.0
"""Connections that were open before the rule came."""

import os

import bpfmap
import isolation
from client import equal, expect_limited, expect_ok, get, post
from documents import ratelimit
from harness import PORT, case, wait_for

ONE_A_DAY = {"limit": "1/day"}


def limit_now(env, **settings):
    """The rule comes; the agent runs already."""
    env.write("limit.yaml", ratelimit("limit", PORT, **settings))
    wait_for("the rule in force", lambda: env.lists("limit"))


def joined(agent):
    wait_for("open connections taken in", lambda: "open connections taken in" in agent.text())


def rows(env, name):
    return bpfmap.keys(os.path.join(env.bpffs, name))


def enrolled(env):
    return rows(env, "krl_sockets")


def is_limited(conn, text="1 per 1 day"):
    """Of two requests the second is refused, on the same connection."""
    expect_ok(conn.ask(get("/a")), "/a", "the first request under the rule")
    expect_limited(conn.ask(get("/b")), 1, text)


@case
def idle_connections_are_taken_in(env):
    env.server(host="::", dual=True)
    conns = [env.connect(), env.connect(host="::1"), env.connect()]
    for conn in conns:
        for _ in range(3):
            expect_ok(conn.ask(get()), "/")
    agent = env.agent()
    limit_now(env, ip="::", **ONE_A_DAY)
    joined(agent)
    expect_ok(conns[0].ask(get()), "/")
    for conn in conns:
        expect_limited(conn.ask(get()), 1, "1 per 1 day")
    expect_limited(env.connect().ask(get()), 1, "1 per 1 day")


@case
def a_connection_without_a_byte_is_taken_in(env):
    server = env.server()
    conn = env.connect()
    env.accepted(server)
    agent = env.agent()
    limit_now(env, **ONE_A_DAY)
    joined(agent)
    is_limited(conn)


@case
def a_request_that_waits_for_its_answer_gets_it(env):
    server = env.server()
    conn = env.connect()
    conn.send(get("/gated"))
    wait_for("the request at the server", lambda: server.requests())
    agent = env.agent()
    limit_now(env, **ONE_A_DAY)
    joined(agent)
    server.command("release")
    expect_ok(conn.response(), "/gated", "the request from before the rule")
    is_limited(conn)


@case
def a_body_that_was_underway_passes(env):
    body = os.urandom(100000)
    request = post("/up", body)
    server = env.server()
    half = len(request) - 60000
    for conn in (env.connect(), env.connect()):
        conn.send_segment(request[:half])
    wait_for("the halves at the server", lambda: server.bytes() == 2 * half)
    agent = env.agent()
    limit_now(env, limit="4/day")
    joined(agent)
    for conn in env.conns:
        for at in range(half, len(request), 20000):
            conn.send_segment(request[at:at + 20000])
        expect_ok(conn.response(), "/up", "the request from before the rule")
    equal(env.tokens(), 4, "tokens after bodies of requests from before the rule")
    for conn in env.conns:
        for _ in range(2):
            expect_ok(conn.ask(get()), "/")
    for conn in env.conns:
        expect_limited(conn.ask(get()), 4, "4 per 1 day")


@case
def selectors_hold_on_them(env):
    env.server()
    conn = env.connect()
    expect_ok(conn.ask(get()), "/")
    agent = env.agent()
    limit_now(env, rules=["{name: users, limit: 1/day,"
                                 " clientSelectors: [{headers: [{name: x-user, type: Distinct}]}]}"])
    joined(agent)
    for user in ("a", "b"):
        expect_ok(conn.ask(get("/", f"x-user: {user}")), "/")
        equal(conn.ask(get("/", f"x-user: {user}")).status, 429, f"status of a second request of {user}")
    expect_ok(conn.ask(get()), "/")


@case
def they_outlive_the_rule(env):
    env.server()
    conn = env.connect()
    expect_ok(conn.ask(get()), "/")
    agent = env.agent()
    for _ in range(3):
        limit_now(env, **ONE_A_DAY)
        is_limited(conn)
        os.unlink(os.path.join(env.config, "limit.yaml"))
        wait_for("the rule gone", lambda: not env.stats())
        for _ in range(3):
            expect_ok(conn.ask(get()), "/", "a request without a rule")


@case
def one_that_was_refused_before_accept_goes_on_when_the_rule_is_gone(env):
    """The kernel has lost count of what its server read: it stays enrolled, without a rule."""
    server = env.server(hold_accept=True)
    env.limit(**ONE_A_DAY)
    conns = [env.connect() for _ in range(3)]
    for conn in conns:
        conn.send_segment(get())
    server.command("accept")
    equal(sorted(conn.response().status for conn in conns), [200, 429, 429], "statuses")
    os.unlink(os.path.join(env.config, "limit.yaml"))
    wait_for("the rule gone", lambda: not env.stats())
    for conn in conns:
        expect_ok(conn.ask(get()), "/", "a request without a rule")


@case
def they_are_let_go_when_nothing_is_unread(env):
    server = env.server()
    agent = env.limit(**ONE_A_DAY)
    conns = [env.accepted(server) for _ in range(4)]
    for conn in conns:
        conn.ask(get())
    equal(len(enrolled(env)), 4, "connections enrolled")
    for _ in range(2):
        os.unlink(os.path.join(env.config, "limit.yaml"))
        wait_for("all let go", lambda: not enrolled(env))
        for conn in conns:
            expect_ok(conn.ask(get()), "/", "a request without a rule")
        limit_now(env, **ONE_A_DAY)
        wait_for("all taken in again", lambda: len(enrolled(env)) == 4)
        equal([conn.ask(get()).status for conn in conns].count(200), 1, "admitted by the new rule")
    joined(agent)
    env.close_conns()
    wait_for("their rows gone", lambda: not rows(env, "krl_conns") and not rows(env, "krl_loose"))


@case
def what_is_unread_is_not_lost_when_they_are_let_go(env):
    server = env.server()
    env.limit(limit="1000/day")
    conn = env.connect()
    expect_ok(conn.ask(get("/first")), "/first")
    server.command("rest")
    wait_for("the server rests", lambda: server.events("rests"))
    conn.send_segment(get("/unread"))
    os.unlink(os.path.join(env.config, "limit.yaml"))
    wait_for("the rule gone", lambda: not env.stats())
    equal(len(enrolled(env)), 1, "connections enrolled while a request is unread")
    server.command("go-on")
    expect_ok(conn.response(), "/unread", "the request that was unread when the rule went")
    wait_for("it is let go", lambda: not enrolled(env))
    expect_ok(conn.ask(get("/after")), "/after")


@case
def they_are_taken_in_in_every_network_namespace(env):
    servers = [env.server(new_network=True) for _ in range(2)]
    conns = []
    for server in servers:
        with isolation.Inside(server.pid):
            conns.append(env.connect())
        expect_ok(conns[-1].ask(get()), "/")
    agent = env.agent()
    limit_now(env, **ONE_A_DAY)
    joined(agent)
    for conn in conns:
        is_limited(conn)
    own = env.server()
    is_limited(env.connect())
    equal(len(own.requests()), 1, "requests at the server in the agent's own namespace")


@case
def those_outside_the_agents_cgroup_are_not(env):
    env.server()
    conn = env.connect()
    expect_ok(conn.ask(get()), "/")
    env.cgroup = os.path.join(env.cgroup, "inside")
    os.mkdir(env.cgroup)
    try:
        env.limit(**ONE_A_DAY)
        equal(enrolled(env), [], "enrolled sockets")
        for _ in range(3):
            expect_ok(conn.ask(get()), "/")
    finally:
        os.rmdir(env.cgroup)
