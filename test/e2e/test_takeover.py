# SPDX-License-Identifier: Apache-2.0
"""An agent of another version comes: what the one before enforces goes on until the new one does. That the pins are of
another version is made up: only the number is changed that says so."""

import json
import os
import re
import socket
import struct
import threading

import apiserver
import bpfmap
from client import equal, expect, expect_compact, expect_limited, expect_ok, get
from documents import ratelimit
from harness import PORT, SCALE, case, take, wait_for
from http2 import Client, request
from kube import Cluster, pod
from kube import ratelimit as kube_ratelimit
from peers import Peer, pods_here
from refusals import Refusals
from test_kube_callers import WEB, found, outbound, put_pod

OTHER = 4711
OUT = ("direction: Outbound",)
LONG = "X-Padding: " + "a" * 60
FRAME = b"\x81\x85\0\0\0\0hello"
UNANSWERED_S = 3 * SCALE
IN_PORT, OUT_PORT, SEND_PORT = PORT + 1, PORT + 2, PORT + 3


def pretend(env, version=OTHER):
    """What is pinned is of @version from now on. Returns what that is."""
    bpfmap.write(os.path.join(env.bpffs, "krl_config"), 0, struct.pack("I", version))
    return bpfmap.pinned(env.bpffs)


def former(env):
    return [name for name in env.pins() if name.startswith("former_")]


def gone(agent, version=OTHER):
    """How many connections the new agent took in of @version, once that is gone."""
    return int(wait_for(f"version {version} is gone", lambda: re.search(
        rf"version gone.*{version}, open connections taken in: (\d+)", agent.text()))[1])


def nothing_is_left(env, things):
    equal(former(env), [], "directories of other versions")
    wait_for("the kernel has let go of all that they had", lambda: not bpfmap.alive(things))


class Hammer:
    """A client of each rule, with ever new connections, and what was let through so far."""

    def __init__(self, env):
        self.env = env
        self.counts = dict.fromkeys(("requests", "in", "out"), 0)
        self.rounds = self.unanswered = 0
        self.ends = False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def request(self):
        """An answer that was on its way through the agent when that was killed waits for the next one."""
        conn = self.env.connect(PORT)
        conn.sock.settimeout(UNANSWERED_S)
        try:
            self.counts["requests"] += conn.ask(get("/", LONG)).status == 200
        except TimeoutError:
            self.unanswered += 1
        self.env.conns.pop().close()

    def run(self):
        while not self.ends:
            self.request()
            for name, port in (("in", IN_PORT), ("out", OUT_PORT)):
                with socket.socket() as sock:
                    self.counts[name] += not sock.connect_ex(("127.0.0.1", port))
            self.rounds += 1

    def goes_round(self):
        until = self.rounds + 3
        wait_for("the hammer strikes", lambda: self.rounds >= until or not self.thread.is_alive())
        return dict(self.counts)

    def end(self):
        self.ends = True
        self.thread.join()


@case
def limits_never_stop(env):
    """All that a client gets is what the old buckets and the new ones hold. An open connection, at either end, is limited on;
    nothing of the other version is left."""
    for port in (PORT, IN_PORT, OUT_PORT, SEND_PORT):
        env.server(port=port)
    once = "{name: all, count: Connections, limit: 6/day}"
    env.write("in.yaml", ratelimit("in", IN_PORT, rules=[once]))
    env.write("out.yaml", ratelimit("out", OUT_PORT, rules=[once], spec=OUT))
    env.write("send.yaml", ratelimit("send", SEND_PORT, limit="3/day", spec=OUT))
    env.write("limit.yaml", ratelimit("limit", PORT, limit="6/day"))
    agent = env.agent("limit", "in", "out", "send")
    held, sends = env.connect(), env.connect(SEND_PORT)
    expect_ok(held.ask(get()))
    expect_ok(sends.ask(get()))
    hammer = Hammer(env)
    old = {"requests": 5, "in": 6, "out": 6}
    try:
        wait_for("the old buckets are empty", lambda: hammer.counts == old)
        agent.kill()
        things = pretend(env)
        equal(hammer.goes_round(), old, "what was let through without an agent")
        unanswered = hammer.unanswered
        agent = env.agent("limit", "in", "out", "send")
        expect(gone(agent) >= 2, "the two open connections were not taken in")
        wait_for("the new bucket is empty", lambda: hammer.goes_round()["requests"] >= 11)
        counts = hammer.goes_round()
    finally:
        hammer.end()
    expect(unanswered <= 1, f"{unanswered} requests without an answer when the agent was killed")
    equal(hammer.unanswered - unanswered, 0, "requests without an answer since")
    equal(counts["requests"], 11, "requests let through, of both buckets")
    expect(6 <= counts["in"] <= 12 and 6 <= counts["out"] <= 12, f"connections let through, of both buckets: {counts}")
    expect_limited(held.ask(get()), limit=6, text="6 per 1 day")
    for _ in range(3):
        expect_ok(sends.ask(get()))
    equal(sends.ask(get()).status, 429, "status of what goes out, over the new limit")
    equal(env.reasons()["join_unread"], 0, "connections that were not understood")
    nothing_is_left(env, things)


