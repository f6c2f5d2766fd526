# SPDX-License-Identifier: Apache-2.0
"""Connections that end with RST, of either side, at each moment of a request and of its answer: what was reserved is there
again within a second, but for what the answer used by then."""

import json
import os

import bpfmap
from client import chunk, equal, expect, get
from documents import ratelimit
from harness import PORT, case, case_of_each, wait_for
from models import asked, budget, of_model, reply, reset, spent
from told import Replies, final

TWELVE = {"usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}
ALL, MOST = 1000, 900
RULES = {"by its body": {"who": of_model("m")}, "by its head": {}}
BODY = json.dumps(asked("chat", most=MOST)).encode()
PROMPT = (len(BODY) + 3) // 4     # as it is estimated
LONG = 10 << 20


def events(*values):
    return [chunk(b"data: %s\n\n" % json.dumps(value).encode(), 4096)[:-5] for value in values]


def streamed():
    """Pieces of an answer, and what is paid once the client has them and no more: from the head on until something is told, all
    that was reserved."""
    head = final(b"", "Transfer-Encoding: chunked", length=False)
    one, two, three, usage = events(*[{"choices": [{"delta": {"content": "a"}}]}] * 3, {"choices": [], **TWELVE})
    return [(b"", 0), (head[:20], 0), (head[20:], MOST), (one + two + three[:20], PROMPT + 2), (three[20:] + usage, 12),
            (b"0\r\n\r", 12), (b"\n", 12)]


def whole():
    body = json.dumps({"choices": [], **TWELVE, "id": "x"}).encode()
    answer = final(body)
    head, told = len(answer) - len(body), answer.index(b"}") + 1
    return [(b"", 0), (answer[:20], 0), (answer[20:head], MOST), (answer[head:head + 20], MOST), (answer[head + 20:told], 12),
            (answer[told:-1], 12), (answer[-1:], 12)]


ANSWERS = {"a stream": streamed(), "an object": whole()}


def charges(env):
    return len(bpfmap.keys(os.path.join(env.bpffs, "krl_charges"), 16))


def start(env, answers, last, **fields):
    """A server that has /first answered, and of each of @answers as many pieces as /ITS_NAME/COUNT says, behind which it waits and
    does @last."""
    replies = Replies(env)
    replies.add("/first", ("send", final(json.dumps(TWELVE).encode())))
    for name, pieces in answers.items():
        for count in range(1, len(pieces) + 1):
            replies.add(f"/{name.split()[1]}/{count}", *[("send", piece) for piece, _ in pieces[:count] if piece], ("wait",),
                        *last)
    return replies.start(document=ratelimit("limit", PORT, rules=[budget(f"{ALL}/hour", reserve="MaxTokens", **fields)]))


def post(target, body=BODY, length=None):
    return get(target, f"Content-Length: {length or len(body)}", method="POST") + body


def second(env, server):
    """A connection that had an answer; what that cost is @ALL less what is there now."""
    conn = env.accepted(server)
    conn.send_segment(post("/first"))
    equal(reply(conn).json(), TWELVE, "the first answer")
    return conn


def comes_back(env, wanted, what):
    wait_for(f"{what}: {wanted} tokens paid, and nothing is held", lambda: not charges(env) and spent(env, ALL) == wanted)


def each_piece(env, name, last, end, **fields):
    """At the first piece of the answer and behind each, @end comes over a connection."""
    server = start(env, {name: ANSWERS[name]}, last, **fields)
    paid = 0
    data = b""
    for count, (piece, used) in enumerate(ANSWERS[name], 1):
        conn = second(env, server)
        paid += 12
        conn.send_segment(post(f"/{name.split()[1]}/{count}"))
        data += piece
        equal(conn.read(len(data)), data, "the answer up to there")
        if used != 12:
            held = spent(env, ALL) - paid
            expect(MOST <= held <= MOST + PROMPT, f"{held} tokens are held behind {data[-20:]!r}")
        end(server, conn)
        # Of what is told by its beginning alone, all that was reserved is paid.
        used = held if used == MOST else used
        comes_back(env, paid + used, f"behind {data[-20:]!r}")
        paid = refilled(env, paid + used)


def refilled(env, paid):
    """What is paid once there is room for another."""
    if paid < ALL - MOST - PROMPT - 12:
        return paid
    equal(env.tool("reset", "-n", "default", "limit").returncode, 0, "exit status of a reset")
    return 0
