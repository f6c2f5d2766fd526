# SPDX-License-Identifier: Apache-2.0
"""Rules that count tokens beside others: their tiers, their edits, and what of them is in force while their document
cannot be read."""

import os

import bpfmap
from client import equal, expect_ok, get
from documents import ratelimit
from harness import PORT, case, wait_for
from models import Models, ask, asked, budget, of_model, reply, spent

TOKENS, OUTPUT = 12, 7     # of a request without more


def chat(env, *fields, model="m"):
    return ask(env, "chat", asked("chat", model), *fields).status


@case
def one_tier_with_a_limit_on_requests(env):
    """Neither has selectors, so a POST counts in both; a GET is a request too."""
    Models(env)
    for rules in (["{name: requests, limit: 4/day}", budget(name="tokens")],
                  [budget(name="tokens"), "{name: requests, limit: 4/day}"]):
        env.limit(rules=rules)
        equal([chat(env) for _ in range(2)], [200] * 2, "statuses")
        with env.connect() as conn:
            env.conns.remove(conn)
            conn.send_segment(get("/health"))
            expect_ok(reply(conn))
        equal([chat(env) for _ in range(2)], [200, 429], "statuses of the third and the fourth")
        equal((env.tokens(rule="requests"), spent(env, rule="tokens")), (0, 3 * TOKENS), "requests left, tokens paid")
        env.agents[-1].kill()
        env.detach()


@case
def a_tier_before_it_counts_alone(env):
    Models(env)
    env.limit(rules=[budget(name="tokens"), "{name: requests, limit: 4/day}",
                     budget(name="m", who=of_model("m"))])
    equal([chat(env), chat(env, model="x")], [200] * 2, "statuses")
    equal(spent(env, rule="m"), TOKENS, "tokens of m")
    equal((env.tokens(rule="requests"), spent(env, rule="tokens")), (3, TOKENS), "of the tier without selectors")


@case
def a_selector_may_name_the_header_that_tells_the_model(env):
    Models(env)
    env.limit(rules=[budget(name="header", who="{headers: [{name: x-ai-eg-model, value: a}]}"),
                     budget(name="model", who=of_model("a"))], spec=["ruleMatch: All"])
    equal([chat(env, "x-ai-eg-model: a"), chat(env, "x-ai-eg-model: b"), chat(env, model="a")], [200] * 3, "statuses")
    equal((spent(env, rule="header"), spent(env, rule="model")), (TOKENS, 2 * TOKENS), "tokens paid")


@case
def an_edit_of_the_cost_alone_is_in_force(env):
    Models(env)
    env.limit(rules=[budget()])
    equal((chat(env), spent(env)), (200, TOKENS), "status and cost")
    costs = os.path.join(env.bpffs, "krl_costs")
    equal(len(bpfmap.keys(costs)), 1, "costs in the kernel")
    env.write("limit.yaml", ratelimit("limit", PORT, rules=[budget(tokens="Output")]))
    wait_for("the other cost is there", lambda: len(bpfmap.keys(costs)) == 2)

    def pays():
        before = spent(env)
        equal(chat(env), 200, "status")
        return spent(env) - before

    wait_for("it is in force", lambda: pays() == OUTPUT)


@case
def what_cannot_be_read_at_a_restart_still_counts(env):
    """Together with another RateLimit, which did change: the kernel still reads bodies for it."""
    Models(env)
    env.write("llm.yaml", ratelimit("llm", PORT, rules=[budget(who=of_model("m"))]))
    env.write("other.yaml", ratelimit("other", PORT, limit="100/day"))
    env.agent("llm", "other")
    equal([chat(env), chat(env, model="x")], [200] * 2, "statuses")
    equal(spent(env, name="llm"), TOKENS, "tokens paid")
    env.agents[-1].kill()
    env.write("llm.yaml", ratelimit("llm", PORT, rules=["{limit: 1/day, count: Tokens}"]))
    env.write("other.yaml", ratelimit("other", PORT, limit="50/day"))
    env.agent("llm", "other")
    equal([chat(env), chat(env, model="x")], [200] * 2, "statuses with the next agent")
    equal(spent(env, name="llm"), 2 * TOKENS, "tokens paid")
    equal(env.tokens("other"), 50 - 2, "requests left of the other one")


@case
def in_shadow_mode_nothing_is_refused_nor_cut(env):
    Models(env)
    env.limit(rules=[budget("10/hour", mode="Shadow", requireUsage="true", onExhausted="Cut")])
    answer = ask(env, "chat", asked("chat", stream=True, include_usage=False), "x-fake-events: 50")
    equal((answer.status, len(answer.events()) >= 50), (200, True), "status, and whether the stream is whole")
