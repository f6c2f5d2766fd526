# SPDX-License-Identifier: Apache-2.0
"""Requests cut into segments anywhere: each is counted once, a refused one never reaches the server."""

from client import equal, expect, expect_limited, expect_ok, get, post, post_chunked
from harness import case, each

FORMS = {
    "get": get("/get", "Accept: */*"),
    "length": post("/length", b"hello"),
    "chunked": post_chunked("/chunked", b"hello world", 6),
}


def splits(request):
    return [(request[:at], request[at:]) for at in range(1, len(request))]


def admitted_at_every_split(env, form):
    request = FORMS[form]
    cuts = splits(request)
    server = env.server()
    env.limit(limit=f"{len(cuts)}/day")
    for first, second in cuts:
        with env.accepted(server) as conn:
            conn.send_segment(first)
            expect_ok(conn.ask(second), what=f"{first!r} + {second!r}")
    conn = env.connect()
    equal(conn.ask(get("/over")).status, 429, "status of the request after as many as the limit")
    conn.close()
    equal(env.settled(server).requests(), [(request.split()[0].decode(), f"/{form}")] * len(cuts),
          "requests that reached the server")
    equal(env.tokens(), 0, "tokens left")


def refused_at_every_split(env, form):
    """Split inside the head, part of the request went to the server before it could be judged: the
    answer ends the connection. Split behind the head, it does not."""
    request = FORMS[form]
    head_size = request.index(b"\r\n\r\n") + 4
    cuts = splits(request)
    server = env.server()
    env.limit(limit="1/day")
    expect_ok(env.connect().ask(get("/first")))

    def refused(_, cut):
        first, second = cut
        in_head = len(first) < head_size
        with env.accepted(server) as conn:
            conn.send_segment(first)
            conn.send(second)
            yield
            expect_limited(conn.response(), limit=1, text="1 per 1 day", close=in_head)
            if in_head:
                conn.expect_eof()
            else:
                expect_limited(conn.ask(get("/again")), limit=1, text="1 per 1 day")

    each({f"{first!r} + {second!r}": (first, second) for first, second in cuts}, refused)
    equal(env.settled(server).requests(), [("GET", "/first")], "requests that reached the server")


@case
def get_split_at_every_byte(env):
    admitted_at_every_split(env, "get")


@case
def post_split_at_every_byte(env):
    admitted_at_every_split(env, "length")


@case
def chunked_post_split_at_every_byte(env):
    admitted_at_every_split(env, "chunked")


@case
def limited_get_split_at_every_byte(env):
    refused_at_every_split(env, "get")


@case
def limited_post_split_at_every_byte(env):
    refused_at_every_split(env, "length")


@case
def limited_chunked_post_split_at_every_byte(env):
    refused_at_every_split(env, "chunked")


@case
def requests_in_one_byte_writes(env):
    server = env.server()
    env.limit(limit="3/day")
    conn = env.connect()
    for form, request in FORMS.items():
        conn.send_bytes(request)
        expect_ok(conn.response(), f"/{form}")
    equal(env.tokens(), 0, "tokens left")
    conn.send_until_closed([bytes([byte]) for byte in get("/over")])
    expect_limited(conn.response(), limit=3, text="3 per 1 day", close=True)
    conn.expect_eof()
    equal([target for _, target in env.settled(server).requests()], ["/get", "/length", "/chunked"],
          "requests that reached the server")


@case
def a_limited_request_in_one_segment_keeps_the_connection(env):
    server = env.server()
    env.limit(limit="1/day")
    conn = env.connect()
    expect_ok(conn.ask(get("/first")))
    before = server.bytes()
    for number in range(20):
        expect_limited(conn.ask(get(f"/{number}")), limit=1, text="1 per 1 day")
    equal(env.settled(server).bytes(), before, "bytes that the server got")


@case
def empty_lines_between_requests(env):
    server = env.server()
    env.limit(limit="3/day")
    conn = env.connect()
    expect_ok(conn.ask(b"\r\n\r\n" + get("/1")))
    expect_ok(conn.ask(b"\r\n" + get("/2")))
    conn.send_segment(b"\r\n")
    expect_ok(conn.ask(get("/3")))
    equal(conn.ask(b"\r\n" + get("/over")).status, 429, "status over the limit")
    equal([target for _, target in env.settled(server).requests()], ["/1", "/2", "/3"],
          "requests that reached the server")


@case
def a_connection_that_says_nothing_costs_nothing(env):
    server = env.server()
    env.limit(limit="1/day")
    env.connect().close()
    half = env.connect()
    half.send_segment(b"GET / HT")
    half.close()
    server.settled(2)
    equal(env.tokens(), 1, "tokens after a connection without a request")
    expect_ok(env.connect().ask(get()))


@case
def a_client_that_shuts_down_its_side_still_gets_its_answer(env):
    """Of a refusal the end of the connection may be all that it gets: the server closes when it sees
    the client's end, and what the kernel has not sent by then goes with the socket."""
    env.server()
    env.limit(limit="1/day")
    for status in (200, 429):
        conn = env.connect()
        conn.send(get())
        conn.shutdown()
        answer = conn.response() if status == 200 else conn.response_or_eof()
        if answer:
            equal(answer.status, status, "status after a half-close")
            conn.expect_eof()
    expect(env.tokens() == 0, "tokens left")
