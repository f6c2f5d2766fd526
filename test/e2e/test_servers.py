# SPDX-License-Identifier: Apache-2.0
"""Servers as they are found: that block, that accept late, that ask FIONREAD, and nginx; and a network
between client and server."""

import os
import shutil
import socket
import struct
import subprocess
import threading

import isolation
from client import count_statuses, equal, expect, expect_limited, expect_ok, get, post
from harness import PORT, Skip, case, wait_for
from nginx import start_nginx

SERVER = """\
    server {{
        listen 127.0.0.1:{port};
        location / {{ default_type text/plain; return 200 "$request_method $request_uri 0\\n"; }}
        location /upload {{ proxy_pass http://127.0.0.1:{backend}; proxy_http_version 1.1; }}
    }}
"""


def blocking_server_is_limited(env, kind):
    """Admitted requests all work; a 429 may end the connection; fifteen connections are exact."""
    server = env.server(kind)
    env.limit(limit="20/day")
    conn = env.connect()
    for number in range(5):
        expect_ok(conn.ask(get(f"/{number}")), f"/{number}")
    for number in range(5):
        expect_ok(conn.ask(post(f"/{number}", b"x" * 5000)), f"/{number}")
    statuses = [env.connect().ask(get("/own")).status for _ in range(15)]
    equal(statuses, [200] * 10 + [429] * 5, "statuses on fifteen connections")
    answer = conn.ask(get("/over"))
    expect_limited(answer, limit=20, text="20 per 1 day", close=answer.closes())
    if answer.closes():
        conn.expect_eof()
    equal(len(env.settled(server).requests()), 20, "requests that reached the server")


@case
def blocking_server(env):
    blocking_server_is_limited(env, "blocking")


@case
def http_server(env):
    blocking_server_is_limited(env, "http")


@case
def blocking_server_never_fails_an_admitted_request(env):
    """Many short connections: a reader that found nothing where a request waits would end them."""
    server = env.server("blocking")
    env.limit(limit="100000/day")
    for number in range(500):
        with env.connect() as conn:
            expect_ok(conn.ask(get(f"/{number}")), f"/{number}")
            expect_ok(conn.ask(get(f"/{number}")), f"/{number}")
    env.settled(server)
    equal({event["why"] for event in server.events("closed")}, {"eof"}, "how connections ended")


def accept_comes_late(env, **options):
    server = env.server(hold_accept=True, **options)
    env.limit()
    conns = [env.connect() for _ in range(15)]
    for number, conn in enumerate(conns):
        conn.send_segment(get(f"/{number}"))
    server.command("accept")
    answers = [conn.response() for conn in conns]
    equal(count_statuses(answers), {200: 10, 429: 5}, "answers to requests that waited for accept()")
    for conn, answer in zip(conns, answers):
        if answer.status == 429:
            expect_limited(answer, close=answer.closes())
        else:
            equal(conn.ask(get("/second")).status, 429, "status of a second request")
    equal(len(env.settled(server).requests()), 10, "requests that reached the server")


@case
def requests_that_wait_for_accept_are_judged(env):
    accept_comes_late(env)


@case
def requests_that_wait_for_accept_are_judged_with_fionread(env):
    accept_comes_late(env, fionread=True)


@case
def deferred_accept(env):
    server = env.server(defer_accept=True)
    env.limit()
    answers = [env.connect().ask(get(f"/{number}")) for number in range(15)]
    equal([answer.status for answer in answers], [200] * 10 + [429] * 5, "statuses")
    equal(len(env.settled(server).requests()), 10, "requests that reached the server")


@case
def a_pipeline_that_waits_for_accept_is_judged(env):
    """Whether the segments are judged one by one or, being merged by then, as one: never more than the
    limit gets through."""
    server = env.server(hold_accept=True)
    env.limit(limit="3/day")
    conn = env.connect()
    for number in range(8):
        conn.send_segment(get(f"/{number}"))
    server.command("accept")
    count = 0
    while (answer := conn.response_or_eof()) and answer.status == 200:
        count += 1
    expect(count in (0, 3), f"{count} answers at a limit of 3")
    expect(answer is None or answer.status == 429, f"answered {answer!r}")
    equal(len(env.settled(server).requests()), count, "requests that reached the server")


@case
def a_body_that_waits_for_accept_is_swallowed(env):
    server = env.server(hold_accept=True)
    env.limit(limit="1/day")
    conns = [env.connect() for _ in range(2)]
    for conn in conns:
        conn.send_segment(post("/upload", b"x" * 20000))
    server.command("accept")
    equal(count_statuses(conn.response() for conn in conns), {200: 1, 429: 1}, "answers")
    equal(len(env.settled(server).requests()), 1, "requests that reached the server")


