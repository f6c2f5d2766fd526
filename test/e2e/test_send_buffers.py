# SPDX-License-Identifier: Apache-2.0
"""Requests that go out, of clients whose send buffer is full, or that ask how much there is to read."""

import fcntl
import socket
import struct
import termios
from random import Random

from client import equal, expect, expect_limited, expect_ok, get, post
from harness import case, wait_for

OUT = ("direction: Outbound",)


def send_what_fits(sock, data):
    """How many bytes of @data the kernel takes now."""
    try:
        return sock.send(data)
    except BlockingIOError:
        return 0


def read_what_came(sock):
    """Or the server would wait for room to answer, and read no more."""
    try:
        while sock.recv(65536):
            pass
    except BlockingIOError:
        pass


@case
def no_request_slips_by_while_the_send_buffer_is_full(env):
    """Messages of which the kernel takes a part, or nothing; what comes after that is another request each time."""
    server = env.server()
    env.limit(spec=OUT, limit="100000/day")
    random = Random(1)
    conn = env.connect()
    conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 30000)
    conn.sock.setblocking(False)
    wait_for("the server has it", lambda: server.events("accept"))
    server.command("rest")
    wait_for("the server rests", lambda: server.events("rests"))
    taken, body, number, fulls = bytearray(), 0, 0, 0
    while fulls < 200 and len(taken) < 8 << 20:
        size = random.choice((0, 10, 3000, 100000))
        data = post(f"/{number}", b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n" * (size // 36) + b"x" * (size % 36))
        at = 0
        while at < len(data):
            sent = send_what_fits(conn.sock, data[at:at + random.choice((1, 50, 7000, len(data)))])
            taken += data[at:at + sent]
            at += sent
            if not sent:
                fulls += 1
                read_what_came(conn.sock)
                if fulls % 2:
                    read = server.bytes()
                    server.command("go-on")
                    wait_for("the server reads on, or has all",
                             lambda: server.bytes() > read or server.bytes() == len(taken))
                else:
                    rests = len(server.events("rests"))
                    server.command("rest")
                    wait_for("the server rests", lambda: len(server.events("rests")) > rests)
                # Half of a body that is sent twice is a body; half of a head is what a client never sends again.
                data = data if at < data.index(b"\r\n\r\n") + 4 else data[:at] + data[at:].replace(b"x", b"y")
        number += 1
    if fulls % 2 == 0:
        server.command("go-on")
    wait_for("all requests at the server",
             lambda: read_what_came(conn.sock) or len(server.requests()) == number)
    equal(env.item()["totalRequests"], number, "requests that were counted")
    equal([target for _, target in server.requests()], [f"/{at}" for at in range(number)], "requests at the server")
    equal(env.reasons()["stream_gap"], 0, "gaps")


@case
def the_rest_of_a_pipeline_is_refused_when_the_buffer_is_full(env):
    server = env.server()
    env.limit(spec=OUT, limit="5/day")
    conn = env.connect()
    conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 10000)
    data = post("/0", b"x" * 300000) + b"".join(get(f"/{number}") for number in range(1, 1000))
    conn.send(data)
    for number in range(5):
        expect_ok(conn.response(), f"/{number}")
    expect_limited(conn.response(), 5, "5 per 1 day", close=True)
    equal([target for _, target in env.settled(server).requests()], [f"/{number}" for number in range(5)],
          "requests at the server")


@case
def who_asks_how_much_there_is_to_read_is_told(env):
    """FIONREAD, of a client that does not block: nginx reads no more of a large answer when it is told 0. Kernels
    before commit 929e30f93125 do not count the kernel's own answers."""
    env.server()
    env.limit(spec=OUT, limit="2/day")
    conn = env.connect()
    for number in range(4):
        conn.send(get(f"/{number}"))
        wait_for("the answer", conn.has_answer)
        waiting = struct.unpack("i", fcntl.ioctl(conn.sock, termios.FIONREAD, b"\0" * 4))[0]
        answer = conn.response()
        expect(waiting > 0 or not answer.from_server(), "FIONREAD says that nothing waits")
