# SPDX-License-Identifier: Apache-2.0
"""Requests that are written so that the limiter might read another model than the server: whoever gets an answer of a
model pays for it, and gets none once its budget is spent."""

import json
import os
import random

import bpfmap
from client import chunk, equal, expect, expect_ok, expect_refused, get
from documents import ratelimit
from harness import PORT, case, wait_for
from models import TARGETS, Models, ask, asked, budget, headers, of_model, reply, request, spent
from told import Replies, final

WORDS = '"messages":[{"role":"user","content":"one two three four five"}]'
CLOSED = ["failurePolicy: Closed"]


def bodies():
    """By name; to Python's JSON most are one for model m, and some none at all."""
    plain = f'{{"model":"m",{WORDS}}}'
    table = {
        "byte order mark": b"\xef\xbb\xbf" + plain.encode(),
        "a key twice": f'{{"model":"x",{WORDS},"model":"m"}}',
        "a key twice, once in escapes": f'{{"model":"x","m\\u006fdel":"m",{WORDS}}}',
        "escapes in capitals": f'{{"\\u006D\\u006f\\u0064\\u0065\\u006C":"\\u006D",{WORDS}}}',
        "no numbers": f'{{"temperature":NaN,"top_p":-Infinity,"model":"m",{WORDS}}}',
        "numbers past all": f'{{"a":[1e999,-0.0e-0,123456789012345678901234567890],"model":"m",{WORDS}}}',
        "surrogates in keys": f'{{"\\ud800":1,"\\udc00model":"x","\\ud83d\\ude00":2,"model":"m",{WORDS}}}',
        "surrogates in the value": f'{{"model":"\\ud800m","a":1,"model":"m",{WORDS}}}',
        "blanks ahead": " \t\r\n" * 2000 + plain,
        "deep": '{"a":' + "[" * 400 + "]" * 400 + f',"model":"m",{WORDS}}}',
        "deep objects": '{"a":' + '{"model":"x","a":' * 200 + "1" + "}" * 200 + f',"model":"m",{WORDS}}}',
        "brackets in strings": f'{{"a":"}}]","b":["]}}{{",{{"c":"\\\\\\"}}"}}],"model":"m",{WORDS}}}',
        "a null byte": f'{{"model":"m\\u0000x","a":1,"model":"m",{WORDS}}}',
        "keys that are longer": f'{{"model ":"x"," model":"x","model\\u0000":"x","model":"m",{WORDS}}}',
        "an empty key": f'{{"":"x","":{{"model":"x"}},"model":"m",{WORDS}}}',
        "what follows": plain + " \r\n\t",
        "the model in a list": f'{{"model":["m"],{WORDS}}}',
        "a list": f'[{plain}]',
        "garbage behind": plain + "}",
        "garbage ahead": "x" + plain,
        "single quotes": plain.replace('"', "'"),
        "no end": plain[:-1],
        "raw control bytes": f'{{"a":"\x01\n","model":"m",{WORDS}}}',
        "a comment": f'{{/* "model":"x", */"model":"m",{WORDS}}}',
        "a comma too many": f'{{"model":"m",{WORDS},}}',
        "nothing": "",
        "bytes that are no UTF-8": b'{"a":"\xff\xfe\xc0","model":"m",' + WORDS.encode() + b"}",
    }
    for coding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"):
        table[coding] = plain.encode(coding)
    return {name: body if isinstance(body, bytes) else body.encode() for name, body in table.items()}


def tables():
    """Each body as it is, and in other dress: (what, head fields, body, bytes a chunk)."""
    for name, body in bodies().items():
        yield name, [], body, 0
        yield f"{name}, in chunks", [], body, 3
    for field in ("Content-Type: text/plain", "Content-Type: application/json; charset=utf-16",
                  "Content-Encoding: identity", "Content-Encoding: gzip", "Content-Encoding: br, identity", "X-HTTP-Method-Override: GET"):
        yield field, [field], bodies()["what follows"], 0


