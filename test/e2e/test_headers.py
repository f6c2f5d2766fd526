# SPDX-License-Identifier: Apache-2.0
"""`responseHeaders: Always`: the server's own answers tell of the limit. Whatever way they are written, the client
gets each byte of them, and the fields behind the status lines of final ones."""

import os

from client import equal, expect_limited, get
from documents import bucket_rule
from harness import case, wait_for
from told import Replies, Told, always, final, nothing_more, read_stream, with_fields

KIB, MIB = 1 << 10, 1 << 20
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nContent-Length: 7\r\n\r\n"
TEXT = b"hello, world\n"


def pieces_of(data, size):
    return [data[at:at + size] for at in range(0, len(data), size)]


def chunked(*chunks, trailers=b""):
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailers + b"\r\n"


def streamed(body, *fields):
    return final(b"", "Transfer-Encoding: chunked", *fields, length=False) + body


def each_form(env, kind, forms):
    """Ask for each of @forms, {target: (answer, steps)}, one after another on one connection and again."""
    replies = Replies(env)
    forms = {f"/{name}": form for name, form in forms(replies).items()}
    for target, (_, *steps) in forms.items():
        replies.add(target, *steps)
    replies.start(kind)
    conn = env.connect()
    for target, (answer, *_) in 2 * list(forms.items()):
        try:
            replies.ask(conn, target, answer)
        except Exception as error:
            raise type(error)(f"[{target}] {error}") from error
    nothing_more(env, conn)
    reasons = env.reasons()
    equal({name: reasons.get(name, 0) for name in ("headers_lost", "reply_unread")},
          {"headers_lost": 0, "reply_unread": 0}, "what was not followed")


def small_forms(replies):
    plain, empty = final(TEXT, "Server: test"), final()
    long = final(TEXT, *(f"X-{number}: {'v' * 300}" for number in range(40)))
    return {
        "one-write": (plain, ("send", plain)),
        "no-body": (empty, ("send", empty)),
        "no-reason": (final(TEXT, status="200 "), ("send", final(TEXT, status="200 "))),
        "writev": (plain, ("writev", plain.splitlines(keepends=True))),
        "writev-bytes": (plain, ("writev", pieces_of(plain, 1))),
        "writev-long-head": (long, ("writev", long.splitlines(keepends=True))),
        "head-then-body": (plain, ("send", plain[:-len(TEXT)]), ("send", TEXT)),
        "line-then-rest": (plain, ("send", plain[:17]), ("send", plain[17:])),
        "more": (plain, ("more", plain[:-len(TEXT)]), ("send", TEXT)),
        "zerocopy": (plain, ("zerocopy", plain)),
        "byte-by-byte": (plain, ("bytes", plain)),
        "sendfile-body": (plain, ("send", plain[:-len(TEXT)]), ("sendfile", replies.file(TEXT))),
        "sendfile-corked": (plain, ("more", plain[:-len(TEXT)]), ("sendfile", replies.file(TEXT))),
        "sendfile-all": (plain, ("sendfile", replies.file(plain))),
        "splice": (plain, ("splice", plain)),
        "not-found": (final(TEXT, status="404 Not Found"), ("send", final(TEXT, status="404 Not Found"))),
        "own-429": (final(TEXT, status="429 Too Many Requests"),
                    ("send", final(TEXT, status="429 Too Many Requests"))),
        "case-of-names": (plain.replace(b"Content-Length", b"cOnTeNt-LENGTH"),
                          ("send", plain.replace(b"Content-Length", b"cOnTeNt-LENGTH"))),
    }


@case
def small_answers_in_any_form(env):
    each_form(env, "nonblocking", small_forms)


@case
def small_answers_of_a_blocking_server(env):
    each_form(env, "blocking", small_forms)


def large_forms(replies):
    """Sizes around those of pages, of what a message holds, and of the kernel's own pieces of 32 KiB."""
    forms = {}
    for size in (4 * KIB, 16 * KIB, 32 * KIB, 32 * KIB + 1, 64 * KIB, 64 * KIB + 1, 100000, MIB):
        body = os.urandom(size)
        answer = final(body)
        head = answer[:-size]
        forms[f"send-{size}"] = answer, ("send", replies.file(answer))
        forms[f"writev-{size}"] = answer, ("writev", [head, replies.file(body)])
        forms[f"sendfile-{size}"] = answer, ("send", head), ("sendfile", replies.file(body))
        forms[f"sendfile-all-{size}"] = answer, ("sendfile", replies.file(answer))
        if size < 64 * KIB:
            forms[f"splice-{size}"] = answer, ("send", head), ("splice", replies.file(body))
        forms[f"zerocopy-{size}"] = answer, ("zerocopy", replies.file(answer))
    return forms


@case
def large_answers_in_any_form(env):
    each_form(env, "nonblocking", large_forms)


