# SPDX-License-Identifier: Apache-2.0
"""Requests that go out: refused on the client's own socket, before they become packets."""

import asyncio
import errno
import os
import shutil
import socket
import struct
import subprocess

import bpfmap
import isolation
from client import equal, expect, expect_limited, expect_ok, get, post, post_chunked
from documents import ratelimit
from harness import PORT, Skip, case, case_of_each, need_ipv6, wait_for
from ten import on_fifteen_connections, on_one_connection
from user_agents import request, with_all

OUT = ("direction: Outbound",)
HOSTS = ("127.0.0.1", "::1")


@case
def one_connection(env):
    on_one_connection(env, spec=OUT)


@case
def fifteen_connections(env):
    on_fifteen_connections(env, spec=OUT)


@case
def ipv6(env):
    need_ipv6()
    env.server(host="::1")
    env.limit(ip="::1", spec=OUT)
    answers = [env.connect(host="::1").ask(get()) for _ in range(12)]
    equal([answer.status for answer in answers], [200] * 10 + [429] * 2, "statuses")


def take(conn, count):
    for number in range(count):
        expect_ok(conn.ask(get(f"/{number}")), f"/{number}")


@case
def a_request_in_two_writes_at_every_byte(env):
    server = env.server()
    env.limit(spec=OUT, limit="200/day")
    conn = env.connect()
    request = get("/cut", "X-Some: thing")

    def answer(at):
        conn.send(request[:at])
        conn.send(request[at:])
        return conn.response()

    for at in range(1, len(request)):
        expect_ok(answer(at), "/cut", f"a request cut at {at}")
    take(conn, 200 - len(request) + 1)
    for at in range(1, len(request)):
        expect_limited(answer(at), 200, "200 per 1 day")
    equal(len(env.settled(server).requests()), 200, "requests that reached the server")
    equal(len(server.events("accept")), 1, "connections")


def write_bytes(conn, request):
    for at in range(len(request)):
        conn.send(request[at:at + 1])


@case
def a_request_in_writes_of_one_byte(env):
    server = env.server()
    env.limit(spec=OUT, limit="2/day")
    conn = env.connect()
    request = get("/bytes", "X-Long: " + "a" * 300)
    for number in range(5):
        write_bytes(conn, request)
        if number < 2:
            expect_ok(conn.response(), "/bytes")
        else:
            expect_limited(conn.response(), 2, "2 per 1 day")
    equal(len(env.settled(server).requests()), 2, "requests that reached the server")


@case
def bodies(env):
    server = env.server()
    env.limit(spec=OUT, limit="3/day")
    conn = env.connect()
    expect_ok(conn.ask(post("/first", b"x" * 100)), "/first")
    expect_ok(conn.ask(post("/second", b"y" * 200000)), "/second")
    expect_ok(conn.ask(post_chunked("/third", b"z" * 1000, 7)), "/third")
    for body in (b"", b"x" * 10, b"x" * 3000, b"x" * (1 << 20)):
        conn.send(post("/over", body))
        expect_limited(conn.response(), 3, "3 per 1 day")
        conn.send(post_chunked("/over", body, 1000))
        expect_limited(conn.response(), 3, "3 per 1 day")
    equal(env.settled(server).requests(), [("POST", "/first"), ("POST", "/second"), ("POST", "/third")],
          "requests that reached the server")
    equal(len(server.events("accept")), 1, "connections")


@case
def bodies_in_writes_of_one_byte(env):
    server = env.server()
    env.limit(spec=OUT, limit="2/day")
    conn = env.connect()
    requests = (post("/length", b"x" * 300), post_chunked("/chunked", b"x" * 300, 50))
    for request in requests:
        write_bytes(conn, request)
        expect_ok(conn.response())
    for request in requests * 2:
        write_bytes(conn, request)
        expect_limited(conn.response(), 2, "2 per 1 day")
    equal(len(env.settled(server).requests()), 2, "requests that reached the server")


