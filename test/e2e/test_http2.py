# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 in cleartext: streams are requests, and a connection over its limit is told so by GOAWAY."""

import re
import struct

from client import equal, expect, expect_limited, expect_ok, get
from harness import PORT, case, wait_for
from http2 import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, SETTINGS,
                   WINDOW_UPDATE, Client, frame, head, request)


def serve(env, limit="10/day", kind="strict", **settings):
    server = env.server(kind, program="http2_server")
    env.limit(limit=limit, **settings)
    return server


def client(env, **options):
    return Client(env.connect(), **options)


def streams(server):
    """The streams of all requests that reached the server."""
    return [event["stream"] for event in server.events("request")]


def unharmed(env, server, wanted):
    """The requests @wanted reached the server, which saw no error of the protocol."""
    env.settled(server)
    equal(streams(server), wanted, "streams that reached the server")
    equal(server.events("bad"), [], "what the server took for an error")


def refused_with_400(conn, what):
    """The connection ends with the kernel's 400, behind what the server may have said first."""
    said = b""
    while data := conn.sock.recv(65536):
        said += data
    said = said.removeprefix(frame(SETTINGS)).removeprefix(frame(SETTINGS, ACK))
    expect(said.startswith(b"HTTP/1.1 400 Bad Request"), f"expected 400 after {what}, found {said!r}")


def one_is_let_in(conn):
    conn.ask(1)
    conn.send(request(3))
    conn.refused(1)


@case
def the_eleventh_stream_gets_goaway(env):
    server = serve(env)
    conn = client(env)
    for stream in range(1, 21, 2):
        conn.ask(stream)
    conn.send(request(21))
    conn.refused(19)
    item = env.item()
    equal((item["totalRequests"], item["rateLimitedRequests"]), (11, 1), "requests and those limited")
    equal(env.reasons()["http2_goaway"], 1, "connections that were told")
    unharmed(env, server, list(range(1, 21, 2)))


@case
def streams_of_one_segment_are_judged_one_by_one(env):
    server = serve(env)
    conn = client(env)
    conn.send(b"".join(request(stream) for stream in range(1, 27, 2)))
    conn.refused(19)
    conn.read_until(lambda client: len(client.ended) == 10)
    equal(env.item()["rateLimitedRequests"], 3, "requests limited")
    unharmed(env, server, list(range(1, 21, 2)))


@case
def a_stream_that_was_admitted_finishes(env):
    server = serve(env, "2/day")
    conn = client(env)
    conn.send(request(1, "/gated") + request(3, "/upload", END_HEADERS, "POST") + frame(DATA, 0, 3, b"a" * 1000))
    wait_for("both reach the server", lambda: len(streams(server)) == 2)
    conn.send(request(5) + frame(DATA, 0, 3, b"b" * 1000))
    conn.send(frame(PING, 0, 0, b"12345678"))
    conn.refused(3)
    conn.send(frame(DATA, END_STREAM, 3, b"c" * 1000))
    conn.read_until(lambda client: 3 in client.ended)
    server.command("release")
    conn.read_until(lambda client: 1 in client.ended)
    equal([event["bytes"] for event in server.events("answered")], [3000, 0], "bytes of the bodies")
    unharmed(env, server, [1, 3])


@case
def every_cut_is_judged_alike(env):
    """The preface, the frames around the limit, and their bodies, in two segments cut anywhere, and byte by byte."""
    server = serve(env, "1000000/day")
    hello = PREFACE + frame(SETTINGS)
    stream = hello + request(1) + frame(HEADERS, END_STREAM, 3, head()) + frame(CONTINUATION, END_HEADERS, 3) + \
        request(5, "/upload", END_HEADERS, "POST") + frame(DATA, END_STREAM, 5, b"body") + frame(PING, 0, 0, b"12345678")
    cuts = [[stream[:cut], stream[cut:]] for cut in range(1, len(stream), 3)]
    cuts.append([stream[at:at + 1] for at in range(len(stream))])
    for pieces in cuts:
        conn = Client(env.accepted(server), settings=False)
        for piece in pieces:
            conn.send(piece)
        conn.read_until(lambda client: len(client.ended) == 3)
        conn.conn.close()
    equal(env.item()["totalRequests"], 3 * len(cuts), "requests counted")
    equal(env.reasons().get("bad_request", 0), 0, "malformed requests")
    unharmed(env, server, [1, 3, 5] * len(cuts))


