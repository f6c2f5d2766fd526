# SPDX-License-Identifier: Apache-2.0
"""Rules in shadow mode: what they would refuse is counted, and admitted."""

import re

from client import equal, expect_limited, get
from documents import ratelimit
from harness import PORT, case, wait_for


def statuses(env, count):
    conn = env.connect()
    return [conn.ask(get()).status for _ in range(count)]


def counters(item):
    return {name: item[name] for name in ("totalRequests", "rateLimitedRequests", "shadowLimitedRequests",
                                          "availableTokens")}


def counted(total, limited, shadow, tokens):
    return {"totalRequests": total, "rateLimitedRequests": limited, "shadowLimitedRequests": shadow,
            "availableTokens": tokens}


@case
def a_shadow_rule_refuses_nothing(env):
    server = env.server()
    env.limit(rules=["{name: all, limit: 3/day, mode: Shadow}"])
    equal(statuses(env, 10), [200] * 10, "statuses")
    item = env.item()
    equal(item["mode"], "Shadow", "mode")
    equal(counters(item), counted(10, 0, 7, 0), "counters")
    equal(len(env.settled(server).requests()), 10, "requests that reached the server")


@case
def what_a_shadow_rule_would_refuse_is_logged(env):
    env.server()
    agent = env.limit(rules=["{name: all, limit: 3/day, mode: Shadow}", "{name: real, limit: 8/day}"])
    said = re.compile(r'msg="limited in shadow mode" requests="(\d) of default/limit, rule all, last: GET /')
    equal(statuses(env, 10), [200] * 8 + [429] * 2, "statuses")
    wait_for("the log says so of five requests", lambda: sum(int(n) for n in said.findall(agent.text())) == 5)


@case
def a_shadow_rule_takes_nothing_from_what_another_refuses(env):
    env.server()
    env.limit(rules=["{name: shadow, limit: 2/day, mode: Shadow}", "{name: real, limit: 4/day}",
                     "{name: wide, limit: 6/day, mode: Shadow}"])
    equal(statuses(env, 9), [200] * 4 + [429] * 5, "statuses")
    equal(counters(env.item(rule="shadow")), counted(4, 0, 2, 0), "counters of the tight shadow rule")
    equal(counters(env.item(rule="real")), counted(9, 5, 0, 0), "counters of the real rule")
    equal(counters(env.item(rule="wide")), counted(4, 0, 0, 2), "counters of the wide shadow rule")


@case
def the_mode_of_the_resource_is_that_of_its_rules(env):
    env.server()
    env.limit(rules=["{name: tight, limit: 1/day}", "{name: real, limit: 3/day, mode: Enforce}"],
              spec=["mode: Shadow"])
    equal(statuses(env, 5), [200] * 3 + [429] * 2, "statuses")
    equal(env.item(rule="tight")["shadowLimitedRequests"], 2, "what the shadow rule would have refused")


@case
def an_edit_of_the_mode_keeps_the_tokens(env):
    env.server()
    env.limit(limit="3/day")
    equal(statuses(env, 2), [200] * 2, "statuses while enforced")
    env.write("limit.yaml", ratelimit("limit", PORT, rules=["{name: all, limit: 3/day, mode: Shadow}"]))
    wait_for("shadow mode", lambda: env.item()["mode"] == "Shadow")
    equal(statuses(env, 3), [200] * 3, "statuses in shadow mode")
    env.write("limit.yaml", ratelimit("limit", PORT, rules=["{name: all, limit: 3/day}"]))
    wait_for("enforced again", lambda: env.item()["mode"] == "Enforce")
    expect_limited(env.connect().ask(get()), limit=3, text="3 per 1 day")
    equal(counters(env.item()), counted(6, 1, 2, 0), "counters")
