# SPDX-License-Identifier: Apache-2.0
"""Which model a request asks for: by a header, or by its body, wherever in it that stands and in whatever pieces it
comes."""

import json

from client import equal, expect, expect_ok
from documents import ratelimit
from harness import PORT, case, wait_for
from models import (EACH_MODEL, Models, ask, asked, budget, head_and_body, of_model, reply, request, spent)

TOKENS = 12     # of a request without more
WORDS = [{"role": "user", "content": "one two three four five"}]
PADDING = 1 << 20       # up to which bodies are read


class Chosen:
    """A limit on model m alone: who pays it asked for m."""

    def __init__(self, env, spec=(), **fields):
        self.env = env
        self.models = Models(env)
        env.limit(rules=[budget(who=of_model("m"), **fields)], spec=spec)
        self.paid = 0

    def pays(self):
        """What came since the last look."""
        before, self.paid = self.paid, spent(self.env)
        return self.paid - before

    def ask(self, body, *fields, chunks=0):
        """Does this pay?"""
        answer = ask(self.env, "chat", body, *fields, chunks=chunks)
        equal(answer.status, 200, f"status of {str(body)[:200]}")
        paid = self.pays()
        expect(paid in (0, TOKENS), f"{paid} tokens paid for {str(body)[:200]}")
        return paid == TOKENS

    def expect(self, bodies, wanted):
        found = {name: self.ask(body) for name, body in bodies.items()}
        equal(found, dict.fromkeys(bodies, wanted), "whose model is m")


def body(text):
    """@text with MESSAGES in it, as bytes."""
    return text.replace("MESSAGES", f'"messages":{json.dumps(WORDS)}').encode()


@case
def at_any_place_of_the_body(env):
    more = json.dumps({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"a": [1, {}]}}}],
                       "temperature": 0.5, "stop": None, "user": "\\\"\u20ac", "n": 1})[1:-1]
    Chosen(env).expect({
        "first": body('{"model":"m",MESSAGES}'),
        "last": body('{MESSAGES,"model":"m"}'),
        "between": body("{" + more + ',"model":"m",MESSAGES}'),
        "behind much": body('{MESSAGES,"a":"' + "x" * 100000 + '","model":"m"}'),
        "ahead of much": body('{"model":"m",MESSAGES,"a":"' + "x" * 100000 + '"}'),
        "blanks": body('\r\n\t {\n  "model"\t:\r\n "m" ,\n MESSAGES }\n'),
        "escapes in the value": body('{"model":"\\u006d",MESSAGES}'),
        "escapes in the key": body('{"mod\\u0065l":"m",MESSAGES}'),
        "behind brackets": body('{"a":[[[{"b":[{}]}]]],"model":"m",MESSAGES}'),
    }, True)


@case
def what_is_not_it(env):
    Chosen(env).expect({
        "another": body('{"model":"x",MESSAGES}'),
        "longer": body('{"model":"mm",MESSAGES}'),
        "in capitals": body('{"model":"M",MESSAGES}'),
        "in an object": body('{"model":"x","a":{"model":"m"},MESSAGES}'),
        "in an object ahead": body('{"a":{"model":"m"},"model":"x",MESSAGES}'),
        "in the messages": body('{"messages":[{"model":"m","content":"one two three four five"}],"model":"x"}'),
        "in a list": body('{"a":["model","m",{"model":"m"}],"model":"x",MESSAGES}'),
        "in a string": body('{"a":"\\"model\\":\\"m\\"","model":"x",MESSAGES}'),
        "behind backslashes": body('{"a":"\\\\\\\\\\",\\"model\\":\\"m\\"","model":"x",MESSAGES}'),
        "none": body('{"a":"m",MESSAGES}'),
        "a number": body('{"model":5,MESSAGES}'),
        "a longer key": body('{"models":"m","xmodel":"m","model":"x",MESSAGES}'),
        "a key of another meaning": body('{"model_name":"m","model":"x",MESSAGES}'),
    }, False)


@case
def cut_at_each_byte(env):
    """In two segments; and each byte in its own."""
    chosen = Chosen(env)
    for found, wanted in (("m", True), ("x", False)):
        data = body('{"a":{"model":"x"},"stream":false,"mod\\u0065l":"' + found + '",MESSAGES}')
        whole = request("chat", data)
        start = len(whole) - len(data)
        for at in [*range(start - 3, start + 70), len(whole) - 1]:
            with env.accepted(chosen.models.server) as conn:
                env.conns.remove(conn)
                conn.send_segment(whole[:at])
                conn.send_segment(whole[at:])
                expect_ok(reply(conn))
            equal(chosen.pays() == TOKENS, wanted, f"cut at {at} of {start} and {len(data)}: is m asked for")
        with env.accepted(chosen.models.server) as conn:
            env.conns.remove(conn)
            conn.send_bytes(whole)
            expect_ok(reply(conn))
        equal(chosen.pays() == TOKENS, wanted, "in single bytes: is m asked for")


