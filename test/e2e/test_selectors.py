# SPDX-License-Identifier: Apache-2.0
"""Rules that tell callers apart."""

import subprocess

from client import equal, expect, expect_limited, expect_ok, get, post
from documents import ratelimit
from harness import PORT, admitted_of, case, wait_for

USERS = "{headers: [{name: x-user, type: Distinct}]}"


def limits(env, *rules, spec=(), ip="127.0.0.1", **options):
    """An agent that enforces @rules, and a server with @options."""
    server = env.server(**options)
    env.limit(ip=ip, rules=rules, spec=spec)
    return server


def selects(env, selector, yes, no):
    """A limit of nothing more for whom @selector selects: @yes are selected, @no are not."""
    limits(env, f"{{name: chosen, limit: 1/day, clientSelectors: [{selector}]}}")
    taken = 0
    for request in no:
        equal(env.connect().ask(request).status, 200, f"status of {request!r}, which is not selected")
        equal(env.tokens(), 1, f"tokens after {request!r}")
    for request in yes:
        status = env.connect().ask(request).status
        equal(status, 429 if taken else 200, f"status of {request!r}, which is selected")
        equal(env.tokens(), 0, f"tokens after {request!r}, which is selected")
        taken = 1


@case
def the_first_tier_that_matches_counts(env):
    limits(env,
           "{name: premium, limit: 4/day, clientSelectors: [{headers: [{name: X-User-Type, value: premium}]}]}",
           "{name: admin, limit: 6/day, clientSelectors: [{headers: [{name: x-user-type, value: admin}]}]}",
           "{name: default, limit: 2/day}")
    equal(admitted_of(env, 8, get("/", "x-user-type: premium")), 4, "premium")
    equal(admitted_of(env, 8, get("/", "X-USER-TYPE:   admin  ")), 6, "admin")
    equal(admitted_of(env, 4, get("/")), 2, "everybody else")
    equal(admitted_of(env, 2, get("/", "x-user-type: premium2")), 0, "everybody else, over the limit")
    equal([env.item(rule=rule)["totalRequests"] for rule in ("premium", "admin", "default")], [8, 8, 6],
          "requests counted by each rule")


@case
def rules_of_one_tier_count_together(env):
    limits(env,
           "{name: burst, limit: 3/day, clientSelectors: [{headers: [{name: a, value: b}]}]}",
           "{name: other, limit: 9/day}",
           "{name: sustained, limit: 5/day, clientSelectors: [{headers: [{name: A, value: b}]}]}")
    equal(admitted_of(env, 6, get("/", "a: b")), 3, "admitted by the tighter of two")
    equal(env.tokens(rule="sustained"), 2, "tokens of the other, which a refusal takes nothing of")
    equal(env.tokens(rule="other"), 9, "tokens of the last tier")


@case
def limits_of_one_string_count_together(env):
    limits(env, "{name: users, limit: 3/day;5/week, clientSelectors: [{headers: [{name: a, value: b}]}]}",
           "{name: other, limit: 9/day}")
    equal(admitted_of(env, 4, get("/", "a: b")), 3, "admitted by the tighter of two")
    equal(env.tokens(rule="users-2"), 2, "tokens of the second limit, which a refusal takes nothing of")
    env.write("limit.yaml", ratelimit("limit", PORT, rules=["{name: users, limit: 4/day;4/week;9/month}"]))
    wait_for("the third limit is in force", lambda: len(env.stats()) == 3)
    equal([env.tokens(rule=rule) for rule in ("users", "users-2", "users-3")], [0, 2, 9],
          "tokens, which the limits that stay keep")


@case
def all_that_match_count(env):
    limits(env,
           "{name: global, limit: 6/day}",
           f"{{name: user, limit: 4/day, clientSelectors: [{USERS}]}}",
           "{name: path, limit: 3/day, clientSelectors: [{path: {value: /v1}}]}",
           spec=["ruleMatch: All"])
    equal(admitted_of(env, 5, get("/v1/x", "x-user: a")), 3, "admitted by all three")
    equal(admitted_of(env, 5, get("/", "x-user: a")), 1, "admitted of the same user elsewhere")
    equal(admitted_of(env, 5, get("/", "x-user: b")), 2, "admitted of another user, up to the global limit")
    equal(admitted_of(env, 1, get("/")), 0, "admitted of nobody")


@case
def header_types(env):
    table = {
        "{headers: [{name: x, value: abcdefghij}]}":
            ([get("/", "x: abcdefghij"), get("/", "X:abcdefghij"), get("/", "x:\t abcdefghij \t"),
              get("/", "x: 1", "x: abcdefghij")],
             [get("/", "x: abcdefghi"), get("/", "x: abcdefghijk"), get("/", "x: abcdefghiJ"),
              get("/", "xx: abcdefghij"), get("/", "y: abcdefghij"), get("/x:abcdefghij")]),
    }
    for selector, (yes, no) in table.items():
        selects(env, selector, yes, no)


