# SPDX-License-Identifier: Apache-2.0
"""onExhausted: what becomes of a stream whose budget is spent while it is under way."""

import json

from client import chunk, equal, expect
from documents import ratelimit
from harness import PORT, case, case_of_each, wait_for
from models import EACH_USER, STREAMED, Models, ask, asked, budget, call, headers, reply, request, sdk
from told import Replies, final

EVENTS = 500


def fields(**more):
    return headers({"events": EVENTS, "completion_tokens": EVENTS, **more})


def pieces(api, events):
    """How many events of these bring text."""
    if api == "chat":
        return sum(bool(choice["delta"].get("content")) for event in events for choice in event.get("choices", []))
    if api == "completions":
        return sum(bool(choice["text"]) for event in events for choice in event.get("choices", []))
    return sum(event.get("type") in ("response.output_text.delta", "content_block_delta") for event in events)


def finish(env, **settings):
    """The stream comes to its end, and the debt is what it used beyond the budget."""
    models = Models(env)
    env.limit(rules=[budget("100/hour", **settings)])
    answer = ask(env, "chat", asked("chat", stream=True, prompt=5), *fields())
    equal((answer.status, pieces("chat", answer.events())), (200, EVENTS), "status, and events that bring text")
    equal((env.tokens(), models.of("m")["total"]), (100 - 505, 505), "tokens, and what the server answered")
    equal(ask(env, "chat", asked("chat", stream=True)).status, 429, "status of the next")


@case
def finish_is_the_default(env):
    finish(env)


@case
def finish_by_name(env):
    finish(env, onExhausted="Finish")


def cut(env, api, **more):
    """A last event tells the error, and the chunked body ends; the next request is limited."""
    Models(env)
    env.limit(rules=[budget("100/hour", onExhausted="Cut")])
    answer = ask(env, api, asked(api, stream=True, prompt=5), *fields(**more))
    equal(answer.status, 200, "status")
    events = answer.events()
    last = events[-1]
    expect("error" in last, f"the last event: {last}")
    found = pieces(api, events[:-1])
    expect(50 <= found < EVENTS, f"{found} of {EVENTS} events that bring text came, with a budget of 100")
    expect(env.tokens() < 0, f"{env.tokens()} tokens after the cut")
    equal(ask(env, api, asked(api, stream=True)).status, 429, "status of the next")


@case_of_each(STREAMED)
def cut_in_good_form(env, api):
    cut(env, api)


@case_of_each(STREAMED)
def cut_by_its_events(env, api):
    cut(env, api, usage="none")


@case_of_each(STREAMED)
def cut_in_drops(env, api):
    """The server writes on by single bytes."""
    cut(env, api, write_bytes=1)


@case_of_each(STREAMED)
def cut_to_the_end_of_the_connection(env, api):
    """A body without chunks: its last event, and nothing behind it."""
    cut(env, api, framing="close")


@case
def cut_by_running_totals(env):
    """Each event tells ten tokens: after ten or so the budget is spent."""
    Models(env)
    env.limit(rules=[budget("100/hour", onExhausted="Cut")])
    answer = ask(env, "chat", asked("chat", stream=True, prompt=5),
                 *headers({"events": 100, "completion_tokens": 1000, "usage": "continuous"}))
    events = answer.events()
    expect("error" in events[-1], f"the last event: {events[-1]}")
    found = pieces("chat", events[:-1])
    expect(9 <= found <= 30, f"{found} events came, of ten tokens each, with a budget of 100")


@case
def cut_at_the_same_event(env):
    """Whether the server writes its events one by one, or all of them at once."""
    Models(env)
    env.limit(rules=[budget("100/hour", who=EACH_USER, onExhausted="Cut")])
    found = {}
    for user, join in ("alice", 0), ("bob", 2):
        answer = ask(env, "chat", asked("chat", stream=True, prompt=5), f"x-user-id: {user}",
                     *fields(usage="none", join=join))
        expect("error" in answer.events()[-1], f"the last event of {user}'s")
        found[user] = pieces("chat", answer.events()[:-1])
    equal(found["bob"], found["alice"], "events that bring text, of all written at once")


@case
def cut_when_the_bucket_is_gone(env):
    """A bucket that is full is swept while the answer is under way; it is full all the same, and no more than that."""
    models = Models(env)
    env.limit(rules=[budget("100/hour", who=EACH_USER, onExhausted="Cut")])
    conn = env.connect()
    conn.send(request("chat", asked("chat", stream=True, prompt=5), "x-user-id: alice", *fields(hold="first")))
    wait_for("the answer is held", lambda: models.held() == 1)
    wait_for("the bucket is swept", lambda: not env.item()["buckets"])
    models.release()
    events = reply(conn).events()
    expect("error" in events[-1], f"the last event: {events[-1]}")
    expect(50 <= pieces("chat", events) <= 110, f"{pieces('chat', events[:-1])} events that bring text, with a budget of 100")


