# SPDX-License-Identifier: Apache-2.0
"""Clients of model servers, by themselves and through limits that count requests: what they get is what the server
sent, and a 429 is one that they know."""

from client import equal, expect
from harness import case, wait_for
from models import STREAMED, TARGETS, Models, ask, asked, call, headers, reply, request, sdk

USAGE = {"prompt_tokens": 21, "completion_tokens": 9, "total_tokens": 30, "input_tokens": 21, "output_tokens": 9}
COUNTS = {"prompt_tokens": 21, "completion_tokens": 9, "cached_tokens": 4, "reasoning_tokens": 2}


def calls(**fake):
    """Each API, as JSON and as a stream."""
    fields = headers({**COUNTS, **fake})
    return [call(api, asked(api, stream=stream), *fields)
            for api in TARGETS for stream in ((False, True) if api in STREAMED else (False,))]


def told(answer, api):
    """The usage that the package tells, as (input, output)."""
    usage = answer["usage"]
    if api == "messages":
        return usage["input_tokens"] + usage["cache_read_input_tokens"], usage["output_tokens"]
    if api == "embeddings":
        return usage["prompt_tokens"], 0
    names = ("input_tokens", "output_tokens") if api == "responses" else ("prompt_tokens", "completion_tokens")
    return tuple(usage[name] for name in names)


def expect_whole(asking, answer):
    api = asking["api"]
    what = f"{api}, {'streamed' if asking['body'].get('stream') else 'JSON'}"
    equal(answer["error"], None, f"error of {what}")
    equal(told(answer, api), (21, 0 if api == "embeddings" else 9), f"usage of {what}")
    expect(answer["text"].startswith("[0," if api == "embeddings" else "word "), f"text of {what}: {answer['text']!r}")
    return [seen["body"] for seen in answer["tries"]]


@case
def each_api_of_both_packages(env):
    models = Models(env)
    asking = calls()
    answers = sdk(env, *asking)
    bodies = [expect_whole(*pair) for pair in zip(asking, answers)]
    equal([len(tries) for tries in bodies], [1] * 9, "tries")
    row = models.of("m")
    equal((row["requests"], row["input"], row["output"], row["cached"]), (9, 9 * 21, 8 * 9, 9 * 4), "by the server")


def passed_on(env, **fake):
    """Through the limiter, each answer is to the byte what it is without."""
    models = Models(env)
    asking = calls(**fake)
    before = [expect_whole(*pair) for pair in zip(asking, sdk(env, *asking))]
    env.limit(limit="1000/day")
    for together in (False, True):
        answers = sdk(env, *asking, together=together)
        equal([expect_whole(*pair) for pair in zip(asking, answers)], before, "hashes of the bodies with a limit")
    equal(env.item()["totalRequests"], 18, "requests that the limiter counted")
    equal(models.of("m")["requests"], 27, "requests that the server answered")


@case
def answers_are_passed_on(env):
    passed_on(env)


@case
def answers_in_drops_are_passed_on(env):
    passed_on(env, write_bytes=7)


@case
def answers_in_chunks_are_passed_on(env):
    passed_on(env, framing="chunked", chunk_bytes=100, write="writev", write_bytes=11)


@case
def answers_up_to_the_end_of_the_connection(env):
    passed_on(env, framing="close", write="sendfile")


@case
def tool_calls_at_once(env):
    """Their arguments come in turns in a stream, and are JSON with a usage in it."""
    models = Models(env)
    env.limit(limit="100/day")
    asking = [call(api, asked(api, stream=stream), *headers({"tool_calls": 3, "content": "quotes"}))
              for api in ("chat", "responses", "messages") for stream in (False, True)]
    for one, answer in zip(asking, sdk(env, *asking)):
        equal((answer["error"], len(answer["tools"])), (None, 3), f"error, and calls, of {one['api']}")
        for arguments in answer["tools"]:
            expect('"usage":{"prompt_tokens":0' in arguments, f"arguments of {one['api']}: {arguments!r}")
    equal(models.of("m")["requests"], 6, "requests that the server answered")