@case
def header_prefix(env):
    selects(env, "{headers: [{name: x, type: Prefix, value: abcdefghij}]}",
            [get("/", "x: abcdefghij"), get("/", "x: abcdefghij and more"), get("/", "x: abcdefghij" + "k" * 300)],
            [get("/", "x: abcdefghi"), get("/", "x:"), get("/")])


@case
def header_present(env):
    selects(env, "{headers: [{name: x, type: Present}]}",
            [get("/", "x: a"), get("/", "x:"), get("/", "X: " + "a" * 400)], [get("/"), get("/", "y: a")])


@case
def header_inverted(env):
    selects(env, "{headers: [{name: x, value: a, invert: true}, {name: y, type: Present}]}",
            [get("/", "y: 1"), get("/", "x: b", "y: 1")], [get("/", "x: a", "y: 1"), get("/", "x: b"), get("/")])


@case
def framing_headers_may_be_selected(env):
    selects(env, "{headers: [{name: connection, value: keep-alive}]}",
            [get("/", "Connection: keep-alive")], [get("/", "Connection: Keep-Alive"), get("/")])


@case
def the_longest_value(env):
    value = "v" * 256
    selects(env, f"{{headers: [{{name: x, value: {value}}}]}}",
            [get("/", f"x: {value}"), get("/", f"x: {value}" + " " * 200)],
            [get("/", f"x: {value}v"), get("/", f"x: {value[1:]}")])


@case
def the_most_rules_and_a_head_of_16_kib(env):
    """64 rules of 8 conditions each, of which a head meets one with its last lines."""
    names = [f"x-value-{number}" for number in range(8)]

    def values(rule):
        return {name: f"{name}-of-{rule}".ljust(60, "v") for name in names}

    def selector(rule):
        return "{headers: [" + ", ".join(f"{{name: {name}, value: {value}}}" for name, value in values(rule).items()) + "]}"

    limits(env, *[f"{{name: rule-{rule}, limit: 1/day, clientSelectors: [{selector(rule)}]}}" for rule in range(63)],
           "{name: rest, limit: 1/day}")
    for rule in (0, 31, 62):
        lines = [f"{name}: {value}" for name, value in values(rule).items()]
        padding = 16384 - len(get("/", "x-padding: ", *lines))
        request = get("/", "x-padding: " + "p" * padding, *lines)
        equal((len(request), admitted_of(env, 3, request)), (16384, 1), f"bytes of a head, and admitted by rule {rule}")
    lines = [f"{name}: {value}" for name, value in {**values(5), names[0]: "other"}.items()]
    equal(admitted_of(env, 2, get("/", *lines)), 1, "admitted of a head that misses one of the conditions")
    equal(env.tokens(rule="rule-5"), 1, "tokens of the rule that it misses")


@case
def path_prefix(env):
    selects(env, "{path: {type: PathPrefix, value: /v1}}",
            [get("/v1"), get("/v1/"), get("/v1/x"), get("/v1?q"), get("//v1"), get("/./v1"), get("/x/../v1"),
             get("/%76%31"), get("/v1%2fx"), get("/x%2f..%2Fv1"), get("http://host/v1"), get("/v1#x"),
             get("/" + "a" * 600 + "/../v1/x"), get("/v1/" + "a" * 600)],
            [get("/v10"), get("/v"), get("/"), get("/x/v1"), get("/v1/../x"), get("/?/v1"), get("/v1%2f..%2fx"),
             get("/" + "a" * 600 + "/v1")])


@case
def path_exact(env):
    selects(env, "{path: {type: Exact, value: /v1/models}}",
            [get("/v1/models"), get("/v1/models?x=1"), get("/v1//models")],
            [get("/v1/models/"), get("/v1/models/x"), get("/v1/model")])


@case
def methods(env):
    selects(env, "{methods: [POST, DELETE]}",
            [post("/", b"x"), get("/", method="DELETE"), get("/", method="delete"), get("/", method="Post")],
            [get("/"), get("/", method="PUT"), get("/", method="POSTS")])


@case
def selectors_are_or_and_terms_are_and(env):
    selects(env, "{methods: [GET], path: {value: /a}}, {headers: [{name: x, value: 1}, {name: y, value: 2}]}",
            [get("/a"), post("/b", b"", "x: 1", "y: 2"), get("/b", "y: 2", "x: 1")],
            [post("/a", b""), get("/b", "x: 1"), get("/b", "y: 2"), get("/b", "x: 1", "y: 1")])


