# SPDX-License-Identifier: Apache-2.0
"""Requests that were written before the connection was there, which cannot be judged; and heads that were held back
when there is no room for them any more."""

import socket

import isolation
from client import Conn, equal, expect_limited, expect_ok, get, post
from harness import DEADLINE_S, PORT, case, wait_for
from test_send import OUT

CLOSED = (*OUT, "failurePolicy: Closed")


class Early(Conn):
    """A connection whose first bytes are @data, sent with the SYN or as soon as it is answered."""

    def __init__(self, data):
        self.sock = socket.socket()
        self.deadline_s = DEADLINE_S
        self.buffer = bytearray()
        # Who does not wait for the connection is told EINPROGRESS, and has not written anything.
        self.sock.sendto(data, socket.MSG_FASTOPEN, ("127.0.0.1", PORT))
        self.sock.settimeout(DEADLINE_S)


def early(env, data):
    conn = Early(data)
    env.conns.append(conn)
    return conn


def fast_open_without_cookies():
    with open("/proc/sys/net/ipv4/tcp_fastopen", "w", encoding="ascii") as setting:
        setting.write(str(0x1 | 0x2 | 0x4 | 0x200 | 0x400))


def syn_data_acked(conn):
    """Did the server take what was in the SYN (struct tcp_info, tcpi_options: TCPI_OPT_SYN_DATA)?"""
    return conn.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)[5] & 32


def is_counted(env, in_syn):
    server = env.server()
    env.limit(spec=OUT, limit="1/day")
    conn = early(env, get("/early"))
    equal(bool(syn_data_acked(conn)), in_syn, "whether it was in the SYN")
    expect_ok(conn.response(), "/early")
    equal(env.item()["totalRequests"], 0, "requests counted")
    expect_ok(conn.ask(get("/next")), "/next")
    expect_limited(conn.ask(get("/over")), 1, "1 per 1 day")
    equal((env.reasons()["unseen"], env.reasons()["stream_gap"]), (1, 0), "unseen, and gaps")
    once = early(env, get("/once", "Connection: close"))
    expect_ok(once.response(), "/once")
    once.close()
    wait_for("the second is counted", lambda: env.reasons()["unseen"] == 2)
    equal(len(env.settled(server).requests()), 3, "requests that reached the server")


def is_refused_later(env):
    """What is written next, once the first was answered."""
    server = env.server()
    env.limit(spec=CLOSED)
    conn = early(env, get("/early"))
    expect_ok(conn.response(), "/early")
    conn.send(get("/next"))
    answer = conn.response()
    equal((answer.status, answer.closes(), answer.from_server()), (400, True, False), "the answer to the next")
    equal(env.reasons()["unseen"], 1, "unseen")
    equal(env.settled(server).requests(), [("GET", "/early")], "requests that reached the server")


@case
def what_waited_for_the_connection_is_counted(env):
    is_counted(env, False)


@case
def what_was_in_the_syn_is_counted(env):
    fast_open_without_cookies()
    is_counted(env, True)


@case
def with_failure_policy_closed_the_next_is_refused(env):
    is_refused_later(env)


@case
def with_failure_policy_closed_after_a_syn_with_data_too(env):
    fast_open_without_cookies()
    is_refused_later(env)


@case
def a_body_that_began_before_the_connection_passes(env):
    """Its rest looks like requests; what comes after the answer is judged."""
    server = env.server()
    env.limit(spec=OUT, limit="1/day")
    request = post("/early", get("/inside") * 100)
    conn = early(env, request[:200])
    conn.send(request[200:1000])
    conn.send(request[1000:])
    expect_ok(conn.response(), "/early")
    expect_ok(conn.ask(get("/next")), "/next")
    expect_limited(conn.ask(get("/over")), 1, "1 per 1 day")
    equal(env.settled(server).requests(), [("POST", "/early"), ("GET", "/next")], "requests that reached the server")


LINES = [f"X-{number}: {'a' * 80}" for number in range(100)]


def with_less_room(env, limit, room):
    """The first part of a head is held back, then the send buffer is made smaller than that. The second part begins
    inside the name of a field."""
    isolation.loopback_mtu(1500)
    server = env.server()
    env.limit(spec=OUT, limit=limit)
    conn = env.connect()
    head = get("/long", *LINES, "Content-Length: 5", method="POST")
    at = head.index(b"Content-") + 3
    expect_ok(conn.ask(get("/first")), "/first")
    conn.send(head[:at])
    conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)
    conn.send(head[at:])
    conn.send(b"12345")
    return server, conn


@case
def a_head_that_was_held_back_goes_out_with_less_room(env):
    server, conn = with_less_room(env, "3/day", 10000)
    expect_ok(conn.response(), "/long")
    expect_ok(conn.ask(get("/last")), "/last")
    expect_limited(conn.ask(get("/over")), 3, "3 per 1 day")
    equal((env.reasons()["bad_request"], env.reasons()["stream_gap"]), (0, 0), "malformed requests, and gaps")
    equal(env.settled(server).requests(), [("GET", "/first"), ("POST", "/long"), ("GET", "/last")],
          "requests that reached the server")


@case
def one_that_is_refused_with_less_room_ends_the_connection(env):
    """The server has its beginning, so nothing may follow that."""
    server, conn = with_less_room(env, "1/day", 10000)
    answer = conn.response()
    equal((answer.status, answer.closes()), (429, True), "the answer")
    equal(env.settled(server).requests(), [("GET", "/first")], "requests that reached the server")


@case
def one_that_finds_no_room_at_all_ends_the_connection(env):
    server, conn = with_less_room(env, "3/day", 1)
    answer = conn.response()
    equal((answer.status, answer.closes(), answer.from_server()), (400, True, False), "the answer")
    equal(env.reasons()["stream_gap"], 1, "gaps")
    equal(env.settled(server).requests(), [("GET", "/first")], "requests that reached the server")
