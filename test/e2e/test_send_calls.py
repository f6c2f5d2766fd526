# SPDX-License-Identifier: Apache-2.0
"""Requests that go out by other calls than send(): what is written is framed and judged, and refused, all the same."""

import array
import ctypes
import hashlib
import os
import select
import socket
import struct
import tempfile
import threading

from client import equal, expect, expect_limited, expect_ok, get, post
from harness import case
from test_send import OUT, data_segments

BODY = bytes(range(256)) * 1000
MSG_ZEROCOPY, SO_ZEROCOPY, SO_EE_ORIGIN_ZEROCOPY = 0x4000000, 60, 5


def digests(server):
    """The targets and bodies of the requests that reached @server."""
    return [(event["target"], event["length"], event["sha256"]) for event in server.events("request")]


def expected(*targets):
    return [(target, len(BODY), hashlib.sha256(BODY).hexdigest()) for target in targets]


def file_of(data):
    file = tempfile.TemporaryFile()
    file.write(data)
    file.seek(0)
    return file


def by_sendfile(sock, data):
    with file_of(data) as file:
        sock.sendfile(file)


def drain(pipe, sock, n):
    """@n bytes of @pipe go to @sock, which may not wait."""
    while n:
        try:
            n -= os.splice(pipe, sock.fileno(), n)
        except BlockingIOError:
            select.select([], [sock], [])


def by_splice(sock, data):
    """From a file into a pipe, and from the pipe into the socket, page by page."""
    with file_of(data) as file:
        into, out = os.pipe()
        left = len(data)
        while left:
            n = os.splice(file.fileno(), out, min(left, 65536))
            left -= n
            drain(into, sock, n)
        os.close(into)
        os.close(out)


def by_vmsplice(sock, data):
    """Of the writer's own memory, which is not copied on its way into the pipe."""
    libc = ctypes.CDLL(None, use_errno=True)
    memory = ctypes.create_string_buffer(data, len(data))
    into, out = os.pipe()
    at = 0
    while at < len(data):
        vector = array.array("Q", [ctypes.addressof(memory) + at, min(len(data) - at, 32768)])
        n = libc.vmsplice(out, (ctypes.c_char * 16).from_buffer(vector), 1, 0)
        expect(n > 0, f"vmsplice: errno {ctypes.get_errno()}")
        at += n
        drain(into, sock, n)
    os.close(into)
    os.close(out)


def is_judged(env, write):
    """Requests whose bodies, and such that as a whole, are written by @write."""
    server = env.server()
    env.limit(spec=OUT, limit="4/day")
    conn = env.connect()
    whole = post("/whole", BODY)
    head = whole[:-len(BODY)].replace(b"/whole", b"/body")
    for _ in range(2):
        conn.send(head)
        write(conn.sock, BODY)
        expect_ok(conn.response(), "/body")
        write(conn.sock, whole)
        expect_ok(conn.response(), "/whole")
    segments, read = data_segments(conn), server.bytes()
    for _ in range(2):
        conn.send(head)
        write(conn.sock, BODY)
        expect_limited(conn.response(), 4, "4 per 1 day")
        write(conn.sock, whole)
        expect_limited(conn.response(), 4, "4 per 1 day")
        write(conn.sock, get("/small"))
        expect_limited(conn.response(), 4, "4 per 1 day")
    equal((data_segments(conn), server.bytes()), (segments, read), "segments, and bytes at the server")
    equal(digests(env.settled(server)), expected(*("/body", "/whole") * 2), "requests that reached the server")
    equal(len(server.events("accept")), 1, "connections")


@case
def sendfile(env):
    is_judged(env, by_sendfile)


@case
def splice(env):
    is_judged(env, by_splice)


@case
def vmsplice(env):
    is_judged(env, by_vmsplice)


@case
def several_requests_of_one_file(env):
    """Heads lie across its pages."""
    server = env.server()
    env.limit(spec=OUT, limit="30/day")
    conn = env.connect()
    by_sendfile(conn.sock, b"".join(get(f"/{number}", "X-Long: " + "a" * 977) for number in range(40)))
    for number in range(30):
        expect_ok(conn.response(), f"/{number}")
    expect_limited(conn.response(), 30, "30 per 1 day", close=True)
    equal(len(env.settled(server).requests()), 30, "requests that reached the server")