@case
def source_range(env):
    selects(env, "{sourceCIDR: {value: 127.0.0.0/8}, path: {value: /yes}}, {sourceIP: 10.0.0.0/8}",
            [get("/yes")], [get("/no")])


@case
def a_source_range_beside_other_values(env):
    selects(env, "{headers: [{name: x, value: abc}], sourceCIDR: {value: 127.0.0.0/8}}",
            [get("/", "x: abc")], [get("/")])


@case
def each_value_has_a_bucket(env):
    limits(env, f"{{name: user, limit: 3/day, clientSelectors: [{USERS}]}}")
    for user in ("a", "b", "a" * 256, "0"):
        equal(admitted_of(env, 5, get("/", f"x-user: {user}")), 3, f"admitted of {user}")
        equal(admitted_of(env, 2, get("/", f"X-User:{user}  ")), 0, f"admitted of {user}, over the limit")
    equal(admitted_of(env, 5, get("/")), 5, "admitted without a user, who is nobody's business")


@case
def values_that_cannot_have_a_bucket_share_one(env):
    limits(env, f"{{name: user, limit: 3/day, clientSelectors: [{USERS}]}}")
    equal(admitted_of(env, 1, get("/", "x-user: a")), 1, "admitted of one user")
    equal(sum(admitted_of(env, 1, get("/", "x-user: a", f"x-user: {n}")) for n in range(6)), 3,
          "admitted with a second value")
    equal(sum(admitted_of(env, 1, get("/", "x-user: " + "a" * (257 + n))) for n in range(6)), 0,
          "admitted with a value that is too long")
    equal(admitted_of(env, 5, get("/", "x-user: a")), 2, "admitted of the user after that")


@case
def values_pick_a_bucket_together(env):
    limits(env, "{name: both, limit: 2/day, clientSelectors: [{headers: [{name: x-user, type: Distinct}],"
                " path: {type: Distinct}}]}")
    for user in ("a", "b"):
        for path in ("/", "/x"):
            equal(admitted_of(env, 3, get(path, f"x-user: {user}")), 2, f"admitted of {user} at {path}")


@case
def each_address_has_a_bucket(env):
    limits(env, "{name: source, limit: 2/day, clientSelectors: [{sourceCIDR: {type: Distinct}}]}")
    for source in ("127.0.0.1", "127.0.0.2"):
        equal(admitted_of(env, 3, get("/"), source=source), 2, f"admitted of {source}")


@case
def a_network_may_be_one_caller(env):
    """The default for IPv6 is a /64; a v4-mapped address is an IPv4 one."""
    for address in ("2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:2::1"):
        subprocess.run(["ip", "addr", "add", f"{address}/128", "dev", "lo"], check=True)
    limits(env, "{name: source, limit: 2/day, clientSelectors: [{sourceCIDR: {type: Distinct}}]}",
           "{name: wide, limit: 5/day, clientSelectors: "
           "[{sourceCIDR: {type: Distinct, value: 127.0.0.0/8, prefixLength: 31}}]}",
           spec=["ruleMatch: All"], ip="::", host="::", dual=True)
    found = [admitted_of(env, 2, get("/"), host="2001:db8:0:1::1", source=source)
             for source in ("2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:2::1")]
    equal(found, [2, 0, 2], "admitted of two addresses in a /64, and of one in another")
    found = [admitted_of(env, 3, get("/"), source=f"127.0.0.{last}") for last in (2, 3, 4, 5, 6)]
    equal(found, [2, 2, 2, 2, 2], "admitted of five IPv4 addresses")
    equal(admitted_of(env, 3, get("/"), source="127.0.0.7"), 2, "admitted of the second in its /31")


@case
def a_head_may_come_in_any_pieces(env):
    server = limits(env, "{name: chosen, limit: 1/day, clientSelectors: [{path: {value: /v1}, "
                         "headers: [{name: x-user-type, value: premium}, {name: x-user, type: Distinct}]}]}",
                    "{name: rest, limit: 1/day}")
    request = get("/a/%2e./v1/models?q", "X-User-Type: premium ", "Content-Length: 0", "x-user: alice")
    equal(env.connect().ask(request).status, 200, "status of the first")
    for at in range(1, len(request)):
        with env.accepted(server) as conn:
            conn.send_segment(request[:at])
            conn.send_segment(request[at:])
            equal(conn.response().status, 429, f"status of the request cut at {at}")
    with env.accepted(server) as conn:
        conn.send_bytes(request)
        equal(conn.response().status, 429, "status of the request in single bytes")
    equal(env.tokens(rule="rest"), 1, "tokens of the last tier")


