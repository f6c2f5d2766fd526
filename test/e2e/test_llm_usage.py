# SPDX-License-Identifier: Apache-2.0
"""What is taken from a budget is what the server counted, whatever the shape of its answers and of its writes."""

import itertools

import model_answers
import model_streams
import model_texts
from client import equal, expect
from harness import case, wait_for
from models import STREAMED, TARGETS, Models, ask, asked, budget, call, headers, reply, request, sdk, spent

KINDS = [(api, stream) for api in TARGETS for stream in ((False, True) if api in STREAMED else (False,))]
NUMBERS = itertools.count(1)


def fresh_counts(api):
    """Such as no two requests have, so that nothing can be taken for another's."""
    number = next(NUMBERS)
    return {"prompt_tokens": 1000 + 7 * number, "completion_tokens": 0 if api == "embeddings" else 11 + number,
            "cached_tokens": 3 * number if api != "embeddings" else 0, "reasoning_tokens": number % 11,
            "cache_creation_tokens": 2 * number if api == "messages" else 0}


class Ledger:
    """Asks, and compares what the budget paid for each answer with what the server counted."""

    def __init__(self, env, **fields):
        self.env = env
        self.models = Models(env)
        env.limit(rules=[budget(**fields)])
        self.paid = 0
        self.wrong = []
        self.count = 0

    def ask(self, what, api, stream=False, chunks=0, fake=None, **more):
        """One request, with @fake headers besides counts of its own; its answer, which is well formed."""
        self.count += 1
        model = f"model-{self.count}"
        fields = headers({"events": 5, **fresh_counts(api), **(fake or {})})
        answer = ask(self.env, api, asked(api, model=model, stream=stream, **more), *fields, chunks=chunks)
        equal(answer.status, 200, f"status of {what} ({answer!r})")
        told = answer.events() if stream else answer.json()
        expect(told, f"an empty answer to {what}")
        self.check(f"{what} by {api}, {'streamed' if stream else 'JSON'}", model,
                   (fake or {}).get("framing") == "close")
        return answer

    def check(self, what, model, with_the_end=False):
        wanted = self.models.of(model)["total"]
        expect(wanted > 0, f"the server answered nothing of {what}")
        if with_the_end:
            wait_for(f"{what} is paid", lambda: spent(self.env) != self.paid)
        found = spent(self.env) - self.paid
        self.paid += found
        if found != wanted:
            self.wrong.append(f"[{what}] {found} for {wanted}")

    def close(self):
        expect(not self.wrong, f"{len(self.wrong)} of {self.count}: " + "; ".join(self.wrong))


FRAMINGS = ["length", "chunked", "close"]


def each_api_and_framing(env, **fake):
    ledger = Ledger(env)
    for (api, stream), framing in itertools.product(KINDS, FRAMINGS):
        ledger.ask(framing, api, stream, fake={"framing": framing, **fake})
    ledger.close()


@case
def whole_writes(env):
    each_api_and_framing(env)


@case
def head_and_body_in_one_write(env):
    each_api_and_framing(env, join=1)


@case
def single_bytes(env):
    each_api_and_framing(env, write_bytes=1)


@case
def pieces_of_seven(env):
    each_api_and_framing(env, write_bytes=7)


@case
def pieces_of_each_size(env):
    """Cut at every place: up to 64 bytes, so that each key of the usage is cut somewhere."""
    ledger = Ledger(env)
    for size in range(2, 65):
        ledger.ask(f"pieces of {size}", "chat", size % 2 == 1, fake={"write_bytes": size})
    for size in range(3, 64, 4):
        ledger.ask(f"pieces of {size}", "messages", True, fake={"write_bytes": size})
        ledger.ask(f"pieces of {size}", "responses", True, fake={"write_bytes": size})
    ledger.close()


@case
def many_buffers_in_one_write(env):
    ledger = Ledger(env)
    for size, (api, stream) in itertools.product((1, 5, 100), KINDS):
        ledger.ask(f"buffers of {size}", api, stream, fake={"write": "writev", "write_bytes": size})
    ledger.close()


@case
def from_files(env):
    ledger = Ledger(env)
    for size, (api, stream) in itertools.product((0, 4096, 100), KINDS):
        ledger.ask(f"sendfile of {size}", api, stream,
                   fake={"write": "sendfile", "write_bytes": size, "pad_bytes": 9000})
    ledger.close()


@case
def with_more_to_come(env):
    ledger = Ledger(env)
    for api, stream in KINDS:
        ledger.ask("MSG_MORE", api, stream, fake={"write": "more", "write_bytes": 13})
    ledger.close()


@case
def in_small_chunks(env):
    """The chunked coding itself cuts off each byte."""
    ledger = Ledger(env)
    for size, (api, stream) in itertools.product((1, 2, 11, 100), KINDS):
        ledger.ask(f"chunks of {size}", api, stream, fake={"framing": "chunked", "chunk_bytes": size})
    ledger.close()


@case
def usage_in_each_shape(env):
    """Keys in another order, floats, nulls, running totals, input that message_delta omits."""
    ledger = Ledger(env)
    for usage, (api, stream) in itertools.product(model_answers.USAGES, KINDS):
        if usage in ("none", "null"):
            continue
        for events in (1, 20):
            ledger.ask(f"usage {usage}", api, stream, fake={"usage": usage, "events": events})
    ledger.close()


