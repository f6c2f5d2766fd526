# SPDX-License-Identifier: Apache-2.0
"""What is certain of a request ahead of its body counts from its head on, whether its JSON ever ends or not, and is given
back where the rest refuses it."""

import json
import time

from client import equal, expect, expect_ok
from documents import ratelimit
from harness import PORT, case, case_of_each, wait_for
from models import EACH_USER, TARGETS, Models, ask, asked, budget, head_and_body, headers, of_model, reply, request
from told import Replies, final

CHAT = "/v1/chat/completions"
WRONG_KEY = final(b'{"error":"key"}', "Content-Type: application/json", status="401 Unauthorized")
USED = {"usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}
ANSWER = final(json.dumps(USED).encode(), "Content-Type: application/json")
REQUESTS = "{name: requests, limit: 3/day}"
OF_M = budget(name="m", who=of_model("m"))
RESERVES = budget(name="tokens", reserve="MaxTokens")
EACH = f"{{name: requests, limit: 3/day, clientSelectors: [{EACH_USER}]}}"
ALL = ["ruleMatch: All"]
LIMITED = {"all rules": (ALL, [OF_M, REQUESTS]), "the first tier": ([], [RESERVES, REQUESTS]),
           "each user": (ALL, [OF_M, EACH])}


def start(env, rules, spec=()):
    """A server that says to a head for /v1/chat/completions that the key is wrong, and answers /v1/completions."""
    replies = Replies(env)
    replies.add(CHAT, ("early",), ("send", WRONG_KEY))
    replies.add("/v1/completions", ("send", ANSWER))
    return replies.start(document=ratelimit("limit", PORT, rules=rules, spec=spec))


def halves(*fields, api="chat", chunks=0, **more):
    return head_and_body(api, asked(api, **{"most": 50, **more}), "x-user-id: alice", *fields, chunks=chunks)


def tries(env, server, count, *fields, piece=10, chunks=0, **more):
    """So many requests on connections of their own, whose bodies come to their first bytes; those that were answered."""
    head, body = halves(*fields, chunks=chunks, **more)
    conns = [env.accepted(server) for _ in range(count)]
    answered = 0
    for conn in conns:
        conn.send_segment(head + body[:piece])
        wait_for("it is answered or refused", lambda conn=conn: conn.has_answer() or refused(env))
        if not conn.has_answer():
            break
        equal(reply(conn).status, 401, "status of a try")
        answered += 1
    return answered, conns[answered] if answered < count else None, body[piece:]


def refused(env):
    return sum(item["rateLimitedRequests"] for item in env.stats())


def counters(env, rule="requests", name="limit"):
    item = env.item(name, rule)
    return tuple(item[name] for name in ("totalRequests", "rateLimitedRequests", "shadowLimitedRequests",
                                         "availableTokens"))


@case_of_each(LIMITED)
def tries_whose_json_never_ends_are_limited(env, table):
    """As many get to the server as the limit says, however they are framed; more are refused, when their body is there."""
    spec, rules = table
    server = start(env, rules, spec)
    answered, conn, rest = tries(env, server, 3, chunks=7)
    equal((answered, conn), (3, None), "tries that the server answered")
    env.close_conns()
    equal(counters(env), (3, 0, 0, 0), "requests judged, refused, in shadow, and left, after the connections")
    got = server.bytes()
    answered, conn, rest = tries(env, server, 1)
    equal(answered, 0, "tries above the limit that the server answered")
    conn.send_segment(rest)
    equal(reply(conn).status, 429, "status of a try above the limit")
    equal((counters(env), server.bytes()), ((4, 1, 0, 0), got), "requests, and bytes that the server has")
    conn.send_segment(b"".join(halves(api="completions")))
    equal(reply(conn).status, 429, "status on the same connection")


@case
def one_that_expects_100_is_refused_at_its_head(env):
    server = start(env, [OF_M, "{name: requests, limit: 1/day}"], ALL)
    tries(env, server, 1)
    conn = env.accepted(server)
    head, _ = halves("Expect: 100-continue")
    conn.send_segment(head)
    equal(reply(conn).status, 429, "status")


@case
def tiers_that_depend_on_the_model(env):
    """Ahead of the body it is not known whether the tier behind counts: a try is counted in none. With a header that tells
    the model it is."""
    server = start(env, [OF_M, REQUESTS])
    equal(tries(env, server, 5)[0], 5, "tries that the server answered")
    equal(counters(env), (0, 0, 0, 3), "requests judged, refused, in shadow, and left")
    equal(tries(env, server, 4, "x-ai-eg-model: x")[0], 3, "tries that name the model in a header")
    equal(tries(env, server, 1, "x-ai-eg-model: m")[0], 1, "... and are of the tier ahead")
    equal(counters(env), (4, 1, 0, 0), "requests judged, refused, in shadow, and left")


@case
def a_tier_that_no_model_leads_to(env):
    """What it asks of the head besides does not hold: the tier behind is certain."""
    who = "{model: {value: m}, headers: [{name: x-user-id, value: bob}]}"
    server = start(env, [budget(name="m", who=who), REQUESTS])
    equal(tries(env, server, 4)[0], 3, "tries that the server answered")


@case
def several_ratelimits(env):
    """Each by its own tiers."""
    replies = Replies(env)
    replies.add(CHAT, ("early",), ("send", WRONG_KEY))
    server = replies.start(document=ratelimit("limit", PORT, rules=[OF_M, "{name: default, limit: 9/day}"]))
    env.write("other.yaml", ratelimit("other", PORT, rules=[REQUESTS]))
    wait_for("the other is in force", lambda: env.lists("other"))
    equal(tries(env, server, 4)[0], 3, "tries that the server answered")
    equal(env.tokens(rule="default"), 9, "of the tier behind the model")


@case
def a_budget_that_is_spent(env):
    """Of tokens nothing is taken at the head, reserved or not; where there are none, it is refused there."""
    Models(env)
    env.limit(rules=[budget("10/hour", "tokens", reserve="MaxTokens", reserveFraction=1), REQUESTS], spec=ALL)
    server = env.servers[-1]
    conn = env.accepted(server)
    head, body = halves(*headers({"completion-tokens": 30}), prompt=1)
    conn.send_segment(head)
    wait_for("it is counted", lambda: counters(env)[0] == 1)
    equal((counters(env), counters(env, "tokens")), ((1, 0, 0, 2), (0, 0, 0, 10)), "requests, tokens")
    conn.send_segment(body)
    expect_ok(reply(conn))
    expect(env.tokens(rule="tokens") < 0, f"{env.tokens(rule='tokens')} tokens after an answer of 31")
    got = server.bytes()
    conn = env.accepted(server)
    conn.send_segment(head)
    wait_for("it is refused", lambda: counters(env, "tokens")[1] == 1)
    conn.send_segment(body)
    equal(reply(conn).status, 429, "status")
    equal((counters(env), server.bytes()), ((1, 0, 0, 2), got), "requests, and bytes that the server has")


def spend(env):
    """The budget of ten tokens for m."""
    expect_ok(ask(env, "chat", asked("chat"), "x-user-id: bob"))


def refused_by_its_body(env, *others):
    """The head and the body each in a segment: 429, and what was taken ahead is there again. @others count for it too."""
    models = Models(env)
    env.limit(rules=[budget("10/hour", "m", who=of_model("m")), EACH, *others], spec=ALL)
    spend(env)
    for chunks in (0, 7):
        for cut in (0, 10, -20):
            conn = env.accepted(models.server)
            head, body = halves(chunks=chunks)
            cut %= len(body)
            before = counters(env)[0]
            conn.send_segment(head + body[:cut])
            wait_for("it is counted", lambda before=before: counters(env)[0] == before + 1)
            conn.send_segment(body[cut:])
            equal(reply(conn).status, 429, "status")
            equal(counters(env)[:3], (1, 0, 0), "requests judged, refused and in shadow, given back")
    rows = {row["value"]: row["availableTokens"] for row in env.buckets()["items"] if row["rule"] == "requests"}
    equal(rows.get("x-user-id=bob"), 2, "requests left for bob")
    equal(rows.get("x-user-id=alice", 3), 3, "requests left for alice")
    equal(models.stats()["requests"], 1, "requests that reached the server")


@case
def one_that_is_refused_by_its_model_is_given_back(env):
    refused_by_its_body(env)


@case
def a_shadow_rule_counts_as_often(env):
    """What it would have refused is counted ahead of the body, and is not where another rule refuses the request."""
    refused_by_its_body(env, "{name: shadow, limit: 1/day, mode: Shadow}")
    equal(counters(env, "shadow"), (1, 0, 0, 0), "of the rule in shadow mode, after one admitted")
    server = env.servers[-1]
    conn = env.accepted(server)
    head, body = halves(model="x")
    conn.send_segment(head)
    wait_for("it is counted", lambda: counters(env, "shadow")[0] == 2)
    equal(counters(env, "shadow"), (2, 0, 1, 0), "of the rule in shadow mode, ahead of the body")
    conn.send_segment(body)
    expect_ok(reply(conn))
    equal((counters(env, "shadow"), counters(env)[:3]), ((2, 0, 1, 0), (2, 0, 0)), "after it, and of the other")


@case
def one_that_cannot_be_judged_is_given_back(env):
    """With failurePolicy: Closed, and where its usage is wanted: refused with 400."""
    models = Models(env)
    env.limit(rules=[budget(name="m", requireUsage="true"), REQUESTS], spec=[*ALL, "failurePolicy: Closed"])
    head, usual = head_and_body("chat", asked("chat", stream=True, include_usage=False))
    bad = b"}" * len(usual)
    for body in (usual, bad):
        conn = env.accepted(models.server)
        conn.send_segment(head)
        wait_for("it is counted", lambda: counters(env)[0] == 1)
        conn.send_segment(body)
        equal(reply(conn).status, 400, "status")
        equal(counters(env), (0, 0, 0, 3), "requests judged, refused, in shadow, and left")
    for body in (usual, bad):
        expect(ask(env, "chat", body).status == 400, "status, in one piece")
    equal(counters(env), (0, 0, 0, 3), "requests judged, refused, in shadow, and left")


@case
def what_was_answered_stays_counted(env):
    """Whatever the rest of the body says, or is: who has the server's answer gets no try back for a refusal."""
    server = start(env, [budget("10/hour", "m", who=of_model("m")), REQUESTS], [*ALL, "failurePolicy: Closed"])
    expect_ok(env.connect().ask(b"".join(halves(api="completions"))))
    endings = (lambda rest: rest, lambda rest: b"}" * len(rest))
    for count, ending in enumerate(endings, 2):
        conn = env.accepted(server)
        head, body = halves()
        conn.send_segment(head)
        equal(reply(conn).status, 401, "status of the early answer")
        conn.send_until_closed([ending(body)])
        conn.expect_eof()
        equal(counters(env), (count, 0, 0, 3 - count), "requests judged, refused, in shadow, and left")
    equal(tries(env, server, 1)[0], 0, "tries above the limit that the server answered")


@case
def what_the_server_began_to_say_stays_counted(env):
    """A piece of a status line, or of a head; and whatever it says behind an answer that is not understood."""
    begun = {"embeddings": WRONG_KEY[:11], "responses": WRONG_KEY[:40]}
    lost = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n"
    replies = Replies(env)
    for api, said in begun.items():
        replies.add(TARGETS[api], ("early",), ("send", said))
    replies.add(CHAT, ("early",), ("send", WRONG_KEY))
    replies.add("/v1/completions", ("send", ANSWER))
    replies.add("/v1/messages", ("send", lost))
    rules = [budget("10/hour", "m", who=of_model("m")), "{name: requests, limit: 100/day}"]
    server = replies.start(document=ratelimit("limit", PORT, rules=rules, spec=ALL))
    expect_ok(env.connect().ask(b"".join(halves(api="completions"))))

    def refused_when_said(conn, api, said, count):
        head, body = halves(api=api)
        conn.send_segment(head)
        conn.more_than(len(said) - 1)
        conn.send_until_closed([body])
        equal(conn.rest(), said, "what the client gets")
        equal(counters(env), (count, 0, 0, 100 - count), f"requests judged, refused, in shadow, and left, after {said!r}")

    for count, (api, said) in enumerate(begun.items(), 2):
        refused_when_said(env.accepted(server), api, said, count)
    conn = env.accepted(server)
    conn.send_segment(b"".join(halves(api="messages", model="x")))
    conn.more_than(len(lost) - 1)
    refused_when_said(conn, "chat", lost + WRONG_KEY, 5)


@case
def an_edit_meanwhile(env):
    """Between the head and the end of the JSON another rule takes the place of the one that was taken from, or the same one
    with other buckets: it counts the request as well, once."""
    models = Models(env)
    env.write("other.yaml", ratelimit("other", PORT, ip="0.0.0.0", rules=[REQUESTS]))
    env.limit(rules=[OF_M])
    before = ("requests", 1)
    for ip, total in (("0.0.0.0", 1), ("127.0.0.1", 3)):
        conn = env.accepted(models.server)
        head, body = halves()
        conn.send_segment(head)
        wait_for("it is counted", lambda before=before: counters(env, before[0], "other")[0] == before[1])
        env.write("other.yaml", ratelimit("other", PORT, ip=ip, rules=["{name: others, limit: 5/day}"]))
        wait_for("the edit is in force", lambda: [item for item in env.stats() if item["rule"] == "others" and
                                                  item["availableTokens"] == 5])
        conn.send_segment(body[:10])
        wait_for("it is counted", lambda total=total: counters(env, "others", "other")[0] == total)
        conn.send_segment(body[10:])
        expect_ok(reply(conn))
        equal(counters(env, "others", "other"), (total, 0, 0, 4), "of the rule that came")
        before = ("others", total + 1)


@case
def several_in_one_segment(env):
    """Refused as one for the last of them, whole or not: what each took is given back to whom it is of."""
    models = Models(env)
    env.limit(rules=[OF_M, EACH], spec=ALL)
    alice = b"".join(halves())
    bob = request("chat", asked("chat"), "x-user-id: bob")
    for _ in range(3):
        expect_ok(ask(env, "chat", asked("chat"), "x-user-id: bob"))
    for data in (alice + bob, alice + bob[:-10], alice + alice + bob[:-10] + b"X", alice + alice[:-5]):
        with env.accepted(models.server) as conn:
            env.conns.remove(conn)
            before = counters(env)[0]
            conn.send_segment(data)
            if data.endswith(alice[:-5]):
                wait_for("both are counted", lambda before=before: counters(env)[0] == before + 2)
            else:
                equal(reply(conn).status, 429, "status")
    rows = {row["value"]: row["availableTokens"] for row in env.buckets()["items"] if row["rule"] == "requests"}
    equal(rows, {"x-user-id=alice": 1, "x-user-id=bob": 0}, "requests left")


@case
def one_after_another_on_a_connection(env):
    """In pieces and whole, the end of one and the head of the next in one segment: each counts once, and is not given back
    for what comes behind it."""
    models = Models(env)
    env.limit(rules=[OF_M, "{name: requests, limit: 100/day}", "{name: shadow, limit: 1/day, mode: Shadow}"], spec=ALL)
    conn = env.accepted(models.server)
    one, two = halves(chunks=9), halves()
    pieces = [one[0][:30], one[0][30:], one[1][:40], one[1][40:], two[0], two[1][:-3], two[1][-3:], b"".join(two),
              one[0] + one[1][:-7]]
    for turn in range(3):
        for piece in pieces:
            conn.send_segment(piece)
            if piece in (pieces[3], pieces[6], pieces[7]):
                expect_ok(reply(conn))
        conn.send_segment(one[1][-7:] + two[0])
        expect_ok(reply(conn))
        wait_for("the last is counted", lambda turn=turn: counters(env)[0] == 5 * (turn + 1))
        conn.send_segment(two[1])
        expect_ok(reply(conn))
    conn.send_segment(b"no request\r\n\r\n")
    equal(reply(conn).status, 400, "status of what is no request")
    equal(counters(env), (15, 0, 0, 85), "requests judged, refused, in shadow, and left")
    equal(counters(env, "shadow"), (15, 0, 14, 0), "of the rule in shadow mode")
    equal(env.item(rule="m")["totalRequests"], 15, "requests that the budget judged")
    equal(models.of("m")["requests"], 15, "requests that the server answered")


def told(answer, limit, left):
    equal([answer.field(f"X-RateLimit-{name}") for name in ("Limit", "Remaining")], [str(limit), str(left)], "what it tells")


@case
def the_fields_of_answers_tell_the_tightest(env):
    """Of what was judged by the head and by the body, whichever that is; ahead of the body by the head alone."""
    server = start(env, [budget("40/day", "m", who=of_model("m")), "{name: requests, limit: 31/day}"],
                   [*ALL, "responseHeaders: Always"])
    conn = env.connect()
    for cut, model, limit, left in ((True, "m", 31, 30), (True, "m", 40, 28), (True, "x", 31, 28), (False, "m", 40, 16),
                                    (True, "m", 40, 4), (False, "x", 31, 25)):
        pieces = halves(api="completions", model=model)
        for piece in pieces if cut else [b"".join(pieces)]:
            conn.send_segment(piece)
        told(reply(conn), limit, left)
    conn = env.accepted(server)
    conn.send_segment(halves()[0])
    told(reply(conn), 31, 24)
    equal(env.item(rule="m")["totalRequests"], 4, "requests that the budget judged")
