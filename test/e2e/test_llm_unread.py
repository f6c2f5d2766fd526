# SPDX-License-Identifier: Apache-2.0
"""Answers that do not tell what they used: streams without usage, and coded ones."""

import gzip
import time

from client import equal, expect, expect_ok
from harness import SCALE, case, case_of_each, wait_for
from models import (STREAMED, TARGETS, Models, abort, ask, asked, budget, call, close, headers, kill, request, reset, sdk,
                    spent)

PROMPT_MAX = 400    # bytes of a request at most, which its prompt may be estimated by


def estimated(env, *calls):
    """Streams of so many content events without usage: @calls are pairs of an API and its count."""
    models = Models(env)
    env.limit(rules=[budget()])
    paid = 0
    for number, (api, events) in enumerate(calls):
        model = f"m{number}"
        fields = headers({"events": events, "usage": "none", "completion_tokens": 3 * events})
        ask(env, api, asked(api, model, stream=True, include_usage=False), *fields)
        equal(models.of(model)["events"], events, f"content events of {api}")
        found = spent(env) - paid
        expect(events <= found <= events + PROMPT_MAX, f"{found} tokens paid for {events} events by {api}")
        paid += found
    equal(env.reasons().get("llm_estimated"), len(calls), "answers that were estimated")


@case
def a_stream_without_usage_is_estimated_by_its_events(env):
    estimated(env, *((api, events) for api in STREAMED for events in (1, 10, 500)))


def begun(env, ends):
    """message_start tells an output of 1, and nothing tells another: it is estimated by its events."""
    models = Models(env)
    env.limit(rules=[budget()])
    fields = headers({"events": 50, "completion_tokens": 50, "prompt_tokens": 5, "ends": ends})
    answer = ask(env, "messages", asked("messages", stream=True), *fields)
    expect("message_delta" not in [event["type"] for event in answer.events()], "an event that tells the usage")
    equal(models.of("m")["events"], 50, "content events")
    equal(spent(env), 5 + 50, "tokens paid")
    equal(env.reasons().get("llm_estimated"), 1, "answers that were estimated")


@case
def a_stream_that_ends_with_an_error_is_estimated(env):
    begun(env, "error")


@case
def a_stream_that_ends_without_its_usage_is_estimated(env):
    begun(env, "short")


@case
def usage_in_the_stream_is_no_estimate(env):
    models = Models(env)
    env.limit(rules=[budget()])
    for api in STREAMED:
        for usage in ("normal", "continuous"):
            expect_ok(ask(env, api, asked(api, stream=True), *headers({"usage": usage})))
    equal(spent(env), models.of("m")["total"], "tokens paid")
    equal(env.reasons().get("llm_estimated", 0), 0, "answers that were estimated")


@case
def events_without_text_are_none(env):
    """Of 21 events of a stream one has text."""
    models = Models(env)
    env.limit(rules=[budget()])
    ask(env, "chat", asked("chat", stream=True, include_usage=False, prompt=1), *headers({"events": 1}))
    equal(models.of("m")["events"], 1, "content events")
    few = spent(env)
    ask(env, "chat", asked("chat", stream=True, include_usage=False, prompt=1), *headers({"events": 21}))
    equal(spent(env) - 2 * few, 20, "tokens paid for twenty events more")


@case
def json_without_usage_is_unreadable(env):
    Models(env)
    env.limit(rules=[budget()])
    for usage in ("none", "null"):
        expect_ok(ask(env, "chat", asked("chat"), *headers({"usage": usage})))
    equal(env.reasons().get("llm_unreadable"), 2, "answers that were unreadable")


@case
def a_coded_answer_is_unreadable(env):
    Models(env)
    env.limit(rules=[budget()])
    for api in TARGETS:
        answer = ask(env, api, asked(api), *headers({"encoding": "gzip"}))
        expect(b'"usage"' in gzip.decompress(answer.body), "the coded answer")
    equal(env.reasons().get("llm_unreadable"), len(TARGETS), "answers that were unreadable")
    answer = ask(env, "chat", asked("chat"), *headers({"encoding": "accepted"}), "Accept-Encoding: gzip")
    equal(answer.field("content-encoding"), "gzip", "Content-Encoding, which the request accepts")


