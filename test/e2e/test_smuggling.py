# SPDX-License-Identifier: Apache-2.0
"""No way round the limiter: what could be framed in two ways is refused, and nothing behind it gets
through, however it is cut, and whatever stood before it."""

import smuggling
from client import Failure, equal, expect, expect_ok, expect_refused, get
from harness import case, each
from smuggling import SMUGGLED

UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")

# With what a lenient server may still find a request line behind.
LEADS = [b" ", b"\t", b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x1f", b"\0", b"\x85", b"\xa0",
         b"\x16", b"\n", b"\r", b"(", b"{"]


def drain(conn):
    """Read up to the end, whatever it is; but an end there must be."""
    try:
        while conn.response_or_eof():
            pass
    except (Failure, ConnectionResetError):
        pass


def nothing_got_through(env, server):
    raw = env.settled(server).raw()
    expect("/smuggled" not in raw, f"a smuggled request reached the server: "
           f"{raw[max(0, raw.find('/smuggled') - 200):][:300]!r}")


@case
def malformed_requests_are_refused(env):
    server = env.server(raw=True)
    env.limit(limit="10000/day")

    def check(name, request):
        with env.connect() as conn:
            conn.send(request)
            yield
            expect_refused(conn, name)

    each({**smuggling.HEADS, **smuggling.BODIES}, check)
    equal(env.settled(server).bytes(), 0, "bytes that the server got")


@case
def malformed_requests_are_refused_when_over_the_limit(env):
    server = env.server(raw=True)
    env.limit(limit="1/day")
    expect_ok(env.connect().ask(get("/first")))
    before = server.bytes()

    def check(name, request):
        with env.connect() as conn:
            conn.send(request)
            yield
            expect_refused(conn, name)

    each({**smuggling.HEADS, **smuggling.BODIES}, check)
    equal(env.settled(server).bytes(), before, "bytes that the server got")


@case
def malformed_requests_behind_a_good_one_are_refused(env):
    """On a connection that was already used."""
    server = env.server(raw=True)
    env.limit(limit="10000/day")

    def check(name, request):
        with env.connect() as conn:
            expect_ok(conn.ask(get("/good")))
            conn.send(request)
            yield
            expect_refused(conn, name)

    each({**smuggling.HEADS, **smuggling.BODIES}, check)
    expect(set(env.settled(server).requests()) == {("GET", "/good")},
           f"requests that reached the server: {set(server.requests())}")
    nothing_got_through(env, server)