@case
def server_that_asks_fionread(env):
    server = env.server(fionread=True)
    env.limit(limit="12/day")
    conn = env.accepted(server)
    for number in range(10):
        expect_ok(conn.ask(get(f"/{number}")), f"/{number}")
    body = os.urandom(300000)
    conn.send(post("/upload", body))
    expect_ok(conn.response(), "/upload")
    conn.send_bytes(get("/bytes"))
    expect_ok(conn.response(), "/bytes")
    for _ in range(3):
        expect_limited(conn.ask(get("/over")), limit=12, text="12 per 1 day")
    equal(env.settled(server).events("fionread"), [], "FIONREAD said 0 with bytes to read")
    equal(server.events("request")[10]["length"], len(body), "length of the body")


@case
def nginx(env):
    backend = env.server(port=PORT + 1)
    log = start_nginx(env, SERVER.format(port=PORT, backend=PORT + 1), PORT)
    env.limit()
    conn = env.connect()
    for number in range(8):
        expect_ok(conn.ask(get(f"/{number}")), f"/{number}")
    body = os.urandom(300000)
    conn.send(post("/upload", body))
    expect_ok(conn.response(), "/upload")
    conn.send_bytes(get("/bytes"))
    expect_ok(conn.response(), "/bytes")
    for number in range(5):
        expect_limited(conn.ask(get("/over")))
        expect_limited(env.connect().ask(get("/over")))
    conn.send(post("/upload", body))
    expect_limited(conn.response())
    env.close_conns()

    def logged():
        with open(log, encoding="utf-8") as file:
            lines = file.read().splitlines()
        return lines if len(lines) >= 10 else None

    lines = wait_for("nginx has logged ten requests", logged)
    equal(lines, [f"GET /{number} 200" for number in range(8)] + ["POST /upload 200", "GET /bytes 200"],
          "what nginx logged")
    equal([event["length"] for event in backend.events("request")], [len(body)], "bodies behind nginx")


@case
def nginx_under_parallel_clients(env):
    start_nginx(env, SERVER.format(port=PORT, backend=PORT + 1), PORT)
    env.limit(limit="100/hour")
    answers = []

    def client(conn):
        answers.extend(conn.ask(get(f"/{number}")) for number in range(50))

    threads = [threading.Thread(target=client, args=(env.connect(),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(count_statuses(answers), {200: 100, 429: 300}, "answers to 8 clients of 50 requests")


def across_veth(env):
    """A second network namespace, held by a process, joined to this one: 10.7.0.1 here, 10.7.0.2 there.
    Returns the process."""
    ip = shutil.which("ip", path="/usr/sbin:/sbin:" + os.environ.get("PATH", ""))
    if not ip:
        raise Skip("ip (iproute2) is not installed")
    holder = subprocess.Popen(["sleep", "infinity"], preexec_fn=isolation.new_network)
    env.processes.append(holder)
    made = env.run([ip, "link", "add", "krl0", "type", "veth", "peer", "name", "krl1", "netns",
                    str(holder.pid)])
    if made.returncode:
        raise Skip(f"no veth: {made.stderr.strip()}")

    def up(device, address):
        for args in (["addr", "add", f"{address}/24", "dev", device], ["link", "set", device, "up"]):
            equal(env.run([ip, *args]).returncode, 0, f"exit status of ip {args}")

    up("krl0", "10.7.0.1")
    with isolation.Inside(holder.pid):
        up("krl1", "10.7.0.2")
    return holder


@case
def across_a_veth_pair(env):
    """Real segments, of the size of a packet: a body arrives in many of them."""
    holder = across_veth(env)
    server = env.server(host="10.7.0.1")
    env.limit(ip="10.7.0.1", limit="3/day")
    with isolation.Inside(holder.pid):
        conn, other = env.connect(host="10.7.0.1"), env.connect(host="10.7.0.1")
    equal(conn.sock.getpeername()[0], "10.7.0.1", "whom the client talks to")
    equal(conn.sock.getsockname()[0], "10.7.0.2", "who the client is")
    body = os.urandom(1 << 20)
    expect_ok(conn.ask(get("/1")), "/1")
    conn.send(post("/upload", body))
    expect_ok(conn.response(), "/upload")
    expect_ok(other.ask(get("/2")), "/2")
    conn.send(post("/upload", body))
    expect_limited(conn.response(), limit=3, text="3 per 1 day")
    long_head = get("/over", *(f"X-{number}: {'a' * 1000}" for number in range(7)))
    answer = other.ask(long_head)
    expect_limited(answer, limit=3, text="3 per 1 day", close=answer.closes())
    expect_limited(conn.ask(get("/over")), limit=3, text="3 per 1 day")
    equal(len(env.settled(server).requests()), 3, "requests that reached the server")
    expect(socket.AF_INET == conn.sock.family, "address family")


@case
def requests_before_a_reset_are_not_let_through(env):
    """The client is gone before accept(); what it sent can still be read."""
    server = env.server(hold_accept=True)
    env.limit(limit="1/day")
    for number in range(20):
        conn = env.connect()
        conn.send_segment(b"".join(get(f"/{number}-{i}") for i in range(5)))
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        conn.close()
    server.command("accept")
    wait_for("the server is through with them", lambda: len(server.events("closed")) >= 20)
    equal(server.requests(), [], "requests that reached the server")
    expect_ok(env.connect().ask(get("/after")))