@case
def a_stream_tells_usage_if_it_is_asked_to(env):
    Models(env)
    answers = sdk(env, *(call(api, asked(api, stream=True, include_usage=False)) for api in STREAMED))
    equal([answer["usage"] is not None for answer in answers], [False, False, True, True], "usage of four streams")


@case
def a_client_that_stops_reading(env):
    models = Models(env)
    env.limit(limit="100/day")
    asking = [call(api, asked(api, stream=True), *headers({"hold": "middle"}), stop_after=2) for api in STREAMED]
    for answer in sdk(env, *asking):
        equal((answer["error"], answer["events"]), (None, 2), "error, and events that were read")
    wait_for("the server has done with four answers", lambda: models.stats()["cut"] == 4)
    equal(models.stats()["models"], {}, "answered to the end")


@case
def limited_without_retries(env):
    """Each package makes of the 429 the error that it has for it."""
    models = Models(env)
    env.limit(limit="2/day")
    asking = [call(api, asked(api, stream=stream)) for api in ("chat", "messages") for stream in (False, True)]
    answers = sdk(env, *asking[:2], *asking)
    equal([answer["error"] and (answer["error"]["class"], answer["error"]["status"]) for answer in answers],
          [None] * 2 + [("RateLimitError", 429)] * 4, "errors")
    equal([len(answer["tries"]) for answer in answers], [1] * 6, "tries")
    equal(models.of("m")["requests"], 2, "requests that the server answered")


@case
def limited_and_tried_again(env):
    """As long as Retry-After says; then there is room."""
    models = Models(env)
    env.limit(rules=["{name: all, maxTokens: 1, tokensPerFill: 1, fillInterval: 2s}"])
    asking = [call(api, asked(api, stream=stream)) for api in ("chat", "messages") for stream in (False, True)]
    answers = sdk(env, *asking, retries=3)
    equal([answer["error"] for answer in answers], [None] * 4, "errors")
    again = [answer["tries"] for answer in answers if len(answer["tries"]) > 1]
    expect(again, "none of four calls, one after another at one in 2 s, was limited")
    for tries in again:
        equal([seen["status"] for seen in tries], [429] * (len(tries) - 1) + [200], "statuses of the tries")
        expect(int(tries[0]["headers"]["retry-after"]) in (1, 2), f"Retry-After {tries[0]['headers']}")
    equal(models.of("m")["requests"], 4, "requests that the server answered")


@case
def head_and_body_apart(env):
    """As Python's clients send them; and in chunks, and byte by byte."""
    models = Models(env)
    env.limit(limit="100/day")
    for api in TARGETS:
        for chunks in (0, 1, 16):
            answer = ask(env, api, asked(api), chunks=chunks)
            equal((answer.status, answer.json()["model"]), (200, "m"), f"status and model of {api}")
    with env.connect() as conn:
        conn.send_bytes(request("chat", asked("chat", stream=True)))
        events = reply(conn).events()
        equal(events[-1]["usage"]["total_tokens"], 12, "tokens that the last event tells")
        env.conns.remove(conn)
    equal((models.of("m")["requests"], models.stats()["torn"]), (16, 0), "whole requests, and torn ones")


@case
def a_connection_is_kept(env):
    """Answers of each framing follow one another, and a 429 them."""
    models = Models(env)
    env.limit(rules=["{limit: 3/day, clientSelectors: [{headers: [{name: user-id, type: Distinct}]}]}"])
    kinds = [(api, stream) for api in TARGETS for stream in ((False, True) if api in STREAMED else (False,))]
    for api, stream in kinds:
        conn = env.connect()
        statuses = []
        for _ in range(5):
            conn.send_segment(request(api, asked(api, stream=stream), f"user-id: {api}, {stream}"))
            statuses.append(reply(conn).status)
        equal(statuses, [200] * 3 + [429] * 2, f"statuses on one connection, {api}, stream: {stream}")
    equal(models.of("m")["requests"], 3 * len(kinds), "requests that the server answered")
    equal(len(models.server.events("accept")), len(kinds), "connections")
