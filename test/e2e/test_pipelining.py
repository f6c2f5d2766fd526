# SPDX-License-Identifier: Apache-2.0
"""Requests sent without waiting for answers: never more than the limit, never an answer out of order,
and a refusal is the last thing on its connection."""

from client import equal, expect, expect_limited, expect_ok, get, post
from harness import Skip, case, each, wait_for


def numbered(first, last):
    return [get(f"/{number}") for number in range(first, last + 1)]


def read_pipeline(conn, sent):
    """How many of @sent requests were admitted. Their answers come first and in order; behind them are
    refusals, up to one that ends the connection or to its end. (A refusal may leave it open: the server
    may have answered all before the next request came.)"""
    admitted, refused = 0, 0
    for number in range(1, sent + 1):
        answer = conn.response_or_eof()
        if answer is None:
            break
        if answer.status == 429:
            refused += 1
            if answer.closes():
                conn.expect_eof()
                break
            continue
        expect(not refused, f"an answer behind a refusal: {answer!r}")
        expect_ok(answer, f"/{number}", f"request {number} of the pipeline")
        admitted += 1
    return admitted


@case
def twenty_in_one_segment_are_refused_as_one(env):
    server = env.server()
    env.limit()
    conn = env.connect()
    conn.send(b"".join(numbered(1, 20)))
    answer = conn.response()
    equal(answer.status, 429, "status of the pipeline")
    expect(answer.closes(), "the 429 leaves the connection open")
    conn.expect_eof()
    equal(env.tokens(), 10, "tokens after a pipeline that was refused whole")
    equal(env.settled(server).bytes(), 0, "bytes that the server got")
    conn = env.connect()
    for number in range(10):
        expect_ok(conn.ask(get(f"/{number}")), f"/{number}")
    expect_limited(conn.ask(get("/over")))


@case
def ten_in_one_segment_are_admitted_as_one(env):
    server = env.server()
    env.limit()
    conn = env.connect()
    conn.send(b"".join(numbered(1, 10)))
    for number in range(1, 11):
        expect_ok(conn.response(), f"/{number}")
    equal(env.tokens(), 0, "tokens left")
    equal(len(env.settled(server).requests()), 10, "requests that reached the server")


@case
def admitted_pipelines_may_follow_each_other(env):
    server = env.server()
    env.limit()
    conn = env.connect()
    for first in (1, 4, 7):
        conn.send_segment(b"".join(numbered(first, first + 2)))
        for number in range(first, first + 3):
            expect_ok(conn.response(), f"/{number}")
    equal(env.tokens(), 1, "tokens left")
    conn.send_segment(b"".join(numbered(10, 12)))
    equal(conn.response_or_eof().status, 429, "status of the pipeline that is over the limit")
    conn.expect_eof()
    equal(env.tokens(), 1, "tokens after a pipeline that was refused whole")
    equal(len(env.settled(server).requests()), 9, "requests that reached the server")


@case
def twenty_in_separate_segments(env):
    server = env.server()
    env.limit()
    conn = env.accepted(server)
    sent = conn.send_until_closed(numbered(1, 20))
    expect(sent >= 10, f"only {sent} requests were taken")
    equal(read_pipeline(conn, sent), 10, "answers before the refusal")
    equal(env.settled(server).requests(), [("GET", f"/{number}") for number in range(1, 11)],
          "requests that reached the server")


@case
def twenty_in_separate_segments_to_a_slow_server(env):
    """The server answers nothing before all have been sent: the refusal must wait for its turn."""
    server = env.server()
    env.limit()
    conn = env.accepted(server)
    conn.send_segment(get("/gated/1"))
    conn.send_until_closed(numbered(2, 20))
    expect(not conn.has_answer(), "an answer before the server gave its first")
    server.command("release")
    expect_ok(conn.response(), "/gated/1")
    for number in range(2, 11):
        expect_ok(conn.response(), f"/{number}")
    answer = conn.response_or_eof()
    if answer:
        expect_limited(answer, close=True)
        conn.expect_eof()
    equal(len(env.settled(server).requests()), 10, "requests that reached the server")


@case
def a_refused_pipeline_waits_for_a_slow_answer(env):
    server = env.server()
    env.limit(limit="2/day")
    conn = env.accepted(server)
    conn.send_segment(get("/gated/1"))
    conn.send_segment(b"".join(numbered(2, 5)))
    expect(not conn.has_answer(), "an answer before the server gave its first")
    server.command("release")
    expect_ok(conn.response(), "/gated/1")
    answer = conn.response_or_eof()
    if answer:
        equal(answer.status, 429, "status behind the slow answer")
        conn.expect_eof()
    equal(env.settled(server).requests(), [("GET", "/gated/1")], "requests that reached the server")
    equal(env.tokens(), 1, "tokens after a pipeline that was refused whole")


@case
def a_malformed_request_waits_for_a_slow_answer(env):
    server = env.server()
    env.limit()
    conn = env.accepted(server)
    conn.send_segment(get("/gated/1"))
    conn.send_segment(get("/bad", "Content-Length: 1", "Content-Length: 2") + get("/smuggled"))
    expect(not conn.has_answer(), "an answer before the server gave its first")
    server.command("release")
    expect_ok(conn.response(), "/gated/1")
    answer = conn.response_or_eof()
    if answer:
        equal(answer.status, 400, "status behind the slow answer")
        conn.expect_eof()
    equal(env.settled(server).requests(), [("GET", "/gated/1")], "requests that reached the server")


