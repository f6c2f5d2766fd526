# SPDX-License-Identifier: Apache-2.0
"""reserve: MaxTokens: what a request may use is taken before it is admitted, and the rest is given back, so that
requests at the same time cannot overshoot."""

import time

from client import equal, expect, expect_ok
from harness import SCALE, case, wait_for
from models import (EACH_USER, STREAMED, Models, ask, asked, budget, call, close, headers, kill, reply, request, reset, sdk,
                    spent)

RESERVES = {"reserve": "MaxTokens"}
HELD = headers({"hold": "first"})
BYTES_OF_A_REQUEST = 400    # at most: what its prompt is estimated at is less


def start(env, count, body, *fields):
    """So many connections, each with this request; they are answered at the release, or refused at once."""
    conns = [env.connect() for _ in range(count)]
    for conn in conns:
        conn.send(request("chat", body, *fields))
    return conns


def refused(conns):
    return sum(conn.has_answer() for conn in conns)


def judged(models, conns):
    """Wait until each of @conns is held by the server, or refused; how many are held."""
    wait_for("each request is judged", lambda: models.held() + refused(conns) >= len(conns))
    return models.held()


def left(env, budget_tokens, models, cost=lambda row: row["total"]):
    """The budget is, to the token, what the server has not answered."""
    total = sum(cost(row) for row in models.stats()["models"].values())
    expect(total <= budget_tokens, f"{total} tokens were answered of {budget_tokens}")
    equal(env.tokens(), budget_tokens - total, "tokens that are left")
    return total


def never_exceeds(env, body, *fields, size=1000, count=200, rule=RESERVES, **costs):
    models = Models(env)
    env.limit(rules=[budget(f"{size}/hour", **rule)])
    conns = start(env, count, body, *fields, *HELD)
    held = judged(models, conns)
    expect(0 < held < count, f"{held} of {count} requests were admitted")
    expect(env.tokens() >= 0, f"{env.tokens()} tokens while all are under way")
    models.release()
    statuses = [reply(conn).status for conn in conns]
    equal((statuses.count(200), statuses.count(429)), (held, count - held), "statuses 200 and 429")
    total = left(env, size, models, **costs)
    # What was reserved and not used is there again, for requests one after another.
    while ask(env, "chat", body, *fields).status == 200:
        total = left(env, size, models, **costs)
    expect(total > 0, "tokens that were answered")


@case
def two_hundred_that_use_all_they_may(env):
    never_exceeds(env, asked("chat", prompt=1, most=7))


@case
def two_hundred_that_use_a_part(env):
    never_exceeds(env, asked("chat", prompt=1, most=50), *headers({"completion-tokens": 3}))


@case
def two_hundred_streams(env):
    never_exceeds(env, asked("chat", prompt=1, most=7, stream=True))


@case
def two_hundred_prompts(env):
    """What the prompt is estimated at is more than these words are."""
    never_exceeds(env, asked("chat", prompt=60, most=40), size=5000)


@case
def two_hundred_by_what_they_cost(env):
    """They may use three times the tokens that they name."""
    never_exceeds(env, asked("chat", prompt=1, most=50), *headers({"completion-tokens": 50}),
                  rule={"tokens": '"input_tokens + 3 * output_tokens"', **RESERVES},
                  cost=lambda row: row["input"] + 3 * row["output"])


@case
def two_hundred_of_the_packages(env):
    models = Models(env)
    env.limit(rules=[budget("1000/hour", **RESERVES)])
    calls = [call(api, asked(api, stream=stream, prompt=1, most=20), *headers({"delay-ms": 20}))
             for api in STREAMED for stream in (False, True)]
    answers = sdk(env, *calls * 25, together=True)
    errors = [answer["error"]["status"] for answer in answers if answer["error"]]
    equal(set(errors), {429}, "statuses of errors")
    equal(models.stats()["answered"], 200 - len(errors), "answers of the server")
    left(env, 1000, models)