@case
def whoever_is_answered_pays(env):
    models = Models(env)
    env.limit(rules=[budget(who=of_model("m"))], spec=CLOSED)
    paid = answered = 0
    wrong = []
    for what, fields, body, chunks in tables():
        ask_or_end(env, body, fields, chunks)
        paid, before = spent(env), paid
        answered, then = models.of("m")["total"], answered
        if paid - before != answered - then:
            wrong.append(f"[{what}] {paid - before} tokens paid, {answered - then} answered")
    expect(answered > 12 * 20, f"{answered} tokens were answered")
    expect(not wrong, "; ".join(wrong))


@case
def nobody_is_answered_once_it_is_spent(env):
    models = Models(env)
    env.limit(rules=[budget("12/hour", who=of_model("m"))], spec=CLOSED)
    expect_ok(ask(env, "chat", asked("chat", "m")))
    wrong = []
    for what, fields, body, chunks in tables():
        answer = ask_or_end(env, body, fields, chunks)
        if models.of("m")["requests"] > 1:
            wrong.append(what)
            models = FreshStart(models)
        elif answer:
            expect(answer.status in (200, 400, 429), f"status of {what}: {answer!r}")
    expect(not wrong, f"answered over budget: {', '.join(wrong)}")
    expect_ok(ask(env, "chat", asked("chat", "x")))


class FreshStart:
    """The same server, whose requests for m up to now do not count."""

    def __init__(self, models):
        self.stats = models.stats
        self.inner = models.of
        self.before = models.of("m")["requests"] - 1

    def of(self, model):
        return {"requests": self.inner(model)["requests"] - self.before}


def ask_or_end(env, body, fields, chunks):
    """The answer, or None where the connection came to its end instead."""
    try:
        return ask(env, "chat", body, *fields, chunks=chunks)
    except ConnectionError:
        return None


@case
def what_is_in_a_chunked_body_besides(env):
    """Extensions of chunks, and trailers, are no part of the body."""
    models = Models(env)
    env.limit(rules=[budget(who=of_model("m"))], spec=CLOSED)
    data = json.dumps(asked("chat", "m")).encode()
    for count, (start, end) in enumerate((
            (b'%x;a="{\\"model\\":\\"x\\"}"\r\n', b"0\r\n\r\n"), (b"%X;model=x\r\n", b"0\r\n\r\n"),
            (b"000%x\r\n", b'000;{"model":"x"}\r\nmodel: x\r\nx-ai-eg-model: x\r\n\r\n')), 1):
        body = b"".join(start % len(piece) + piece + b"\r\n" for piece in (data[:20], data[20:21], data[21:])) + end
        with env.connect() as conn:
            env.conns.remove(conn)
            conn.send_segment(get(TARGETS["chat"], "Transfer-Encoding: chunked", method="POST"))
            conn.send_bytes(body)
            expect_ok(reply(conn))
        equal((spent(env), models.of("m")["total"]), (12 * count, 12 * count), "tokens paid, and answered")


@case
def a_body_that_looks_like_a_request(env):
    """... is none, and the request behind it is judged for itself."""
    models = Models(env)
    env.limit(rules=[budget(who=of_model("m"))])
    inner = request("chat", asked("chat", "m", prompt=50)).decode()
    conn = env.connect()
    conn.send(request("chat", {**asked("chat", "x"), "a": inner}) + request("chat", asked("chat", "m")) +
              request("chat", {**asked("chat", "x"), "a": inner}, chunks=100) + request("chat", asked("chat", "m")))
    equal([reply(conn).status for _ in range(4)], [200] * 4, "statuses")
    equal((spent(env), models.of("m")["requests"]), (24, 2), "tokens paid, and requests for m")


UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")
TO_HTTP2 = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
NO_REQUESTS = {"garbage": (b"\x01\x02",), "a bad line": (b"GET  / HTTP/1.1\r\n\r\n",), "HTTP/2": (PREFACE,),
               "a frame": (b"\x81\x85\0\0\0\0hello", *UPGRADE), "HTTP/2 that was asked for": (PREFACE, *TO_HTTP2)}


