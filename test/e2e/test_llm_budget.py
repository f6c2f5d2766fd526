# SPDX-License-Identifier: Apache-2.0
"""Budgets of tokens: a request is admitted while there is something left, and pays what it used."""

from client import equal, expect, expect_ok, get
from documents import ratelimit
from harness import PORT, case, wait_for
from models import (EACH_MODEL, EACH_USER, PLENTY, STREAMED, TARGETS, Models, ask, asked, budget, call, headers,
                    of_model, reply, request, sdk, spent)

# Five words and seven tokens make twelve.
TWELVE = {"prompt": 5, "most": 7}


def statuses(env, tries, api="chat", user=None, stream=False, **more):
    """Of so many requests of twelve tokens, each on a connection of its own."""
    fields = headers(x_user_id=user) if user else []
    return [ask(env, api, asked(api, stream=stream, **TWELVE, **more), *fields).status for _ in range(tries)]


FIVE_OF_SIX = [200] * 5 + [429]


@case
def fifty_an_hour_admit_five_of_twelve(env):
    models = Models(env)
    env.limit(rules=[budget("50/hour")])
    equal(env.tokens(), 50, "tokens before")
    equal(statuses(env, 6), FIVE_OF_SIX, "statuses")
    equal(env.tokens(), -10, "tokens, in debt")
    equal((models.of("m")["requests"], models.of("m")["total"]), (5, 60), "requests and tokens that were answered")
    item = env.item()
    equal((item["totalRequests"], item["rateLimitedRequests"]), (6, 1), "requests judged and limited")


@case
def five_of_twelve_by_each_api(env):
    """As JSON and as a stream; each has a budget of its own, by a header."""
    models = Models(env)
    env.limit(rules=[budget("50/hour", who=EACH_USER)])
    for api in STREAMED:
        for stream in (False, True):
            user = f"{api}-{stream}"
            equal(statuses(env, 6, api, user=user, stream=stream, model=user), FIVE_OF_SIX, f"statuses of {user}")
            equal(models.of(user)["total"], 60, f"tokens that the server answered {user}")


@case
def five_of_twelve_to_the_packages(env):
    models = Models(env)
    env.limit(rules=[budget("50/hour", who=EACH_MODEL)])
    kinds = [(api, stream) for api in STREAMED for stream in (False, True)]
    calls = [call(api, asked(api, model=f"{api}-{stream}", stream=stream, **TWELVE)) for api, stream in kinds * 6]
    answers = sdk(env, *calls)
    for number, (api, stream) in enumerate(kinds):
        errors = [answer["error"] and answer["error"]["class"] for answer in answers[number::len(kinds)]]
        equal(errors, [None] * 5 + ["RateLimitError"], f"errors of {api}, stream: {stream}")
        equal(models.of(f"{api}-{stream}")["total"], 60, f"tokens that the server answered {api}")


@case
def five_of_twelve_on_one_connection(env):
    Models(env)
    env.limit(rules=[budget("50/hour")])
    conn = env.connect()
    found = []
    for number in range(8):
        conn.send_segment(request("chat", asked("chat", stream=number % 2 == 1, **TWELVE)))
        found.append(reply(conn).status)
    equal(found, FIVE_OF_SIX + [429] * 2, "statuses")


def apart(env, who, **whose):
    """Of one thing that requests differ in there are two values: each has a bucket."""
    Models(env)
    env.limit(rules=[budget("50/hour", who=who)])
    for field, values in whose.items():
        for value in values:
            equal(statuses(env, 6, **{field: value}), FIVE_OF_SIX, f"statuses of {value}")
        equal(statuses(env, 1, **{field: values[0]}), [429], f"status of {values[0]} afterwards")


@case
def one_user_is_not_another(env):
    apart(env, EACH_USER, user=("alice", "bob"))
    rows = {row["value"]: row["availableTokens"] for row in env.buckets()["items"]}
    equal(rows, {"x-user-id=alice": -10, "x-user-id=bob": -10}, "buckets")


@case
def one_model_is_not_another(env):
    apart(env, EACH_MODEL, model=("gpt-4", "qwen3"))


