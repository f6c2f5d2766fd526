# SPDX-License-Identifier: Apache-2.0
"""Servers that answer before the body of a request is there, or speak another protocol from then on: what was reserved
is there again, and the next answers are those of their requests."""

import json
import os
import time

import bpfmap
from client import equal, expect, expect_ok, get
from documents import ratelimit
from harness import PORT, SCALE, case, case_of_each, wait_for
from models import asked, budget, head_and_body, of_model, reply, request, spent
from told import Replies, final

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")
FRAMES = (b"\x81\x85\0\0\0\0hello", b"\x82\xfe\x01\0" + b"mask" + bytes(256))
TWELVE = {"usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}
RULES = {"by its body": {"who": of_model("m"), "reserve": "MaxTokens"}, "reserved": {"reserve": "MaxTokens"},
         "by its head": {}}


def usual():
    return final(json.dumps(TWELVE).encode(), "Content-Type: application/json")


def error(status, *fields):
    return final(b'{"error":{}}', "Content-Type: application/json", *fields, status=f"{status} Error")


def start(env, early, *more, **fields):
    """A server that answers /v1/completions by the steps of @early as soon as it has the head, /v1/chat/completions with
    twelve tokens, and @more targets; a budget of 1000 tokens."""
    replies = Replies(env)
    replies.add("/v1/completions", ("early",), *early)
    replies.add("/v1/chat/completions", ("send", usual()))
    for target, *steps in more:
        replies.add(target, *steps)
    document = ratelimit("limit", PORT, rules=[budget("1000/hour", **fields)])
    return replies.start(document=document)


def charges(env):
    return len(bpfmap.keys(os.path.join(env.bpffs, "krl_charges"), 16))


def in_two(env, server, chunks):
    """A connection with a request whose head is answered; returns it, the answer, and what is to be sent yet."""
    conn = env.accepted(server)
    head, body = head_and_body("completions", asked("completions", most=900), chunks=chunks)
    conn.send_segment(head + body[:10])
    return conn, reply(conn), body[10:]


def kept_alive(env, **fields):
    server = start(env, [("send", error(413))], **fields)
    paid = 0
    conns = []
    for chunks in (0, 7):
        conn, answer, rest = in_two(env, server, chunks)
        conns.append(conn)
        for number in range(3):
            equal(answer.status, 413, "status of the early answer")
            conn.send_segment(rest[:-5])
            before = len(server.requests())
            conn.send_segment(rest[-5:])
            wait_for("the server has the body", lambda before=before: len(server.requests()) > before)
            equal((spent(env, 1000), charges(env)), (paid, 0), f"tokens taken, and charges, with the body {number}")
            conn.send_segment(request("chat", asked("chat", most=100)))
            equal(reply(conn).json(), TWELVE, "the answer to the next request")
            paid += 12
            equal((spent(env, 1000), charges(env)), (paid, 0), f"tokens taken, and charges, after answer {number}")
            head, body = head_and_body("completions", asked("completions", most=900), chunks=chunks)
            conn.send_segment(head + body[:10])
            answer, rest = reply(conn), body[10:]
    env.close_conns()
    wait_for("nothing is left over", lambda: not charges(env))
    equal(spent(env, 1000), paid, "tokens taken after the connections")


@case
def an_early_error_and_a_request_that_is_judged_by_its_body(env):
    kept_alive(env, **RULES["by its body"])


@case
def an_early_error_and_a_request_that_reserves(env):
    kept_alive(env, **RULES["reserved"])


@case
def an_early_error_and_a_request_that_is_judged_by_its_head(env):
    kept_alive(env, **RULES["by its head"])


@case
def an_early_error_and_the_end_of_the_connection(env):
    """The server closes, with what the client sends unread, or with RST; or the client gives up."""
    server = start(env, [("send", error(401, "Connection: close")), ("close",)],
                   ("/v1/responses", ("early",), ("send", error(400, "Connection: close")), ("reset",)),
                   ("/v1/embeddings", ("early",), ("send", error(413))), **RULES["by its body"])
    for api in ("completions", "responses", "embeddings"):
        for wait in (False, True):
            conn = env.accepted(server)
            head, body = head_and_body(api, asked(api, most=900))
            conn.send_segment(head + body[:10])
            if wait:
                expect(reply(conn).status >= 400, "status of the early answer")
            conn.send_until_closed([body[10:-5]] + ([body[-5:]] if api != "embeddings" else []))
        env.close_conns()
        begun = time.monotonic()
        wait_for("nothing is left over", lambda: not charges(env) and env.tokens() == 1000)
        took_s = time.monotonic() - begun
        expect(took_s < SCALE, f"it took {took_s:.2f} s")


@case
def an_early_error_over_budget(env):
    """The rest of the body is not for the server any more; what it said stays, and the connection ends."""
    server = start(env, [("send", error(401))], ("/v1/messages", ("wait",)), **RULES["by its body"])
    expect_ok(env.connect().ask(request("chat", asked("chat", most=10))))
    conn, answer, rest = in_two(env, server, 0)
    equal(answer.status, 401, "status of the early answer")
    other, _, more = in_two(env, server, 0)
    taker = env.accepted(server)
    taker.send_segment(request("messages", asked("messages", most=800)))
    wait_for("most is reserved", lambda: env.tokens() < 200)
    for one, body in ((conn, rest), (other, more)):
        one.send_until_closed([body])
        one.expect_eof()
    equal([target for _, target in server.requests()], ["/v1/chat/completions", "/v1/messages"], "whole requests")
    taker.close()
    server.command("go")
    wait_for("what was reserved is there again", lambda: spent(env, 1000) == 12)


@case
def an_early_success_is_counted(env):
    """No model server can have read the request by then: its answer is not charged for."""
    server = start(env, [("send", usual())], **RULES["by its body"])
    conn, answer, rest = in_two(env, server, 0)
    expect_ok(answer)
    equal(env.reasons().get("llm_unfollowed", 0), 0, "requests that are not followed, before the body")
    conn.send_segment(rest)
    equal((env.reasons().get("llm_unfollowed"), env.tokens(), charges(env)), (1, 1000, 0), "counted, tokens, charges")
    conn.send_segment(request("chat", asked("chat", most=100)))
    equal(reply(conn).json(), TWELVE, "the answer to the next request")
    equal((env.reasons().get("llm_unfollowed"), spent(env, 1000)), (1, 12), "counted, and tokens paid")


@case
def an_answer_that_begins_early(env):
    """... and ends when the body is there pays like any."""
    body = json.dumps(TWELVE).encode()
    head = final(b"", f"Content-Length: {len(body)}", length=False)
    server = start(env, [("send", head), ("send", body[:10]), ("wait",), ("send", body[10:])],
                   **RULES["by its body"])
    conn = env.accepted(server)
    first, second = head_and_body("completions", asked("completions", most=900))
    conn.send_segment(first)
    conn.more_than(len(head))
    conn.send_segment(second)
    wait_for("it is reserved", lambda: env.tokens() < 100)
    server.command("go")
    equal(reply(conn).json(), TWELVE, "the answer")
    equal((spent(env, 1000), charges(env)), (12, 0), "tokens paid, and charges")


def upgraded(env, *steps, method="POST", **fields):
    """A request for /ws that is answered with 101 and @steps: nothing is held from then on. The connection."""
    server = start(env, [], ("/ws", ("send", SWITCH), *steps), **fields)
    conn = env.accepted(server)
    body = json.dumps(asked("chat", most=900)).encode() if method == "POST" else b""
    conn.send_segment(get("/ws", f"Content-Length: {len(body)}", *UPGRADE, method=method) + body)
    equal(conn.read(len(SWITCH)), SWITCH, "the answer")
    wait_for("nothing is reserved, and charged", lambda: env.tokens() == 1000 and not charges(env))
    return conn


@case_of_each(RULES)
def an_upgrade_holds_nothing(env, fields):
    """The client says nothing more; the server speaks on."""
    frames = b"\x81\x05hello" * 1000
    conn = upgraded(env, ("wait",), ("send", frames), **fields)
    env.servers[-1].command("go")
    equal(conn.read(len(frames)), frames, "what the server writes")
    equal(env.tokens(), 1000, "tokens")


@case_of_each(RULES)
def websockets_work(env, fields):
    """Both ways, by GET and by POST, whatever is in the frames."""
    server = env.server()
    env.write("limit.yaml", ratelimit("limit", PORT, rules=[budget("1000/hour", **fields)]))
    env.agent("limit")
    for method in ("GET", "POST"):
        body = json.dumps(asked("chat", most=900)).encode() if method == "POST" else b""
        conn = env.accepted(server)
        conn.send_segment(get("/ws", f"Content-Length: {len(body)}", *UPGRADE, method=method) + body)
        equal(conn.response().status, 101, "status of the upgrade")
        for frame in (*FRAMES, b"\x81\xff" + (1 << 20).to_bytes(8, "big") + b"mask" + request("chat", asked("chat")) +
                      bytes(1 << 20), *FRAMES):
            conn.send(frame)
            equal(conn.read(len(frame)), frame, "the echo")
    equal((env.tokens(), charges(env)), (1000, 0), "tokens, and charges")
    equal(server.requests(), [("GET", "/ws"), ("POST", "/ws")], "requests that reached the server")


@case
def an_answer_that_is_not_understood(env):
    """Before it, and in its midst: what it used is charged as far as it was seen, and nothing is held."""
    event = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    stream = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%s\r\n" % (len(event), event)
    server = start(env, [], ("/v1/responses", ("send", b"no HTTP"), ("wait",)),
                   ("/v1/messages", ("send", stream + b"no size\r\n"), ("wait",)), reserve="MaxTokens")
    for api, least in (("responses", 0), ("messages", 1)):
        conn = env.accepted(server)
        conn.send_segment(request(api, asked(api, most=900)))
        conn.more_than(0)
        wait_for("nothing is held", lambda: not charges(env))
        used = spent(env, 1000)
        expect(least <= used <= least * 101, f"{used} tokens paid by {api}")