@case
def agents_that_were_killed_on_the_way(env):
    """One while it moved pins aside, one before it had read its source; a third finds two versions, and ends both."""
    server = env.server()
    agent = env.limit(limit="2/day")
    held = env.accepted(server)
    expect_ok(held.ask(get("/", LONG)))
    agent.kill()
    things = pretend(env)
    begun = os.path.join(env.bpffs, f"former_{OTHER}_0")
    os.mkdir(begun)
    for name in ("link_sockops", "krl_sockets", "krl_rules"):
        os.rename(os.path.join(env.bpffs, name), os.path.join(begun, name))
    source = env.source
    env.source = ["--source", f"dir:{env.root}/nowhere"]
    agent = env.start_agent()
    wait_for("the agent has started", lambda: "agent started" in agent.text())
    equal(former(env), [f"former_{OTHER}_0"], "directories of other versions")
    expect(not things - bpfmap.pinned(begun), "not all was moved there")
    agent.kill()
    things |= pretend(env, OTHER + 1)
    expect_ok(env.connect().ask(get("/", LONG)))
    for conn in (held, env.connect()):
        expect_compact(conn.ask(get("/over", LONG)))
    env.source = source
    agent = env.agent("limit")
    equal(gone(agent) + gone(agent, OTHER + 1), 3, "connections taken in")
    expect_ok(held.ask(get()))
    take(env, 1)
    equal(held.ask(get()).status, 429, "status over the new limit")
    nothing_is_left(env, things)


def pins(env):
    """What `diagnose` says of the pins."""
    checks = json.loads(env.tool("diagnose", "rate-limit", "-o", "json").stdout)["checks"]
    return next(check["text"] for check in checks if check["name"] == "pins")


@case
def what_does_not_rest_stays_and_stays_limited(env):
    """A connection over HTTP/2 stays, one whose request is under way until that is answered. `diagnose` says so, and --detach
    finds what stayed. A WebSocket comes over as such, with what is unread of it."""
    env.server("strict", program="http2_server", port=IN_PORT)
    server = env.server()
    agent = env.limit(PORT, IN_PORT, limit="2/day")
    speaks, waits = Client(env.connect(IN_PORT)), env.accepted(server)
    speaks.ask(1)
    waits.send(get("/gated"))
    wait_for("the request is there", server.requests)
    web = env.connect()
    equal(web.ask(get("/ws", "Connection: Upgrade", "Upgrade: websocket")).status, 101, "status of the upgrade")
    web.send_segment(FRAME)
    equal(web.read(len(FRAME)), FRAME, "echo")
    server.command("rest")
    wait_for("the server rests", lambda: server.events("rests"))
    web.send_segment(FRAME)
    agent.kill()
    things = pretend(env)
    agent = env.agent("limit")
    wait_for("two stay", lambda: f"; 2 connections stay with version {OTHER}" in pins(env))
    server.command("go-on")
    equal(web.read(len(FRAME)), FRAME, "echo of what was unread")
    server.command("release")
    expect_ok(waits.response(), "/gated")
    wait_for("one stays", lambda: f"; 1 connections stay with version {OTHER}" in pins(env))
    speaks.ask(3)
    speaks.send(request(5))
    speaks.refused(3)
    for _ in range(2):
        expect_ok(waits.ask(get()))
    equal(waits.ask(get()).status, 429, "status over the new limit")
    agent.terminate()
    equal(env.detach().returncode, 0, "exit status of --detach")
    expect(not os.path.exists(env.bpffs), "--detach left pins behind")
    nothing_is_left(env, things)