@case
def no_cut_is_a_way_round(env):
    server = serve(env, "2/day")
    conn = Client(env.accepted(server))
    conn.ask(1)
    conn.ask(3)
    refused = request(5) + request(7, flags=END_STREAM) + frame(CONTINUATION, END_HEADERS, 7) + request(9)
    for at in range(len(refused)):
        conn.send(refused[at:at + 1])
    conn.refused(3)
    conn.send(frame(PING, 0, 0, b"12345678"))
    conn.read_until(lambda client: PING in client.kinds)
    equal(env.item()["rateLimitedRequests"], 3, "requests limited")
    unharmed(env, server, [1, 3])


@case
def a_refused_body_is_hidden_and_its_window_given_back(env):
    server = serve(env, "1/day")
    conn = client(env)
    conn.send(request(1, "/upload", END_HEADERS, "POST"))
    wait_for("it reaches the server", lambda: streams(server) == [1])
    conn.send(request(3, "/upload", END_HEADERS, "POST") + frame(DATA, 0, 3, b"r" * 30000) +
              frame(WINDOW_UPDATE, 0, 3, struct.pack("!I", 1)) + frame(DATA, 0, 1, b"a" * 1000))
    conn.send(frame(DATA, END_STREAM, 3, b"r" * 5000))
    conn.read_until(lambda client: client.window == 35000)
    conn.refused(1)
    conn.send(frame(DATA, END_STREAM, 1, b"a" * 1000))
    conn.read_until(lambda client: 1 in client.ended)
    equal([event["bytes"] for event in server.events("answered")], [2000], "bytes of the body")
    unharmed(env, server, [1])


@case
def trailers_are_no_request(env):
    server = serve(env, "2/day")
    conn = client(env)
    for stream in (1, 3):
        conn.send(request(stream, "/upload", END_HEADERS, "POST"))
    conn.send(frame(DATA, 0, 1, b"body") + frame(HEADERS, END_STREAM | END_HEADERS, 1, b"\x0f\x2f\x01x\x01y"))
    conn.read_until(lambda client: 1 in client.ended)
    equal(env.tokens(), 0, "tokens")
    conn.send(request(5))
    conn.refused(3)
    conn.send(frame(DATA, 0, 3, b"body!") + frame(HEADERS, END_STREAM | END_HEADERS, 3, b"\x0f\x2f\x01x\x01y"))
    conn.read_until(lambda client: 3 in client.ended)
    equal([event["bytes"] for event in server.events("answered")], [4, 5], "bytes of the bodies")
    equal([event["stream"] for event in server.events("trailers")], [1], "trailers that reached the server")
    unharmed(env, server, [1, 3])


@case
def no_number_of_a_stream_is_a_way_round(env):
    """Of one that is used again, even, or 0, this server makes a request."""
    server = serve(env, "4/day", "careless")
    conn = client(env)
    conn.ask(5)
    conn.send(request(5) + request(4) + request(1) + request(3) + request(5) + request(0) + request(2))
    conn.refused(5)
    equal(env.item()["rateLimitedRequests"], 4, "requests limited")
    equal(streams(env.settled(server)), [5, 5, 4, 1], "streams that reached the server")


@case
def goaway_stands_between_frames_of_an_answer(env):
    """While 4 MB are on their way, of which the client has read little."""
    server = serve(env, "1/day")
    conn = client(env)
    conn.send(request(1, "/large"))
    conn.read_until(lambda client: client.bodies.get(1, 0) > 100000)
    conn.send(request(3))
    conn.refused(1)
    conn.read_until(lambda client: 1 in client.ended)
    equal(conn.bodies[1], 256 * 16384 + 1, "bytes of the answer")
    unharmed(env, server, [1])