def together(env, server, requests, status):
    """@requests in one segment, the first of whose answers has @status."""
    conn = env.accepted(server)
    conn.send_segment(b"".join(requests))
    equal(conn.response().status, status, f"status of {len(requests)} requests in one segment")
    conn.close()


@case
def requests_in_one_segment_take_all_or_nothing(env):
    server = limits(env, f"{{name: user, limit: 2/day, clientSelectors: [{USERS}]}}",
                    "{name: shadow, limit: 1/day, mode: Shadow, clientSelectors: [{headers: [{name: x-user, type: Present}]}]}",
                    "{name: all, limit: 100/day}", spec=["ruleMatch: All"])
    a, b = get("/", "x-user: a"), get("/", "x-user: b")
    together(env, server, [a, b, get("/"), b, b, a], 429)
    together(env, server, [a, b, b"GET /\n", a], 400)
    equal([env.tokens(rule=rule) for rule in ("user", "shadow", "all")], [2, 1, 100], "tokens after a refusal")
    equal([env.item(rule=rule)["totalRequests"] for rule in ("user", "shadow")], [1, 0],
          "requests that a rule judged: the one that was refused")
    equal(env.item(rule="shadow")["shadowLimitedRequests"], 0, "requests that the shadow rule would have refused")
    together(env, server, [a, b, get("/"), b, a], 200)
    equal([env.tokens(rule=rule) for rule in ("user", "all")], [0, 95], "tokens after all were admitted")
    equal([admitted_of(env, 1, request) for request in (a, b)], [0, 0], "admitted of either user after that")


@case
def many_requests_in_one_segment_take_all_or_nothing(env):
    server = limits(env, "{name: path, limit: 120/day, clientSelectors: [{path: {type: Distinct}}]}")
    together(env, server, [get("/")] * 121, 429)
    equal(env.tokens(), 120, "tokens after 121 requests")
    together(env, server, [get("/")] * 120, 200)
    equal(env.tokens(), 0, "tokens after 120")


@case
def an_edit_of_selectors_reaches_open_connections(env):
    limits(env, f"{{name: user, limit: 2/day, clientSelectors: [{USERS}]}}")
    conn = env.connect()
    expect_ok(conn.ask(get("/", "x-user: a")))
    env.write("limit.yaml", ratelimit("limit", PORT, rules=[
        f"{{name: user, limit: 2/day, clientSelectors: [{USERS}, {{headers: [{{name: y, value: z}}]}}]}}",
        "{name: rest, limit: 1/day}"]))
    wait_for("the second rule is in force", lambda: len(env.stats()) == 2)
    expect_ok(conn.ask(get("/", "x-user: a")))
    equal(conn.ask(get("/", "x-user: a")).status, 429, "status after two of two, one from before the edit")
    expect_ok(conn.ask(get("/")))
    expect_limited(conn.ask(get("/")), limit=1, text="1 per 1 day")


@case
def an_agent_that_starts_again_keeps_buckets_of_values(env):
    limits(env, f"{{name: user, limit: 2/day, clientSelectors: [{USERS}]}}")
    equal(admitted_of(env, 1, get("/", "x-user: a")), 1, "admitted")
    env.agents[-1].kill()
    equal(admitted_of(env, 3, get("/", "x-user: a")), 1, "admitted without an agent")
    env.start_agent()
    wait_for("the agent is there", lambda: env.lists("limit"))
    equal(admitted_of(env, 3, get("/", "x-user: a")), 0, "admitted with the next agent")


@case
def buckets_of_values_go_when_they_are_full_again(env):
    """... and those of values that are limited stay."""
    limits(env, "{name: quick, maxTokens: 1, tokensPerFill: 1, fillInterval: 100ms, "
                f"clientSelectors: [{USERS}]}}",
           "{name: slow, limit: 1/day, clientSelectors: [{headers: [{name: x-slow, type: Distinct}]}]}",
           spec=["ruleMatch: All"])
    equal(admitted_of(env, 2, get("/", "x-slow: a")), 1, "admitted of the slow one")
    conn = env.connect()
    for user in range(300):
        expect_ok(conn.ask(get("/", f"x-user: {user}", "x-slow: b") if user == 0 else get("/", f"x-user: {user}")))
    expect(env.item(rule="quick")["buckets"] > 0, "no bucket for any of the values")
    wait_for("the buckets of the quick rule are gone", lambda: env.item(rule="quick")["buckets"] == 0)
    equal(env.item(rule="slow")["buckets"], 2, "buckets of the slow rule")
    equal(admitted_of(env, 2, get("/", "x-slow: a")), 0, "admitted of the slow one, who had his")
    equal(admitted_of(env, 1, get("/", "x-user: 1")), 1, "admitted of one whose bucket was removed")
