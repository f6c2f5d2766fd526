# SPDX-License-Identifier: Apache-2.0
"""Requests of each API, in each shape, on connections that are kept, by dice: in the end every budget has paid what the
server counted."""

import random

import model_answers
import model_streams
import model_texts
from client import equal
from harness import case
from models import EACH_MODEL, STREAMED, TARGETS, Models, asked, budget, headers, reply, request, spent

RULES = {"all": "Total", "in": "Input", "out": "Output", "cached": "CachedInput", "both": "'output_tokens * 2 + 1'"}


def shape(dice, api, stream):
    """x-fake- headers for an answer; one that tells what was used."""
    usages = [usage for usage in model_answers.USAGES if usage not in ("none", "null", "nulls")]
    fake = {"prompt-tokens": dice.randrange(5000), "completion-tokens": dice.randrange(300),
            "events": dice.randrange(1, 30), "cached-tokens": 0, "reasoning-tokens": dice.randrange(5),
            "tool-calls": dice.choice((0, 0, 2)), "content": dice.choice(list(model_texts.TEXTS)),
            "usage": dice.choice(usages),
            "pad-bytes": dice.choice((0, 0, 100, 5000)), "write": dice.choice(("send", "more", "writev", "sendfile")),
            "write-bytes": dice.choice((0, 1, 5, 64, 1000)), "join": dice.randrange(2),
            "json": dice.choice(("compact", "spaced")), "framing": dice.choice(("length", "chunked"))}
    if api != "embeddings":
        fake["cached-tokens"] = dice.randrange(fake["prompt-tokens"] + 1)
    if stream:
        fake["sse"] = dice.choice(list(model_streams.FORMS))
    if dice.randrange(3) == 0:
        fake["chunk-bytes"] = dice.choice((1, 30, 700))
    if fake["pad-bytes"] > 100 or fake["tool-calls"]:
        fake["write-bytes"] = max(fake["write-bytes"], 64) if fake["write-bytes"] else 0
    return fake


def one(dice):
    """The bytes of a request."""
    api = dice.choice(list(TARGETS))
    stream = api in STREAMED and dice.randrange(2) == 0
    body = asked(api, f"m{dice.randrange(4)}", stream=stream, temperature=dice.random(), stop=None)
    items = list(body.items())
    dice.shuffle(items)
    return request(api, dict(items), *headers(shape(dice, api, stream)), chunks=dice.choice((0, 0, 1, 50)))


def send(dice, conn, data):
    cuts = sorted(dice.randrange(len(data)) for _ in range(dice.choice((0, 0, 1, 5))))
    for start, end in zip([0, *cuts], [*cuts, len(data)]):
        conn.send(data[start:end])


def thrown(env, seed, rounds=25):
    models = Models(env)
    env.limit(rules=[budget("1000000000/hour", name, tokens=tokens) for name, tokens in RULES.items()] +
              [budget("1000000000/hour", "model", EACH_MODEL)], spec=["ruleMatch: All"])
    dice = random.Random(seed)
    conns = [env.connect() for _ in range(6)]
    for number in range(rounds):
        asking = [(conn, [one(dice) for _ in range(dice.choice((1, 1, 2, 3)))]) for conn in conns]
        for conn, requests in asking:
            send(dice, conn, b"".join(requests))
        for conn, requests in asking:
            for data in requests:
                answer = reply(conn)
                equal(answer.status, 200, f"status in round {number} with the seed {seed} ({answer!r} to {data!r})")
    rows = models.stats()["models"]
    total, given, output, cached, count = (sum(row[name] for row in rows.values())
                                           for name in ("total", "input", "output", "cached", "requests"))
    wanted = {"all": total, "in": given, "out": output, "cached": cached, "both": 2 * output + count}
    equal({rule: spent(env, 1000000000, rule=rule) for rule in RULES}, wanted, f"tokens paid with the seed {seed}")
    buckets = {row["value"]: 1000000000 - row["availableTokens"] for row in env.buckets()["items"] if row["value"]}
    equal(buckets, {f"model={model}": row["total"] for model, row in rows.items()}, f"by model with the seed {seed}")


@case
def one_seed(env):
    thrown(env, 1)


@case
def another_seed(env):
    thrown(env, 2)


@case
def a_third_seed(env):
    thrown(env, 3)