@case
def in_chunks_of_each_size(env):
    chosen = Chosen(env)
    for size in [*range(1, 20), 50, 1000]:
        for model in "mx":
            data = body('{"a":["model"],MESSAGES,"model":"' + model + '"}')
            equal(chosen.ask(data, chunks=size), model == "m", f"in chunks of {size}, does {model} pay")


@case
def each_byte_a_chunk_and_a_segment(env):
    chosen = Chosen(env)
    with env.accepted(chosen.models.server) as conn:
        head, data = head_and_body("chat", body('{"model":"m",MESSAGES}'), chunks=1)
        conn.send_segment(head)
        conn.send_bytes(data)
        expect_ok(reply(conn))
        equal(chosen.pays(), TOKENS, "tokens paid")
        env.conns.remove(conn)


@case
def a_request_over_budget_is_refused_when_its_model_is_known(env):
    """Its head came long before its model; no byte of it reaches the model server as a whole request."""
    models = Models(env)
    env.limit(rules=[budget("12/hour", who=of_model("m"))])
    expect_ok(ask(env, "chat", asked("chat", "m")))
    with env.accepted(models.server) as conn:
        head, data = head_and_body("chat", body('{MESSAGES,"model":"m"}'))
        conn.send_segment(head)
        for at in range(0, len(data), 9):
            conn.send_segment(data[at:at + 9])
        equal(reply(conn).status, 429, "status of one for m")
        env.conns.remove(conn)
    expect_ok(ask(env, "chat", body('{MESSAGES,"model":"x"}')))
    equal((models.of("m")["requests"], models.of("x")["requests"]), (1, 1), "requests that the server answered")


@case
def the_end_of_the_json_is_enough(env):
    """Servers that read no further than the object would answer, though the end of the body is held back."""
    models = Models(env)
    env.limit(rules=[budget("12/hour", who=of_model("m"))])
    expect_ok(ask(env, "chat", asked("chat", "m")))
    with env.accepted(models.server) as conn:
        head, data = head_and_body("chat", body('{MESSAGES,"model":"m"}') + b" ")
        conn.send_segment(head)
        conn.send_segment(data[:-1])
        equal(reply(conn).status, 429, "status of one for m")
        env.conns.remove(conn)


@case
def a_connection_goes_on_after_a_refusal(env):
    models = Models(env)
    env.limit(rules=[budget("12/hour", who=of_model("m"))])
    conn = env.connect()
    found = []
    for number, model in enumerate("mmxmxx"):
        conn.send_segment(request("chat", asked("chat", model, stream=number % 2 == 1)))
        answer = reply(conn)
        found.append(answer.status)
        if answer.closes():
            conn = env.connect()
    equal(found, [200, 429, 200, 429, 200, 200], "statuses of m and x in turns")
    equal(models.stats()["torn"], 0, "requests that the server got in part")


@case
def the_header_wins(env):
    chosen = Chosen(env)
    for name in ("x-ai-eg-model", "x-ai-gateway-llm-model-name", "X-AI-EG-Model"):
        expect(chosen.ask(asked("chat", "x"), f"{name}: m"), f"{name}: m, body: x: m is asked for")
        expect(not chosen.ask(asked("chat", "m"), f"{name}: x"), f"{name}: x, body: m: x is asked for")
    expect(chosen.ask(asked("chat", "m"), "x-ai-eg-mode: x", "x-model: x"), "another header is none")


@case
def headers_of_ones_own(env):
    chosen = Chosen(env, spec=["modelHeaders: [x-my-model, x-our-model]"])
    for name in ("x-my-model", "x-our-model"):
        expect(chosen.ask(asked("chat", "x"), f"{name}: m"), f"{name}: m, body: x: m is asked for")
    expect(chosen.ask(asked("chat", "m"), "x-ai-eg-model: x"), "what is the name by default counts no longer")


@case
def each_model_has_its_bucket(env):
    Models(env)
    env.limit(rules=[budget(who=EACH_MODEL)])
    for model, count in (("gpt-4", 1), ("qwen3", 2), ("a/b:c", 3)):
        for _ in range(count):
            expect_ok(ask(env, "chat", asked("chat", model)))
    expect_ok(ask(env, "chat", asked("chat", "x"), "x-ai-eg-model: qwen3"))
    rows = {row["value"]: 1000000 - row["availableTokens"] for row in env.buckets()["items"]}
    equal(rows, {"model=gpt-4": 12, "model=qwen3": 36, "model=a/b:c": 36}, "tokens paid by bucket")