@case
def text_cannot_forge_it(env):
    """What the model says, in each of the texts, whole and in pieces; and keys at places that are none of the APIs'."""
    ledger = Ledger(env)
    for content, (api, stream) in itertools.product(model_texts.TEXTS, KINDS):
        for size in (0, 17):
            ledger.ask(f"text {content} in pieces of {size}", api, stream,
                       fake={"content": content, "write_bytes": size, "usage": "first" if size else "normal"})
        ledger.ask(f"long text {content}", api, stream,
                   fake={"content": content, "pad_bytes": 3000, "write_bytes": 1000})
    ledger.close()


@case
def tool_calls_at_once(env):
    ledger = Ledger(env)
    for content in ("usage", "quotes", "escapes", "nested", "done"):
        for api, stream in KINDS:
            ledger.ask(f"three tools with {content}", api, stream, fake={"tool_calls": 3, "content": content})
    ledger.close()


@case
def events_in_each_form(env):
    ledger = Ledger(env)
    for form, api, size in itertools.product(model_streams.FORMS, STREAMED, (0, 3)):
        ledger.ask(f"events with {form}", api, True, fake={"sse": form, "write_bytes": size})
    ledger.close()


@case
def json_in_each_style(env):
    ledger = Ledger(env)
    for style, (api, stream), size in itertools.product(("spaced", "indented"), KINDS, (0, 3)):
        if not (stream and style == "indented"):
            ledger.ask(f"JSON {style}", api, stream, fake={"json": style, "write_bytes": size})
    ledger.close()


@case
def answers_of_a_mebibyte(env):
    ledger = Ledger(env)
    shapes = itertools.cycle([("plain", "send"), ("quotes", "sendfile"), ("backslashes", "writev"), ("utf8", "send")])
    for (api, stream), (content, write) in zip(KINDS, shapes):
        answer = ledger.ask(f"1 MiB of {content}", api, stream,
                            fake={"content": content, "pad_bytes": 1 << 20, "events": 500, "write": write,
                                  "write_bytes": 16384})
        expect(len(answer.body) >= 1 << 20, f"{len(answer.body)} bytes of {api}")
    ledger.close()


@case
def usage_ahead_of_a_mebibyte(env):
    ledger = Ledger(env)
    for api in TARGETS:
        ledger.ask("usage ahead of 1 MiB", api, fake={"usage": "first", "content": "usage", "pad_bytes": 1 << 20})
    ledger.close()


@case
def requests_in_each_framing(env):
    ledger = Ledger(env)
    for (api, stream), chunks in itertools.product(KINDS, (0, 1, 10, 1000)):
        ledger.ask(f"request in chunks of {chunks}", api, stream, chunks=chunks)
    ledger.close()


@case
def one_connection_for_all(env):
    """Answers of each shape follow one another."""
    ledger = Ledger(env)
    conn = env.connect()
    shapes = itertools.product(("length", "chunked"), (0, 1), ("send", "writev", "sendfile"), KINDS)
    for number, (framing, size, write, (api, stream)) in enumerate(shapes):
        fields = headers({**fresh_counts(api), "framing": framing, "write_bytes": size, "write": write, "events": 3})
        conn.send_segment(request(api, asked(api, model=f"m{number}", stream=stream), *fields))
        equal(reply(conn).status, 200, "status")
        ledger.count += 1
        ledger.check(f"{framing}, {write} of {size}, by {api}, stream: {stream}", f"m{number}")
    equal(len(ledger.models.server.events("accept")), 1, "connections")
    ledger.close()


@case
def the_packages_see_what_is_paid(env):
    """Theirs is the usage, summed over all calls, that the budget paid."""
    models = Models(env)
    env.limit(rules=[budget()])
    answers = sdk(env, *(call(api, asked(api, stream=stream), *headers(fresh_counts(api))) for api, stream in KINDS),
                  together=True)
    total = 0
    for answer in answers:
        equal(answer["error"], None, "error")
        usage = answer["usage"]
        total += usage.get("total_tokens") or sum(usage[name] for name in (
            "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"))
    equal((spent(env), models.of("m")["total"]), (total, total), "tokens paid, and answered")


@case
def two_hundred_at_once(env):
    models = Models(env)
    env.limit(rules=[budget()])
    conns = [env.connect() for _ in range(200)]
    for number, conn in enumerate(conns):
        api, stream = KINDS[number % len(KINDS)]
        conn.send(request(api, asked(api, stream=stream), *headers({**fresh_counts(api), "write_bytes": 50})))
    equal({reply(conn).status for conn in conns}, {200}, "statuses")
    equal(spent(env), models.of("m")["total"], "tokens paid, against those that the server answered")
    expect(spent(env) > 200000, f"{spent(env)} tokens of 200 requests")


@case
def while_the_client_reads_nothing(env):
    """The server's writes wait, and are taken in parts."""
    models = Models(env)
    env.limit(rules=[budget()])
    conns = [env.connect(receive_buffer=16384) for _ in range(len(KINDS))]
    for conn, (api, stream) in zip(conns, KINDS):
        conn.send(request(api, asked(api, stream=stream), *headers({**fresh_counts(api), "pad_bytes": 200000,
                                                                    "events": 40, "content": "quotes"})))
    wait_for("the server answers", lambda: models.stats()["requests"] == len(KINDS))
    equal([reply(conn).status for conn in conns], [200] * len(KINDS), "statuses")
    equal(spent(env), models.of("m")["total"], "tokens paid, against those that the server answered")
