# SPDX-License-Identifier: Apache-2.0
"""`responseHeaders: Always` with a client that reads slowly: the kernel takes a part of what the server writes, and the
server writes the rest again. Each byte comes once, and the answers that follow are told of."""

import os

import isolation
from client import equal, expect, get
from harness import case, wait_for
from told import Replies, Told, final, nothing_more, read_stream, with_fields

KIB, MIB = 1 << 10, 1 << 20
SMALL_BUFFER, RECEIVE_BUFFER = 16 * KIB, 64 * KIB
TEXT = b"hello, world\n"


def chunked(body, size):
    pieces = [body[at:at + size] for at in range(0, len(body), size)]
    head = final(b"", "Transfer-Encoding: chunked", length=False)
    return [head, *(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces), b"0\r\nX-Sum: 1\r\n\r\n"]


def parts(server):
    """Writes of which a part was taken."""
    return sum(event["took"] < event["asked"] for event in server.events("wrote"))


def slowly(env, target, answer, *steps, kind="nonblocking", at_least=3, **options):
    """@answer, and between its halves and behind it small ones, on one connection whose client begins to read when
    the server can write no more."""
    isolation.loopback_mtu(1500)
    replies = Replies(env)
    plain = final(TEXT)
    replies.add(target, *steps)
    replies.add("/plain", ("send", plain))
    server = replies.start(kind, **options)
    conn = env.connect(receive_buffer=RECEIVE_BUFFER)
    for _ in range(2):
        replies.ask(conn, "/plain", plain)
        before = parts(server)
        full = len(server.events("full"))
        conn.send(get(target))
        if kind == "nonblocking":
            wait_for("the send buffer is full", lambda: len(server.events("full")) > full)
        read_stream(conn, with_fields(answer, replies.told()))
        expect(kind == "blocking" or parts(server) >= before + at_least, f"{parts(server) - before} parts of writes")
        replies.ask(conn, "/plain", plain)
    nothing_more(env, conn)
    return replies


@case
def a_body_by_length(env):
    answer = final(os.urandom(MIB))
    slowly(env, "/", answer, ("send", Replies(env).file(answer)), send_buffer=SMALL_BUFFER)


@case
def a_body_of_several_mebibytes(env):
    answer = final(os.urandom(4 * MIB))
    slowly(env, "/", answer, ("send", Replies(env).file(answer)), send_buffer=256 * KIB)


@case
def a_body_of_a_blocking_server(env):
    answer = final(os.urandom(MIB))
    slowly(env, "/", answer, ("send", Replies(env).file(answer)), kind="blocking", send_buffer=SMALL_BUFFER)


@case
def a_body_by_sendfile(env):
    body = os.urandom(MIB)
    answer = final(body)
    slowly(env, "/", answer, ("send", answer[:-len(body)]), ("sendfile", Replies(env).file(body)),
           send_buffer=SMALL_BUFFER)


@case
def a_body_by_writev(env):
    replies = Replies(env)
    buffers = [final(b"", f"Content-Length: {12 * 100000}", length=False), *(os.urandom(100000) for _ in range(12))]
    slowly(env, "/", b"".join(buffers), ("writev", [replies.file(buffer) for buffer in buffers]),
           send_buffer=SMALL_BUFFER)


@case
def chunks_in_one_write(env):
    """Their rest is written without the program seeing it."""
    answer = b"".join(chunked(os.urandom(MIB), 5000))
    slowly(env, "/", answer, ("send", Replies(env).file(answer)), send_buffer=SMALL_BUFFER)


@case
def chunks_by_writev(env):
    replies = Replies(env)
    pieces = chunked(os.urandom(MIB), 9000)
    slowly(env, "/", b"".join(pieces), ("writev", [replies.file(piece) for piece in pieces]),
           send_buffer=SMALL_BUFFER)


@case
def chunks_that_are_queued(env):
    """The rest of what was written goes out together with what came since."""
    replies = Replies(env)
    pieces = chunked(os.urandom(MIB), 3000)
    slowly(env, "/", b"".join(pieces), *(("try", replies.file(piece)) for piece in pieces), ("send", ""),
           send_buffer=SMALL_BUFFER, at_least=2)


@case
def a_body_with_a_low_mark_for_what_is_not_sent(env):
    answer = final(os.urandom(MIB))
    slowly(env, "/", answer, ("send", Replies(env).file(answer)), notsent=4096)


@case
def a_head_where_there_is_no_room(env):
    """Of requests that do not wait, answers begin when the send buffer is full, or far behind in one write. All bytes
    come once; an answer goes without fields rather than with wrong bytes."""
    isolation.loopback_mtu(1500)
    replies = Replies(env)
    answers = [final(os.urandom(size), "X: y") for size in (200, 7000, 60000, 13, 130000, 1000)]
    for number, answer in enumerate(answers):
        for how in ("send", "keep", "try"):
            replies.add(f"/{how}/{number}", (how, replies.file(answer)))
    replies.add("/end", ("send", final(TEXT)))
    server = replies.start(send_buffer=SMALL_BUFFER)
    for how in ("send", "keep", "try"):
        conn = env.connect(receive_buffer=RECEIVE_BUFFER)
        asked = [f"/{how}/{number}" for number in list(range(len(answers))) * 5] + ["/end"]
        full = len(server.events("full"))
        conn.send(b"".join(map(get, asked)))
        told, count = replies.told(len(asked)), 0
        wait_for("the send buffer is full", lambda: len(server.events("full")) > full)
        for answer in answers * 5 + [final(TEXT)]:
            line = answer[:answer.index(b"\r\n") + 2]
            read_stream(conn, [line])
            conn.more_than(len(b"X-RateLimit"))
            if conn.buffer.startswith(b"X-RateLimit"):
                told.read(conn)
                count += 1
            read_stream(conn, [answer[len(line):]])
        expect(count, f"no answer was told of [{how}]")
        nothing_more(env, conn)
    expect(parts(server) >= 10, f"{parts(server)} parts of writes")


@case
def a_buffer_of_the_least_size(env):
    """It has room for the head of an answer still."""
    replies = Replies(env)
    plain = final(TEXT, "X: " + "y" * 500)
    replies.add("/", ("send", plain))
    replies.start(send_buffer=1)
    conn = env.connect()
    for _ in range(20):
        replies.ask(conn, "/", plain)
    equal(env.reasons().get("headers_lost", 0), 0, "answers that went without fields")
    nothing_more(env, conn)
