# SPDX-License-Identifier: Apache-2.0
"""Whose bucket it is: the values that pick a bucket, as `get ratelimit-buckets` shows them."""

import re
import subprocess

from client import equal, expect, expect_ok, get
from documents import ratelimit
from harness import PORT, case

USERS = "{headers: [{name: x-user, type: Distinct}]}"


def limits(env, *rules, spec="", ip="127.0.0.1", **options):
    """An agent that enforces @rules, and a server with @options."""
    env.server(**options)
    text = ratelimit("limit", PORT, ip=ip, rules=rules)
    env.write("limit.yaml", text.replace("spec:\n", f"spec:\n{spec}"))
    env.agent("limit")


def ask(env, count, request, **options):
    """@count of these on one connection, whatever the answers."""
    conn = env.connect(**options)
    for _ in range(count):
        conn.ask(request)
    conn.close()


def rows(env, *args):
    """(rule, value, tokens) of each bucket, in the order in which they are shown."""
    return [(item["rule"], item["value"], item["availableTokens"]) for item in env.buckets(*args)["items"]]


@case
def each_user_is_shown_the_emptiest_first(env):
    limits(env, f"{{name: user, limit: 5/day, clientSelectors: [{USERS}]}}", "{name: rest, limit: 9/day}")
    for user, count in (("bob", 2), ("alice", 2), ("mallory", 9), ("carol@example.org", 1)):
        ask(env, count, get("/", f"X-User:  {user} "))
    ask(env, 3, get("/"))
    equal(rows(env), [("rest", "", 6), ("user", "x-user=mallory", 0), ("user", "x-user=alice", 3),
                      ("user", "x-user=bob", 3), ("user", "x-user=carol@example.org", 4)], "buckets")
    table = env.tool("get", "ratelimit-buckets").stdout.splitlines()
    equal(table[0].split(), ["NAME", "NAMESPACE", "SERVICE", "RULE", "VALUE", "AVAILABLE"], "the head of the table")
    equal(table[1].split(), ["limit", "default", "<none>", "rest", "<none>", "6"], "the bucket of all")
    equal(table[2].split(), ["limit", "default", "<none>", "user", "x-user=mallory", "0"], "the emptiest")
    wide = env.tool("get", "ratelimit-buckets", "limit", "-o", "wide").stdout.splitlines()
    expect(re.search(r"x-user=mallory +0 +5 per 1 day +127\.0\.0\.1:8080 +\d+$", wide[2]), f"not wide: {wide[2]!r}")


@case
def values_are_shown_together_and_as_what_they_are(env):
    limits(env, "{name: both, limit: 2/day, clientSelectors: [{headers: [{name: x-user, type: Distinct}],"
                " path: {type: Distinct}}]}")
    long = "v" * 63 + "wxyz"
    for target, fields in {
            "/v1/./models?q": ["x-user: alice"],
            "/a%20b": ["x-user: b, path=/x"],
            "/quote": ["x-user: \"\\"],
            "/cut": [f"x-user: {long}"],
            "/twice": ["x-user: alice", "x-user: bob"],
            "/" + "p" * 300: ["x-user: alice"],
            "/empty": ["x-user:"],
            "/odd": ["x-user: <shared>\xff"],
            "/utf-8": ["x-user: J\xc3\xbcrgen"],
            "/nul%00": ["x-user: #1"]}.items():
        ask(env, 1, get(target, *fields))
    equal(sorted(value for _, value, _ in rows(env)), sorted([
        "x-user=alice, path=/v1/models",
        'x-user="b, path=/x", path="/a b"',
        'x-user="\\"\\\\", path=/quote',
        f"x-user=\"{'v' * 63}w\"..., path=/cut",
        "x-user=<shared>, path=/twice",
        "x-user=alice, path=<shared>",
        'x-user="", path=/empty',
        'x-user="<shared>?", path=/odd',
        "x-user=J\u00fcrgen, path=/utf-8",
        'x-user="#1", path=/nul?']), "values")


@case
def sources_are_shown_as_far_as_they_count(env):
    for address in ("2001:db8:0:1::1", "2001:db8:0:1::2"):
        subprocess.run(["ip", "addr", "add", f"{address}/128", "dev", "lo"], check=True)
    limits(env, "{name: source, limit: 2/day, clientSelectors: [{sourceCIDR: {type: Distinct}}]}",
           ip="::", host="::", dual=True)
    ask(env, 1, get(), host="2001:db8:0:1::1", source="2001:db8:0:1::2")
    ask(env, 1, get(), source="127.0.0.3")
    equal(sorted(rows(env)), [("source", "source=127.0.0.3", 1), ("source", "source=2001:db8:0:1::/64", 1)], "buckets")
    equal({item["endpoint"] for item in env.buckets()["items"]}, {"[::]:8080"}, "endpoints")


