# SPDX-License-Identifier: Apache-2.0
"""A million live values: real requests fill the map of buckets and go on."""

import json
import os
import shutil
import socket
import threading

from client import equal, expect, expect_ok, get
from documents import bucket_rule, ratelimit
from harness import PORT, case, wait_for

ROWS = 1 << 20          # of krl_buckets
BEYOND = 100_000        # values that find no room
TOKENS = 1_000_000      # of each bucket of the flood
SINK = "127.0.0.2"
BATCH = 2000            # requests in one write
EMPTY = 17 * ROWS       # bytes of a map of ROWS rows with a few in it

USERS = "clientSelectors: [{headers: [{name: x-user, type: Distinct}]}]"
FLOOD = "clientSelectors: [{headers: [{name: x-flood, type: Distinct}]}]"


def limits(env, fill_interval):
    """A limit for users, and one for the values of the flood, which they never meet."""
    flood = bucket_rule(TOKENS, TOKENS, fill_interval, name="flood")
    text = ratelimit("limit", PORT, ip="0.0.0.0",
                     rules=[f"{flood[:-1]}, {FLOOD}}}", f"{{name: user, limit: 3/day, {USERS}}}"])
    env.write("limit.yaml", text.replace("spec:\n", "spec:\n  ruleMatch: All\n"))


class Sink:
    """A server on another address of the same endpoint that reads and answers nothing."""

    def __init__(self):
        self.received = 0
        self.listener = socket.create_server((SINK, PORT))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        buffer = bytearray(1 << 20)
        while True:
            conn, _ = self.listener.accept()
            while count := conn.recv_into(buffer):
                self.received += count


def flood(env, sink, values):
    """A request with each of @values, on one connection; all of them reach the sink."""
    sent, before = 0, sink.received
    with env.connect(host=SINK) as conn:
        for at in range(values.start, values.stop, BATCH):
            batch = b"".join(b"GET / HTTP/1.1\r\nHost: t\r\nX-Flood: %d\r\n\r\n" % value
                             for value in range(at, min(at + BATCH, values.stop)))
            conn.sock.sendall(batch)
            sent += len(batch)
    wait_for("the flood is through", lambda: sink.received - before == sent)


def statuses(env, user, count):
    return [env.connect().ask(get("/", f"x-user: {user}")).status for _ in range(count)]


def memory(env, name):
    """Bytes of a map, as the kernel accounts them."""
    bpftool = shutil.which("bpftool", path=os.environ.get("PATH", "") + ":/usr/sbin")
    shown = env.run([bpftool, "-j", "map", "show", "pinned", os.path.join(env.bpffs, name)])
    return int(json.loads(shown.stdout)["bytes_memlock"])


def overflows(env):
    result = env.tool("get", "ratelimit-stats", "-A", "-o", "json")
    return json.loads(result.stdout)["reasons"]["bucket_overflow"]


def fill_the_map(env, sink):
    """Two users take some, then a value of the flood has every other row."""
    equal(statuses(env, "mallory", 5), [200, 200, 200, 429, 429], "statuses of one who takes all")
    equal(statuses(env, "alice", 1), [200], "status of one who takes one")
    flood(env, sink, range(ROWS - 2))
    equal([env.item(rule=rule)["buckets"] for rule in ("flood", "user")], [ROWS - 2, 2], "buckets")
    equal(overflows(env), 0, "requests judged by an overflow bucket")


def flood_a_full_map(env, sink):
    flood(env, sink, range(ROWS, ROWS + BEYOND))
    equal(env.item(rule="flood")["totalRequests"], ROWS - 2 + BEYOND, "requests of the flood")
    equal(env.item(rule="flood")["rateLimitedRequests"], 0, "... that were refused")
    equal(overflows(env), BEYOND, "requests judged by the overflow bucket of the flood")
    equal(env.tokens(rule="flood"), TOKENS - BEYOND, "tokens in it")


def nobody_is_freed(env):
    equal(statuses(env, "mallory", 2), [429, 429], "statuses of the limited one")
    equal(statuses(env, "alice", 3), [200, 200, 429], "statuses of the one who had two left")
    equal([statuses(env, f"newcomer{n}", 1) for n in range(5)], [[200], [200], [200], [429], [429]],
          "statuses of newcomers, who share a bucket")
    equal(overflows(env), BEYOND + 5, "requests judged by overflow buckets")


def the_list_is_bounded(env):
    """It names those who are limited, in spite of a million values that came after them."""
    found = env.buckets()
    equal((len(found["items"]), found["total"]), (100, ROWS + 2), "buckets shown, and buckets there are")
    equal([(item["value"], item["availableTokens"]) for item in found["items"] if item["rule"] == "user"],
          [("x-user=alice", 0), ("x-user=mallory", 0), ("<overflow>", 0)], "buckets of users")
    equal(found["items"][0]["value"], "<overflow>", "the emptiest of the flood")


def memory_is_bounded(env):
    used = memory(env, "krl_buckets") + memory(env, "krl_values") + memory(env, "krl_overflow")
    expect(used / ROWS <= 200, f"{used / ROWS:.0f} bytes a bucket")


def full_buckets_go(env):
    """Those of users, which are not full, stay."""
    limits(env, "1s")
    # The agent has better to do now than to count a million rows for statistics.
    while (held := memory(env, "krl_buckets")) > EMPTY:
        wait_for("memory of the flood is given back", lambda held=held: memory(env, "krl_buckets") < held)
    wait_for("the buckets of the flood are gone", lambda: env.item(rule="flood")["buckets"] == 0)
    equal(env.item(rule="user")["buckets"], 3, "buckets of users, with the one that newcomers share")
    equal(statuses(env, "mallory", 2), [429, 429], "statuses of the limited one")
    equal(statuses(env, "newcomer", 4), [200, 200, 200, 429], "statuses of one who has a bucket again")
    equal(overflows(env), BEYOND + 5, "requests judged by overflow buckets")


@case(alone=True)
def a_million_values(env):
    env.server()
    sink = Sink()
    limits(env, "24h")
    env.agent("limit")
    with env.connect() as conn:
        expect_ok(conn.ask(get()))
    fill_the_map(env, sink)
    flood_a_full_map(env, sink)
    nobody_is_freed(env)
    the_list_is_bounded(env)
    memory_is_bounded(env)
    full_buckets_go(env)
