# SPDX-License-Identifier: Apache-2.0
"""What the statistics tell of tokens: by rule, by model and by user, as the simulated server says that it answered."""

import json
import os

import bpfmap
from client import equal, expect, expect_ok
from documents import ratelimit
from harness import PORT, case, wait_for
from models import (EACH_MODEL, EACH_USER, PLENTY, STREAMED, Models, ask, asked, budget, headers, of_model, reply,
                    request)

KINDS = ("requests", "estimated", "unreadable", "input", "output", "total", "cachedInput", "reasoning", "debited")
RESERVES = {"reserve": "MaxTokens"}


def shown(env, *args):
    """What `get ratelimit-tokens` shows: rows and their total."""
    result = env.tool("get", "ratelimit-tokens", "-A", "--limit", "0", "-o", "json", *args)
    equal(result.returncode, 0, f"exit status of get ratelimit-tokens ({result.stderr.strip()})")
    return json.loads(result.stdout)


def by(env, kind, rule="all"):
    """The rows of one kind of @rule, by their values: the tokens of each."""
    return {row["value"]: tokens(row) for row in shown(env)["items"] if (row["by"], row["rule"]) == (kind, rule)}


def tokens(row):
    return {kind: row[kind] for kind in KINDS}


def told(stats, **more):
    """As the simulator counts, in the names of the statistics; what is debited is the total."""
    row = {"requests": stats["requests"], "estimated": 0, "unreadable": 0, "input": stats["input"],
           "output": stats["output"], "total": stats["total"], "cachedInput": stats["cached"],
           "reasoning": stats["reasoning"], "debited": stats["total"]}
    return {**row, **more}


def ask_ok(env, api, *fields, fake=None, user=None, **more):
    lines = headers(fake, **({"x_user_id": user} if user else {}))
    expect_ok(ask(env, api, asked(api, **more), *lines, *fields))


def rows_of(env, name, size):
    return len(bpfmap.keys(os.path.join(env.bpffs, name), size))


@case
def tokens_of_each_kind_by_model(env):
    """Every API, as JSON and as a stream: each kind is what the server says that it answered."""
    models = Models(env)
    env.limit(rules=[budget(who=EACH_USER)])
    expected = {}
    for number, (api, stream) in enumerate((api, stream) for api in STREAMED for stream in (False, True)):
        fake = {"prompt-tokens": 40 + number, "completion-tokens": 20 + number, "cached-tokens": 3 + number}
        if api in ("chat", "responses"):
            fake["reasoning-tokens"] = 1 + number
        for _ in range(2):
            ask_ok(env, api, fake=fake, user="alice", model=f"{api}-{stream}", stream=stream)
    ask_ok(env, "embeddings", user="alice", model="embeddings", prompt=11)
    stats = models.stats()["models"]
    for model, row in stats.items():
        # Completions and messages tell no tokens of reasoning.
        expected[model] = told(row)
    equal(by(env, "model"), expected, "tokens by model")
    whole = {kind: sum(row[kind] for row in expected.values()) for kind in KINDS}
    expect(whole["cachedInput"] and whole["reasoning"], "tokens that were cached, and of reasoning")
    equal(env.item()["tokens"], whole, "tokens in the statistics of the rule")
    equal(by(env, "all"), {"": whole}, "tokens of the rule")
    equal(by(env, "user"), {"x-user-id=alice": whole}, "tokens by user")


@case
def tokens_by_user(env):
    """Also beside the buckets; what it costs is debited, by each rule's own measure."""
    models = Models(env)
    env.limit(rules=[budget(who=EACH_USER, tokens="3 * output_tokens"), budget(name="model", who=EACH_MODEL)],
              spec=["ruleMatch: All"])
    for count, user in enumerate(("alice", "bob", "carol"), 1):
        for number in range(count):
            ask_ok(env, "chat", user=user, model=user, prompt=5, most=count + number)
    of_user, of_model_ = by(env, "user"), by(env, "model", "model")
    for user in ("alice", "bob", "carol"):
        stats = models.of(user)
        equal(of_user[f"x-user-id={user}"], told(stats, debited=3 * stats["output"]), f"tokens of {user}")
        equal(of_model_[user], told(stats), f"tokens of the model {user}")
    buckets = {row["value"]: row["tokens"] for row in env.buckets()["items"] if row["rule"] == "all"}
    equal(buckets, of_user, "tokens beside the buckets")
    debited = [row["debited"] for row in shown(env)["items"]]
    equal(debited, sorted(debited, reverse=True), "what was debited, row by row")