@case
def expect_100_continue(env):
    server = env.server()
    env.limit(spec=OUT, limit="1/day")
    conn = env.connect()
    expect_ok(conn.ask(get("/first")))
    conn.send(get("/over", "Content-Length: 100000", "Expect: 100-continue", method="POST"))
    expect_limited(conn.response(), 1, "1 per 1 day", close=True)
    conn.send(b"x" * 100000)
    equal(env.settled(server).requests(), [("GET", "/first")], "requests that reached the server")


@case
def twenty_pipelined(env):
    server = env.server()
    env.limit(spec=OUT)
    conn = env.connect()
    conn.send(b"".join(get(f"/{number}") for number in range(20)))
    for number in range(10):
        expect_ok(conn.response(), f"/{number}")
    expect_limited(conn.response(), close=True)
    equal(len(env.settled(server).requests()), 10, "requests that reached the server")


def data_segments(conn):
    """How many segments with data the connection sent (struct tcp_info, tcpi_data_segs_out)."""
    return struct.unpack_from("I", conn.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 156)[0]


@case
def nothing_of_a_refused_request_becomes_a_packet(env):
    server = env.server()
    env.limit(spec=OUT, limit="1/day")
    conn = env.connect()
    expect_ok(conn.ask(get()))
    before = data_segments(conn), server.bytes()
    for request in (get(), post("/", b"x" * 100000), post_chunked("/", b"x" * 1000, 10)):
        conn.send(request)
        expect_limited(conn.response(), 1, "1 per 1 day")
        conn.send_unawaited(request[:2000])
        conn.send(request[2000:])
        expect_limited(conn.response(), 1, "1 per 1 day")
    equal(data_segments(conn), before[0], "segments with data")
    equal(env.settled(server).bytes(), before[1], "bytes at the server")


@case
def a_limited_upload_then_an_admitted_request(env):
    server = env.server()
    env.limit(rules=["{name: all, limit: 1/day, clientSelectors: [{methods: [POST]}]}"], spec=OUT)
    conn = env.connect()
    expect_ok(conn.ask(post("/first", b"x")))
    conn.send(post("/over", b"x" * (1 << 20)))
    expect_limited(conn.response(), 1, "1 per 1 day")
    expect_ok(conn.ask(get("/after")), "/after")
    equal(env.settled(server).requests(), [("POST", "/first"), ("GET", "/after")], "requests that reached the server")


@case
def selectors(env):
    env.server()
    env.limit(rules=[
        "{name: users, limit: 1/day, clientSelectors: [{headers: [{name: x-user, type: Distinct}]}]}",
        "{name: api, limit: 1/day, clientSelectors: [{path: {type: PathPrefix, value: /api}, methods: [GET]}]}",
        "{name: own, limit: 1/day, clientSelectors: [{sourceCIDR: 127.0.0.2/32}]}"], spec=OUT)
    conn = env.connect()
    for user in ("a", "b"):
        expect_ok(conn.ask(get("/", f"x-user: {user}")))
        expect_limited(conn.ask(get("/", f"x-user: {user}")), 1, "1 per 1 day")
    expect_ok(conn.ask(get("/api/x")))
    expect_limited(conn.ask(get("/api/y")), 1, "1 per 1 day")
    for _ in range(3):
        expect_ok(conn.ask(get("/")))
        expect_ok(conn.ask(get("/api/x", "Content-Length: 0", method="POST")))
    other = env.connect(source="127.0.0.2")
    expect_ok(other.ask(get()))
    expect_limited(other.ask(get()), 1, "1 per 1 day")


@case
def in_and_out_on_one_machine(env):
    env.server()
    env.write("in.yaml", ratelimit("in", PORT, limit="3/day"))
    env.write("out.yaml", ratelimit("out", PORT, limit="5/day", spec=OUT))
    env.agent("in", "out")
    conn = env.connect()
    statuses = [conn.ask(get()).status for _ in range(8)]
    equal(statuses, [200] * 3 + [429] * 5, "statuses")
    equal((env.tokens("in"), env.tokens("out")), (0, 0), "tokens")
    equal((env.item("in")["totalRequests"], env.item("out")["totalRequests"]), (5, 8), "requests that each saw")