@case
def budgets_by_name_of_the_model(env):
    """gpt-4 has much for each user, qwen3 little for all; what neither names has none."""
    models = Models(env)
    users_gpt = "{model: {type: Exact, value: gpt-4}, headers: [{name: x-user-id, type: Distinct}]}"
    env.limit(rules=[budget("100/hour", "gpt", users_gpt), budget("50/hour", "qwen", of_model("qwen3"))])
    equal(statuses(env, 10, user="alice", model="gpt-4"), [200] * 9 + [429], "statuses of alice with gpt-4")
    equal(statuses(env, 9, user="bob", model="gpt-4"), [200] * 9, "statuses of bob with gpt-4")
    equal(statuses(env, 4, user="alice", model="qwen3"), [200] * 4, "statuses of alice with qwen3")
    equal(statuses(env, 2, user="bob", model="qwen3"), [200, 429], "statuses of bob with qwen3")
    equal(statuses(env, 12, user="alice", model="gpt-4o"), [200] * 12, "statuses with a model that no rule names")
    equal(models.of("gpt-4")["total"], 18 * 12, "tokens of gpt-4")


@case
def budgets_by_the_start_of_the_models_name(env):
    Models(env)
    env.limit(rules=[budget("50/hour", who=of_model("gpt-", "Prefix"))])
    equal(statuses(env, 3, model="gpt-4") + statuses(env, 3, model="gpt-5-mini"), FIVE_OF_SIX, "statuses of two")
    equal(statuses(env, 6, model="gpt") + statuses(env, 6, model="my-gpt-4"), [200] * 12, "statuses of two that do not")


@case
def for_all_for_each_user_and_for_each_model(env):
    """All at once: who is refused by one of them takes nothing from the others."""
    models = Models(env)
    env.limit(rules=[budget("130/hour"), budget("50/hour", "user", EACH_USER), budget("70/hour", "model", EACH_MODEL)],
              spec=["ruleMatch: All"])
    equal(statuses(env, 6, user="alice", model="a"), FIVE_OF_SIX, "statuses of alice, up to her own")
    equal(statuses(env, 2, user="bob", model="a"), [200, 429], "statuses of bob, up to the model's")
    equal(statuses(env, 5, user="bob", model="b"), [200] * 4 + [429], "statuses of bob, up to his own")
    equal(env.tokens(rule="all"), 130 - 120, "tokens for all")
    equal(statuses(env, 2, user="carol", model="b"), [200, 429], "statuses of carol, up to that for all")
    equal(sum(row["total"] for row in models.stats()["models"].values()), 132, "tokens that the server answered")
    equal(env.tokens(rule="all"), -2, "tokens for all, in debt")


@case
def ratelimits_of_their_own(env):
    """Three on one endpoint: a request is admitted by each, and pays each."""
    Models(env)
    limits = [("all", None, "130/hour"), ("user", EACH_USER, "50/hour"), ("model", EACH_MODEL, "70/hour")]
    for name, who, limit in limits:
        env.write(f"{name}.yaml", ratelimit(name, PORT, rules=[budget(limit, who=who)]))
    env.agent("all", "user", "model")
    equal(statuses(env, 6, user="alice", model="a"), FIVE_OF_SIX, "statuses of alice")
    equal(statuses(env, 2, user="bob", model="a"), [200, 429], "statuses of bob")
    equal([env.tokens(name) for name in ("all", "user", "model")], [130 - 72, -10, 70 - 72], "tokens in the emptiest")


@case
def beside_a_limit_on_requests(env):
    Models(env)
    env.write("requests.yaml", ratelimit("requests", PORT, limit="3/day"))
    env.write("tokens.yaml", ratelimit("tokens", PORT, rules=[budget("50/hour", who=EACH_USER)]))
    env.agent("requests", "tokens")
    equal(statuses(env, 4, user="alice"), [200] * 3 + [429], "statuses, up to the limit on requests")
    equal(env.tokens("tokens"), 50 - 36, "tokens")


@case
def other_methods_are_no_part_of_it(env):
    Models(env)
    env.limit(rules=[budget("12/hour")])
    equal(statuses(env, 2), [200, 429], "statuses of two that ask for an answer")
    for target in ("/v1/models", "/health"):
        with env.connect() as conn:
            env.conns.remove(conn)
            conn.send_segment(get(target))
            expect_ok(reply(conn))
    equal(env.item()["totalRequests"], 2, "requests that were judged")