@case
def the_client_is_shown_who_a_proxy_says(env):
    limits(env, "{name: source, limit: 2/day, clientSelectors: [{sourceCIDR: {type: Distinct}}]}",
           spec="  clientIP: {header: X-Forwarded-For, trustedHops: 1}\n")
    ask(env, 1, get("/", "X-Forwarded-For: 10.0.0.1, 10.0.0.2"))
    ask(env, 2, get("/", "X-Forwarded-For: 2001:db8::1"))
    equal(rows(env), [("source", "source=2001:db8::/64", 0), ("source", "source=10.0.0.2", 1)], "buckets")


@case
def a_network_is_shown_with_its_length(env):
    limits(env, "{name: wide, limit: 5/day, clientSelectors: "
                "[{sourceCIDR: {type: Distinct, value: 127.0.0.0/8, prefixLength: 31}}]}")
    ask(env, 1, get(), source="127.0.0.2")
    ask(env, 1, get(), source="127.0.0.3")
    equal(rows(env), [("wide", "source=127.0.0.2/31", 3)], "buckets")


@case
def secrets_are_shown_as_a_hash(env):
    names = ["authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token"]
    limits(env, *(f"{{name: rule{number}, limit: 3/day, clientSelectors: [{{headers: "
                  f"[{{name: {name.title()}, type: Distinct}}]}}]}}" for number, name in enumerate(names)))
    for name in names:
        ask(env, 1, get("/", f"{name}: Bearer s3cr3t"))
        ask(env, 2, get("/", f"{name}: Bearer an0th3r"))
    found = rows(env)
    for number, name in enumerate(names):
        values = [value for rule, value, _ in found if rule == f"rule{number}"]
        equal(len(set(values)), 2, f"different values of {name}")
        for value in values:
            expect(re.fullmatch(f"{name}=#[0-9a-f]{{8}}", value), f"{value!r} is no hash")
    for form in ("table", "wide", "json", "yaml"):
        text = env.tool("get", "ratelimit-buckets", "-o", form).stdout
        expect("s3cr3t" not in text and "an0th3r" not in text, f"a secret in {text!r}")


@case
def the_agent_is_not_needed(env):
    limits(env, f"{{name: user, limit: 3/day, clientSelectors: [{USERS}]}}")
    ask(env, 1, get("/", "x-user: before"))
    env.agents[-1].kill()
    ask(env, 2, get("/", "x-user: after"))
    wanted = [("user", "x-user=after", 1), ("user", "x-user=before", 2)]
    equal(rows(env), wanted, "buckets without an agent")
    env.agent("limit")
    equal(rows(env), wanted, "buckets of the next agent")


@case
def the_output_is_bounded(env):
    limits(env, f"{{name: user, limit: 3/day, clientSelectors: [{USERS}]}}", "{name: rest, limit: 9/day}")
    conn = env.connect()
    for number in range(150):
        expect_ok(conn.ask(get("/", f"x-user: {number:03}")))
    ask(env, 3, get("/", "x-user: 120"))
    shown = env.tool("get", "ratelimit-buckets")
    equal(len(shown.stdout.splitlines()), 101, "lines")
    equal(shown.stderr, "50 more: --limit N shows more, --limit 0 all\n", "what is said of the rest")
    equal(rows(env, "--limit", "3"), [("user", "x-user=120", 0), ("user", "x-user=000", 2), ("user", "x-user=001", 2)],
          "the emptiest")
    equal(env.buckets("--limit", "3")["total"], 150, "how many there are")
    everything = env.tool("get", "ratelimit-buckets", "--limit", "0")
    equal((len(everything.stdout.splitlines()), everything.stderr), (151, ""), "all of them")


@case
def only_what_is_asked_for(env):
    env.write("other.yaml", ratelimit("other", 8081))
    limits(env, f"{{name: user, limit: 3/day, clientSelectors: [{USERS}]}}")
    ask(env, 1, get("/", "x-user: a"))
    equal(env.buckets("limit")["total"], 1, "buckets of one rate limit")
    equal(env.buckets("other")["total"], 0, "buckets of another")
    none = env.tool("get", "ratelimit-buckets", "other")
    equal((none.returncode, none.stdout, none.stderr), (0, "", "No buckets found.\n"), "what is said of none")
    none = env.tool("get", "ratelimit-buckets", "third")
    equal((none.returncode, none.stderr), (1, 'Error: rate limit "third" not found in namespace "default"\n'),
          "what is said of no rate limit")
    none = env.tool("get", "ratelimit-buckets", "-n", "empty")
    equal((none.returncode, none.stderr), (0, "No rate limits found in empty namespace.\n"), "... in no namespace")
    wrong = env.tool("get", "ratelimit-buckets", "--limit", "-1")
    equal((wrong.returncode, wrong.stderr), (2, 'Error: --limit "-1": expected a number\n'), "a limit that is none")
    wrong = env.tool("get", "ratelimit-stats", "--limit", "1")
    equal((wrong.returncode, wrong.stderr),
          (2, "Error: flag --limit is of ratelimit-buckets and ratelimit-tokens\n"), "... of statistics")
