# SPDX-License-Identifier: Apache-2.0
"""Bodies of 10 MiB that are no JSON, or more than is read of one: audio, files, images in messages. They pass as they come,
and failurePolicy decides where a rule wanted to know what they say."""

import hashlib
import json
import random
import time

from client import chunk, equal, expect, expect_ok, expect_refused, get
from documents import ratelimit
from harness import PORT, SCALE, case, case_of_each, wait_for
from models import EACH_MODEL, budget, of_model

SIZE = 10 << 20
PIECE = 256 << 10
BOUND_S = 10 * SCALE
TARGET = "/v1/audio/transcriptions"
BOUNDARY = "----------------------------a1b2c3"
BY_BODY = {"who": of_model("m"), "reserve": "MaxTokens"}
RESERVES = {"reserve": "MaxTokens", "reserveDefault": 100}
UNREAD, LONG, UNREADABLE = "llm_body_unread", "llm_body_long", "llm_unreadable"


def multipart():
    """A file among fields, as curl -F sends it; its bytes look like JSON now and then."""
    sound = random.Random(1).randbytes(SIZE) + b'{"model":"m","max_tokens":1}' * 100
    parts = [b'name="model"\r\n\r\nm', b'name="file"; filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n' + sound]
    body = b"".join(b"--%s\r\nContent-Disposition: form-data; %s\r\n" % (BOUNDARY.encode(), part) for part in parts)
    return body + b"\r\n--%s--\r\n" % BOUNDARY.encode()


def image():
    """A JSON body with all of it in a string, ahead of what a rule asks for."""
    content = [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "QUJD" * (SIZE // 4)}}]
    return json.dumps({"messages": [{"role": "user", "content": content}], "model": "m", "max_tokens": 7}).encode()


BODIES = {"multipart": (multipart, f"Content-Type: multipart/form-data; boundary={BOUNDARY}", UNREAD),
          "image": (image, "Content-Type: application/json", LONG)}
KINDS = list(BODIES)


def start(env, spec=(), **fields):
    server = env.server()
    env.write("limit.yaml", ratelimit("limit", PORT, rules=[budget("1000/hour", **fields)], spec=spec))
    env.agent("limit")
    return server


def send_all(conn, server, data):
    """The server gets all that is sent, of which the last byte is missing yet: nothing is held back. Then that."""
    before = server.bytes()
    for at in range(0, len(data) - 1, PIECE):
        conn.send(data[at:min(at + PIECE, len(data) - 1)])
    wait_for("the server has all that was sent", lambda: server.bytes() - before == len(data) - 1)
    conn.send(data[-1:])


def uploads(env, kind, reason, charged=1, **fields):
    """@reason is counted for each request; none has an answer to count where it is not @charged."""
    make, field, _ = BODIES[kind]
    body = make()
    digest = hashlib.sha256(body).hexdigest()
    server = start(env, **fields)
    conn = env.accepted(server)
    count = 0
    for chunks in (0, 50000):
        framing = "Transfer-Encoding: chunked" if chunks else f"Content-Length: {len(body)}"
        data = chunk(body, chunks) if chunks else body
        for expects in ((), ("Expect: 100-continue",)):
            head = get(TARGET, field, framing, *expects, method="POST")
            begun = time.monotonic()
            if expects:
                equal(conn.ask(head).status, 100, "status ahead of the body")
                send_all(conn, server, data)
            else:
                send_all(conn, server, head + data)
            expect_ok(conn.response(), TARGET)
            took_s = time.monotonic() - begun
            expect(took_s < BOUND_S, f"it took {took_s:.2f} s")
            count += 1
            found = env.reasons()
            equal({name: found.get(name, 0) for name in (UNREAD, LONG, UNREADABLE)},
                  {UNREAD: 0, LONG: 0, UNREADABLE: count * charged, **dict.fromkeys(reason, count)}, "counted")
    equal([event["sha256"] for event in server.events("request")], [digest] * count, "what the server got")
    equal(env.item()["totalRequests"], count * charged, "requests that were judged")


@case_of_each(KINDS)
def where_the_body_need_not_be_read(env, kind):
    uploads(env, kind, [LONG])


@case_of_each(KINDS)
def where_the_body_says_the_model(env, kind):
    """It cannot be told, so no rule for the model holds."""
    uploads(env, kind, [UNREAD] if kind == "multipart" else [UNREAD, LONG], charged=0, who=EACH_MODEL)
    equal(env.buckets()["items"], [], "buckets")


@case_of_each(KINDS)
def where_a_limit_is_reserved(env, kind):
    """An answer that tells nothing costs what was reserved."""
    uploads(env, kind, [UNREAD] if kind == "multipart" else [UNREAD, LONG], reserveFraction=0.25, **RESERVES)
    least = 100 if kind == "multipart" else 250
    expect(4 * least <= 1000 - env.tokens() <= 4 * least + 40, f"{1000 - env.tokens()} tokens taken by four")


@case_of_each(KINDS)
def what_cannot_be_judged_is_refused_where_that_is_asked_for(env, kind):
    make, field, reason = BODIES[kind]
    body = make()
    server = start(env, ["failurePolicy: Closed"], **BY_BODY)
    for together in (False, True):
        head = get(TARGET, field, f"Content-Length: {len(body)}", method="POST")
        pieces = [body[at:at + PIECE] for at in range(0, len(body), PIECE)]
        pieces = [head + pieces[0], *pieces[1:]] if together else [head, *pieces]
        conn = env.accepted(server)
        begun = time.monotonic()
        conn.send_until_closed(pieces)
        expect_refused(conn, f"a body of {len(body)} bytes")
        expect(time.monotonic() - begun < BOUND_S, "the time that it took")
    found = env.reasons()
    equal((found[UNREAD], found.get(reason)), (2, 2), "counted")
    equal((env.settled(server).requests(), env.tokens()), ([], 1000), "requests that the server has, and tokens")


@case_of_each(KINDS)
def without_tokens_it_is_refused(env, kind):
    """With a 429, in bounded time, and the server never has it whole."""
    make, field, _ = BODIES[kind]
    body = make()
    server = start(env, **RESERVES)
    taker = env.accepted(server)
    taker.send_segment(get("/gated", "Content-Length: 18", method="POST") + b'{"max_tokens":950}')
    wait_for("most is reserved", lambda: env.tokens() < 60)
    head = get(TARGET, field, f"Content-Length: {len(body)}", method="POST")
    for pieces in ([head, *(body[at:at + PIECE] for at in range(0, len(body), PIECE))], [head + body]):
        conn = env.accepted(server)
        begun = time.monotonic()
        conn.send_until_closed(pieces)
        equal(conn.response().status, 429, "status")
        expect(time.monotonic() - begun < BOUND_S, "the time that it took")
    equal(server.requests(), [("POST", "/gated")], "requests that the server has")


@case
def another_request_behind_an_upload(env):
    """... on its connection is judged by its own body."""
    server = start(env, **RESERVES)
    body = multipart()
    conn = env.accepted(server)
    conn.send(get(TARGET, f"Content-Length: {len(body)}", method="POST") + body)
    expect_ok(conn.response(), TARGET)
    left = env.tokens()
    conn.send_segment(get("/gated", "Content-Length: 17", method="POST") + b'{"max_tokens":50}')
    wait_for("it is reserved", lambda: env.tokens() != left)
    expect(50 <= left - env.tokens() <= 60, f"{left - env.tokens()} tokens were reserved")