@case
def the_packages_tell_the_error(env):
    Models(env)
    env.limit(rules=[budget("100/hour", onExhausted="Cut")])
    answer, = sdk(env, call("chat", asked("chat", stream=True), *fields()))
    expect(answer["error"], "the package saw no error")
    expect(answer["text"], "the package saw no text before it")
    answer, = sdk(env, call("messages", asked("messages", stream=True), *fields()))
    equal(answer["error"] and answer["error"]["status"], 429, "status of the next")


@case
def a_reservation_comes_first(env):
    """Within what it reserved a stream is not cut, though nothing else is left."""
    Models(env)
    env.limit(rules=[budget("600/hour", onExhausted="Cut", reserve="MaxTokens")])
    answer = ask(env, "chat", asked("chat", stream=True, prompt=1, most=EVENTS), *fields())
    equal(pieces("chat", answer.events()), EVENTS, "events that bring text")
    equal(env.tokens(), 600 - 501, "tokens")


@case
def others_go_on(env):
    """A cut of one user's stream is none of another's."""
    Models(env)
    env.limit(rules=[budget("600/hour", who=EACH_USER, onExhausted="Cut")])
    conns = {}
    for user, events in (("alice", 2000), ("bob", 400)):
        conns[user] = env.connect()
        conns[user].send(request("chat", asked("chat", stream=True), f"x-user-id: {user}",
                                 *headers({"events": events, "completion_tokens": events})))
    answers = {user: reply(conn).events() for user, conn in conns.items()}
    expect("error" in answers["alice"][-1], "the last event of alice's")
    equal(pieces("chat", answers["bob"]), 400, "events of bob's")


@case_of_each({"chunked": True, "to the end of the connection": False})
def a_server_that_writes_on(env, chunked):
    """... as fast as it can, whatever error it has: of nothing that it writes behind the cut, and once it has an error it has
    one each time."""
    event = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    head = final(b"", "Transfer-Encoding: chunked" if chunked else "Connection: close", length=False)
    replies = Replies(env)
    replies.add("/v1/chat/completions", ("send", head),
                *[("anyway", chunk(event, len(event))[:-5] if chunked else event)] * 5000, ("wait",),
                *[("anyway", event)] * 3, ("close",))
    server = replies.start(document=ratelimit("limit", PORT, rules=[budget("100/hour", onExhausted="Cut")]))
    conn = env.accepted(server)
    conn.send(request("chat", asked("chat", stream=True, include_usage=False)))
    answer = reply(conn) if chunked else None
    wait_for("the server has an error", lambda: server.events("failed"))
    for _ in range(4):
        server.command("go")
    wait_for("it gave up", lambda: server.events("closed"))
    data = answer.body + conn.rest() if chunked else reply(conn).body
    expect(data.endswith(b'"code":"rate_limit_exceeded"}}\n\n'), f"the last of what came: {data[-300:]!r}")
    with open(server.record.name, encoding="utf-8") as record:
        kinds = [json.loads(line)["event"] for line in record]
    behind = kinds[kinds.index("failed"):]
    equal((behind.count("wrote"), behind.count("failed") > 3), (0, True), "writes that did not fail behind one that did, ...")


@case_of_each({"chunked": True, "to the end of the connection": False})
def a_client_that_does_not_read(env, chunked):
    """Wherever its stream is to be cut, be there little room left to write into, or none: it has the last event once it
    reads."""
    event = b'data: {"choices":[{"delta":{"content":"%s"}}]}\n\n' % (b"a" * 400)
    head = final(b"", "Transfer-Encoding: chunked" if chunked else "Connection: close", length=False)
    replies = Replies(env)
    replies.add("/v1/chat/completions", ("send", head),
                *[("send", chunk(event, len(event))[:-5] if chunked else event)] * EVENTS, ("close",))
    server = replies.start(document=ratelimit("limit", PORT, rules=[budget("1000/hour", who=EACH_USER, onExhausted="Cut")]),
                           send_buffer=16384)
    for count, events in enumerate(range(1, 120, 4), 1):
        body = json.dumps(asked("chat", stream=True, include_usage=False, prompt=0)).encode()
        body += b" " * (4 * (1000 - events) - len(body))
        full = len(server.events("full"))
        conn = env.connect(receive_buffer=2048)
        conn.send(request("chat", body, f"x-user-id: {events}"))
        wait_for("its stream is cut, or the server can write no more, or gave up", lambda full=full, count=count:
                 len(server.events("full")) > full or env.reasons().get("llm_cut", 0) >= count or
                 len(server.events("closed")) >= count)
        found = reply(conn).events()
        expect("error" in found[-1], f"the last of {len(found)} events, with {events} tokens left, and what became of the "
                                     f"connection: {server.events('closed')[-1:]}")