@case
def goaway_stands_behind_the_rest_of_a_frame(env):
    server = serve(env, "1/day")
    conn = client(env)
    conn.send(request(1, "/half"))
    conn.read_until(lambda client: len(client.frames.buffer) == 20)
    conn.send(request(3))
    wait_for("it is refused", lambda: env.item()["rateLimitedRequests"] == 1)
    server.command("release")
    conn.refused(1)
    conn.read_until(lambda client: 1 in client.ended)
    equal(conn.kinds[-2:], [GOAWAY, DATA], "the last frames")
    unharmed(env, server, [1])


@case
def goaway_comes_while_the_server_says_nothing(env):
    server = serve(env, "1/day")
    conn = client(env)
    conn.send(request(1, "/gated"))
    wait_for("it reaches the server", lambda: streams(server) == [1])
    conn.send(request(3))
    conn.refused(1)
    server.command("release")
    conn.read_until(lambda client: 1 in client.ended)
    unharmed(env, server, [1])


@case
def a_connection_may_begin_over_its_limit(env):
    server = serve(env, "1/day")
    client(env).ask(1)
    for _ in range(3):
        conn = client(env)
        conn.send(request(1))
        conn.refused(0)
    unharmed(env, server, [1])


@case
def sources_are_told_apart(env):
    server = serve(env, rules=["{limit: 2/day, clientSelectors: [{sourceCIDR: {type: Distinct}}]}"])
    for source in ("127.0.0.1", "127.0.0.2"):
        conn = Client(env.connect(source=source))
        conn.ask(1)
        conn.ask(3)
        conn.send(request(5))
        conn.refused(3)
    equal(env.reasons().get("http2_unseen", 0), 0, "requests that a rule did not apply to")
    unharmed(env, server, [1, 3] * 2)


def passed_by(env, *rules):
    """The RateLimit says that @rules were; no others."""
    said = env.tool("describe", "ratelimit", "limit").stdout
    listed = ", ".join(f"rule {rule} at 127.0.0.1:{PORT}" for rule in rules)
    expect(re.search(rf"PartiallyApplied +True +HTTP2NotMatched +requests over HTTP/2, .* are not matched by {listed}\n", said),
           f"describe says so: {said}")


HEAD_RULES = [
    "{name: header, limit: 1/day, clientSelectors: [{headers: [{name: x-user, invert: true, value: a}]}]}",
    "{name: path, limit: 1/day, clientSelectors: [{path: {value: /}}]}",
    "{name: rest, limit: 3/day}",
]


@case
def rules_on_the_head_do_not_apply(env):
    server = serve(env, rules=HEAD_RULES)
    conn = client(env)
    for stream in (1, 3, 5):
        conn.ask(stream)
    conn.send(request(7))
    conn.refused(5)
    equal(env.reasons()["http2_unseen"], 4, "requests that a rule did not apply to")
    equal([env.item(rule=rule)["totalRequests"] for rule in ("header", "path", "rest")], [0, 0, 4], "requests counted")
    unharmed(env, server, [1, 3, 5])
    said = env.tool("diagnose", "rate-limit").stdout
    expect("http2_unseen 4: " in said and f", at 127.0.0.1:{PORT} (default/limit); see" in said, f"diagnose says so: {said}")
    passed_by(env, "header", "path")


@case
def rules_that_count_tokens_do_not_apply(env):
    """They are for POST, and methods are in the head."""
    server = serve(env, rules=["{name: tokens, count: LLMTokens, limit: 1/day}", "{name: requests, limit: 2/day}"])
    conn = client(env)
    for stream in (1, 3):
        conn.send(request(stream, method="POST"))
        conn.read_until(lambda client, stream=stream: stream in client.ended)
    conn.send(request(5, method="POST"))
    conn.refused(3)
    equal(env.reasons()["http2_unseen"], 3, "requests that a rule did not apply to")
    equal([env.item(rule=rule)["totalRequests"] for rule in ("tokens", "requests")], [0, 3], "requests counted")
    unharmed(env, server, [1, 3])
    passed_by(env, "tokens")


@case
def failure_policy_closed_refuses_what_rules_on_the_head_cannot_judge(env):
    server = serve(env, rules=HEAD_RULES, spec=["failurePolicy: Closed"])
    conn = env.connect()
    conn.send(PREFACE + frame(SETTINGS) + request(1))
    refused_with_400(conn, "HTTP/2")
    equal(env.reasons()["http2"], 1, "connections that were refused")
    equal(streams(env.settled(server)), [], "streams that reached the server")


