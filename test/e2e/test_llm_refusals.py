# SPDX-License-Identifier: Apache-2.0
"""What a client is told that has no tokens left: OpenAI's fields and body, which its packages know."""

import json
import re

from client import equal, expect, expect_ok
from harness import case
from models import STREAMED, Models, ask, asked, budget, call, headers, sdk

DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(\d+(?:\.\d+)?)(s|ms)")


def seconds(text):
    """Of a duration as OpenAI writes it: 6m0s, 59s, 20ms."""
    match = DURATION.fullmatch(text or "")
    expect(match, f"no duration: {text!r}")
    hours, minutes, rest, unit = match.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(rest) / (1000 if unit == "ms" else 1)


def exhausted(env, limit="50/hour", **fields):
    models = Models(env)
    env.limit(rules=[budget(limit, **fields)])
    expect_ok(ask(env, "chat", asked("chat"), *headers({"prompt-tokens": 60})))
    return models


@case
def its_fields_and_its_body(env):
    exhausted(env)
    answer = ask(env, "chat", asked("chat"))
    equal(answer.status, 429, "status")
    equal(answer.field("x-ratelimit-limit-tokens"), "50", "x-ratelimit-limit-tokens")
    equal(answer.field("x-ratelimit-remaining-tokens"), "0", "x-ratelimit-remaining-tokens")
    retry_s = int(answer.field("Retry-After"))
    expect(1 <= retry_s <= 3600, f"Retry-After {retry_s}")
    reset_s = seconds(answer.field("x-ratelimit-reset-tokens"))
    expect(abs(reset_s - retry_s) <= 1, f"x-ratelimit-reset-tokens {reset_s}, Retry-After {retry_s}")
    equal(answer.field("X-RateLimit-Limit"), "50", "X-RateLimit-Limit, next to the others")
    equal(answer.field("X-RateLimit-Remaining"), "0", "X-RateLimit-Remaining")
    equal(answer.field("Content-Type"), "application/json", "Content-Type")
    body = answer.json()
    expect(isinstance(body["error"].pop("message"), str), "the message of the error")
    equal(body, {"error": {"type": "tokens", "param": None, "code": "rate_limit_exceeded"}}, "body without its message")


@case
def the_message_tells_the_limit(env):
    exhausted(env, response="{format: OpenAI}")
    message = ask(env, "chat", asked("chat")).json()["error"]["message"]
    expect("50 per 1 hour" in message, f"message {message!r}")


@case
def another_format(env):
    exhausted(env, response="{format: Json}")
    answer = ask(env, "chat", asked("chat"))
    equal((answer.status, answer.json()), (429, {"error": "Rate limit exceeded: 50 per 1 hour"}), "status and body")


@case
def a_limit_on_requests_may_answer_so(env):
    Models(env)
    env.limit(rules=["{name: all, limit: 1/day, response: {format: OpenAI}}"])
    expect_ok(ask(env, "chat", asked("chat")))
    answer = ask(env, "chat", asked("chat"))
    equal((answer.status, answer.json()["error"]["code"]), (429, "rate_limit_exceeded"), "status and code")


@case
def the_packages_understand_it(env):
    exhausted(env)
    for api, answer in zip(STREAMED, sdk(env, *(call(api, asked(api)) for api in STREAMED))):
        error = answer["error"]
        expect(error, f"no error by {api}")
        equal((error["class"], error["status"]), ("RateLimitError", 429), f"class and status of the error by {api}")
        expect("50 per 1 hour" in error["message"], f"message by {api}: {error['message']!r}")
        if api != "messages":
            equal((error["code"], error["type"]), ("rate_limit_exceeded", "tokens"), f"code and type by {api}")


@case
def the_packages_try_again(env):
    """... when Retry-After says, and there is something left by then."""
    models = Models(env)
    env.limit(rules=[budget(None, maxTokens=20, tokensPerFill=20, fillInterval="1s")])
    calls = [call(api, asked(api, stream=stream), *headers({"prompt-tokens": 20}))
             for api in ("chat", "messages") for stream in (False, True)]
    answers = sdk(env, *calls, retries=5)
    equal([answer["error"] for answer in answers], [None] * 4, "errors")
    again = [answer for answer in answers if len(answer["tries"]) > 1]
    expect(again, "none of four calls of 27 tokens was limited to 20 in a second")
    for answer in again:
        equal({seen["status"] for seen in answer["tries"][:-1]}, {429}, "statuses of the tries before the last")
    equal(models.of("m")["requests"], 4, "requests that the server answered")


@case
def in_the_chunked_coding_too(env):
    """The refusal comes when the body did; the connection serves on, or says that it ends."""
    exhausted(env)
    for chunks in (0, 10):
        equal(ask(env, "chat", asked("chat", stream=True), chunks=chunks).status, 429, "status of a stream")


@case
def require_usage_refuses_a_stream_that_does_not_ask_for_it(env):
    """With 400, before it is answered; what need not ask is admitted."""
    models = Models(env)
    env.limit(rules=[budget(requireUsage="true")])
    for api in ("chat", "completions"):
        answer = ask(env, api, asked(api, stream=True, include_usage=False))
        equal(answer.status, 400, f"status of a stream of {api} without stream_options")
        expect("include_usage" in json.dumps(answer.json()), f"body of the 400: {answer.body!r}")
        off = {**asked(api, stream=True), "stream_options": {"include_usage": False}}
        equal(ask(env, api, off).status, 400, f"status of a stream of {api} with include_usage: false")
        expect_ok(ask(env, api, asked(api, stream=True)))
    for api in STREAMED:
        expect_ok(ask(env, api, asked(api)))
    for api in ("responses", "messages"):
        expect_ok(ask(env, api, asked(api, stream=True)))
    equal(models.stats()["requests"], 8, "requests that reached the server")
    equal(env.reasons().get("llm_usage_missing"), 4, "requests refused for it")
    equal(1000000 - env.tokens(), models.of("m")["total"], "tokens paid")
