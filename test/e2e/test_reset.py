# SPDX-License-Identifier: Apache-2.0
"""`kmesh-rl reset`: buckets that are filled by hand, none of them above its limit, nothing lost."""

import json
import threading

from client import equal, expect, expect_ok, get
from documents import ratelimit
from harness import PORT, admitted, case, take, wait_for

USERS = "{name: users, limit: 3/day, clientSelectors: [{headers: [{name: x-client, type: Distinct}]}]}"
REST = "{name: rest, limit: 2/day}"


def reset(env, *args, status=0):
    result = env.tool("reset", *args, "-o", "json")
    equal(result.returncode, status, f"exit status of reset ({result.stderr.strip()})")
    return json.loads(result.stdout) if status == 0 else result.stderr


def of_client(name):
    return f"GET / HTTP/1.1\r\nHost: a\r\nX-Client: {name}\r\n\r\n".encode()


def admitted_to(env, name, tries=5):
    return [env.connect().ask(of_client(name)).status for _ in range(tries)].count(200)


@case
def a_bucket_is_full_again(env):
    env.server()
    env.limit(limit="3/day")
    equal(reset(env, "limit")["buckets"], 0, "buckets before there is one")
    equal(admitted(env, 5), 3, "admitted")
    done = reset(env, "limit")
    equal((done["buckets"], done["tokens"], done["busy"]), (1, 3, 0), "buckets, tokens, busy")
    equal(env.tokens(), 3, "tokens")
    equal(reset(env, "limit")["tokens"], 0, "tokens that a full bucket gets")
    equal(admitted(env, 5), 3, "admitted after it")
    equal(env.tool("reset", "limit").stdout, "ratelimit/limit reset: 1 buckets, 3 tokens\n", "standard output")


@case
def without_an_agent_too_and_after_the_next(env):
    env.server()
    env.limit(limit="3/day").kill()
    take(env, 3)
    equal(env.tokens(), 0, "tokens")
    equal(reset(env, "limit")["tokens"], 3, "tokens without an agent")
    take(env, 3)
    env.agent("limit")
    equal(reset(env, "limit")["tokens"], 3, "tokens by the program of the next agent")


@case
def one_rule_or_one_value(env):
    env.server()
    env.limit(rules=[USERS, REST])
    equal([admitted_to(env, name) for name in ("ann", "bob")], [3, 3], "admitted to both")
    equal(admitted(env, 4), 2, "admitted to the rest")
    equal(reset(env, "limit", "--rule", "rest")["tokens"], 2, "tokens of a rule")
    equal(admitted_to(env, "ann"), 0, "admitted to ann, whose rule it is not")
    equal(reset(env, "limit", "--descriptor", "x-client=ann")["tokens"], 3, "tokens of a value")
    equal([admitted_to(env, name) for name in ("ann", "bob")], [3, 0], "admitted to both after it")
    equal(reset(env, "limit", "--rule", "users", "--descriptor", "bob")["buckets"], 1, "buckets of a value without its name")
    equal(admitted_to(env, "bob"), 3, "admitted to bob")
    expect("no bucket of" in reset(env, "limit", "--descriptor", "eve", status=1), "who has none is told")
    expect('did you mean "users"?' in reset(env, "limit", "--rule", "user", status=1), "the nearest rule is told")
    expect("not found" in reset(env, "other", status=1), "a name that is not there is told")
    reset(env, status=2)


@case
def open_connections_are_no_bucket(env):
    env.server()
    env.limit(rules=["{name: open, count: Connections, maxConnections: 2}"])
    expect("maxConnections" in reset(env, "limit", status=1), "it says why")


@case(alone=True)
def under_load_no_token_is_lost_or_made(env):
    """What was admitted is what was there, and what the resets say that they added, less what is left."""
    env.server()
    env.limit(limit="50/day")
    ended = threading.Event()
    counts = []

    def ask():
        conn = env.connect()
        count = 0
        while not ended.is_set():
            count += conn.ask(get()).status == 200
        counts.append(count)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    added = sum(reset(env, "limit")["tokens"] for _ in range(30))
    ended.set()
    for thread in threads:
        thread.join()
    expect(added > 50, f"the resets added {added} tokens")
    equal(sum(counts), 50 + added - env.tokens(), "admitted")
