# SPDX-License-Identifier: Apache-2.0
"""tokens: what of an answer's usage a budget pays."""

from client import equal, expect, expect_ok
from harness import case
from models import PLENTY, STREAMED, Models, ask, asked, budget, headers, spent

COUNTS = {"prompt_tokens": 101, "completion_tokens": 17, "cached_tokens": 64, "reasoning_tokens": 5}


def costs(env, table):
    """Each of @table, an expression and what it comes to, is a rule of its own for every request."""
    Models(env)
    rules = [budget(name=f"r{number}", tokens=f"'{tokens}'") for number, tokens in enumerate(table)]
    env.limit(rules=rules, spec=["ruleMatch: All"])
    for count, (api, stream) in enumerate((api, stream) for api in STREAMED for stream in (False, True)):
        expect_ok(ask(env, api, asked(api, model="gpt-4", stream=stream), *headers(COUNTS)))
        found = {tokens: spent(env, rule=f"r{number}") for number, tokens in enumerate(table)}
        wanted = {tokens: cost * (count + 1) for tokens, cost in table.items()}
        equal(found, wanted, f"tokens paid, {api}, stream: {stream}")


@case
def by_name(env):
    costs(env, {"Total": 118, "Input": 101, "Output": 17, "CachedInput": 64})


@case
def by_expression(env):
    costs(env, {
        "input_tokens + output_tokens * 3u": 152,
        "has(input_tokens) ? input_tokens + output_tokens * 3u : 0u": 152,
        "total_tokens - cached_input_tokens": 54,
        "(input_tokens - cached_input_tokens) + cached_input_tokens / 10": 43,
        "model == \"gpt-4\" ? total_tokens * 2 : total_tokens": 236,
        "model == \"gpt-5\" ? total_tokens * 2 : total_tokens": 118,
        "total_tokens % 100": 18,
    })


@case
def by_expressions_of_truth(env):
    costs(env, {
        "input_tokens > 100 && output_tokens < 100 ? 1 : 2": 1,
        "input_tokens > 101 || !(output_tokens >= 17) ? 1 : 2": 2,
        "output_tokens != 17 ? 1 : 1000": 1000,
        "7": 7,
        "0": 0,
    })


@case
def of_embeddings(env):
    """Which tell no output."""
    Models(env)
    env.limit(rules=[budget(name="out", tokens="Output"), budget(name="in", tokens="Input"), budget(name="all"),
                     budget(name="has", tokens="'has(output_tokens) ? 1 : 1000'")], spec=["ruleMatch: All"])
    expect_ok(ask(env, "embeddings", asked("embeddings"), *headers(COUNTS)))
    equal([spent(env, rule=rule) for rule in ("out", "in", "all", "has")], [0, 101, 101, 1000], "tokens paid")


@case
def it_saturates(env):
    """Numbers past all that is sensible are the most that there is, and less than nothing is nothing."""
    Models(env)
    env.limit(rules=[budget(name="much", tokens="'total_tokens * 4611686018427387903'"),
                     budget(name="less", tokens="'input_tokens - 1000000'"),
                     budget(name="by-zero", tokens="'total_tokens / (output_tokens - output_tokens)'"),
                     budget(name="around-zero", tokens="'total_tokens % 0 + output_tokens'")],
              spec=["ruleMatch: All"])
    expect_ok(ask(env, "chat", asked("chat"), *headers(COUNTS)))
    equal(spent(env, rule="less"), 0, "tokens paid by a cost below zero")
    equal(spent(env, rule="by-zero"), 0, "tokens paid by a division by zero")
    equal(spent(env, rule="around-zero"), 17, "... that more is added to")
    expect(spent(env, rule="much") > PLENTY, "tokens paid by a cost past all numbers")
    equal(ask(env, "chat", asked("chat")).status, 429, "status of the next")
