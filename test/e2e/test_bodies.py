# SPDX-License-Identifier: Apache-2.0
"""Bodies: admitted ones arrive whole, those of limited requests are swallowed to their end."""

import hashlib
import random

import documents
from client import equal, expect, expect_limited, expect_ok, get, post, post_chunked
from harness import PORT, case, wait_for

MIB = 1 << 20


def noise(size):
    """Bytes that would be requests if they were taken for some."""
    unit = b"GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n0\r\n\r\n"
    return (unit * (size // len(unit) + 1))[:size]


def rounds(count, size):
    """Chunk sizes with no pattern, the same in each run."""
    choose = random.Random(7)
    return [choose.randint(1, size) for _ in range(count)]


def chunked_in_many_sizes(target, body):
    pieces, at = [get(target, "Transfer-Encoding: chunked", method="POST")], 0
    for size in rounds(len(body), 9000):
        piece = body[at:at + size]
        if not piece:
            break
        pieces.append(b"%x\r\n%s\r\n" % (len(piece), piece))
        at += size
    return b"".join(pieces) + b"0\r\nX-Trailer: yes\r\n\r\n"


def arrives_whole(env, request, body):
    server = env.server()
    env.limit(limit="2/day")
    conn = env.connect()
    conn.send(request)
    expect_ok(conn.response(), "/upload")
    expect_ok(conn.ask(get("/after")), "/after")
    equal(env.tokens(), 0, "tokens left")
    upload = env.settled(server).events("request")[0]
    equal((upload["length"], upload["sha256"]), (len(body), hashlib.sha256(body).hexdigest()),
          "length and digest of the body")
    equal([target for _, target in server.requests()], ["/upload", "/after"],
          "requests that reached the server")


@case
def a_mebibyte_by_length_arrives_whole(env):
    body = noise(MIB)
    arrives_whole(env, post("/upload", body), body)


@case
def a_mebibyte_in_chunks_arrives_whole(env):
    body = noise(MIB)
    arrives_whole(env, chunked_in_many_sizes("/upload", body), body)


@case
def one_large_chunk_arrives_whole(env):
    body = noise(MIB)
    arrives_whole(env, post_chunked("/upload", body, MIB), body)


@case
def bodies_in_one_byte_writes_arrive_whole(env):
    server = env.server()
    env.limit(limit="2/day")
    body = noise(120)
    conn = env.connect()
    conn.send_bytes(post("/length", body))
    expect_ok(conn.response(), "/length")
    conn.send_bytes(post_chunked("/chunked", body, 33))
    expect_ok(conn.response(), "/chunked")
    equal([event["sha256"] for event in env.settled(server).events("request")],
          [hashlib.sha256(body).hexdigest()] * 2, "digests of the bodies")
    equal(env.tokens(), 0, "tokens left")


def swallowed_then_admitted(env, request):
    """The 429 comes behind the body's end and not before; the next request is judged anew."""
    server = env.server()
    env.limit(limit="1/day")
    conn = env.connect()
    expect_ok(conn.ask(get("/first")), "/first")
    before = server.bytes()
    conn.send_segment(request[:-1])
    expect(not conn.has_answer(), "an answer before the body's end")
    conn.send(request[-1:])
    expect_limited(conn.response(), limit=1, text="1 per 1 day")
    expect_limited(conn.ask(get("/still/over")), limit=1, text="1 per 1 day")
    equal(server.bytes(), before, "bytes that the server got")

    refilling = [documents.bucket_rule(1, 1, "1ms")]
    env.write("limit.yaml", documents.ratelimit("limit", PORT, rules=refilling))
    wait_for("the new settings refill the bucket", lambda: env.tokens() == 1)
    expect_ok(conn.ask(get("/after")), "/after")
    equal([target for _, target in env.settled(server).requests()], ["/first", "/after"],
          "requests that reached the server")


@case
def a_limited_mebibyte_by_length_then_an_admitted_get(env):
    swallowed_then_admitted(env, post("/over", noise(MIB)))


@case
def a_limited_mebibyte_in_chunks_then_an_admitted_get(env):
    swallowed_then_admitted(env, chunked_in_many_sizes("/over", noise(MIB)))


@case
def a_limited_body_in_the_segment_of_its_head(env):
    server = env.server()
    env.limit(limit="1/day")
    conn = env.connect()
    expect_ok(conn.ask(get("/first")))
    for request in (post("/over", b"hello"), post_chunked("/over", b"hello", 3)) * 3:
        expect_limited(conn.ask(request), limit=1, text="1 per 1 day")
    equal([target for _, target in env.settled(server).requests()], ["/first"],
          "requests that reached the server")


@case
def limited_bodies_in_one_byte_writes(env):
    server = env.server()
    env.limit(limit="1/day")
    conn = env.connect()
    expect_ok(conn.ask(get("/first")))
    before = server.bytes()
    for request in (post("/over", noise(60)), post_chunked("/over", noise(60), 17)):
        head = request.index(b"\r\n\r\n") + 4
        conn.send_segment(request[:head])
        conn.send_bytes(request[head:])
        expect_limited(conn.response(), limit=1, text="1 per 1 day")
    equal(env.settled(server).bytes(), before, "bytes that the server got")


@case
def a_request_behind_a_swallowed_body_is_not_forgotten(env):
    """In the body's last segment: it gets no answer of its own, but the end of the connection."""
    server = env.server()
    env.limit(limit="1/day")
    conn = env.connect()
    expect_ok(conn.ask(get("/first")))
    conn.send_segment(get("/over", "Content-Length: 10", method="POST") + b"hello")
    conn.send_segment(b"world" + get("/behind"))
    answer = conn.response()
    equal(answer.status, 429, "status of the POST")
    if answer.closes():
        conn.expect_eof()
    else:
        equal(conn.response().status, 429, "status of the request behind it")
    equal([target for _, target in env.settled(server).requests()], ["/first"],
          "requests that reached the server")


@case
def continue_is_passed_and_its_body_too(env):
    server = env.server()
    env.limit(limit="2/day")
    conn = env.connect()
    equal(conn.ask(get("/upload", "Expect: 100-continue", "Content-Length: 10", method="POST")).status,
          100, "interim status")
    conn.send_segment(b"hello")
    expect_ok(conn.ask(b"world"), "/upload")
    equal(conn.ask(get("/upload", "Expect: 100-continue", "Transfer-Encoding: chunked",
                       method="POST")).status, 100, "interim status")
    expect_ok(conn.ask(b"5\r\nhello\r\n0\r\n\r\n"), "/upload")
    equal([event["length"] for event in env.settled(server).events("request")], [10, 5],
          "lengths of the bodies")


@case
def a_limited_expectation_is_answered_at_once_and_closed(env):
    server = env.server()
    env.limit(limit="1/day")
    expect_ok(env.connect().ask(get("/first")))
    conn = env.connect()
    answer = conn.ask(get("/over", "Expect: 100-continue", "Content-Length: 10", method="POST"))
    expect_limited(answer, limit=1, text="1 per 1 day", close=True)
    conn.expect_eof()
    equal([target for _, target in env.settled(server).requests()], ["/first"],
          "requests that reached the server")
