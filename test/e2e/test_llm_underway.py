# SPDX-License-Identifier: Apache-2.0
"""Requests to model servers that come to another end than an answer, and what happens to limits while one is under
way."""

import json
import os
import signal
import socket
import struct
import time

import bpfmap
from client import equal, expect, expect_ok
from documents import ratelimit
from harness import PORT, SCALE, case, case_of_each, wait_for
from models import (EACH_USER, STREAMED, Models, ask, asked, budget, headers, of_model, reply, request,
                    spent)
from told import Replies, final

HELD = headers({"hold": "first"})
RESERVES = {"reserve": "MaxTokens"}
OTHER = 8081
TWELVE = {"usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}


def is_empty(env, name, key_bytes):
    wait_for(f"{name} empty", lambda: not bpfmap.keys(os.path.join(env.bpffs, name), key_bytes))


def nothing_is_charged(env):
    """No request waits for its answer to be charged for."""
    is_empty(env, "krl_charges", 16)


def nothing_is_kept(env):
    """Of connections, requests and answers, in the kernel."""
    nothing_is_charged(env)
    is_empty(env, "krl_llms", 8)


def held(env, models, count, api="chat", **more):
    """So many connections, each with a request whose answer is held."""
    before = models.held()
    conns = [env.connect() for _ in range(count)]
    for conn in conns:
        conn.send(request(api, asked(api, **more), *HELD))
    wait_for("the answers are held", lambda: models.held() == before + count)
    return conns


@case
def a_hundred_that_die_at_once(env):
    """Their clients reset them: what they reserved is there again within a second, whatever the server does."""
    models = Models(env)
    env.limit(rules=[budget("100000/hour", **RESERVES)])
    held(env, models, 100, prompt=1, most=500)
    expect(env.tokens() <= 50000, f"{env.tokens()} tokens while 50,000 are reserved")
    os.kill(models.server.pid, signal.SIGSTOP)
    for conn in env.conns:
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    env.close_conns()
    begun = time.monotonic()
    try:
        wait_for("all is there again", lambda: env.tokens() == 100000)
        took_s = time.monotonic() - begun
    finally:
        os.kill(models.server.pid, signal.SIGCONT)
    expect(took_s < SCALE, f"it took {took_s:.2f} s")
    nothing_is_kept(env)


FIN_WAIT2 = 5


def ends_sending(conn):
    """The client sends nothing more, and its server has been told."""
    conn.shutdown()
    wait_for("the FIN is acknowledged", lambda: conn.sock.getsockopt(socket.SOL_TCP, socket.TCP_INFO, 1)[0] == FIN_WAIT2)


@case
def clients_that_end_their_sending_side(env):
    """They wait for their answers, or are gone: a server that does not look cannot tell. What they reserved is held, or who
    ends that side behind each request would overshoot; it is there again within a second of what the server does next."""
    replies = Replies(env)
    replies.add("/v1/chat/completions", ("wait",), ("send", final(json.dumps(TWELVE).encode())))
    server = replies.start("blocking", ratelimit("limit", PORT, rules=[budget("1000/hour", **RESERVES)]))
    for paid, leave in ((0, lambda conn: None), (24, lambda conn: conn.close())):
        conns = []
        for number in range(1, 3):
            conns.append(env.accepted(server))
            conns[-1].send_segment(request("chat", asked("chat", most=400)))
            wait_for("it is reserved", lambda most=1000 - paid - 400 * number: env.tokens() < most)
            ends_sending(conns[-1])
        conn = env.connect()
        conn.send(request("chat", asked("chat", most=400)))
        equal(reply(conn).status, 429, "status of a third")
        for conn in conns:
            leave(conn)
        expect(env.tokens() < 200 - paid, f"{env.tokens()} tokens while 800 are reserved")
        begun = time.monotonic()
        for _ in conns:
            server.command("go")
        wait_for("the rest is there again", lambda paid=paid: env.tokens() == 1000 - paid - 24)
        took_s = time.monotonic() - begun
        expect(took_s < SCALE, f"it took {took_s:.2f} s")
        if not paid:
            for conn in conns:
                equal(reply(conn).json(), TWELVE, "the answer")
    env.close_conns()
    nothing_is_kept(env)


@case
def nothing_is_kept_of_what_ended(env):
    models = Models(env)
    env.limit(rules=[budget(who=of_model("m"), **RESERVES)])
    for api in STREAMED:
        for stream in (False, True):
            for framing in ("length", "chunked", "close"):
                expect_ok(ask(env, api, asked(api, stream=stream, most=7), *headers({"framing": framing})))
    held(env, models, 5, most=7)
    for status in (400, 500):
        equal(ask(env, "chat", asked("chat", most=7), *headers({"status": status})).status, status, "status")
    env.close_conns()
    nothing_is_kept(env)
    equal(spent(env), models.of("m")["total"], "tokens paid")


@case
def a_request_that_is_torn(env):
    """In its head, and in its body: nothing is taken for it."""
    models = Models(env)
    env.limit(rules=[budget("1000/hour", who=of_model("m"), **RESERVES)])
    whole = request("chat", asked("chat", most=500))
    chunked = request("chat", asked("chat", most=500), chunks=20)
    for data in (whole[:30], whole[:-60], whole[:-1], chunked[:-60], chunked[:-2]):
        env.accepted(models.server).send_segment(data)
        env.settled(models.server)
    equal((models.stats()["requests"], env.tokens()), (0, 1000), "requests that reached the server, and tokens")
    nothing_is_kept(env)


@case
def an_answer_and_an_edit(env):
    """A change of numbers while answers are under way: they pay in the bucket that they were admitted by."""
    models = Models(env)
    env.limit(rules=[budget("1000/hour", **RESERVES)])
    conns = held(env, models, 2, prompt=1, most=100)
    env.write("limit.yaml", ratelimit("limit", PORT, rules=[budget("2000/hour", **RESERVES)]))
    wait_for("the edit is in force", lambda: env.item()["maxTokens"] == 2000)
    models.release()
    for conn in conns:
        expect_ok(reply(conn))
    equal(env.tokens(), 1000 - 16, "tokens")


@case
def an_answer_and_the_end_of_its_rule(env):
    """It is passed on all the same; a rule of the name that comes later starts anew."""
    models = Models(env)
    env.limit(rules=[budget("1000/hour", **RESERVES)])
    conn, = held(env, models, 1, stream=True)
    os.unlink(os.path.join(env.config, "limit.yaml"))
    wait_for("the limit is gone", lambda: not env.stats())
    models.release()
    equal(reply(conn).events()[-1]["usage"]["total_tokens"], 12, "tokens that the answer tells")
    expect_ok(ask(env, "chat", asked("chat")))
    env.write("limit.yaml", ratelimit("limit", PORT, rules=[budget("1000/hour", **RESERVES)]))
    wait_for("a limit is there", lambda: env.lists("limit"))
    equal(env.tokens(), 1000, "tokens of the new rule")
    expect_ok(ask(env, "chat", asked("chat")))
    equal(env.tokens(), 1000 - 12, "tokens after an answer")


def endpoints(env):
    return len(bpfmap.keys(os.path.join(env.bpffs, "krl_endpoints"), 24))


def away_and_back(env, rules, settled=False):
    """The endpoint goes, and its bucket; the rule stays, for another port. @settled: what is charged ends in between."""
    env.write("limit.yaml", ratelimit("limit", OTHER, rules=rules))
    wait_for("the endpoint is gone, and its bucket", lambda: endpoints(env) == 1 and not env.item()["buckets"])
    if settled:
        nothing_is_charged(env)
        equal(env.item()["buckets"], 0, "buckets of the endpoint that is gone")
    env.write("limit.yaml", ratelimit("limit", PORT, OTHER, rules=rules))
    wait_for("the endpoint is there", lambda: endpoints(env) == 2)


@case_of_each({"at once": False, "later": True})
def an_answer_and_an_endpoint_that_comes_back(env, settled):
    """Its connection is let go and taken in again: what it reserved is not held, nor taken for the next's."""
    models = Models(env)
    rules = [budget("1000/hour", **RESERVES)]
    env.limit(PORT, OTHER, rules=rules)
    conn, = held(env, models, 1, prompt=1, most=600)
    expect(env.tokens() < 400, f"{env.tokens()} tokens while 600 are reserved")
    away_and_back(env, rules, settled)
    nothing_is_charged(env)
    models.release()
    expect_ok(reply(conn))
    expect_ok(ask_on(conn, most=900))
    equal(env.tokens(), 1000 - 12, "tokens after the next on the connection")
    env.close_conns()
    nothing_is_kept(env)


@case
def an_answer_to_a_server_that_blocks_and_an_endpoint_that_comes_back(env):
    """Its connection stays. What is given back to the new bucket never makes that more than full."""
    usual = final(json.dumps({"usage": {"prompt_tokens": 5, "completion_tokens": 7}}).encode())
    replies = Replies(env)
    replies.add("/v1/chat/completions", ("wait",), ("send", usual))
    replies.add("/v1/completions", ("send", usual))
    rules = [budget("1000/hour", **RESERVES)]
    server = replies.start("blocking", ratelimit("limit", PORT, OTHER, rules=rules))
    conn = env.accepted(server)
    conn.send_segment(request("chat", asked("chat", most=600)))
    wait_for("it is reserved", lambda: env.tokens() < 400)
    away_and_back(env, rules)
    for number in range(1, 3):
        expect_ok(ask(env, "completions", asked("completions", most=99)))
        equal(env.tokens(), 1000 - 12 * number, "tokens in the new bucket")
    server.command("go")
    expect_ok(reply(conn))
    equal(env.tokens(), 1000, "tokens in the new bucket after what is given back")
    equal(ask(env, "completions", asked("completions", most=900)).status, 200, "status of the next")
    equal(env.tokens(), 1000 - 12, "tokens after it")
    env.close_conns()
    nothing_is_kept(env)


@case
def an_answer_and_another_agent(env):
    """The agent is killed and another starts while answers are under way: not a token is lost."""
    models = Models(env)
    env.limit(rules=[budget("1000/hour", who=EACH_USER, **RESERVES)])
    conns = []
    for user in ("alice", "bob"):
        conn = env.connect()
        conn.send(request("chat", asked("chat", prompt=1, most=400, stream=user == "bob"), f"x-user-id: {user}", *HELD))
        conns.append(conn)
    wait_for("the answers are held", lambda: models.held() == 2)
    env.agents[-1].kill()
    env.agent("limit")
    expect(env.tokens() < 600, f"{env.tokens()} tokens of alice or bob")
    models.release()
    for conn in conns:
        expect_ok(reply(conn))
    rows = {row["value"]: row["availableTokens"] for row in env.buckets()["items"]}
    equal(rows, {"x-user-id=alice": 1000 - 8, "x-user-id=bob": 1000 - 8}, "tokens")
    conns[0].send(request("chat", asked("chat", prompt=1, most=7), "x-user-id: alice"))
    expect_ok(reply(conns[0]))
    equal(env.tokens(), 1000 - 16, "tokens after one more on a connection from before")


@case
def a_connection_from_before_the_limit(env):
    """Idle, or with an answer under way, when the first limit comes."""
    models = Models(env)
    conns = [env.connect(), *held(env, models, 1)]
    expect_ok(ask_on(conns[0]))
    env.limit(rules=[budget("1000/hour")])
    models.release()
    expect_ok(reply(conns[1]))
    equal(env.tokens(), 1000, "tokens after an answer to a request from before the limit")
    for count, conn in enumerate(conns * 2, 1):
        expect_ok(ask_on(conn))
        equal(env.tokens(), 1000 - 12 * count, "tokens")


def ask_on(conn, **more):
    conn.send_segment(request("chat", asked("chat", **more)))
    return reply(conn)


@case
def parallel_streams_of_many_users(env):
    """Fifty at once, their events in turns on the machine: each pays its own."""
    models = Models(env)
    env.limit(rules=[budget("10000/hour", who=EACH_USER, **RESERVES)])
    conns = {}
    for number in range(50):
        api = STREAMED[number % len(STREAMED)]
        conns[number] = env.connect()
        conns[number].send(request(api, asked(api, f"m{number}", prompt=number + 1, most=1000, stream=True),
                                   f"x-user-id: u{number}",
                                   *headers({"delay-ms": 2, "completion-tokens": 20 + number, "events": 20})))
    for conn in conns.values():
        expect_ok(reply(conn))
    rows = {row["value"]: 10000 - row["availableTokens"] for row in env.buckets()["items"]}
    equal(rows, {f"x-user-id=u{number}": models.of(f"m{number}")["total"] for number in conns}, "tokens paid by user")
