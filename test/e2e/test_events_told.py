# SPDX-License-Identifier: Apache-2.0
"""What the agent tells of requests and connections that were limited, on its control socket and in its log."""

import errno
import json
import re
import signal
import socket

from client import equal, expect, get
from documents import ratelimit
from harness import PORT, case, need_ipv6, wait_for
from http2 import PREFACE, SETTINGS, Client, frame, request
from incoming import enforce, opened
from models import Models, asked, budget, head_and_body, of_model, reply

FIRST = {"namespace": "default", "name": "limit", "rule": "all", "kind": "Request", "direction": "Inbound",
         "decision": "Limited", "protocol": "HTTP/1.1", "endpoint": f"127.0.0.1:{PORT}", "needed": 1, "left": 0}
VARY = ("sequence", "time", "client", "retryAfter", "count")


def told(env, after=0):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(env.agents[-1].control)
        sock.sendall(json.dumps({"method": "events", "params": {"after": after}}).encode() + b"\n")
        return json.loads(sock.makefile().readline())["result"]


def events(env, count=1):
    """The events, once there are @count."""
    wait_for(f"{count} events", lambda: len(told(env)["items"]) >= count)
    items = told(env)["items"]
    equal(len(items), count, "events")
    return items


def without(item, *names):
    return {name: value for name, value in item.items() if name not in (*VARY, *names)}


def where(conn):
    host, port = conn.sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@case
def a_limited_request(env):
    env.server()
    env.limit(limit="2/day")
    conn = env.connect()
    for _ in range(2):
        conn.ask(get("/v1/x?token=secret", method="PUT"))
    equal(told(env)["items"], [], "events of requests that were let through")
    equal(conn.ask(get("/v1/x?token=secret", "Authorization: secret", method="PUT")).status, 429, "status")
    item = events(env)[0]
    equal(without(item), {**FIRST, "method": "PUT", "path": "/v1/x", "status": 429}, "event")
    equal((item["sequence"], item["client"], item["count"]), (1, where(conn), 1), "sequence, client and count")
    expect(43200 < item["retryAfter"] <= 86400, f"seconds to wait: {item['retryAfter']}")
    conn.ask(get("http://user:secret@host/abs#secret"))
    item = events(env, 2)[1]
    equal((item["sequence"], item["path"], item["count"]), (2, "/abs", 1), "sequence, path and count of the second")
    conn.ask(get("/" + "a" * 300))
    equal(events(env, 3)[2]["path"], "/" + "a" * 123 + "...", "a long path")
    equal([item["sequence"] for item in told(env, 2)["items"]], [3], "those after the second")
    said = re.compile(r'msg=limited requests="(\d) of default/limit, rule all, last: (?:PUT|GET) /\S+, client '
                      rf'{where(conn)}, endpoint 127\.0\.0\.1:{PORT}, needed 1 of 0 left"')
    wait_for("the log says so of three requests", lambda: sum(map(int, said.findall(env.agents[-1].text()))) == 3)
    expect("secret" not in json.dumps(told(env)) + env.agents[-1].text(), "a secret was shown")


@case
def whose_bucket_it_was_and_in_shadow_mode(env):
    need_ipv6()
    env.server(host="::1")
    env.limit(ip="::1", rules=["{name: all, limit: 1/day, mode: Shadow, clientSelectors:"
                               " [{headers: [{name: x-user, type: Distinct}, {name: authorization, type: Distinct}]}]}"])
    conn = env.connect(host="::1")
    for _ in range(2):
        equal(conn.ask(get("/", "X-User: alice", "Authorization: secret")).status, 200, "status")
    item = events(env)[0]
    expect(item["descriptor"].startswith("authorization=#") and item["descriptor"].endswith(", x-user=alice") or
           item["descriptor"].startswith("x-user=alice, authorization=#"), f"descriptor: {item['descriptor']}")
    equal(without(item, "descriptor"), {**FIRST, "decision": "ShadowLimited", "endpoint": f"[::1]:{PORT}", "method": "GET",
                                        "path": "/"}, "event")
    equal(item["client"], where(conn), "client")


@case
def pipelined_requests_and_a_head_in_two_parts(env):
    env.server()
    env.limit(rules=["{name: all, limit: 1/day, clientSelectors: [{path: {type: PathPrefix, value: /limited}}]}"])
    with env.connect() as conn:
        conn.send(get("/limited/1") + get("/free") + get("/limited/2") + get("/limited/3"))
        conn.rest()
    equal(without(events(env)[0]), {**FIRST, "method": "GET", "path": "/limited/2", "status": 429}, "event")
    with env.connect() as conn:
        conn.ask(get("/limited/4"))
        conn.send_segment(get("/limited/5")[:12])
        conn.send(get("/limited/5")[12:])
        equal(conn.response().status, 429, "status")
    equal(without(events(env, 2)[1]), {**FIRST, "status": 429}, "the event of a head in two parts")