@case
def each_user_has_reservations_of_its_own(env):
    models = Models(env)
    env.limit(rules=[budget("300/hour", who=EACH_USER, **RESERVES)])
    body = asked("chat", prompt=1, most=60)
    held = 0
    for user in ("alice", "bob"):
        conns = start(env, 20, body, f"x-user-id: {user}", *HELD)
        now = judged_beside(models, conns, held)
        expect(0 < now - held <= 5, f"{now - held} of 20 at 60 tokens of 300 were admitted for {user}")
        held = now
    models.release()
    wait_for("all are answered", lambda: models.stats()["answered"] == held)
    equal(models.of("m")["requests"], held, "answers")


def judged_beside(models, conns, before):
    wait_for("each request is judged", lambda: models.held() - before + refused(conns) >= len(conns))
    return models.held()


def reserved(env, tokens, whole=1000):
    """So many are reserved, and what the prompt is estimated at."""
    found = env.tokens()
    expect(whole - tokens - BYTES_OF_A_REQUEST <= found < whole - tokens,
           f"{found} tokens with {tokens} of {whole} reserved")


@case
def what_is_not_used_is_given_back(env):
    """While the answer is under way all that the request may use is taken."""
    models = Models(env)
    env.limit(rules=[budget("1000/hour", **RESERVES)])
    before = 1000
    for key in ("max_tokens", "max_completion_tokens"):
        held = models.held()
        conn, = start(env, 1, {**asked("chat", prompt=2), key: 400}, *headers({"completion-tokens": 30}), *HELD)
        wait_for("the answer is held", lambda held=held: models.held() > held)
        reserved(env, 400, before)
        models.release()
        expect_ok(reply(conn))
        before -= 32
        equal(env.tokens(), before, "tokens after the answer")


def goes_away(env, go, *fields, stream=False):
    """@go ends a connection in the midst of its answer: the rest is given back within a second."""
    models = Models(env)
    env.limit(rules=[budget("1000/hour", **RESERVES)])
    conn, = start(env, 1, asked("chat", prompt=1, most=900, stream=stream), *fields)
    wait_for("the answer is held", lambda: models.held() == 1)
    expect(env.tokens() <= 99, f"{env.tokens()} tokens while 900 of 1000 are reserved")
    begun = time.monotonic()
    go(models, conn)
    wait_for("the rest is there again", lambda: env.tokens() >= 1000 - BYTES_OF_A_REQUEST)
    took_s = time.monotonic() - begun
    expect(took_s < SCALE, f"it took {took_s:.2f} s")
    env.conns.remove(conn)
    conn.close()
    return models


@case
def of_a_client_that_goes_away(env):
    goes_away(env, close, *HELD)
    equal(env.tokens(), 1000, "tokens after an answer of which nothing was written")


@case
def of_a_client_that_resets(env):
    goes_away(env, reset, *HELD)
    equal(env.tokens(), 1000, "tokens after an answer of which nothing was written")


@case
def of_a_server_that_dies(env):
    goes_away(env, kill, *HELD)
    equal(env.tokens(), 1000, "tokens after an answer of which nothing was written")


@case
def of_a_client_that_leaves_a_stream(env):
    """It pays for what was streamed up to then: 50 events at least, and no more than its prompt besides."""
    fields = headers({"hold": "middle", "events": 100, "completion-tokens": 100})
    goes_away(env, close, *fields, stream=True)
    used = spent(env, 1000)
    expect(50 <= used <= 50 + BYTES_OF_A_REQUEST, f"{used} tokens paid for about 50 events")


@case
def of_a_refused_request_nothing_is_taken(env):
    Models(env)
    env.limit(rules=[budget("1000/hour", **RESERVES), budget("50/hour", "user", EACH_USER)], spec=["ruleMatch: All"])
    for _ in range(6):
        ask(env, "chat", asked("chat", prompt=5, most=7), "x-user-id: alice")
    equal(ask(env, "chat", asked("chat", most=900), "x-user-id: alice").status, 429, "status by the budget of the user")
    equal(env.tokens(rule="all"), 1000 - 60, "tokens for all")


@case
def one_that_names_no_limit_takes_the_default(env):
    models = Models(env)
    env.limit(rules=[budget("1000/hour", reserveDefault=300, **RESERVES)])
    conn, = start(env, 1, asked("chat", prompt=2), *HELD)
    wait_for("the answer is held", lambda: models.held() == 1)
    reserved(env, 300)
    models.release()
    expect_ok(reply(conn))
    equal(env.tokens(), 1000 - 9, "tokens after the answer")


