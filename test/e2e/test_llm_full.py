# SPDX-License-Identifier: Apache-2.0
"""What is reserved where there is no room: for one more request that is to be charged, and for a bucket of one's own."""

import os

import bpfmap
from client import equal, expect, expect_ok
from harness import case, wait_for
from models import EACH_USER, Models, abort, ask, asked, budget, headers, reply, request, reset

RESERVES = {"reserve": "MaxTokens"}


def fill(env, name):
    """Without an agent, which would sweep: what it leaves behind goes on."""
    env.agents[-1].kill()
    bpfmap.fill(os.path.join(env.bpffs, name))


def charges(env, most=None):
    return len(bpfmap.keys(os.path.join(env.bpffs, "krl_charges"), 16, most))


def no_room_to_charge(env, status, *spec):
    models = Models(env)
    env.limit(rules=[budget("1000/hour", **RESERVES), budget("1000/hour", "user", EACH_USER, **RESERVES),
                     "{name: requests, limit: 100/day}"], spec=["ruleMatch: All", *spec])
    expect_ok(ask(env, "chat", asked("chat", most=7), "x-user-id: alice"))
    fill(env, "krl_charges")
    full = charges(env)
    conn = env.connect()
    for number in range(1, 6):
        if status != 200:
            conn = env.connect()
        conn.send(request("chat", asked("chat", most=900), "x-user-id: alice"))
        equal(reply(conn).status, status, "status without room")
        equal(env.reasons().get("llm_charges_full"), number, "requests that found no room")
        equal([env.tokens(rule=rule) for rule in ("all", "user")], [1000 - 12] * 2, "tokens")
    equal((models.of("m")["requests"], charges(env)), (6 if status == 200 else 1, full), "answers, and charges")
    equal(env.tokens(rule="requests"), 94 if status == 200 else 99, "requests that are left")
    # The rows are of no connection that there is.
    env.agent("limit")
    wait_for("there is room again", lambda: charges(env) < full)
    expect_ok(ask(env, "chat", asked("chat", most=900), "x-user-id: alice"))
    equal([env.tokens(rule=rule) for rule in ("all", "user")], [1000 - 24] * 2, "tokens with room again")


@case(alone=True)
def no_room_to_charge_one_more(env):
    """It is let through, and pays nothing."""
    no_room_to_charge(env, 200)
    wait_for("all room is there again", lambda: not charges(env, 1))


@case(alone=True)
def no_room_to_charge_one_more_and_failure_policy_closed(env):
    no_room_to_charge(env, 400, "failurePolicy: Closed")


@case(alone=True)
def reservations_in_the_overflow_bucket(env):
    """Users without a bucket of their own share one: what is reserved there is given back there."""
    models = Models(env)
    env.limit(rules=[budget("1000/hour", who=EACH_USER, **RESERVES)])
    fill(env, "krl_buckets")
    held = headers({"hold": "first"})
    total = 0
    for end in (None, reset, abort):
        conns, before = [], models.held()
        for user in ("alice", "bob"):
            conns.append(env.connect())
            conns[-1].send(request("chat", asked("chat", prompt=1, most=300), f"x-user-id: {user}",
                                   *headers({"completion-tokens": 6}), *held))
        wait_for("both are held", lambda before=before: models.held() == before + 2)
        found = env.tokens()
        expect(1000 - total - 800 <= found < 1000 - total - 600, f"{found} tokens with two times 300 reserved")
        equal(ask(env, "chat", asked("chat", most=400), "x-user-id: carol").status, 429, "status of a third")
        if end:
            for conn in conns:
                env.conns.remove(conn)
                end(models, conn)
        else:
            models.release()
            for conn in conns:
                expect_ok(reply(conn))
            total += 14
        wait_for("the rest is there again", lambda total=total: env.tokens() == 1000 - total)
        equal(charges(env), 0, "charges")
    expect(env.reasons()["bucket_overflow"] > 0, "requests judged by the overflow bucket")
