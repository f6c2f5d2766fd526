# SPDX-License-Identifier: Apache-2.0
"""Many refusals at once: the agent carries their answers in batches, and each client still gets its own,
whole."""

import os
import signal
import time

from client import count_statuses, equal, expect, expect_compact, expect_limited, expect_ok, get, post
from documents import ratelimit
from harness import case, take, wait_for

CLIENTS = 32
LONG = "X-Padding: " + "a" * 60


def carried(env):
    """429s that the agent carried."""
    return env.reasons().get("answer_carried", 0)


def ask_all(conns, request):
    """@request on each connection, all before the first answer is read."""
    for conn in conns:
        conn.send(request)
    return [conn.response() for conn in conns]


def hammer(env, conns):
    """Refused requests up to the moment when the agent carries batches. Returns how many."""
    asked = 0

    def batches():
        nonlocal asked
        before = carried(env)
        for _ in range(20):
            for answer in ask_all(conns, get("/over")):
                expect_limited(answer, limit=1, text="1 per 1 day")
            asked += len(conns)
        return carried(env) - before >= 10 * len(conns)

    wait_for("the agent carries answers in batches", batches)
    return asked


@case(alone=True)
def a_flood_is_answered_in_batches(env):
    server = env.server()
    env.limit(limit="1/day")
    take(env, 1)
    conns = [env.connect() for _ in range(CLIENTS)]
    asked = hammer(env, conns)
    for answer in ask_all(conns, post("/over", b"x" * 3000)):
        expect_limited(answer, limit=1, text="1 per 1 day")
    for answer in ask_all(conns, get("/over", "Connection: close")):
        expect_limited(answer, limit=1, text="1 per 1 day", close=True)
    for conn in conns:
        conn.expect_eof()
    equal(env.item()["rateLimitedRequests"], asked + 2 * CLIENTS, "requests limited")
    equal(env.settled(server).requests(), [("GET", "/")], "requests that reached the server")


@case(alone=True)
def calm_after_a_flood(env):
    """Batches end with the flood; what comes then is answered as before."""
    env.server()
    env.limit(limit="1/day")
    take(env, 1)
    conns = [env.connect() for _ in range(CLIENTS)]
    hammer(env, conns)

    def alone():
        before = carried(env)
        expect_limited(conns[0].ask(get("/over")), limit=1, text="1 per 1 day")
        return carried(env) == before

    wait_for("an answer that the agent does not carry", alone)


@case(alone=True)
def others_are_admitted_in_a_flood(env):
    """Refusals on one endpoint leave the answers of another alone."""
    server = env.server(port=8081)
    env.server()
    env.write("other.yaml", ratelimit("other", 8081, limit="100000/day"))
    env.limit(limit="1/day")
    take(env, 1)
    conns = [env.connect() for _ in range(CLIENTS)]
    hammer(env, conns)
    calm = env.connect(8081)
    for number in range(50):
        for conn in conns:
            conn.send(get("/over"))
        expect_ok(calm.ask(get(f"/{number}")), f"/{number}")
        for conn in conns:
            expect_limited(conn.response(), limit=1, text="1 per 1 day")
    equal(len(env.settled(server).requests()), 50, "requests that reached the other server")


@case(alone=True)
def the_agent_is_killed_in_a_flood(env):
    """No refused request reaches the server, and what was left to the dead agent is carried by the
    next one."""
    server = env.server()
    agent = env.limit(limit="1/day")
    take(env, 1)
    conns = [env.connect() for _ in range(CLIENTS)]
    hammer(env, conns)
    for conn in conns:
        conn.send(get("/over", LONG))
    agent.kill()
    expect_compact(env.connect().ask(get("/over", LONG)))
    env.agent("limit")
    statuses = count_statuses([conn.response() for conn in conns])
    equal(statuses, {429: CLIENTS}, "answers to what was sent when the agent died")
    for answer in ask_all(conns, get("/over", LONG)):
        expect_limited(answer, limit=1, text="1 per 1 day")
    equal(env.settled(server).requests(), [("GET", "/")], "requests that reached the server")


@case(alone=True)
def the_agent_is_stopped_in_a_flood(env):
    """It carries what was left to it before it goes."""
    server = env.server()
    agent = env.limit(limit="1/day")
    take(env, 1)
    conns = [env.connect() for _ in range(CLIENTS)]
    hammer(env, conns)
    for conn in conns:
        conn.send(get("/over", LONG))
    equal(agent.terminate(), 0, "exit status of the agent")
    for conn in conns:
        equal(conn.response().status, 429, "status while the agent goes")
    equal(env.settled(server).requests(), [("GET", "/")], "requests that reached the server")


@case(alone=True)
def a_client_that_reads_nothing_holds_up_nobody(env):
    """Its answers fill its own window; one more is not made before it has those. It sends slowly enough to
    seem to wait for each."""
    server = env.server()
    env.limit(limit="1/day")
    take(env, 1)
    silent = [env.connect(receive_buffer=2048) for _ in range(8)]
    sent = 0
    try:
        for _ in range(400):
            for conn in silent:
                conn.send(get("/silent"))
            sent += len(silent)
            time.sleep(0.01)
    except (BrokenPipeError, ConnectionResetError):
        # On a slow machine, it was ended for sending behind its last answer.
        pass
    limited = env.item()["rateLimitedRequests"]
    expect(limited < sent / 2, f"{limited} of {sent} requests were answered, and no answer was read")
    for _ in range(20):
        expect_limited(env.connect().ask(get("/over")), limit=1, text="1 per 1 day")
    equal(len(env.settled(server).requests()), 1, "requests that reached the server")


@case(alone=True)
def events_that_the_agent_missed_are_made_up_for(env):
    """The ring of events is full of connections that are long gone when one ends that is not."""
    env.server()
    agent = env.limit(limit="1/day")
    take(env, 1)
    os.kill(agent.process.pid, signal.SIGSTOP)
    # From the maps: the tool would wait for the agent that is stopped.
    nobody = ("--control-socket", os.path.join(env.root, "none.sock"))
    try:
        while not env.reasons(*nobody).get("event_lost"):
            for _ in range(10):
                ask_all([env.connect() for _ in range(50)], get("/over", version="1.0"))
                env.close_conns()
        last = env.connect()
        last.send(get("/over", "Connection: close"))
        equal(last.response().status, 429, "status while the agent is stopped")
    finally:
        os.kill(agent.process.pid, signal.SIGCONT)
    last.expect_eof()