@case
def what_it_costs_is_reserved(env):
    """By the model too, which is that of the request and not of one before it on the connection."""
    models = Models(env)
    env.limit(rules=[budget("1000/hour", tokens="\"model == 'gpt-4' ? 5 * output_tokens : output_tokens\"", **RESERVES)])
    conn = env.connect()
    for model, reserves in (("m", 100), ("gpt-4", 500), ("m", 100)):
        before, held = env.tokens(), models.held()
        conn.send(request("chat", asked("chat", model=model, most=100), *headers({"completion-tokens": 0}), *HELD))
        wait_for("the answer is held", lambda held=held: models.held() > held)
        equal(env.tokens(), before - reserves, f"tokens with one of {model} under way")
        models.release()
        expect_ok(reply(conn))
        equal(env.tokens(), before, "tokens after the answer")


@case
def the_default_is_of_output(env):
    models = Models(env)
    env.limit(rules=[budget("1000/hour", reserveDefault=60, tokens='"3 * output_tokens"', **RESERVES)])
    conn, = start(env, 1, asked("chat", prompt=2), *HELD)
    wait_for("the answer is held", lambda: models.held() == 1)
    equal(env.tokens(), 1000 - 180, "tokens with one under way")
    models.release()
    expect_ok(reply(conn))
    equal(env.tokens(), 1000 - 21, "tokens after the answer")


@case
def one_request_holds_no_more_than_its_share(env):
    """However much it asks for: a half leaves room for a second, not for a third."""
    models = Models(env)
    env.limit(rules=[budget("1000/hour", reserveFraction=0.5, **RESERVES)])
    body = asked("chat", prompt=1, most=1000000)
    conns = start(env, 1, body, *headers({"completion-tokens": 10}), *HELD)
    wait_for("the first is held", lambda: models.held() == 1)
    equal(env.tokens(), 500, "tokens while one has its share")
    conns += start(env, 1, body, *headers({"completion-tokens": 10}), *HELD)
    wait_for("the second is held", lambda: models.held() == 2)
    equal(env.tokens(), 0, "tokens while two have their share")
    equal(ask(env, "chat", body).status, 429, "status of a third")
    models.release()
    for conn in conns:
        expect_ok(reply(conn))
    left(env, 1000, models)


@case
def more_than_its_share_is_paid_all_the_same(env):
    Models(env)
    env.limit(rules=[budget("1000/hour", reserveFraction=0.1, **RESERVES)])
    expect_ok(ask(env, "chat", asked("chat", prompt=1, most=700), *headers({"completion-tokens": 650})))
    equal(env.tokens(), 1000 - 651, "tokens")


@case
def errors_of_the_server_give_all_back(env):
    Models(env)
    env.limit(rules=[budget("1000/hour", **RESERVES)])
    for status in (400, 429, 500):
        equal(ask(env, "chat", asked("chat", most=900), *headers({"status": status})).status, status, "status")
        equal(env.tokens(), 1000, f"tokens after a {status}")


@case
def a_connection_reserves_again_and_again(env):
    Models(env)
    env.limit(rules=[budget("1000/hour", **RESERVES)])
    conn = env.connect()
    for number in range(1, 31):
        conn.send_segment(request("chat", asked("chat", prompt=1, most=500, stream=number % 2 == 0),
                                  *headers({"completion-tokens": 4})))
        expect_ok(reply(conn))
        equal(env.tokens(), 1000 - 5 * number, f"tokens after {number} answers")


@case
def each_choice_and_each_prompt_may_use_the_limit(env):
    models = Models(env)
    env.limit(rules=[budget("1000/hour", **RESERVES)])
    for more in ({"n": 4}, {"best_of": 4}, {"n": 2, "prompt": ["a", "b"]}, {"prompt": [[1, 2], [3], [4], [5]]}):
        held = models.held()
        conn = env.connect()
        conn.send(request("completions", {**asked("completions", most=100), **more}, *HELD))
        wait_for("the answer is held", lambda held=held: models.held() > held)
        reserved(env, 400, 1000)
        env.conns.remove(conn)
        conn.close()
        wait_for("all is there again", lambda: env.tokens() == 1000)