@case
def requests_admitted_and_limited(env):
    """Those that were refused used nothing; nor did those that the server refused."""
    models = Models(env)
    env.limit(rules=[budget("30/hour", who=EACH_USER)])
    for _ in range(5):
        ask(env, "chat", asked("chat"), "x-user-id: alice")
    expect(ask(env, "chat", asked("chat"), "x-user-id: bob", *headers({"status": 500})).status == 500, "an error of 500")
    item = env.item()
    equal((item["totalRequests"], item["rateLimitedRequests"]), (6, 2), "requests judged and limited")
    equal(by(env, "user")["x-user-id=alice"], told(models.of("m")), "tokens of alice")
    equal(by(env, "user")["x-user-id=bob"], dict.fromkeys(KINDS, 0) | {"requests": 1}, "tokens of bob")


@case
def estimated_and_unreadable(env):
    models = Models(env)
    env.limit(rules=[budget(who=EACH_USER)])
    ask_ok(env, "chat", user="told", stream=True)
    ask_ok(env, "chat", user="silent", stream=True, include_usage=False, model="silent",
           fake={"completion-tokens": 9, "events": 9})
    ask_ok(env, "chat", user="coded", model="coded", fake={"encoding": "gzip"})
    rows = by(env, "user")
    equal(rows["x-user-id=told"], told(models.of("m")), "tokens of an answer that tells them")
    silent = rows["x-user-id=silent"]
    equal((silent["requests"], silent["estimated"], silent["unreadable"]), (1, 1, 0), "answers without usage")
    equal(silent["output"], models.of("silent")["events"], "tokens of them, an event each")
    equal(silent["debited"], silent["total"], "what was debited for them")
    equal(rows["x-user-id=coded"], dict.fromkeys(KINDS, 0) | {"requests": 1, "unreadable": 1}, "answers that are coded")
    counted = env.item()["tokens"]
    equal((counted["requests"], counted["estimated"], counted["unreadable"]), (3, 1, 1), "answers of the rule")
    equal({model: row["estimated"] for model, row in by(env, "model").items()}, {"m": 0, "silent": 1, "coded": 0},
          "estimated answers by model")


@case
def a_rule_that_is_removed_takes_its_rows_along(env):
    """The rows of the other stay, and one of the same name begins at zero, in whatever row."""
    Models(env)
    for name in ("one", "two"):
        env.write(f"{name}.yaml", ratelimit(name, PORT, rules=[budget(who=EACH_USER, name=name)]))
    env.agent("one", "two")
    for user in ("alice", "bob"):
        ask_ok(env, "chat", user=user, model=user)
    equal((rows_of(env, "krl_llm_models", 72), rows_of(env, "krl_llm_users", 24)), (4, 4), "rows of two rules")
    os.unlink(os.path.join(env.config, "one.yaml"))
    wait_for("one is gone", lambda: not env.lists("one"))
    wait_for("its rows are gone",
             lambda: (rows_of(env, "krl_llm_models", 72), rows_of(env, "krl_llm_users", 24)) == (2, 2))
    equal({row["name"] for row in shown(env)["items"]}, {"two"}, "RateLimits that have rows")
    equal(len(by(env, "user", "two")), 2, "users of the other rule")
    env.write("one.yaml", ratelimit("one", PORT, rules=[budget(who=EACH_USER, name="one")]))
    wait_for("one is there", lambda: env.lists("one"))
    equal(env.item("one")["tokens"], dict.fromkeys(KINDS, 0), "tokens of the rule that came back")
    equal(by(env, "user", "one"), {}, "users of the rule that came back")