@case
def a_server_that_waits_in_recv_sees_nothing_of_it(env):
    server = env.server("blocking")
    agent = env.limit(limit="3/day")
    take(env, 1)    # of which it is known that HTTP/1.1 is spoken, so that the server's answers are not followed
    env.settled(server)
    held = env.accepted(server)
    expect_ok(held.ask(get()))
    agent.kill()
    things = pretend(env)
    agent = env.agent("limit")
    gone(agent)
    for _ in range(3):
        expect_ok(held.ask(get()))
    expect_limited(held.ask(get()), limit=3, text="3 per 1 day")
    equal(len(server.events("closed")), 1, "connections that the server closed")
    nothing_is_left(env, things)


@case
def what_cannot_be_attached_is_tried_again(env):
    """By itself, after a while; the version before goes on until then."""
    refusals = Refusals(env)
    env.server()
    agent = env.limit(limit="2/day")
    take(env, 1)
    agent.kill()
    things = pretend(env)
    refusals.refuse("link", "ENOMEM")
    agent = env.start_agent()
    wait_for("it was refused", lambda: "not taken over" in agent.text())
    expect_ok(env.connect().ask(get("/", LONG)))
    expect_compact(env.connect().ask(get("/over", LONG)))
    refusals.end()
    gone(agent)
    take(env, 2)
    nothing_is_left(env, things)


@case
def limits_by_pods_wait_for_the_pods(env):
    """The old limits go on until the new agent knows which pods there are: 503 to its first list of them, until it is let."""
    cluster = Cluster(env, tls=False)
    rules = [{"name": "some", "limit": "2/day", "clientSelectors": [{"from": {"podSelector": {"matchLabels": {"app": "web"}}}}]}]
    cluster.api.put(kube_ratelimit("limit", endpoints=[{"ip": "0.0.0.0", "port": PORT}], rules=rules))
    env.server(host="0.0.0.0")
    web = Peer(env, 0)
    cluster.api.put(pod("web-1", web.address, labels={"app": "web"}))
    agent = cluster.agent("limit")
    wait_for("Pods are read", lambda: cluster.api.count("watch", "pods"))
    equal(web.admitted(4), 2, "requests admitted")
    agent.kill()
    things = pretend(env)
    held = [True]

    def refuse(handler):
        if not held:
            return True
        cluster.api.fault("list", "pods", refuse)
        return apiserver.too_many(1)(handler)

    cluster.api.fault("list", "pods", refuse)
    agent = cluster.agent("limit")
    cluster.says(agent, "Pods: 429 ")
    equal(web.admitted(2, LONG), 0, "requests admitted while it is not known who that is")
    held.clear()
    gone(agent)
    equal(web.admitted(4), 2, "requests admitted by the new version")
    nothing_is_left(env, things)


@case
def limits_of_pods_here_wait_for_their_namespaces(env):
    """direction: Outbound: a pod that has nothing left gets what the new bucket holds, and nothing in between."""
    cluster = Cluster(env, tls=False)
    outbound(cluster, limit="2/day")
    env.server(host="0.0.0.0")
    with pods_here(env, web=WEB) as peers:
        put_pod(cluster, "web", WEB)
        agent = cluster.agent("limit")
        found(agent, WEB)
        equal(peers["web"].dials(4), 2, "connections let out")
        agent.kill()
        things = pretend(env)
        made = []

        def dial():
            made.append(peers["web"].dials(1))
            return "version gone" in agent.text()

        agent = cluster.start()
        wait_for("the other version is gone", dial)
        made.append(peers["web"].dials(10))
        expect(sum(made) <= 2, f"{sum(made)} more connections were let out")
        nothing_is_left(env, things)
