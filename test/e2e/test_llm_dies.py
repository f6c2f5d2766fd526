# SPDX-License-Identifier: Apache-2.0
"""Connections that end with RST, of either side, at each moment of a request and of its answer: what was reserved is there
again, but for what the answer used by then."""

import json
import os

import bpfmap
from client import chunk, equal, get
from documents import ratelimit
from harness import PORT, case, case_of_each, wait_for
from models import asked, budget, reply, reset, spent
from told import Replies, final

TWELVE = {"usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}
ALL, MOST = 1000, 900
BODY = json.dumps(asked("chat", most=MOST)).encode()
PROMPT = (len(BODY) + 3) // 4     # as it is estimated


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


def start(env, answers, last):
    """A server that has /first answered, and of each of @answers as many pieces as /ITS_NAME/COUNT says, behind which it waits and
    does @last."""
    replies = Replies(env)
    replies.add("/first", ("send", final(json.dumps(TWELVE).encode())))
    for name, pieces in answers.items():
        for count in range(1, len(pieces) + 1):
            replies.add(f"/{name.split()[1]}/{count}", *[("send", piece) for piece, _ in pieces[:count] if piece], ("wait",),
                        *last)
    return replies.start(document=ratelimit("limit", PORT, rules=[budget(f"{ALL}/hour", reserve="MaxTokens")]))


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


def held(env, paid):
    """What a request holds beside what is @paid, once it does."""
    wait_for("it is reserved", lambda: MOST <= spent(env, ALL) - paid <= MOST + PROMPT)
    return spent(env, ALL) - paid


def emptied(env):
    equal(env.tool("reset", "limit").returncode, 0, "exit status of a reset")


@case_of_each({f"by the {who} of {name}": (who, name) for who in ("client", "server") for name in ANSWERS})
def behind_each_piece(env, end):
    """Ahead of the answer's first byte, behind that, the head, some of the body, and the last."""
    who, name = end
    server = start(env, {name: ANSWERS[name]}, [("reset",)])
    data = b""
    for count, (piece, used) in enumerate(ANSWERS[name], 1):
        emptied(env)
        conn = second(env, server)
        conn.send_segment(post(f"/{name.split()[1]}/{count}"))
        data += piece
        equal(conn.read(len(data)), data, "the answer up to there")
        if count == len(ANSWERS[name]):
            equal(spent(env, ALL), 24, "tokens paid for both answers")
        else:
            whole = held(env, 12)
            used = whole if used == MOST else used
        if who == "client":
            reset(None, conn)
        server.command("go")
        comes_back(env, 12 + used, f"behind {data[-20:]!r}")


@case
def in_a_request(env):
    """In its head, in its body, and in what follows its JSON: that is judged by then. Behind an answer that is due as well."""
    server = start(env, {"a stream": ANSWERS["a stream"]}, [("reset",)])
    head = post("/stream/1", b"", len(BODY) + 20)
    for due in (False, True):
        for data, judged in ((head[:20], False), (head, False), (head + BODY[:-1], False), (head + BODY + b"  ", True)):
            emptied(env)
            conn = second(env, server)
            if due:
                conn.send_segment(post("/stream/1", json.dumps(asked("chat", most=20)).encode()))
                wait_for("it is reserved", lambda: charges(env) == 1)
            conn.send_segment(data)
            if judged and not due:
                held(env, 12)
            equal(charges(env), due + judged, f"charges with {len(data)} bytes")
            reset(None, conn)
            if due:
                server.command("go")
            comes_back(env, 12, f"behind {data[-20:]!r}")