def held_stream(env, models, conn, most=500):
    before = models.held()
    conn.send(request("chat", asked("chat", prompt=1, most=most, stream=True), *headers({"hold": "middle"})))
    wait_for("the answer is held", lambda: models.held() == before + 1)


def nothing_is_kept(env):
    for name, size in (("krl_charges", 16), ("krl_llms", 8)):
        wait_for(f"{name} empty", lambda name=name, size=size: not rows_of(env, name, size))


@case
def a_reservation_of_a_connection_that_was_let_go(env):
    """The rule is removed and added while a stream is open: what is kept of that goes, and what was reserved comes back."""
    models = Models(env)
    document = ratelimit("limit", PORT, rules=[budget("1000/hour", **RESERVES)])
    env.limit(rules=[budget("1000/hour", **RESERVES)])
    conn = env.connect()
    held_stream(env, models, conn)
    expect(env.tokens() <= 500, f"{env.tokens()} tokens while 500 are reserved")
    os.unlink(os.path.join(env.config, "limit.yaml"))
    wait_for("the limit is gone", lambda: not env.stats())
    wait_for("its charge is gone", lambda: not rows_of(env, "krl_charges", 16))
    env.write("limit.yaml", document)
    wait_for("the limit is there", lambda: env.lists("limit"))
    equal(env.tokens(), 1000, "tokens of the new rule")
    models.release()
    expect_ok(reply(conn))
    conn.send_segment(request("chat", asked("chat", prompt=1, most=7)))
    expect_ok(reply(conn))
    wait_for("it paid", lambda: env.tokens() == 1000 - 8)
    env.close_conns()
    nothing_is_kept(env)
    equal(env.tokens(), 1000 - 8, "tokens in the end")


@case
def a_connection_that_was_open_before_and_is_reset(env):
    """sockops is not told of its end: what it reserved comes back all the same, but for what was answered."""
    models = Models(env)
    conn = env.connect()
    conn.send(request("chat", asked("chat")))
    expect_ok(reply(conn))
    env.limit(rules=[budget("1000/hour", **RESERVES)])
    held_stream(env, models, conn)
    expect(env.tokens() <= 500, f"{env.tokens()} tokens while 500 are reserved")
    env.close_conns()
    wait_for("most of it is there again", lambda: env.tokens() > 900)
    expect(env.tokens() < 1000, "nothing was paid for what was answered")
    equal(env.item()["tokens"]["estimated"], 1, "answers that were estimated")
    nothing_is_kept(env)


@case
def a_table_for_people(env):
    Models(env)
    env.limit(rules=[budget(who=EACH_USER)])
    ask_ok(env, "chat", user="alice", model="gpt-4")
    result = env.tool("get", "ratelimit-tokens", "limit", "-A")
    equal((result.returncode, result.stderr), (0, ""), "exit status and messages")
    lines = [line.split() for line in result.stdout.splitlines()]
    equal(lines[0], "NAMESPACE NAME RULE BY VALUE REQUESTS INPUT OUTPUT TOTAL DEBITED".split(), "titles")
    equal([line[3:] for line in lines[1:]],
          [[kind, value, "1", "5", "7", "12", "12"]
           for kind, value in (("all", "<none>"), ("model", "gpt-4"), ("user", "x-user-id=alice"))], "rows")
    result = env.tool("get", "ratelimit-tokens", "-A", "--limit", "1")
    equal((len(result.stdout.splitlines()), result.stderr), (2, "2 more: --limit N shows more, --limit 0 all\n"),
          "rows with a limit, and messages")
    equal(env.tool("get", "ratelimit-tokens", "other", "-A").returncode, 1, "exit status of a name that is not there")


@case
def of_a_limit_on_requests_nothing_is_told(env):
    env.server()
    env.limit(limit="3/hour")
    expect("tokens" not in env.item(), "tokens in the statistics of a rule that counts requests")
    equal(shown(env), {"items": [], "total": 0}, "rows")
    equal(env.tool("get", "ratelimit-tokens", "-A").stderr, "No rules that count LLMTokens found.\n", "message")
