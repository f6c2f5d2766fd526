# SPDX-License-Identifier: Apache-2.0
"""Servers that write with MSG_ZEROCOPY: each piece of a message takes memory of the socket's for it
(net.core.optmem_max) and of what its user may lock, and where that is used up the kernel takes a part of the message,
or nothing."""

import json
import os

from client import equal, get
from documents import ratelimit
from harness import PORT, case, wait_for
from models import asked, budget, request, spent
from told import Replies, final, nothing_more, read_stream, with_fields

KIB, MIB = 1 << 10, 1 << 20
OPTMEM = "/proc/sys/net/core/optmem_max"
SMALL = final(b"hello, world\n", "X: y")


def some_memory_for_options():
    """Of the namespace, which has no such setting before Linux 6.8: there it is 20 KiB."""
    if os.path.exists(OPTMEM):
        with open(OPTMEM, "w", encoding="ascii") as setting:
            setting.write(str(8 * KIB))


def read_slowly(env, request, answer):
    """Through a small receive buffer, so that more of the answer waits. When memory runs out is a matter of chance all the same:
    pieces that wait to be sent share it."""
    conn = env.connect(receive_buffer=256 * KIB)
    conn.send_segment(request)
    read_stream(conn, answer)
    return conn


def rounds(env, kind):
    """Answers beyond that memory, and small ones behind them."""
    some_memory_for_options()
    replies = Replies(env)
    answers = {f"/{size}": final(os.urandom(size)) for size in (MIB, 100000, 2 * MIB)}
    for target, answer in answers.items():
        replies.add(target, ("zerocopy", replies.file(answer)))
    replies.add("/small", ("send", SMALL))
    replies.start(kind)
    slow = read_slowly(env, get(f"/{2 * MIB}"), with_fields(answers[f"/{2 * MIB}"], replies.told()))
    for conn in (slow, env.connect()):
        for _ in range(3):
            for _ in range(3):
                replies.ask(conn, "/small", SMALL)
            for target, answer in answers.items():
                replies.ask(conn, target, answer)
        nothing_more(env, conn)
    reasons = env.reasons()
    equal({name: reasons.get(name, 0) for name in ("headers_lost", "reply_unread")},
          {"headers_lost": 0, "reply_unread": 0}, "what was not followed")


@case
def zero_copies_beyond_the_memory_for_them(env):
    rounds(env, "nonblocking")


@case
def zero_copies_of_a_blocking_server(env):
    rounds(env, "blocking")


@case
def zero_copies_of_a_model_server(env):
    """What each of its answers says at its end is paid."""
    some_memory_for_options()
    replies = Replies(env)
    usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    answers = [final(json.dumps({"id": "x" * size, "usage": usage}).encode()) for size in (2 * MIB, 100, 100000, MIB)]
    for number, answer in enumerate(answers):
        replies.add(f"/v1/{number}", ("zerocopy", replies.file(answer)))
    server = replies.start(document=ratelimit("limit", PORT, rules=[budget("100000/hour")]))

    def ask(number):
        return request("chat", asked("chat")).replace(b"/v1/chat/completions", b"/v1/%d" % number, 1)

    slow = read_slowly(env, ask(0), [answers[0]])
    for count, conn in enumerate([slow] * 6 + [env.accepted(server)] * 6, 1):
        number = count % len(answers)
        conn.send_segment(ask(number))
        read_stream(conn, [answers[number]])
        wait_for(f"{count + 1} answers are paid", lambda: spent(env, 100000) == 12 * (count + 1))
    equal(env.reasons().get("llm_unfollowed", 0), 0, "answers that were not followed")


@case
def zero_copies_of_a_user_who_may_lock_nothing(env):
    """The answer is refused as it is, fields included, and written again without the program."""
    replies = Replies(env)
    answers = {f"/{size}": final(os.urandom(size)) for size in (13, 300, 20000, 100000)}
    for target, answer in answers.items():
        replies.add(target, ("zerocopy", replies.file(answer)))
    replies.add("/small", ("send", SMALL))
    os.chmod(env.root, 0o755)
    server = replies.start("nonblocking", locked="0")
    conn = env.connect()
    for target, answer in answers.items():
        conn.send_segment(get(target))
        replies.told()
        read_stream(conn, [answer])
        replies.ask(conn, "/small", SMALL)
        replies.ask(conn, "/small", SMALL)
    nothing_more(env, conn)
    equal(len(server.events("copies")), len(answers), "answers that were refused and written again")
    reasons = env.reasons()
    equal(reasons.get("headers_lost", 0) + reasons.get("reply_unread", 0), len(answers), "answers without fields, counted")
