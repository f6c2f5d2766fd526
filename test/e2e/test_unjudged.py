# SPDX-License-Identifier: Apache-2.0
"""What cannot be judged, of connections and of what goes out: failurePolicy decides, and it is counted."""

import os
import socket

import bpfmap
from client import equal, expect, expect_ok, get
from harness import DEADLINE_S, PORT, Skip, case, wait_for
from http2 import PREFACE, SETTINGS, frame
from incoming import guarded, limit, opened, reached
from test_send import OUT

CLOSED = ("failurePolicy: Closed",)
IPPROTO_MPTCP = 262


def without_room(env):
    """As if four others were being judged on each CPU."""
    bpfmap.set_first_words(os.path.join(env.bpffs, "krl_incomings"), 1)


@case
def a_connection_that_finds_no_room_to_be_judged_passes(env):
    server = env.server()
    limit(env, rules=["{name: all, count: Connections, limit: 1/day}"])
    guarded(env)
    without_room(env)
    equal(opened(env, 3), 3, "connections let in")
    equal(env.reasons()["not_judged"], 3, "connections not judged")
    reached(server, 3)


@case
def with_failure_policy_closed_it_is_refused(env):
    server = env.server()
    limit(env, spec=CLOSED)
    guarded(env)
    equal(opened(env, 1), 1, "connections let in before")
    without_room(env)
    equal(opened(env, 3), 0, "connections let in")
    equal(env.reasons()["not_judged"], 3, "connections not judged")
    equal(env.item()["rateLimitedRequests"], 0, "connections limited")
    reached(server, 1)


H2C = get("/h2c", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")


@case
def http2_that_goes_out_after_an_upgrade(env):
    server = env.server(raw=True)
    env.limit(spec=OUT)
    conn = env.connect()
    expect_ok(conn.ask(H2C))
    conn.send(PREFACE + frame(SETTINGS))
    wait_for("the preface at the server", lambda: "PRI * HTTP/2.0" in server.raw())
    equal((env.reasons()["http2"], env.reasons()["upgraded"]), (1, 0), "counted as HTTP/2, and as upgraded")


@case
def with_failure_policy_closed_it_is_refused_as_well(env):
    server = env.server(raw=True)
    env.limit(spec=OUT + CLOSED)
    conn = env.connect()
    expect_ok(conn.ask(H2C))
    conn.send(PREFACE + frame(SETTINGS))
    answer = conn.response()
    equal((answer.status, answer.closes(), answer.from_server()), (400, True, False), "the answer")
    equal(env.reasons()["http2"], 1, "counted as HTTP/2")
    equal(env.settled(server).requests(), [("GET", "/h2c")], "requests that reached the server")
    equal("PRI" in server.raw(), False, "whether the preface did")


def multipath_is_there():
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP).close()
    except OSError as error:
        raise Skip(f"no MPTCP: {error.strerror}") from error


def multipath(env):
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP)
    env.conns.append(sock)
    sock.settimeout(DEADLINE_S)
    sock.connect(("127.0.0.1", PORT))
    return sock


def statuses(sock, count):
    found = []
    for _ in range(count):
        sock.sendall(get())
        found.append(sock.recv(65536)[9:12])
    return found


@case
def clients_of_a_server_with_multipath_tcp_are_limited(env):
    """Go's servers listen so; few clients speak it."""
    multipath_is_there()
    server = env.server(multipath=True)
    env.limit(limit="2/day")
    conn = env.connect()
    equal([conn.ask(get()).status for _ in range(4)], [200, 200, 429, 429], "statuses")
    equal(len(env.settled(server).requests()), 2, "requests that reached the server")


@case
def multipath_tcp_is_counted(env):
    multipath_is_there()
    env.server(multipath=True)
    env.limit(limit="2/day")
    equal(statuses(multipath(env), 4), [b"200"] * 4, "statuses of what cannot be judged")
    equal(env.reasons()["not_enrolled"], 1, "connections not enrolled")


@case
def multipath_tcp_that_goes_out_is_counted(env):
    multipath_is_there()
    env.server()
    env.limit(limit="2/day", spec=OUT)
    equal(statuses(multipath(env), 4), [b"200"] * 4, "statuses of what cannot be judged")
    equal(env.reasons()["not_enrolled"], 1, "connections not enrolled")


@case
def with_failure_policy_closed_no_multipath_tcp_goes_out(env):
    multipath_is_there()
    server = env.server()
    env.limit(spec=OUT + CLOSED)
    for _ in range(2):
        try:
            multipath(env)
            expect(False, "it was not refused")
        except ConnectionRefusedError:
            pass
    expect_ok(env.connect().ask(get()))
    equal(env.reasons()["not_enrolled"], 2, "connections not enrolled")
    equal(len(env.settled(server).events("accept")), 1, "connections at the server")
