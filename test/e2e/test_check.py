# SPDX-License-Identifier: Apache-2.0
"""`kmesh-rl check`: what a request would meet, and the tokens left for it."""

import json
import os

from client import equal, expect, expect_limited, expect_ok, get
from documents import ratelimit
from harness import PORT, case

TIERS = [
    "{name: user, limit: 3/day, clientSelectors: [{headers: [{name: x-user, type: Distinct}], path: {value: /v1}}]}",
    "{name: source, limit: 5/day, clientSelectors: "
    "[{headers: [{name: x-team, value: a}], sourceCIDR: {type: Distinct, value: 127.0.0.0/8, prefixLength: 31}}]}",
    "{name: default, limit: 9/day}",
]


def enforce(env, rules, ip="127.0.0.1", **server):
    env.server(**server)
    env.write("limit.yaml", ratelimit("limit", PORT, ip=ip, rules=rules))
    env.agent("limit")


def check(env, *args):
    """The items that `check` prints, by rule; it must be able to answer."""
    result = env.tool("check", "-f", env.config, "-o", "json", *args)
    equal(result.returncode, 0, f"exit status of check ({result.stderr.strip()})")
    return {item["rule"]: item for item in json.loads(result.stdout)["items"]}


def left(env, rule, *args):
    """The tokens that `check --live` tells, where @rule alone counts."""
    items = check(env, "--live", *args)
    equal([name for name, item in items.items() if item["counts"]], [rule], f"rules that count for {args}")
    equal([item["availableTokens"] for name, item in items.items() if name != rule], [None] * (len(items) - 1),
          "tokens of the rules that do not count")
    return items[rule]["availableTokens"]


@case
def the_tokens_left_are_told_and_not_taken(env):
    enforce(env, TIERS)
    alice, bob = (["--path", "/v1/x", "--header", f"X-User: {name}"] for name in ("alice", "bob"))
    equal(left(env, "user", *alice), 3, "tokens before the first request")
    expect_ok(env.connect().ask(get("/v1/x", "x-user: alice")))
    expect_ok(env.connect().ask(get("/x/../v1", "X-User:alice  ")))
    for _ in range(3):
        equal(left(env, "user", *alice), 1, "tokens of alice after two requests")
        equal(left(env, "user", *bob), 3, "tokens of bob")
    expect_ok(env.connect().ask(get("/v1", "x-user: alice")))
    equal(left(env, "user", *alice), 0, "tokens of alice after three requests")
    equal(env.connect().ask(get("/v1", "x-user: alice")).status, 429, "status of the fourth")
    expect_ok(env.connect().ask(get("/v1", "x-user: bob")))
    equal(left(env, "user", *bob), 2, "tokens of bob after one request")
    expect_ok(env.connect().ask(get("/")))
    equal(left(env, "default"), 8, "tokens of the last tier, which has one bucket")


@case
def a_source_picks_the_bucket_that_it_takes_from(env):
    enforce(env, TIERS)
    for source in ("127.0.0.2", "127.0.0.3", "127.0.0.4"):
        conn = env.connect(source=source)
        expect_ok(conn.ask(get("/", "x-team: a")))
    team = ["--header", "x-team: a", "--source"]
    equal([left(env, "source", *team, f"127.0.0.{last}") for last in (2, 3, 4, 5, 6)], [3, 3, 4, 4, 5],
          "tokens of five addresses, two to a bucket")
    equal(left(env, "default", *team, "10.0.0.1"), 9, "tokens of an address of no range")


@case
def values_that_share_a_bucket_are_seen_to(env):
    enforce(env, TIERS)
    expect_ok(env.connect().ask(get("/v1", "x-user: a", "x-user: b")))
    expect_ok(env.connect().ask(get("/v1", "x-user: " + "a" * 257)))
    twice = ["--path", "/v1", "--header", "x-user: c", "--header", "x-user: d"]
    equal(left(env, "user", *twice), 1, "tokens of those without a bucket of their own")
    equal(check(env, *twice)["user"]["bucket"], "x-user=<shared>", "what picks the bucket")


@case
def the_bucket_is_the_endpoints_own(env):
    """Each address has its bucket, but that of 0.0.0.0 is one for all it covers."""
    env.server()
    env.server(port=PORT + 1)
    env.server(host="127.0.0.2")
    env.write("limit.yaml", ratelimit("limit", PORT, PORT + 1, rules=["{name: own, limit: 9/day}"]))
    env.write("any.yaml", ratelimit("any", PORT, ip="0.0.0.0", rules=["{name: any, limit: 9/day}"]))
    env.agent("limit", "any")
    for count, (host, port) in ((1, ("127.0.0.1", PORT)), (2, ("127.0.0.1", PORT + 1)), (3, ("127.0.0.2", PORT))):
        for _ in range(count):
            expect_ok(env.connect(port, host).ask(get()))

    def tokens(*args):
        return {rule: item["availableTokens"] for rule, item in check(env, "--live", *args).items()}

    equal(tokens("--endpoint", f"127.0.0.1:{PORT}"), {"own": 8, "any": 5}, "tokens at the first")
    equal(tokens("--endpoint", f"127.0.0.1:{PORT + 1}"), {"own": 7}, "tokens at the second")
    equal(tokens("--endpoint", f"127.0.0.2:{PORT}"), {"any": 5}, "tokens at an address that only 0.0.0.0 covers")
    equal(tokens(), {"own": 7, "any": 5}, "tokens in the emptiest of all")


@case
def without_a_bucket_it_is_full_and_without_a_rule_not_in_force(env):
    enforce(env, TIERS[2:])
    table = env.tool("check", "--live", "-f", env.config).stdout
    expect("  full  " in table, f"no bucket, but not full:\n{table}")
    other = os.path.join(env.root, "other.yaml")
    with open(other, "w", encoding="utf-8") as file:
        file.write(ratelimit("other", PORT))
    table = env.tool("check", "--live", "-f", other).stdout
    expect("  not in force  " in table, f"a rule that the agent does not know, but in force:\n{table}")
    equal(check(env, "--live", "-f", other)["all"]["availableTokens"], None, "its tokens")


@case
def no_agent_is_needed(env):
    enforce(env, TIERS[2:])
    expect_ok(env.connect().ask(get()))
    env.agents[-1].kill()
    equal(left(env, "default"), 8, "tokens without an agent")
    equal(env.detach().returncode, 0, "exit status of --detach")
    equal(check(env)["default"]["counts"], True, "the rule counts, from the files alone")
    result = env.tool("check", "--live", "-f", env.config)
    equal(result.returncode, 1, "exit status of --live without maps")
    expect("nothing is pinned below" in result.stderr, f"said instead: {result.stderr}")


@case
def a_shadow_rule_in_debt(env):
    """What refuses in the end is what `check` said would count."""
    enforce(env, ["{name: seen, limit: 1/day, mode: Shadow}", "{name: held, limit: 2/day}"])
    for _ in range(2):
        expect_ok(env.connect().ask(get()))
    expect_limited(env.connect().ask(get()), limit=2, text="2 per 1 day")
    items = check(env, "--live")
    equal([(item["counts"], item["mode"], item["availableTokens"]) for item in items.values()],
          [(True, "Shadow", 0), (True, "Enforce", 0)], "of both rules")