def completions(sock):
    """(first, last) of each range of MSG_ZEROCOPY writes that the kernel is done with, as it tells so far."""
    found, errors = [], select.poll()
    errors.register(sock, 0)
    while errors.poll(0):
        for _, _, data in sock.recvmsg(1, 256, socket.MSG_ERRQUEUE)[1]:
            _, origin, _, _, _, low, high = struct.unpack("IBBBBII", data[:16])
            equal(origin, SO_EE_ORIGIN_ZEROCOPY, "origin of what is on the error queue")
            found.append((low, high))
    return found


@case
def msg_zerocopy(env):
    """What is refused is never told to be done with, since nothing of it was sent."""
    server = env.server()
    env.limit(spec=OUT, limit="2/day")
    conn = env.connect()
    conn.sock.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
    request = post("/zero", BODY)
    for number in range(5):
        at = 0
        while at < len(request):
            try:
                at += conn.sock.send(request[at:], MSG_ZEROCOPY)
            except BlockingIOError:
                select.select([], [conn.sock], [])
        if number < 2:
            expect_ok(conn.response(), "/zero")
        else:
            expect_limited(conn.response(), 2, "2 per 1 day")
        told = completions(conn.sock)
        expect(number < 2 or not told, f"{told} of a refused request are told to be done with")
    equal(digests(env.settled(server)), expected("/zero", "/zero"), "requests that reached the server")


class Message(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint32), ("iov", ctypes.c_void_p),
                ("iovlen", ctypes.c_size_t), ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
                ("flags", ctypes.c_int), ("pad", ctypes.c_int), ("sent", ctypes.c_uint)]


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("len", ctypes.c_size_t)]


@case
def sendmmsg(env):
    server = env.server()
    env.limit(spec=OUT)
    conn = env.connect()
    requests = [get(f"/{number}") for number in range(15)]
    vectors = (Vector * len(requests))(*((request, len(request)) for request in requests))
    messages = (Message * len(requests))()
    for at, message in enumerate(messages):
        message.iov, message.iovlen = ctypes.addressof(vectors[at]), 1
    sent = ctypes.CDLL(None, use_errno=True).sendmmsg(conn.sock.fileno(), messages, len(requests), 0)
    equal(sent, len(requests), "messages taken")
    for number in range(10):
        expect_ok(conn.response(), f"/{number}")
    expect_limited(conn.response(), close=True)
    equal(len(env.settled(server).requests()), 10, "requests that reached the server")


@case
def more_is_to_come(env):
    """MSG_MORE and TCP_CORK."""
    server = env.server()
    env.limit(spec=OUT, limit="4/day")
    conn = env.connect()
    request = post("/more", BODY)
    for number in range(6):
        if number % 2:
            conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        for at in range(0, len(request), 50000):
            last = at + 50000 >= len(request)
            conn.sock.sendall(request[at:at + 50000], 0 if last else socket.MSG_MORE)
        if number % 2:
            conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        if number < 4:
            expect_ok(conn.response(), "/more")
        else:
            expect_limited(conn.response(), 4, "4 per 1 day")
    equal(digests(env.settled(server)), expected(*["/more"] * 4), "requests that reached the server")


@case
def whoever_has_the_socket(env):
    """A copy of the descriptor, a child process, and a process that it was passed to."""
    server = env.server()
    env.limit(spec=OUT, limit="3/day")
    conn = env.connect()
    here, there = socket.socketpair(socket.AF_UNIX)
    copy = os.dup(conn.sock.fileno())
    child = os.fork()
    if not child:
        passed = socket.recv_fds(there, 1, 1)[1][0]
        for descriptor in (conn.sock.fileno(), passed):
            os.write(descriptor, get("/child"))
            there.recv(1)
        os._exit(0)
    os.write(copy, get("/copy"))
    expect_ok(conn.response(), "/copy")
    socket.send_fds(here, [b"x"], [copy])
    for _ in range(2):
        expect_ok(conn.response(), "/child")
        here.send(b"x")
    os.waitpid(child, 0)
    os.write(copy, get("/copy"))
    expect_limited(conn.response(), 3, "3 per 1 day")
    os.close(copy)
    equal(len(env.settled(server).requests()), 3, "requests that reached the server")


@case
def writers_that_take_turns(env):
    """Two threads that write whole requests to one socket."""
    server = env.server()
    env.limit(spec=OUT, limit="1000/day")
    conn = env.connect()
    lock = threading.Lock()

    def write():
        for _ in range(500):
            with lock:
                conn.sock.sendall(post("/thread", b"x" * 500))

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(1000):
        expect_ok(conn.response(), "/thread")
    for thread in threads:
        thread.join()
    equal(env.tokens(), 0, "tokens left")
    equal(len(env.settled(server).requests()), 1000, "requests that reached the server")
