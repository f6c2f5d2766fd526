# SPDX-License-Identifier: Apache-2.0
"""Requests that are held back until their bodies say what they are, head and pieces of the body each in a segment of its own,
where room ends: with as many rules as one request may count in, without a bucket or a charge of its own, with bodies of 10 MiB."""

import json
import os

import bpfmap
from client import equal, expect, expect_ok, expect_refused, get
from documents import ratelimit
from harness import PORT, case, case_of_each, wait_for
from models import (EACH_MODEL, EACH_USER, Models, abort, ask, asked, budget, head_and_body, headers, of_model, reply, reset,
                    spent)

ALICE = "x-user-id: alice"
EACH_BOTH = "{model: {type: Distinct}, headers: [{name: x-user-id, type: Distinct}]}"
REQUESTS = f"{{name: requests, limit: 100/day, clientSelectors: [{EACH_USER}]}}"
RESERVES = {"reserve": "MaxTokens"}
# Of each rule what it is for, and by which part of an answer it is paid.
EIGHT = {"all": (None, "Total"), "user": (EACH_USER, "Total"), "model": (EACH_MODEL, "Input"), "both": (EACH_BOTH, "Output"),
         "exact": (of_model("m"), "Output"), "prefix": (of_model("m", "Prefix"), "Total"),
         "path": ("{path: {value: /v1}, model: {type: Distinct}}", "'2 * output_tokens'"),
         "source": ("{sourceCIDR: {type: Distinct}}", "'input_tokens + 3 * output_tokens'")}
COSTS = {"Total": 12, "Input": 5, "Output": 7, "'2 * output_tokens'": 14, "'input_tokens + 3 * output_tokens'": 26}
ALL, MOST, LAST = 10000, 100, 60


def eight(last=ALL):
    """The rules, of which the last has @last tokens."""
    return [budget(f"{last if name == 'source' else ALL}/hour", name, who, tokens=tokens, **RESERVES)
            for name, (who, tokens) in EIGHT.items()]


def begin(env, server, *fields, most=MOST, piece=20, **more):
    """A connection with all of a request but the end of its JSON; and that, with room for an answer without an agent."""
    head, body = head_and_body("chat", asked("chat", most=most, **more), ALICE, *fields)
    conn = env.accepted(server)
    conn.send_segment(head)
    for at in range(0, len(body) - LAST, piece):
        conn.send_segment(body[at:min(at + piece, len(body) - LAST)])
    return conn, body[-LAST:]


def to_its_answer(models, conn, last):
    """... which the server holds."""
    held = models.held()
    conn.send_segment(last)
    wait_for("the answer is held", lambda: models.held() > held)


def to_its_end(env, models, conn, end):
    """By @end, or with its answer."""
    if end:
        env.conns.remove(conn)
        end(models, conn)
    else:
        models.release()
        expect_ok(reply(conn))


def charges(env):
    return len(bpfmap.keys(os.path.join(env.bpffs, "krl_charges"), 16))


def taken(env, last=ALL):
    return {name: spent(env, last if name == "source" else ALL, rule=name) for name in EIGHT}


def paid(count):
    return {name: count * COSTS[tokens] for name, (_, tokens) in EIGHT.items()}