@case
def what_goes_out(env):
    env.server()
    env.limit(spec=["direction: Outbound"], rules=["{name: all, limit: 1/day}"])
    env.write("more.yaml", ratelimit("more", PORT + 1, spec=["direction: Outbound"],
                                     rules=["{name: conns, count: Connections, limit: 1/day}"]))
    wait_for("both are listed", lambda: env.lists("limit", "more"))
    conn = env.connect()
    conn.ask(get("/"))
    conn.send(get("/out", "X-Some: thing")[:9])
    conn.send(get("/out", "X-Some: thing")[9:])
    equal(conn.response().status, 429, "status")
    item = events(env)[0]
    equal(without(item), {**FIRST, "direction": "Outbound", "method": "GET", "path": "/out", "status": 429}, "event")
    equal(item["client"], where(conn), "client")
    for _ in range(2):
        with socket.socket() as sock:
            equal(sock.connect_ex(("127.0.0.1", PORT + 1)), errno.ECONNREFUSED, "connect(), where nobody listens")
    item = events(env, 2)[1]
    equal(without(item), {**FIRST, "name": "more", "rule": "conns", "kind": "Connection", "direction": "Outbound",
                          "protocol": "TCP", "endpoint": f"127.0.0.1:{PORT + 1}"}, "event of a connection")
    expect("client" not in item, "a client before it has an address")


@case
def what_comes_in(env):
    env.server()
    enforce(env, rules=["{name: all, count: Connections, limit: 1/day}"])
    equal(opened(env, 2), 1, "connections let in")
    item = events(env)[0]
    equal(without(item), {**FIRST, "kind": "Connection", "protocol": "TCP"}, "event")
    expect(item["client"].startswith("127.0.0.1:"), f"client: {item['client']}")
    env.server(port=PORT + 1)
    env.write("more.yaml", ratelimit("more", PORT + 1, rules=["{name: open, maxConnections: 1}"]))
    wait_for("both are listed", lambda: env.lists("limit", "more"))
    equal(opened(env, 2, port=PORT + 1), 1, "connections open at once")
    equal(without(events(env, 2)[1]), {**FIRST, "name": "more", "rule": "open", "kind": "Connection", "protocol": "TCP",
                                       "endpoint": f"127.0.0.1:{PORT + 1}"}, "event of maxConnections")


@case
def a_stream_of_http2(env):
    env.server("strict", program="http2_server")
    env.limit(limit="1/day")
    client = Client(env.connect())
    client.ask(1)
    client.send(request(3))
    client.refused(1)
    equal(without(events(env)[0]), {**FIRST, "protocol": "HTTP/2"}, "event")
    env.connect().send(PREFACE + frame(SETTINGS) + request(1))
    equal(without(events(env, 2)[1]), {**FIRST, "protocol": "HTTP/2"}, "event of a request behind the preface")


@case
def tokens_of_a_model(env):
    Models(env)
    env.limit(rules=[budget(limit="12/hour", who=of_model("qwen3"), reserve="MaxTokens")])
    head, body = head_and_body("chat", asked("chat", model="qwen3", most=50))
    for _ in range(2):
        conn = env.accepted(env.servers[-1])
        conn.send_segment(head)
        conn.send(body)
        status = reply(conn).status
    equal(status, 429, "status")
    item = events(env)[0]
    equal(without(item, "needed", "left"), {**without(FIRST, "needed", "left"), "method": "POST",
                                            "path": "/v1/chat/completions", "status": 429, "model": "qwen3"}, "event")
    expect(item["left"] < item["needed"] <= 12, f"tokens left of those needed: {item}")


@case
def each_is_in_one_event(env):
    """Of those as well that the agent learns of all at once."""
    env.server()
    env.limit(rules=["{name: all, limit: 1/day, mode: Shadow}"])
    conn = env.connect()
    for _ in range(2):
        conn.ask(get("/"))
    events(env)
    agent = env.agents[-1].process
    agent.send_signal(signal.SIGSTOP)
    for _ in range(30):
        conn.ask(get("/"))
    agent.send_signal(signal.SIGCONT)
    wait_for("some of them", lambda: len(told(env)["items"]) > 5)
    equal(sum(item["count"] for item in told(env)["items"]), 31, "requests that the events stand for")


@case
def a_flood_is_sampled(env):
    env.server()
    env.limit(limit="1/day")
    conn = env.connect()
    for _ in range(301):
        conn.ask(get("/"))
    wait_for("the end of it", lambda: env.item()["rateLimitedRequests"] == 300)
    wait_for("ten events of it", lambda: len(told(env)["items"]) >= 10)
    items = told(env)["items"]
    expect(len(items) < 150, f"events of 300 refusals: {len(items)}")
    expect(sum(item["count"] for item in items) <= 300, "requests that the events stand for")
    env.agents[-1].terminate()
    agent_args = env.agent_args
    env.agent_args = lambda *args: [*agent_args(*args), "--event-rate", "0"]
    env.agent("limit")
    equal(conn.ask(get("/")).status, 429, "status")
    wait_for("it is counted", lambda: env.item()["rateLimitedRequests"] == 301)
    equal(told(env)["items"], [], "events with --event-rate 0")
