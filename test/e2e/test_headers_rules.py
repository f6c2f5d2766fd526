# SPDX-License-Identifier: Apache-2.0
"""`responseHeaders: Always`: which rule an answer tells of, in which style, before and after edits and without the
agent."""

from client import equal, expect_limited, get
from documents import ratelimit, several
from harness import PORT, case, wait_for
from told import Replies, Told, always, final, nothing_more, read_stream, with_fields

ANSWER = final(b"hello, world\n")


def replies_with(env, document, *targets, **steps):
    """A scripted server that answers /, and @targets, with ANSWER."""
    replies = Replies(env)
    for target in ("/", *targets):
        replies.add(target, ("send", ANSWER))
    for name, of_name in steps.items():
        replies.add(f"/{name}", *of_name)
    return replies.start(document=document)


def ask(conn, target, told):
    """@told: None where the answer is to come as the server wrote it."""
    conn.send_segment(get(target))
    read_stream(conn, with_fields(ANSWER, told) if told else [ANSWER])


def edit(env, document):
    """Put @document into force."""
    agent = env.agents[-1]
    before = agent.text().count("limits applied")
    env.write("limit.yaml", document)
    wait_for("the edit is applied", lambda: agent.text().count("limits applied") > before)


def limited(**settings):
    return always(**settings).replace("Always", "Limited")


@case
def the_tightest_of_several_rules(env):
    replies_with(env, always(rules=["{name: wide, limit: 9/day}", "{name: tight, limit: 5/hour}",
                                    "{name: wider, limit: 90/day}"]))
    conn = env.connect()
    for left in (4, 3, 2, 1, 0):
        ask(conn, "/", Told(left, 5, interval_s=3600))
    expect_limited(conn.ask(get("/")), limit=5, text="5 per 1 hour", interval_s=3600)


@case
def the_tightest_is_another_one_later(env):
    """Of all rules that match a request."""
    replies_with(env, always(spec="  ruleMatch: All\n", rules=[
        "{name: all, limit: 10/day}",
        "{name: x, limit: 4/day, clientSelectors: [{path: {type: Exact, value: /x}}]}"]), "/x")
    conn = env.connect()
    ask(conn, "/", Told(9, 10))
    ask(conn, "/x", Told(3, 4))
    for left in (7, 6, 5, 4, 3):
        ask(conn, "/", Told(left, 10))
    ask(conn, "/x", Told(2, 10))
    ask(conn, "/x", Told(1, 10))


@case
def a_request_that_no_rule_matches(env):
    replies_with(env, always(rules=[
        "{name: x, limit: 4/day, clientSelectors: [{path: {type: Exact, value: /x}}]}"]), "/x")
    conn = env.connect()
    for left in (3, 2, 1):
        ask(conn, "/x", Told(left, 4))
        ask(conn, "/", None)
    nothing_more(env, conn)


@case
def rules_in_shadow_mode_are_not_told_of(env):
    shadow = "{name: shadow, limit: 2/day, mode: Shadow}"
    replies_with(env, always(rules=[shadow, "{name: real, limit: 8/day}"]))
    conn = env.connect()
    for left in (7, 6, 5):
        ask(conn, "/", Told(left, 8))
    edit(env, always(rules=[shadow]))
    ask(conn, "/", None)
    ask(env.connect(), "/", None)


@case
def of_two_resources_that_with_fields(env):
    tighter = ratelimit("other", PORT, limit="3/day")
    replies_with(env, several(tighter, always(limit="8/day")))
    conn = env.connect()
    for left in (7, 6, 5):
        ask(conn, "/", Told(left, 8))
    expect_limited(conn.ask(get("/")), limit=3, text="3 per 1 day")


@case
def styles(env):
    replies_with(env, always(limit="7/hour", spec="  headerStyle: Envoy\n"))
    conn = env.connect()
    ask(conn, "/", Told(6, 7, "Envoy", 3600))
    edit(env, always(limit="7/hour", spec="  headerStyle: Draft\n"))
    ask(conn, "/", Told(5, 7, "Draft", 3600))
    edit(env, always(limit="7/hour"))
    ask(conn, "/", Told(4, 7, interval_s=3600))


@case
def an_edit_that_adds_the_fields_reaches_open_connections(env):
    half = (("send", ANSWER[:20]), ("wait",), ("send", ANSWER[20:]))
    server = replies_with(env, limited(limit="20/day"), half=half, late=(("wait",), ("send", ANSWER)))
    rested, began, asked, fresh = (env.connect() for _ in range(4))
    ask(rested, "/", None)
    ask(rested, "/", None)
    began.send_segment(get("/half"))
    read_stream(began, [ANSWER[:20]])
    asked.send_segment(get("/late"))
    wait_for("the server waits", lambda: ("GET", "/late") in server.requests())
    edit(env, always(limit="20/day"))
    ask(rested, "/", Told(15, 20))
    ask(fresh, "/", Told(14, 20))
    # Answers that were underway, or due, are none that the limiter has seen the request of.
    server.command("go")
    server.command("go")
    read_stream(began, [ANSWER[20:]])
    read_stream(asked, [ANSWER])
    for number, conn in enumerate((began, asked, rested, fresh)):
        ask(conn, "/", Told(13 - number, 20))
        nothing_more(env, conn)


@case
def an_edit_that_takes_the_fields_away_and_back(env):
    server = replies_with(env, always(limit="20/day"), late=(("wait",), ("send", ANSWER)))
    rested, asked = env.connect(), env.connect()
    ask(rested, "/", Told(19, 20))
    asked.send_segment(get("/late"))
    wait_for("the server waits", lambda: ("GET", "/late") in server.requests())
    edit(env, limited(limit="20/day"))
    ask(rested, "/", None)
    ask(rested, "/", None)
    server.command("go")
    read_stream(asked, with_fields(ANSWER, Told(18, 20)))
    ask(asked, "/", None)
    rested.send_segment(get("/late"))
    wait_for("the server waits", lambda: server.requests().count(("GET", "/late")) == 2)
    edit(env, always(limit="20/day"))
    server.command("go")
    read_stream(rested, [ANSWER])
    ask(rested, "/", Told(13, 20))
    ask(asked, "/", Told(12, 20))
    nothing_more(env, rested)
    nothing_more(env, asked)


@case
def fields_outlive_the_agent(env):
    replies_with(env, always(limit="20/day"))
    conn = env.connect()
    ask(conn, "/", Told(19, 20))
    env.agents[-1].kill()
    ask(conn, "/", Told(18, 20))
    ask(env.connect(), "/", Told(17, 20))
    env.agent("limit")
    ask(conn, "/", Told(16, 20))
    ask(env.connect(), "/", Told(15, 20))


@case
def a_detached_limiter_leaves_answers_alone(env):
    """Also the rest of one that is underway."""
    server = replies_with(env, always(limit="20/day"), late=(("wait",), ("send", ANSWER)))
    conn, asked = env.connect(), env.connect()
    ask(conn, "/", Told(19, 20))
    asked.send_segment(get("/late"))
    wait_for("the server waits", lambda: ("GET", "/late") in server.requests())
    env.agents[-1].terminate()
    equal(env.detach().returncode, 0, "exit status of --detach")
    server.command("go")
    read_stream(asked, [ANSWER])
    for each in (conn, asked):
        ask(each, "/", None)
        nothing_more(env, each)