@case
def errors_cost_nothing(env):
    """Of the server's own, with and without an answer to count."""
    Models(env)
    env.limit(rules=[budget("50/hour")])
    for status in (400, 404, 429, 500, 503):
        equal(ask(env, "chat", asked("chat", **TWELVE), *headers({"status": status})).status, status, "status")
    equal(ask(env, "chat", b"{}garbage").status, 400, "status of a request that is no JSON")
    equal(env.tokens(), 50, "tokens")


@case
def a_debt_is_paid_by_time(env):
    Models(env)
    env.limit(rules=[budget(None, maxTokens=50, tokensPerFill=5, fillInterval="200ms")])
    expect_ok(ask(env, "chat", asked("chat"), *headers({"prompt-tokens": 100, "completion-tokens": 20})))
    expect(env.tokens() < 0, f"{env.tokens()} tokens after 120 of 50")
    equal(statuses(env, 1), [429], "status in debt")
    wait_for("there is something left again", lambda: env.tokens() > 0)
    equal(statuses(env, 1), [200], "status once the debt is paid")


@case
def in_shadow_mode_all_are_admitted(env):
    models = Models(env)
    env.limit(rules=[budget("50/hour", mode="Shadow")])
    equal(statuses(env, 8), [200] * 8, "statuses")
    equal(env.item()["shadowLimitedRequests"], 3, "requests that would have been refused")
    equal(models.of("m")["total"], 96, "tokens that the server answered")


@case
def pipelined_requests_pay_each(env):
    models = Models(env)
    env.limit(rules=[budget()])
    kinds = [(api, stream) for api in TARGETS for stream in ((False, True) if api in STREAMED else (False,))]
    requests = [request(api, asked(api, model=f"m{number}", stream=stream, prompt=number + 1, most=10 * number))
                for number, (api, stream) in enumerate(kinds)]
    conn = env.connect()
    conn.send(b"".join(requests))
    equal([reply(conn).status for _ in kinds], [200] * len(kinds), "statuses")
    total = sum(row["total"] for row in models.stats()["models"].values())
    equal(spent(env), total, "tokens paid, against those that the server answered")


@case
def budgets_outlive_the_agent(env):
    models = Models(env)
    env.limit(rules=[budget("50/hour", who=EACH_USER)])
    equal(statuses(env, 2, user="alice"), [200] * 2, "statuses with the agent")
    env.agents[-1].kill()
    equal(statuses(env, 4, user="alice", stream=True), [200] * 3 + [429], "statuses without")
    equal(statuses(env, 6, user="bob"), FIVE_OF_SIX, "statuses of another")
    env.agent("limit")
    equal(statuses(env, 1, user="alice"), [429], "status with the next agent")
    equal(spent(env, 50), 60, "tokens paid of fifty")
    equal(models.of("m")["requests"], 10, "requests that the server answered")


@case
def without_a_reservation_parallel_requests_run_into_debt(env):
    """Each is admitted as long as no other has paid yet."""
    models = Models(env)
    env.limit(rules=[budget("50/hour")])
    conns = [env.connect() for _ in range(20)]
    for conn in conns:
        conn.send(request("chat", asked("chat", **TWELVE), *headers({"hold": "first"})))
    wait_for("twenty answers are held", lambda: models.held() == 20)
    models.release()
    equal([reply(conn).status for conn in conns], [200] * 20, "statuses")
    equal(spent(env, 50), 240, "tokens paid of fifty")
    equal(statuses(env, 1), [429], "status of the next")


@case
def an_edit_keeps_what_is_left(env):
    Models(env)
    env.limit(rules=[budget("50/hour")])
    equal(statuses(env, 2), [200] * 2, "statuses")
    env.write("limit.yaml", ratelimit("limit", PORT, rules=[budget(f"{PLENTY}/hour")]))
    wait_for("the edit is in force", lambda: env.item()["maxTokens"] == PLENTY)
    equal(statuses(env, 4), [200] * 3 + [429], "statuses with the edit")
    equal(env.tokens(), 50 - 60, "tokens")