def refused_elsewhere(env, server):
    """What was refused on another connection before this one has its answer by now."""
    equal(env.accepted(server).ask(get("/elsewhere")).status, 429, "status on another connection")


@case
def a_refusal_does_not_cut_into_an_answer(env):
    """The server has sent half of an answer, and the client has it, when the next request comes."""
    raise Skip("known limit: the server's answers are not framed, see docs/architecture.md")
    server = env.server()
    env.limit(limit="1/day")
    conn = env.accepted(server)
    conn.send_segment(get("/half"))
    wait_for("half of the answer is there", conn.has_answer)
    conn.send_until_closed([get("/over")])
    refused_elsewhere(env, server)
    server.command("release")
    expect_ok(conn.response(), "/half")
    answer = conn.response_or_eof()
    if answer:
        expect_limited(answer, limit=1, text="1 per 1 day", close=True)
        conn.expect_eof()
    equal(env.settled(server).requests(), [("GET", "/half")], "requests that reached the server")


def behind_the_tail_of_a_body(env, *fields):
    """The end of an admitted request's body, in one segment with a request that is refused. The server
    waits for that end, which went with the segment."""
    server = env.server()
    env.limit(limit="1/day")
    conn = env.accepted(server)
    request = post("/first", b"a" * 1000, *fields)
    conn.send_segment(request[:-1000])
    if fields:
        equal(conn.response().status, 100, "interim status")
    conn.send_segment(request[-1000:-100])
    wait_for("most of it is at the server", lambda: server.bytes() == len(request) - 100)
    conn.send_segment(request[-100:] + get("/over"))
    return conn


@case
def a_refusal_behind_the_tail_of_a_body_takes_its_answer(env):
    conn = behind_the_tail_of_a_body(env)
    expect_limited(conn.response(), limit=1, text="1 per 1 day", close=True)
    conn.expect_eof()


@case
def a_refusal_behind_the_tail_of_a_body_ends_what_was_begun(env):
    """As above, of a server that said something already: nothing may be put behind that."""
    conn = behind_the_tail_of_a_body(env, "Expect: 100-continue")
    equal(conn.response_or_eof(), None, "what came behind the interim answer")


@case
def an_interim_answer_is_not_the_answer(env):
    """100 Continue was sent, the answer waits: a refusal must not go before it."""
    server = env.server()
    env.limit(limit="1/day")
    conn = env.accepted(server)
    equal(conn.ask(get("/gated", "Expect: 100-continue", "Content-Length: 5", method="POST")).status,
          100, "interim status")
    conn.send_segment(b"hello")
    conn.send_until_closed([get("/over")])
    refused_elsewhere(env, server)
    expect(not conn.has_answer(), "a refusal before the server's own answer")
    server.command("release")
    expect_ok(conn.response(), "/gated")
    answer = conn.response_or_eof()
    if answer:
        expect_limited(answer, limit=1, text="1 per 1 day", close=True)
        conn.expect_eof()
    equal(env.settled(server).requests(), [("POST", "/gated")], "requests that reached the server")


@case
def requests_across_segments_in_any_cut(env):
    """Three requests, cut at every byte into two segments: what is admitted is answered in order."""
    stream = b"".join(numbered(1, 2)) + post("/3", b"hello")
    server = env.server()
    env.limit(limit=f"{3 * len(stream)}/day")
    for at in range(1, len(stream)):
        with env.accepted(server) as conn:
            conn.send_segment(stream[:at])
            conn.send_segment(stream[at:])
            for number in range(1, 4):
                expect_ok(conn.response(), f"/{number}", f"request {number}, cut at {at}")
    equal(env.tokens(), 3, "tokens left")
    equal(len(env.settled(server).requests()), 3 * (len(stream) - 1),
          "requests that reached the server")


@case
def a_limit_reached_across_segments_in_any_cut(env):
    """As above, over the limit. Only a segment that is one request may leave the connection open; the
    refusal of any other ends it."""
    stream = b"".join(numbered(1, 3))
    server = env.server()
    env.limit(limit="1/day")
    expect_ok(env.connect().ask(get("/first")))

    def check(at, pieces):
        with env.accepted(server) as conn:
            conn.send_until_closed(pieces)
            yield
            first = conn.response()
            equal(first.status, 429, "status")
            if not first.closes():
                equal(at, len(get("/1")), "a cut after which the connection stays open")
                expect(conn.response().closes(), "the second refusal")
            conn.expect_eof()

    each({at: (stream[:at], stream[at:]) for at in range(1, len(stream))}, check)
    equal(env.settled(server).requests(), [("GET", "/first")], "requests that reached the server")


@case
def a_whole_stream_in_one_byte_writes(env):
    server = env.server()
    env.limit(limit="3/day")
    conn = env.accepted(server)
    stream = b"".join(numbered(1, 5))
    conn.send_until_closed([stream[at:at + 1] for at in range(len(stream))])
    equal(read_pipeline(conn, 5), 3, "answers before the refusal")
    equal([target for _, target in env.settled(server).requests()], ["/1", "/2", "/3"],
          "requests that reached the server")