@case
def failure_policy_closed_judges_all_else(env):
    server = serve(env, "1/day", spec=["failurePolicy: Closed"])
    one_is_let_in(client(env))
    unharmed(env, server, [1])


@case
def what_only_begins_like_http2_is_refused(env):
    server = serve(env)
    beginnings = {env.connect(): rest for rest in (
        b"PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n", PREFACE[:-2] + b"\n\r", PREFACE + frame(PING, 0, 0, b"12345678"),
        PREFACE + request(1), PREFACE + b"GET / HTTP/1.1\r\n\r\n")}
    for conn, rest in beginnings.items():
        conn.send(rest)
    for conn, rest in beginnings.items():
        refused_with_400(conn, repr(rest))
    equal(streams(env.settled(server)), [], "streams that reached the server")


@case
def without_an_agent_goaway_comes_all_the_same(env):
    server = serve(env, "2/day")
    conn, busy = client(env), client(env)
    conn.ask(1)
    busy.send(request(1, "/gated"))
    wait_for("both reach the server", lambda: len(streams(server)) == 2)
    env.agents[-1].kill()
    conn.send(request(3))
    conn.refused(1)
    busy.send(request(3))
    server.command("release")
    busy.refused(1)
    busy.read_until(lambda client: 1 in client.ended)
    unharmed(env, server, [1, 1])


def switched(conn):
    """Read the 101; frames follow it."""
    equal(conn.conn.line(), "HTTP/1.1 101 Switching Protocols", "status line")
    while conn.conn.line():
        pass
    conn.frames.feed(conn.conn.buffer)


H2C = get("/first", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")


@case
def an_upgrade_to_h2c_is_judged_on(env):
    """Its request is the first, on stream 1; where the server's frames begin is not known, so GOAWAY waits for rest."""
    server = serve(env, "2/day", "both")
    conn = client(env, settings=False)
    conn.send(H2C)
    switched(conn)
    conn.send(PREFACE + frame(SETTINGS))
    conn.read_until(lambda client: 1 in client.ended)
    conn.ask(3)
    conn.send(request(5))
    conn.refused(3)
    unharmed(env, server, [0, 3])


@case
def a_preface_in_the_segment_of_its_upgrade_is_judged_on(env):
    server = serve(env, "2/day", "both")
    conn = client(env, settings=False)
    conn.send(H2C + PREFACE + frame(SETTINGS) + request(3) + request(5))
    switched(conn)
    conn.read_until(lambda client: client.ended >= {1, 3})
    conn.refused(3)
    unharmed(env, server, [0, 3])


@case
def endpoints_may_speak_both(env):
    """After HTTP/1.1 nobody follows the servers; the first connection over HTTP/2 is told when it rests, others at
    once."""
    server = serve(env, "4/day", "both")
    expect_ok(env.connect().ask(get()))
    first, second = client(env), client(env)
    first.ask(1)
    conn = client(env)
    for each in (second, conn):
        each.ask(1)
    for each, last in ((first, 1), (second, 1), (conn, 1)):
        each.send(request(3))
        each.refused(last)
    expect_limited(env.connect().ask(get()), limit=4, text="4 per 1 day")
    unharmed(env, server, [0, 1, 1, 1])


@case
def a_connection_that_was_open_before_the_rule_is_judged_from_its_preface_on(env):
    server = env.server("strict", program="http2_server")
    conn = env.connect()
    wait_for("the server accepts", lambda: server.events("accept"))
    env.limit(limit="1/day")
    one_is_let_in(Client(conn))
    unharmed(env, server, [1])


@case
def requests_before_accept_are_judged(env):
    """Fifty connections at once, of which the server may not have accepted any when they speak."""
    server = serve(env, "25/day")
    conns = [client(env) for _ in range(50)]
    for conn in conns:
        conn.send(request(1))
    for conn in conns:
        conn.read_until(lambda client: client.goaway or client.ended)
    equal(sum(bool(conn.ended) for conn in conns), 25, "requests that were answered")
    unharmed(env, server, [1] * 25)