@case
def with_a_model_the_body_of_each_api_is_read(env):
    chosen = Chosen(env)
    for api in ("chat", "completions", "responses", "messages"):
        for model, wanted in (("m", 12), ("x", 0)):
            expect_ok(ask(env, api, asked(api, model)))
            equal(chosen.pays(), wanted, f"tokens paid for {model} by {api}")
    expect_ok(ask(env, "embeddings", asked("embeddings", "m")))
    equal(chosen.pays(), 5, "tokens paid for embeddings")


def sized(size, model="m"):
    """A body of @size bytes with its model at the end."""
    start, end = body('{MESSAGES,"a":"').decode(), f'","model":"{model}"}}'
    return (start + "x" * (size - len(start) - len(end)) + end).encode()


@case
def bodies_to_a_mebibyte_are_read(env):
    chosen = Chosen(env)
    for size in (65536, PADDING - 1, PADDING):
        expect(chosen.ask(sized(size)), f"{size} bytes: m pays")
        expect(not chosen.ask(sized(size, "x")), f"{size} bytes: x does not")
        expect(chosen.ask(sized(size), chunks=60000), f"{size} bytes in chunks: m pays")
    equal(env.reasons().get("llm_body_long", 0), 0, "bodies that were too long")


@case
def past_that_it_is_admitted_and_counted(env):
    chosen = Chosen(env)
    for chunks in (0, 60000):
        chosen.ask(sized(PADDING + 100, "x"), chunks=chunks)
    equal(env.reasons()["llm_body_long"], 2, "bodies that were too long")


@case
def past_that_it_is_refused_if_the_policy_is_closed(env):
    chosen = Chosen(env, spec=["failurePolicy: Closed"])
    expect(chosen.ask(sized(PADDING)), "a body that is read: m pays")
    answer = ask_reset(env, sized(PADDING + 100))
    expect(answer is None or 400 <= answer.status < 500, f"answer to a body that is too long: {answer!r}")
    equal(env.reasons()["llm_body_long"], 1, "bodies that were too long")
    equal((chosen.models.of("m")["requests"], chosen.pays()), (1, 0), "requests that were answered, and tokens paid")
    expect(chosen.ask(asked("chat", "m"), "x-ai-eg-model: m"), "the next one pays")


def ask_reset(env, data):
    """The answer to a request with @data, or None where the connection was ended ahead of one."""
    with env.connect() as conn:
        env.conns.remove(conn)
        try:
            conn.send(request("chat", data))
            return reply(conn)
        except ConnectionError:
            return None


UNSURE = {
    "twice": '{"model":"x","model":"m",MESSAGES}',
    "another spelling, which Go takes": '{"model":"x","Model":"m",MESSAGES}',
}


@case
def what_servers_read_differently(env):
    """... is for the failure policy, and counted."""
    chosen = Chosen(env)
    for text in UNSURE.values():
        expect_ok(ask(env, "chat", body(text)))
    equal(env.reasons()["llm_body_unread"], len(UNSURE), "bodies whose model is unsure")
    env.write("limit.yaml", ratelimit("limit", PORT, rules=[budget(who=of_model("m"))], spec=["failurePolicy: Closed"]))

    def refused(text):
        answer = ask_reset(env, body(text))
        return answer is None or 400 <= answer.status < 500

    wait_for("the policy is closed", lambda: refused(UNSURE["twice"]))
    answered = chosen.models.stats()["requests"]
    for name, text in UNSURE.items():
        expect(refused(text), f"{name}: not refused")
    equal(chosen.models.stats()["requests"], answered, "requests that reached the server")


@case
def a_coded_body_is_not_read(env):
    Chosen(env, spec=["failurePolicy: Closed"])
    with env.connect() as conn:
        env.conns.remove(conn)
        conn.send(request("chat", asked("chat", "m"), "Content-Encoding: gzip"))
        expect(400 <= reply(conn).status < 500, "a request whose body is coded is refused")


@case
def expect_continue(env):
    """The body waits for 100 Continue, which the server has to get to see the head for."""
    chosen = Chosen(env)
    conn = env.connect()
    head, data = head_and_body("chat", asked("chat", "m"), "Expect: 100-continue")
    conn.send_segment(head)
    equal(reply_of_continue(conn), "HTTP/1.1 100 Continue", "what comes ahead of the body")
    conn.send_segment(data)
    expect_ok(reply(conn))
    equal(chosen.pays(), TOKENS, "tokens paid")


def reply_of_continue(conn):
    line = conn.line()
    equal(conn.line(), "", "fields of a 100 Continue")
    return line