@case
def what_is_no_request_behind_one(env):
    """A server that does not see it, or does not switch, answers the request before: that is paid for. In one segment
    neither gets to the server."""
    used = {"usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}
    answer = final(json.dumps(used).encode())
    replies = Replies(env)
    replies.add("/v1/chat/completions", ("wait",), ("send", answer))
    server = replies.start(document=ratelimit("limit", PORT, rules=[budget("1000/hour", reserve="MaxTokens")]))
    for number, (what, (data, *fields)) in enumerate(NO_REQUESTS.items()):
        asks = request("chat", asked("chat", most=500), *fields)
        conn = env.accepted(server)
        conn.send_segment(asks)
        wait_for("it is reserved", lambda: env.tokens() < 500)
        conn.send_segment(data)
        wait_for(f"{what} is seen", lambda seen=2 * number + 1: env.reasons()["bad_request"] == seen)
        server.command("go")
        equal(conn.read(len(answer)), answer, f"the answer ahead of {what}")
        equal(spent(env, 1000), 12 * (number + 1), f"tokens paid, with {what}")
        conn = env.accepted(server)
        conn.send_segment(asks + data)
        equal(conn.response().status, 400, f"status in one segment with {what}")
    env.close_conns()
    equal((len(server.requests()), spent(env, 1000)), (len(NO_REQUESTS), 12 * len(NO_REQUESTS)),
          "requests that the server has, and tokens paid")
    equal(bpfmap.keys(os.path.join(env.bpffs, "krl_charges"), 16), [], "charges")


@case
def many_requests_at_once(env):
    """More of them in one segment than answers can be told apart: whoever is answered pays."""
    models = Models(env)
    env.limit(rules=[budget()])
    for count in (64, 65, 100):
        with env.connect() as conn:
            env.conns.remove(conn)
            conn.send_segment(request("chat", asked("chat")) * count)
            if count > 64:
                expect_refused(conn, f"{count} requests at once")
            else:
                equal([reply(conn).status for _ in range(count)], [200] * count, "statuses")
        wait_for("every answer is paid", lambda: spent(env) == models.of("m")["total"])
    equal(models.of("m")["requests"], 64, "requests that the server answered")


@case
def bodies_at_random(env):
    """Objects of random keys and values, the model among them, cut at random places; each by a seed of its own."""
    models = Models(env)
    env.limit(rules=[budget(who=of_model("m"))], spec=CLOSED)
    paid = 0
    for seed in range(300):
        dice = random.Random(seed)
        data, model = random_body(dice)
        with env.connect() as conn:
            env.conns.remove(conn)
            whole = request("chat", data, *headers({"completion-tokens": dice.randrange(1, 9)}),
                            chunks=dice.choice((0, 0, 1, 7, 100)))
            cuts = sorted(dice.randrange(len(whole)) for _ in range(dice.randrange(4)))
            for start, end in zip([0, *cuts], [*cuts, len(whole)]):
                conn.send_segment(whole[start:end])
            answer = reply(conn)
            equal(answer.status, 200, f"status with the seed {seed} ({answer!r}): {data[:300]}")
        total = models.of("m")["total"]
        equal(spent(env), total, f"tokens paid with the seed {seed}, which asks for {model}: {data[:300]}")
        expect(model == "x" or total > paid, f"nothing was answered for m with the seed {seed}")
        paid = total


KEYS = ["model", "models", "mode", "messages", "usage", "a", "", "max_tokens", "stream", "\u00e9", "mod\\", 'model"',
        "\x00"]


def random_value(dice, depth=0):
    kind = dice.randrange(8 if depth < 4 else 6)
    if kind < 3:
        return "".join(dice.choice('model":m{}[],\\/\u20ac\U0001f600\n\x7f x') for _ in range(dice.randrange(40)))
    if kind < 6:
        return dice.choice([None, True, False, 0, -1, 1.5e10, 1 << 70])
    if kind == 6:
        return [random_value(dice, depth + 1) for _ in range(dice.randrange(4))]
    return {dice.choice(KEYS): random_value(dice, depth + 1) for _ in range(dice.randrange(5))}


def random_body(dice):
    """JSON of a request in some style, and which model it is for."""
    model = dice.choice("mx")
    items = [(f"key{n}" if dice.randrange(2) else dice.choice(KEYS[1:3] + KEYS[5:7] + KEYS[9:]), random_value(dice))
             for n in range(dice.randrange(6))]
    items += [("model", model), ("messages", [{"role": "user", "content": random_value(dice) or "x"}])]
    dice.shuffle(items)
    text = json.dumps(dict(items), ensure_ascii=dice.randrange(2) == 0, indent=dice.choice((None, None, 1)))
    return text.encode(), model