@case
def they_go_on_whole_without_an_agent(env):
    server = env.server()
    agent = env.limit(spec=OUT, limit="2/day")
    conn = env.connect()
    expect_ok(conn.ask(get()))
    agent.kill()
    expect_ok(conn.ask(get()))
    for open_conn in (conn, env.connect()):
        for request in (get(), post("/", b"x" * 50000)):
            expect_limited(open_conn.ask(request), 2, "2 per 1 day")
    env.agent("limit")
    expect_limited(conn.ask(get()), 2, "2 per 1 day")
    equal(len(env.settled(server).requests()), 2, "requests that reached the server")


@case
def an_edit_reaches_open_connections(env):
    env.server()
    env.limit(spec=OUT, limit="2/day")
    conn = env.connect()
    for status in (200, 200, 429):
        equal(conn.ask(get()).status, status, "status")
    env.write("limit.yaml", ratelimit("limit", PORT, limit="3/day", spec=OUT))
    wait_for("the edit is in force", lambda: env.item()["maxTokens"] == 3)
    expect_limited(conn.ask(get()), 3, "3 per 1 day")


def senders(env):
    return bpfmap.keys(os.path.join(env.bpffs, "krl_senders"))


@case
def open_connections_are_taken_in_and_let_go(env):
    env.server()
    conns = [env.connect() for _ in range(3)]
    expect_ok(conns[0].ask(get()))
    expect_ok(conns[1].ask(post("/", b"x" * 1000)))
    agent = env.agent()
    for _ in range(2):
        env.write("limit.yaml", ratelimit("limit", PORT, limit="3/day", spec=OUT))
        wait_for("the rule in force", lambda: env.lists("limit"))
        wait_for("taken in", lambda: len(senders(env)) == 3)
        for conn in conns:
            expect_ok(conn.ask(get()))
        for conn in conns:
            expect_limited(conn.ask(get()), 3, "3 per 1 day")
        os.unlink(os.path.join(env.config, "limit.yaml"))
        wait_for("let go", lambda: not senders(env))
        for conn in conns:
            expect_ok(conn.ask(get()))
    expect("open connections taken in" in agent.text(), "nothing of it in the log")
    env.close_conns()
    wait_for("their rows gone", lambda: not bpfmap.keys(os.path.join(env.bpffs, "krl_conns")))


@case
def those_in_mid_request_are_judged_from_the_next_on(env):
    """Over both families, and in another network namespace at the same addresses: what was underway is not counted."""
    need_ipv6()
    servers = [env.server(host="::", dual=True, new_network=new) for new in (False, True)]
    request = post("/underway", os.urandom(100000))
    half = len(request) // 2
    conns = [env.connect(host=host) for host in HOSTS]
    with isolation.Inside(servers[1].pid):
        conns += [env.connect(host=host) for host in HOSTS]
    for conn in conns:
        expect_ok(conn.ask(get()))
        conn.send_segment(request[:half])
    agent = env.agent()
    for host in HOSTS:
        env.write(f"{host}.yaml", ratelimit(f"of-{host.count(':')}", PORT, ip=host, limit="1/day", spec=OUT))
    wait_for("the rules in force", lambda: len(env.stats()) == len(HOSTS))
    wait_for("taken in", lambda: len(senders(env)) == len(conns))
    for conn in conns:
        conn.send(request[half:])
        expect_ok(conn.response(), "/underway", "the request from before the rule")
    equal([item["totalRequests"] for item in env.stats()], [0, 0], "requests counted")
    for conn in conns:
        expect_ok(conn.ask(get("/next")), "/next")
        expect_limited(conn.ask(get("/over")), 1, "1 per 1 day")
    equal(env.buckets()["total"], len(conns), "buckets: of each address in each namespace")
    equal(agent.process.poll(), None, "exit status of the agent")