@case
def large_answers_of_a_blocking_server(env):
    each_form(env, "blocking", large_forms)


def cut_heads(_):
    answer = final(TEXT, "Transfer: no", "content-: x", "Content-Type: text/plain")
    return {f"cut-at-{at}": (answer, ("send", answer[:at]), ("send", answer[at:])) for at in range(1, len(answer))}


@case
def a_head_cut_anywhere(env):
    each_form(env, "nonblocking", cut_heads)


def chunked_forms(replies):
    whole = streamed(chunked(TEXT, b"x" * 300, trailers=b"X-Sum: 12\r\nX-Other: 13\r\n"), "Trailer: X-Sum")
    extended = streamed(b"5;a=b;c\r\nhello\r\n00A\r\n0123456789\r\n0;last\r\n\r\n")
    large = streamed(chunked(*(os.urandom(size) for size in (1, 40000, 4096, 70000, 15))))
    return {
        "whole": (whole, ("send", whole)),
        "many": (whole, *(("send", piece) for piece in pieces_of(whole, 7))),
        "bytes": (whole, ("bytes", whole)),
        "writev": (whole, ("writev", pieces_of(whole, 13))),
        "extended": (extended, ("send", extended)),
        "extended-bytes": (extended, ("bytes", extended)),
        "large": (large, ("send", replies.file(large))),
        "large-in-pieces": (large, *(("send", replies.file(piece)) for piece in pieces_of(large, 9973))),
    }


@case
def chunked_answers(env):
    each_form(env, "nonblocking", chunked_forms)


def bodies_like_answers(replies):
    like = final(b"")
    plain, chunks = final(like * 3), streamed(chunked(like, like, like + b"HTTP/1.1 404"))
    large = final(like * 5000)
    return {
        "own-write": (plain, ("send", plain[:-3 * len(like)]), *(("send", like) for _ in range(3))),
        "one-write": (plain, ("send", plain)),
        "cut": (plain, *(("send", piece) for piece in pieces_of(plain, len(like)))),
        "chunks": (chunks, ("send", chunks)),
        "chunk-a-write": (chunks, *(("send", piece) for piece in chunks.splitlines(keepends=True))),
        "large": (large, *(("send", replies.file(piece)) for piece in pieces_of(large, 30 * len(like)))),
        "sendfile": (large, ("send", large[:-5000 * len(like)]), ("sendfile", replies.file(like * 5000))),
    }


@case
def bodies_that_look_like_answers(env):
    each_form(env, "nonblocking", bodies_like_answers)


@case
def interim_answers_are_not_touched(env):
    replies = Replies(env)
    answer = final(TEXT)
    both = CONTINUE + HINTS
    forms = {"one-write": [("send", both + answer)],
             "a-write-each": [("send", CONTINUE), ("send", HINTS), ("send", answer)],
             "bytes": [("bytes", both + answer)],
             "writev": [("writev", pieces_of(both + answer, 11))],
             "first-alone": [("send", CONTINUE), ("wait",), ("send", HINTS + answer)]}
    for name, steps in forms.items():
        replies.add(f"/{name}", *steps)
    server = replies.start()
    conn = env.connect()
    for _ in range(2):
        for name in forms:
            if name == "first-alone":
                server.command("go")
            replies.ask(conn, f"/{name}", answer, interim=both)
    conn.send_segment(get("/one-write", "Expect: 100-continue", "Content-Length: 3", method="POST"))
    read_stream(conn, [CONTINUE])
    conn.send_segment(b"abc")
    read_stream(conn, [both, *with_fields(answer, replies.told())])
    replies.ask(conn, "/one-write", answer, interim=both)
    nothing_more(env, conn)


@case
def answers_without_a_body(env):
    """Whatever their length fields say."""
    replies = Replies(env)
    said = final(b"", "Content-Length: 1000", length=False)
    chunks = final(b"", "Transfer-Encoding: chunked", length=False)
    unmodified = final(b"", "Content-Length: 1000", status="304 Not Modified", length=False)
    nothing = final(b"", status="204 No Content", length=False)
    replies.add("/said", ("send", said))
    replies.add("/chunks", ("bytes", chunks))
    replies.add("/unmodified", ("send", unmodified))
    replies.add("/nothing", ("send", nothing))
    replies.add("/unsaid", ("send", final(b"", length=False)))
    replies.add("/text", ("send", final(TEXT)))
    replies.start()
    conn = env.connect()
    for _ in range(3):
        replies.ask(conn, "/said", said, method="HEAD")
        replies.ask(conn, "/chunks", chunks, method="HEAD")
        replies.ask(conn, "/unsaid", final(b"", length=False), method="HEAD")
        replies.ask(conn, "/unmodified", unmodified)
        replies.ask(conn, "/nothing", nothing)
        replies.ask(conn, "/text", final(TEXT))
    nothing_more(env, conn)