@case
def as_many_rules_as_may_count(env):
    """Each reserves, and pays its own; of who is reset nothing is held in any."""
    models = Models(env)
    env.limit(rules=eight(), spec=["ruleMatch: All"])
    for count, end in enumerate((None, reset, None, abort), 1):
        conn, last = begin(env, models.server, *headers({"hold": "first"}))
        equal((taken(env), charges(env)), (paid(count // 2), 0), "tokens taken ahead of the end of the JSON, and charges")
        to_its_answer(models, conn, last)
        found = taken(env)
        for name, before in paid(count // 2).items():
            expect(found[name] > before + COSTS[EIGHT[name][1]], f"{found[name]} tokens taken by {name} while it is under way")
        equal(charges(env), 1, "charges while it is under way")
        to_its_end(env, models, conn, end)
        wait_for("no more is held than was paid", lambda count=count: taken(env) == paid((count + 1) // 2))
        equal(charges(env), 0, "charges")


@case
def the_last_of_as_many_rules_refuses(env):
    """What the others took is there again, and none counts it as admitted."""
    models = Models(env)
    env.limit(rules=eight(last=150), spec=["ruleMatch: All"])
    expect_ok(ask(env, "chat", asked("chat", most=7), ALICE))
    for count in range(1, 4):
        conn, last = begin(env, models.server)
        conn.send_segment(last)
        equal(reply(conn).status, 429, "status")
        equal((taken(env, 150), charges(env)), (paid(1), 0), "tokens taken, and charges")
        equal({name: env.item(rule=name)["rateLimitedRequests"] for name in EIGHT},
              {name: count if name == "source" else 0 for name in EIGHT}, "requests refused")
    equal(models.stats()["answered"], 1, "requests that the server answered")


def fill(env, name):
    """Without an agent, which would sweep."""
    env.agents[-1].kill()
    bpfmap.fill(os.path.join(env.bpffs, name))


@case(alone=True)
def in_overflow_buckets(env):
    """What is taken by the head, and what is reserved by the body, comes back to where it was taken from."""
    models = Models(env)
    env.limit(rules=[budget(f"{ALL}/hour", "user", EACH_USER, **RESERVES), budget(f"{ALL}/hour", "both", EACH_BOTH, **RESERVES),
                     budget("10/hour", "x", of_model("x")), REQUESTS], spec=["ruleMatch: All"])
    expect_ok(ask(env, "chat", asked("chat", model="x"), "x-user-id: bob"))
    fill(env, "krl_buckets")

    def state():
        """Of the emptiest buckets, of which bob has one."""
        return [spent(env, ALL, rule="user"), spent(env, ALL, rule="both"), spent(env, 100, rule="requests")]

    ended = 0
    for count, end in enumerate((None, reset, abort, None), 1):
        conn, last = begin(env, models.server, *headers({"hold": "first"}))
        wait_for("it is counted by its head", lambda count=count: state()[2] == count)
        to_its_answer(models, conn, last)
        found = state()
        expect(min(found[:2]) > 12 * ended + MOST, f"tokens, and requests, while it is under way: {found}")
        to_its_end(env, models, conn, end)
        ended += not end
        wait_for("no more is held than was paid", lambda count=count, ended=ended: state() == [12 * ended] * 2 + [count])
        equal(charges(env), 0, "charges")
    conn, last = begin(env, models.server, model="x")
    wait_for("it is counted by its head", lambda: state()[2] == 5)
    conn.send_segment(last)
    equal(reply(conn).status, 429, "status of one that is refused by its model")
    equal((state(), charges(env)), ([24, 24, 4], 0), "tokens, requests and charges")
    expect(env.reasons()["bucket_overflow"] > 0, "requests judged by the overflow buckets")


def no_room_to_charge(env, policy):
    models = Models(env)
    env.limit(rules=[budget(f"{ALL}/hour", "model", EACH_MODEL, **RESERVES), budget(f"{ALL}/hour", "user", EACH_USER, **RESERVES),
                     REQUESTS], spec=["ruleMatch: All", f"failurePolicy: {policy}"])
    fill(env, "krl_charges")
    full = charges(env)
    for count in range(1, 4):
        conn, last = begin(env, models.server)
        admitted = count if policy == "Open" else 1
        wait_for("it is counted by its head", lambda admitted=admitted: spent(env, 100, rule="requests") == admitted)
        conn.send_segment(last)
        equal(reply(conn).status, 200 if policy == "Open" else 400, "status")
        equal(env.reasons().get("llm_charges_full"), count, "requests that found no room")
        equal(spent(env, 100, rule="requests"), count if policy == "Open" else 0, "requests that count")
        equal([spent(env, ALL, rule=rule) for rule in ("model", "user")], [0, 0], "tokens taken")
    equal((models.stats()["answered"], charges(env)), (3 if policy == "Open" else 0, full), "answers, and charges")


@case(alone=True)
def without_room_to_charge(env):
    no_room_to_charge(env, "Open")


@case(alone=True)
def without_room_to_charge_and_failure_policy_closed(env):
    """What was counted by its head is given back."""
    no_room_to_charge(env, "Closed")


# --- 10 MiB ---------------------------------------------------------------------------------------------

PIECE = 256 << 10
LONG = json.dumps({"model": "m", "max_tokens": MOST, "messages": [{"role": "user", "content": "QUJD" * (10 << 18)}]}).encode()


def upload(env, spec, *rules):
    """A server, and a connection to it that sent the head of @LONG."""
    server = env.server()
    env.write("limit.yaml", ratelimit("limit", PORT, rules=[*rules, REQUESTS], spec=["ruleMatch: All", *spec]))
    env.agent("limit")
    conn = env.accepted(server)
    conn.send_segment(get("/v1/x", f"Content-Length: {len(LONG)}", ALICE, method="POST"))
    wait_for("it is counted by its head", lambda: spent(env, 100, rule="requests") == 1)
    return server, conn


def pieces():
    return [LONG[at:at + PIECE] for at in range(0, len(LONG), PIECE)]


OF_M = budget(f"{ALL}/hour", "m", of_model("m"))
HELD = budget(f"{ALL}/hour", "held", reserveDefault=300, **RESERVES)


@case
def ten_mebibytes_behind_the_model(env):
    """The object does not end where bodies are read: nobody knows whether another model stands there."""
    server, conn = upload(env, [], OF_M, HELD)
    for piece in pieces():
        conn.send_segment(piece)
    expect_ok(conn.response())
    found = env.reasons()
    equal([found.get(reason) for reason in ("llm_body_unread", "llm_body_long")], [1, 1], "counted")
    equal([spent(env, 100, rule="requests"), spent(env, ALL, rule="m")], [1, 0], "requests, and tokens of m")
    expect(300 <= spent(env, ALL, rule="held"), "an answer that tells nothing costs what was reserved")
    equal((len(server.requests()), charges(env)), (1, 0), "requests that the server has, and charges")


@case
def ten_mebibytes_and_failure_policy_closed(env):
    server, conn = upload(env, ["failurePolicy: Closed"], OF_M, HELD)
    conn.send_until_closed(pieces())
    expect_refused(conn, "a body that is not read")
    found = env.reasons()
    equal([found.get(reason) for reason in ("llm_body_unread", "llm_body_long")], [1, 1], "counted")
    equal([spent(env, 100, rule="requests"), spent(env, ALL, rule="m"), spent(env, ALL, rule="held")], [0, 0, 0], "taken")
    equal((server.requests(), charges(env)), ([], 0), "requests that the server has, and charges")


@case_of_each({"what is read": 2, "the rest": 20})
def a_reset_within_ten_mebibytes_in(env, count):
    """Nothing is reserved up to where it is judged; behind that, it is there again."""
    _, conn = upload(env, [], OF_M, HELD)
    for piece in pieces()[:count]:
        conn.send_segment(piece)
    if count > 4:
        wait_for("it is reserved", lambda: spent(env, ALL, rule="held") >= 300)
    equal(charges(env), int(count > 4), "charges")
    env.conns.remove(conn)
    reset(None, conn)
    wait_for("nothing is held", lambda: (charges(env), spent(env, ALL, rule="held")) == (0, 0))
    equal(spent(env, 100, rule="requests"), 1, "tries that count")