NAT = """table {family} krl_test {{
    chain out {{
        type nat hook output priority -100
        {family} daddr {dialled} tcp dport 80 dnat to {server}:{port}
    }}
}}
"""


@case_of_each({"IPv4": ("ip", "10.9.8.7", "127.0.0.1"), "IPv6": ("ip6", "fd00:9::7", "::1")})
def what_was_dialled_counts_behind_nat(env, addresses):
    family, dialled, server = addresses
    nft = shutil.which("nft")
    if not nft:
        raise Skip("nft is not installed")
    if family == "ip6":
        need_ipv6()
    env.server(host=server)
    rules = NAT.format(family=family, dialled=dialled, server=f"[{server}]" if ":" in server else server, port=PORT)
    subprocess.run(["ip", "address", "add", dialled, "dev", "lo", *(["nodad"] if family == "ip6" else [])], check=True)
    if subprocess.run([nft, "-f", "-"], input=rules, text=True, capture_output=True, check=False).returncode:
        raise Skip("this kernel has no destination NAT by nft")
    env.limit(80, ip=dialled, limit="2/day", spec=OUT)
    conn = env.connect(80, dialled)
    for _ in range(2):
        expect_ok(conn.ask(get()))
    expect_limited(conn.ask(get()), 2, "2 per 1 day")
    expect_ok(env.connect(host=server).ask(get()))


@case
def tls_and_http_2(env):
    env.server(raw=True)
    env.limit(spec=OUT)
    conn = env.connect()
    conn.send(b"\x16\x03\x01\x00\x05hello")
    http2 = env.connect()
    http2.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    wait_for("both counted", lambda: (env.reasons().get("tls"), env.reasons().get("http2")) == (1, 1))


@case
def malformed_requests_get_400(env):
    server = env.server()
    env.limit(spec=OUT)
    for request in (b"GET / HTTP/1.1\nHost: a\n\n", get("/", "Content-Length: 1", "Content-Length: 2")):
        conn = env.connect()
        conn.send(request)
        answer = conn.response()
        equal((answer.status, answer.closes(), answer.from_server()), (400, True, False), "the answer")
    equal(env.settled(server).bytes(), 0, "bytes at the server")


@case
def who_waits_for_the_end_of_the_connection_gets_it(env):
    env.server()
    env.limit(spec=OUT, limit="1/day")
    expect_ok(env.connect().ask(get()))
    conn = env.connect()
    conn.send(get(version="1.0"))
    expect_limited(conn.response(), 1, "1 per 1 day", close=True)
    try:
        conn.expect_eof()
    except OSError as error:
        expect(error.errno in (errno.EPIPE, errno.EFAULT), f"the connection ended with {error}")


@case
def blocking_clients_never_get_eagain(env):
    env.server()
    env.limit(spec=OUT, limit="1000/day")
    statuses = {}
    with socket.create_connection(("127.0.0.1", PORT)) as sock:
        sock.settimeout(None)
        for _ in range(5000):
            sock.sendall(get())
            status = sock.recv(65536)[9:12]
            statuses[status] = statuses.get(status, 0) + 1
    equal(statuses, {b"200": 1000, b"429": 4000}, "statuses")


@case
def asyncio_streams(env):
    env.server()
    env.limit(spec=OUT)

    async def client():
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        statuses = []
        for _ in range(15):
            writer.write(get())
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r")[0]))
            statuses.append(int(head[9:12]))
        writer.close()
        return statuses

    equal(asyncio.run(client()), [200] * 10 + [429] * 5, "statuses")


@with_all
def agents(env, ask):
    server = env.server()
    env.limit(spec=OUT)
    answers = ask([request(f"/{number}", **({"method": "POST", "size": 100000} if number % 2 else {}))
                   for number in range(15)])
    equal([answer.status for answer in answers], [200] * 10 + [429] * 5, "statuses")
    equal(len(server.requests()), 10, "requests that reached the server")
