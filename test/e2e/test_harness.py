# SPDX-License-Identifier: Apache-2.0
"""The test servers and the client, without a limiter: what the other cases rely on."""

import os

from client import chunk, equal, expect, expect_ok, get, post, post_chunked
from harness import PORT, case
from isolation import Inside

BODY = bytes(range(256)) * 16


def every_form_is_answered(env, server):
    with env.connect() as conn:
        for number in range(3):
            expect_ok(conn.ask(get(f"/{number}")), f"/{number}")
        expect_ok(conn.ask(post("/length", BODY)), "/length")
        equal(conn.ask(get("/head", method="HEAD")).body, b"", "body of an answer to HEAD")
        expect_ok(conn.ask(get("/last", "Connection: close")), "/last")
        conn.expect_eof()
    equal(env.settled(server).requests(),
          [("GET", "/0"), ("GET", "/1"), ("GET", "/2"), ("POST", "/length"), ("HEAD", "/head"),
           ("GET", "/last")], "requests on record")
    equal(server.events("request")[3]["length"], len(BODY), "length of the body on record")


@case
def epoll_server_answers(env):
    server = env.server()
    every_form_is_answered(env, server)


@case
def epoll_server_that_asks_fionread_answers(env):
    server = env.server(fionread=True)
    every_form_is_answered(env, server)
    equal(server.events("fionread"), [], "FIONREAD said 0 with data there")


@case
def blocking_server_answers(env):
    server = env.server("blocking")
    every_form_is_answered(env, server)


@case
def http_server_answers(env):
    server = env.server("http")
    every_form_is_answered(env, server)


@case
def chunked_and_continue_and_pipelining(env):
    server = env.server()
    conn = env.connect()
    expect_ok(conn.ask(post_chunked("/chunked", BODY, 100)), "/chunked")
    conn.send_bytes(post_chunked("/bytes", b"hello", 2))
    expect_ok(conn.response(), "/bytes")
    equal(conn.ask(get("/wait", "Expect: 100-continue", "Content-Length: 5",
                       method="POST")).status, 100, "status before the body")
    expect_ok(conn.ask(b"hello"), "/wait")
    conn.send(b"".join(get(f"/{number}") for number in range(20)))
    for number in range(20):
        expect_ok(conn.response(), f"/{number}")
    equal([event["length"] for event in env.settled(server).events("request")][:3],
          [len(BODY), 5, 5], "lengths of the bodies on record")


@case
def gated_answers_wait(env):
    server = env.server()
    conn = env.connect()
    conn.send_segment(get("/gated/1"))
    conn.send_segment(get("/2"))
    expect(not conn.has_answer(), "an answer before the gate was opened")
    server.command("release")
    expect_ok(conn.response(), "/gated/1")
    expect_ok(conn.response(), "/2")


@case
def accept_waits(env):
    server = env.server(hold_accept=True)
    conn = env.connect()
    conn.send_segment(get("/"))
    expect(not server.events("accept"), "accepted before it was told to")
    server.command("accept")
    expect_ok(conn.response(), "/")


@case
def upgrade_echoes_and_other_paths_ignore_it(env):
    env.server()
    conn = env.connect()
    fields = ["Connection: Upgrade", "Upgrade: websocket"]
    expect_ok(conn.ask(get("/ignores", *fields)), "/ignores")
    equal(conn.ask(get("/ws", *fields)).status, 101, "status of the upgrade")
    conn.send(b"\x81\x85\0\0\0\0hello")
    equal(conn.read(11), b"\x81\x85\0\0\0\0hello", "echo")


@case
def strict_server_refuses(env):
    server = env.server(raw=True)
    for request in (get("/", "Content-Length: 1", "Content-Length: 1"), b"GET /\r\n\r\n",
                    get("/", "X : y"), get("/", "Transfer-Encoding: xchunked"),
                    get("/", "Transfer-Encoding: chunked") + b"0x5\r\nhello\r\n" + chunk(b"", 1)):
        with env.connect() as conn:
            equal(conn.ask(request).status, 400, f"status of {request!r}")
            conn.expect_eof()
    env.settled(server)
    equal(server.requests(), [], "requests on record")
    expect("xchunked" in server.raw(), "the raw record lacks what was sent")


@case
def two_networks_share_a_port_number(env):
    env.server()
    other = env.server(new_network=True)
    with Inside(other.pid):
        conn = env.connect()
    expect_ok(conn.ask(get("/other")), "/other")
    expect_ok(env.connect(PORT).ask(get("/own")), "/own")
    equal(env.settled(other).requests(), [("GET", "/other")], "requests in the other network")
    expect(os.path.isdir(env.cgroup), "no cgroup")


@case
def no_process_of_another_case_is_seen(env):
    """The agent would take in connections of other cases: it finds network namespaces by processes."""
    server = env.server()
    seen = {int(name) for name in os.listdir("/proc") if name.isdigit()}
    equal(seen, {os.getpid(), server.pid}, "processes in /proc")