@case
def malformed_requests_in_two_segments_smuggle_nothing(env):
    """Cut in the middle and just before what is smuggled."""
    server = env.server(raw=True)
    env.limit(limit="10000/day")

    def check(_name, pieces):
        with env.connect() as conn:
            conn.send_until_closed(pieces)
            yield
            drain(conn)

    each({f"{name}, cut at {at}": (request[:at], request[at:])
          for name, request in {**smuggling.HEADS, **smuggling.BODIES}.items()
          for at in (len(request) // 4, len(request) // 2, request.index(SMUGGLED))}, check)
    nothing_got_through(env, server)


@case
def malformed_requests_byte_by_byte_smuggle_nothing(env):
    server = env.server(raw=True)
    env.limit(limit="10000/day")

    def check(name, request):
        with env.accepted(server) as conn:
            conn.send_unawaited(request)
            yield
            drain(conn)

    each({**smuggling.HEADS, **smuggling.BODIES}, check)
    nothing_got_through(env, server)


@case
def malformed_body_of_a_limited_request_smuggles_nothing(env):
    """The body is being swallowed when its framing is lost: the connection ends."""
    server = env.server(raw=True)
    env.limit(limit="1/day")
    expect_ok(env.connect().ask(get("/first")))
    before = server.bytes()

    def check(name, request):
        head = request.index(b"\r\n\r\n") + 4
        with env.connect() as conn:
            conn.send_segment(request[:head])
            conn.send_until_closed([request[head:], SMUGGLED])
            yield
            answer = conn.response()
            expect(answer.status in (400, 429) and answer.closes(), f"answered {answer!r}")
            conn.expect_eof()

    each(smuggling.BODIES, check)
    equal(env.settled(server).bytes(), before, "bytes that the server got")


@case
def a_body_that_breaks_behind_an_admitted_head_ends_the_connection(env):
    """The server has the head and waits for the body: it owes no answer that could be waited for."""
    server = env.server(raw=True)
    env.limit(limit="10000/day")

    def check(name, request):
        head = request.index(b"\r\n\r\n") + 4
        with env.accepted(server) as conn:
            conn.send_segment(request[:head])
            conn.send_until_closed([request[head:]])
            yield
            answer = conn.response_or_eof()
            expect(answer is None or (answer.status == 400 and answer.closes()), f"answered {answer!r}")
            conn.expect_eof()

    each(smuggling.BODIES, check)
    equal(env.settled(server).requests(), [], "requests that reached the server")
    nothing_got_through(env, server)


@case
def odd_but_clear_requests_pass(env):
    server = env.server()
    env.limit(limit=f"{len(smuggling.FINE)}/day")

    def check(name, request):
        with env.connect() as conn:
            conn.send(request)
            yield
            expect_ok(conn.response(), what=name)

    each(smuggling.FINE, check)
    equal(len(env.settled(server).requests()), len(smuggling.FINE), "requests that reached the server")
    equal(env.tokens(), 0, "tokens left")


@case
def websocket_passes_after_its_upgrade(env):
    server = env.server()
    env.limit(limit="1/day")
    conn = env.connect()
    equal(conn.ask(get("/ws", *UPGRADE)).status, 101, "status of the upgrade")
    for number in range(20):
        for frame in (b"\x81\x85\0\0\0\0hello", b"\x82\xfe\x01\0" + b"mask" + bytes(256)):
            conn.send_segment(frame)
            equal(conn.read(len(frame)), frame, f"echo {number}")
    equal(env.settled(server).requests(), [("GET", "/ws")], "requests that reached the server")


@case
def a_limited_upgrade_is_refused(env):
    server = env.server()
    env.limit(limit="1/day")
    expect_ok(env.connect().ask(get("/first")))
    equal(env.connect().ask(get("/ws", *UPGRADE)).status, 429, "status of the upgrade")
    equal(env.settled(server).requests(), [("GET", "/first")], "requests that reached the server")


@case
def requests_behind_an_ignored_upgrade_count(env):
    server = env.server()
    env.limit(limit="3/day")
    conn = env.connect()
    statuses = [conn.ask(get("/ignores", *UPGRADE)).status for _ in range(3)]
    equal(statuses, [200] * 3, "statuses below the limit")
    for request in (get("/over"), get("/over", *UPGRADE), get("/over")):
        equal(conn.ask(request).status, 429, "status over the limit")
    equal(len(env.settled(server).requests()), 3, "requests that reached the server")


def slips_behind_an_ignored_upgrade(env, kind):
    """The server said 200, not 101: it still reads HTTP, and may skip what stands before a request."""
    server = env.server(kind)
    env.limit(limit="1000/day")
    used = 0
    slipped = []
    for lead in LEADS:
        with env.connect() as conn:
            expect_ok(conn.ask(get("/ignores", *UPGRADE)))
            used += 1
            conn.send_until_closed([lead + get(f"/slipped/{lead.hex()}"), get("/slipped/second")])
            conn.shutdown()
            drain(conn)
    tokens = env.tokens()
    env.settled(server)
    reached = server.requests()
    slipped = sorted({target for _, target in reached if target.startswith("/slipped")})
    equal(tokens, 1000 - len(reached), f"tokens after {len(reached)} requests reached the server, of "
          f"them {slipped}")


@case
def nothing_slips_behind_an_ignored_upgrade(env):
    slips_behind_an_ignored_upgrade(env, "epoll")


@case
def nothing_slips_behind_an_upgrade_that_http_server_ignores(env):
    slips_behind_an_ignored_upgrade(env, "http")


@case
def frames_behind_an_ignored_upgrade_open_no_way(env):
    """What looks like a websocket frame must not turn the judging off while the server reads HTTP: here
    a strict one, which ends the connection at the first such byte."""
    server = env.server()
    env.limit(limit="1/day")
    conn = env.connect()
    expect_ok(conn.ask(get("/ignores", *UPGRADE)))
    conn.send_until_closed([b"\x81\x80\0\0\0\0", get("/slipped"), get("/slipped")])
    drain(conn)
    equal(env.settled(server).requests(), [("GET", "/ignores")], "requests that reached the server")


@case
def the_http2_preface_opens_no_way(env):
    server = env.server()
    env.limit(limit="1/day")
    expect_ok(env.connect().ask(get("/first")))
    conn = env.connect()
    conn.send_until_closed([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", get("/slipped")])
    drain(conn)
    equal(env.settled(server).requests(), [("GET", "/first")], "requests that reached the server")


def leaves_http_behind_a_request(env, selectors):
    """A request, and in the same segment what turns the judging off."""
    server = env.server()
    env.limit(rules=[f"{{name: all, limit: 3/day{selectors}}}"])
    frame, preface = b"\x81\x85\0\0\0\0hello", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    asks = get("/ignores", *UPGRADE)
    for number, (request, tail) in enumerate(((asks, frame), (asks, preface), (get("/first"), preface))):
        conn = env.connect()
        conn.send(request + tail)
        equal(conn.response().status, 200 if number < 2 else 400, f"status of request {number}")
    equal(env.tokens(), 1, "tokens after two that were judged, and one behind which is no HTTP")
    expect_ok(env.connect().ask(get("/last")))
    for request, tail in ((asks, frame), (asks, preface), (get("/over") + asks, preface)):
        conn = env.connect()
        conn.send(request + tail)
        answer = conn.response()
        equal((answer.status, answer.closes()), (429, True), "the answer over the limit, and that it is the last")
        conn.expect_eof()
    equal(len(env.settled(server).requests()), 3, "requests that reached the server")


@case
def requests_before_what_leaves_http_count(env):
    leaves_http_behind_a_request(env, "")


@case
def requests_before_what_leaves_http_count_where_selectors_are(env):
    leaves_http_behind_a_request(env, ", clientSelectors: [{path: {value: /}}]")
