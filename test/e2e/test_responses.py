# SPDX-License-Identifier: Apache-2.0
"""What a limited client is told: header styles, formats, and answers of one's own."""

import json
import re
import time

from client import equal, expect, expect_compact, expect_limited, get, post
from documents import ratelimit
from harness import PORT, case, take, wait_for

LONG = "X-Padding: " + "a" * 60


def limited(env, rule, spec=(), request=get("/over")):
    """The answer to @request over a limit of 1 with @rule's other fields, twice on one connection."""
    server = env.server()
    env.limit(rules=[f"{{name: all, limit: 1/day{rule}}}"], spec=spec)
    take(env, 1)
    conn = env.connect()
    answer, again = conn.ask(request), conn.ask(request)
    equal([name for name, _ in answer.fields], [name for name, _ in again.fields], "fields of both answers")
    equal(answer.body, again.body, "body of both answers")
    equal(len(env.settled(server).requests()), 1, "requests that reached the server")
    return answer


@case
def envoy_style(env):
    answer = limited(env, "", ["headerStyle: Envoy"])
    equal(answer.status, 429, "status")
    equal(answer.field("X-RateLimit-Limit"), "1, 1;w=86400", "X-RateLimit-Limit")
    equal(answer.field("X-RateLimit-Remaining"), "0", "X-RateLimit-Remaining")
    equal(answer.field("X-RateLimit-Reset"), answer.field("Retry-After"), "X-RateLimit-Reset, in seconds")


@case
def draft_style(env):
    answer = limited(env, "", ["headerStyle: Draft"])
    equal(answer.field("RateLimit-Policy"), '"all";q=1;w=86400', "RateLimit-Policy")
    match = re.fullmatch(r'"all";r=0;t=([0-9]+)', answer.field("RateLimit") or "")
    expect(match, f"RateLimit: {answer!r}")
    expect(int(match[1]) <= int(answer.field("Retry-After")), "Retry-After is before the reset")
    equal(answer.field("X-RateLimit-Limit"), None, "X-RateLimit-Limit")


@case
def no_headers(env):
    answer = limited(env, "", ["responseHeaders: Never"])
    equal([name for name, _ in answer.fields], ["Content-Type", "Content-Length", "Retry-After"], "fields")


@case
def problem_details(env):
    answer = limited(env, ", response: {format: Problem}")
    equal(answer.field("Content-Type"), "application/problem+json", "Content-Type")
    problem = json.loads(answer.body)
    equal(problem["status"], 429, "status of the problem")
    equal(problem["violated-policies"], ["all"], "violated policies")


@case
def openai_format(env):
    answer = limited(env, ", response: {format: OpenAI}")
    expect("message" in json.loads(answer.body)["error"], f"body {answer.body!r}")


@case
def an_answer_of_ones_own(env):
    answer = limited(env, ", response: {status: 503, contentType: text/html, headers: {X-Why: too many}, "
                          "body: \"{rule}: {limit}, wait {retry_after} s {x}\"}")
    equal((answer.status, answer.reason), (503, "Service Unavailable"), "status")
    equal(answer.field("Content-Type"), "text/html", "Content-Type")
    equal(answer.field("X-Why"), "too many", "X-Why")
    equal(answer.body.decode(), f"all: 1 per 1 day, wait {answer.field('Retry-After')} s {{x}}", "body")


@case
def the_longest_body(env):
    body = "{retry_after}" + "x" * 1011
    answer = limited(env, f", response: {{body: \"{body}\"}}", request=post("/over", b"y" * 2000))
    equal(answer.body.decode(), answer.field("Retry-After") + "x" * 1011, "body")


@case
def head_of_an_own_answer_has_its_length(env):
    env.server()
    env.limit(rules=["{name: all, limit: 1/day, response: {body: \"wait {retry_after}\"}}"])
    take(env, 1)
    conn = env.connect()
    answer = conn.ask(get("/over", method="HEAD"))
    equal(answer.field("Content-Length"), str(len("wait ") + len(answer.field("Retry-After"))), "length")
    equal(conn.ask(get("/over")).status, 429, "status of what follows")


@case
def small_letters_make_another_method(env):
    """Its client waits for a body, whatever the server makes of it."""
    env.server()
    env.limit(limit="1/day")
    take(env, 1)
    conn = env.connect()
    expect_limited(conn.ask(get("/over", method="head")), limit=1, text="1 per 1 day")
    expect_limited(conn.ask(get("/over", method="HEAD")), limit=1, text="1 per 1 day", head=True)
    equal(conn.ask(get("/over")).status, 429, "status of what follows")


@case
def an_edit_of_the_answer_keeps_the_tokens(env):
    env.server()
    env.limit(limit="3/day")
    take(env, 2)
    env.write("limit.yaml", ratelimit("limit", PORT, rules=["{name: all, limit: 3/day, response: {status: 503}}"]))
    take(env, 1)
    wait_for("the new status", lambda: env.connect().ask(get("/over")).status == 503)
    for number in range(10):
        env.write("limit.yaml", ratelimit("limit", PORT, rules=[
            f"{{name: all, limit: 3/day, response: {{body: \"number {number}\"}}}}"]))
        wait_for("the new body", lambda: env.connect().ask(get("/over")).body == f"number {number}".encode())
    equal(env.tokens(), 0, "tokens")


@case
def an_answer_that_is_gone_is_a_compact_one(env):
    """While the body of a limited request is dropped, its rule's answer is changed and changed again."""
    server = env.server()
    env.limit(limit="1/day")
    take(env, 1)
    conn = env.accepted(server)
    request = post("/over", b"a" * 1000)
    conn.send_segment(request[:-500])
    for limit in ("2/day", "3/day", "4/day"):
        env.write("limit.yaml", ratelimit("limit", PORT, limit=limit))
        wait_for(f"{limit} is in force", lambda: env.item()["limit"].startswith(limit[0]))
    conn.send_segment(request[-500:])
    expect_compact(conn.response())
    expect_limited(conn.ask(get("/again")), limit=4, text="4 per 1 day")


@case
def the_answer_outlives_the_agent(env):
    env.server()
    rule = "{name: all, limit: 1/day, response: {status: 503, body: later}}"
    agent = env.limit(rules=[rule])
    take(env, 1)
    equal(env.connect().ask(get("/over")).body, b"later", "body")
    agent.kill()
    answer = env.connect().ask(get("/over", LONG))
    equal((answer.status, answer.body), (503, b""), "the compact answer")
    env.agent("limit")
    equal(env.connect().ask(get("/over")).body, b"later", "body, with another agent")


@case
def a_flood_gets_answers_of_ones_own(env):
    env.server()
    env.limit(rules=["{name: all, limit: 1/day, response: {body: \"" + "z" * 900 + "\"}}"])
    take(env, 1)
    conns = [env.connect() for _ in range(32)]
    until = time.monotonic() + 2
    while time.monotonic() < until:
        for conn in conns:
            conn.send(get("/over"))
        for conn in conns:
            equal(conn.response().body, b"z" * 900, "body")