@case
def accept_encoding_is_dropped(env):
    """In place, however it is written; what the client sends else arrives as it is."""
    models = Models(env)
    env.limit(rules=[budget()], spec=["dropAcceptEncoding: true"])
    count = 0
    for field in ("Accept-Encoding: gzip", "accept-encoding:gzip, deflate, br;q=0.5", "ACCEPT-ENCODING:   gzip  ",
                  "Accept-Encoding: " + "x, " * 500 + "gzip"):
        for api in STREAMED:
            for stream in (False, True):
                fields = headers({"encoding": "accepted"})
                answer = ask(env, api, asked(api, stream=stream), fields[0], field, "x-behind: it")
                equal((answer.status, answer.field("content-encoding")), (200, None), f"status, coding")
                count += 1
    equal(spent(env), models.of("m")["total"], "tokens paid")
    equal(models.of("m")["requests"], count, "requests that the server answered")
    equal(env.reasons().get("llm_unreadable", 0), 0, "answers that were unreadable")


def codings(answers):
    return {answer["tries"][0]["headers"].get("content-encoding") for answer in answers}


@case
def the_packages_get_it_uncoded(env):
    """They accept gzip by themselves."""
    models = Models(env)
    calls = [call(api, asked(api, stream=stream), *headers({"encoding": "accepted"}))
             for api in ("chat", "messages") for stream in (False, True)]
    coded = sdk(env, *calls)
    equal(codings(coded), {"gzip"}, "codings without a limit")
    before = models.of("m")["total"]
    env.limit(rules=[budget()], spec=["dropAcceptEncoding: true"])
    plain = sdk(env, *calls)
    equal(codings(plain), {None}, "codings with it")
    equal([answer["text"] for answer in plain], [answer["text"] for answer in coded], "texts")
    equal(spent(env), models.of("m")["total"] - before, "tokens paid")


@case
def without_the_option_it_is_left_alone(env):
    Models(env)
    env.limit(rules=[budget()])
    answer = ask(env, "chat", asked("chat"), *headers({"encoding": "accepted"}), "Accept-Encoding: gzip")
    equal(answer.field("content-encoding"), "gzip", "Content-Encoding")


@case
def an_answer_that_ends_early(env):
    """The server dies in the midst of a stream that told running totals: what was told by then is paid."""
    models = Models(env)
    env.limit(rules=[budget()])
    conn = env.connect()
    conn.send(request("chat", asked("chat", stream=True, prompt=5),
                      *headers({"usage": "continuous", "events": 100, "completion_tokens": 100, "hold": "middle"})))
    wait_for("the answer is held", lambda: models.held() == 1)
    models.server.process.terminate()
    wait_for("what was streamed is paid", lambda: spent(env) > 0)
    expect(50 <= spent(env) <= 60 + PROMPT_MAX, f"{spent(env)} tokens paid for about 50 events and a prompt of 5")


MOST = 600
ENDS = {end.__name__: end for end in (close, reset, kill, abort)}


def broken_off(env, end, paid, **fields):
    """A large object that tells its usage last, of which a half is written when @end ends its connection: nobody knows
    what it used. @paid: what is taken for that, at least, within a second."""
    models = Models(env)
    env.limit(rules=[budget("1000/hour", **fields)])
    conn = env.connect()
    conn.send(request("chat", asked("chat", prompt=1, most=MOST),
                      *headers({"pad-bytes": 100000, "chunk-bytes": 1000, "framing": "length", "hold": "middle"})))
    wait_for("a half is written", lambda: models.held() == 1)
    conn.more_than(20000)
    begun = time.monotonic()
    end(models, conn)
    wait_for("it is counted", lambda: env.reasons().get("llm_unreadable"))
    took_s = time.monotonic() - begun
    expect(took_s < SCALE, f"it took {took_s:.2f} s")
    expect(paid <= spent(env, 1000) <= paid + (PROMPT_MAX if paid else 0), f"{spent(env, 1000)} tokens paid, not {paid}")
    equal(env.reasons()["llm_unreadable"], 1, "answers that were unreadable")
    env.conns.remove(conn)
    conn.close()
    return models


@case_of_each(ENDS)
def an_object_that_breaks_off_is_free(env, end):
    """As in Envoy AI Gateway, which tells its limiter at the end of a body alone."""
    models = broken_off(env, end, 0)
    if end in (close, reset):
        expect_ok(ask(env, "chat", asked("chat")))
        equal(spent(env, 1000), models.of("m")["total"], "tokens paid with the next")


@case_of_each(ENDS)
def an_object_that_breaks_off_costs_what_it_reserved(env, end):
    broken_off(env, end, MOST, reserve="MaxTokens")