@case
def an_answer_that_ends_with_the_connection(env):
    """Nothing behind its head is taken for an answer."""
    replies = Replies(env)
    body = final(TEXT) * 3
    for version in ("1.0", "1.1"):
        head = final(b"", version=version, length=False)
        replies.add(f"/one/{version}", ("send", head + body), ("close",))
        replies.add(f"/pieces/{version}", ("send", head), *(("send", piece) for piece in pieces_of(body, 20)),
                    ("close",))
    replies.start()
    for version in ("1.0", "1.1"):
        for name in ("one", "pieces"):
            conn = env.connect()
            replies.ask(conn, f"/{name}/{version}", final(b"", version=version, length=False) + body)
            conn.expect_eof()
    equal(env.reasons().get("reply_unread", 0), 0, "answers that were not understood")


@case
def a_server_of_http_1_0_that_keeps_the_connection(env):
    replies = Replies(env)
    answer = final(TEXT, "Connection: keep-alive", version="1.0")
    replies.add("/", ("send", answer))
    replies.add("/bytes", ("bytes", answer))
    replies.start()
    conn = env.connect()
    for target in ("/", "/bytes", "/"):
        replies.ask(conn, target, answer)
    nothing_more(env, conn)


@case
def what_follows_an_upgrade_is_not_touched(env):
    """The 101 is no final answer, and what follows it is another protocol, like HTTP or not."""
    replies = Replies(env)
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    replies.add("/ws", ("send", switch), ("send", b"\x81\x05hello"), ("send", final(TEXT)))
    replies.add("/at-once", ("send", switch + final(TEXT)))
    replies.start()
    for target, rest in (("/ws", b"\x81\x05hello"), ("/at-once", b"")):
        conn = env.connect()
        conn.send_segment(get(target, "Upgrade: websocket", "Connection: Upgrade"))
        read_stream(conn, [switch, rest, final(TEXT)])
        nothing_more(env, conn)


@case
def twenty_pipelined_requests(env):
    """All judged as one: each answer tells of what the last left."""
    replies = Replies(env)
    sizes = {"small": 13, "page": 4096, "large": 20000, "huge": 70000}
    answers = {name: final(os.urandom(size), "X: y") for name, size in sizes.items()}
    for name, answer in answers.items():
        replies.add(f"/{name}/keep", ("keep", replies.file(answer)))
        replies.add(f"/{name}/send", ("send", replies.file(answer)))
    replies.start()
    for name, answer in answers.items():
        for targets in ([f"/{name}/keep"] * 19 + [f"/{name}/send"], [f"/{name}/send"] * 20):
            conn = env.connect()
            conn.send(b"".join(get(target) for target in targets))
            told = replies.told(20)
            for _ in targets:
                read_stream(conn, with_fields(answer, told))
            nothing_more(env, conn)
    equal(env.reasons().get("headers_lost", 0), 0, "answers that went without fields")


@case
def sixty_four_wait_and_more_are_not_followed(env):
    replies = Replies(env)
    answer = final(TEXT)
    replies.add("/keep", ("keep", answer))
    replies.add("/send", ("send", answer))
    replies.start()
    conn = env.connect()
    conn.send(get("/keep") * 63 + get("/send"))
    told = replies.told(64)
    for _ in range(64):
        read_stream(conn, with_fields(answer, told))
    replies.ask(conn, "/send", answer)
    conn.send(get("/keep") * 64 + get("/send"))
    read_stream(conn, [answer * 65])
    nothing_more(env, conn)


@case
def refusals_between_admitted_requests(env):
    """The kernel's own answers go out as they are, and those of the server before and after are told."""
    replies = Replies(env)
    answer = final(TEXT)
    chunks = streamed(chunked(os.urandom(100000)))
    replies.add("/", ("send", answer))
    replies.add("/chunks", ("send", replies.file(chunks)))
    fast, slow = (always(rules=[bucket_rule(2, 2, interval)]) for interval in ("1ms", "1h"))
    replies.start(document=fast)
    conn = env.connect()
    for _ in range(3):
        conn.send_segment(get("/"))
        read_stream(conn, with_fields(answer, Told(1, 2, interval_s=1)))
        env.write("limit.yaml", slow)
        wait_for("nothing is refilled", lambda: "hour" in env.item()["limit"])
        conn.send_segment(get("/chunks"))
        read_stream(conn, with_fields(chunks, Told(0, 2, interval_s=3600)))
        for method in ("GET", "HEAD", "GET"):
            expect_limited(conn.ask(get("/", method=method)), limit=2, text="2 per 1 hour", interval_s=3600,
                           head=method == "HEAD")
        env.write("limit.yaml", fast)
        wait_for("the bucket is refilled", lambda: env.tokens() == 2)
    nothing_more(env, conn)
