# SPDX-License-Identifier: Apache-2.0
"""A server that counts requests, and clients that ask it at a rate, each a process of its own:

    cluster_load.py serve|ask PORT FILE

What they count, and what they are told, is in the words of FILE, which all of them map."""

import contextlib
import mmap
import re
import select
import socket
import sys
import time

CONNS = 4

# Requests that the server got; the clients' answers 200, 429 and others, connections that ended, the longest that an
# answer took in ns; requests a second that the clients are to make, and requests without an answer yet.
SERVED, OK, LIMITED, OTHER, CLOSED, LONGEST_NS, RATE, UNDERWAY, WORDS = range(9)

REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\n%s\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)


def mapped(path):
    """The words of @path."""
    with open(path, "r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), 8 * WORDS)).cast("Q")


def serve(port, words):
    with socket.create_server(("127.0.0.1", port), backlog=1024) as listener, select.epoll() as poll:
        conns = {}
        poll.register(listener, select.EPOLLIN)
        print("ready", flush=True)
        while True:
            for fd, _ in poll.poll():
                if fd == listener.fileno():
                    conn = listener.accept()[0]
                    conn.setblocking(False)
                    conns[conn.fileno()] = conn
                    poll.register(conn, select.EPOLLIN)
                    continue
                try:
                    count = (data := conns[fd].recv(65536)).count(b"\r\n\r\n")
                except BlockingIOError:
                    continue
                except OSError:
                    # A 429 that was on its way when the agent died ends its connection.
                    data = b""
                if not data:
                    conns.pop(fd).close()
                    continue
                words[SERVED] += count
                with contextlib.suppress(OSError):
                    conns[fd].sendall(ANSWER * count)


class Client:
    def __init__(self, port, words, fields):
        self.port, self.words = port, words
        self.request = REQUEST % b"".join(field.encode() + b"\r\n" for field in fields)
        self.poll = select.epoll()
        self.conns, self.idle = {}, []
        for _ in range(CONNS):
            self.dial()

    def dial(self):
        conn = socket.create_connection(("127.0.0.1", self.port))
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.poll.register(conn, select.EPOLLIN)
        self.conns[conn.fileno()] = [conn, 0, b""]
        self.idle.append(conn.fileno())

    def ask(self):
        one = self.conns[self.idle.pop()]
        one[1] = time.monotonic_ns()
        self.words[UNDERWAY] += 1
        one[0].sendall(self.request)

    def read(self, fd):
        conn, since_ns, before = one = self.conns[fd]
        try:
            data = before + conn.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.words[CLOSED] += 1
            self.words[UNDERWAY] -= since_ns != 0
            self.conns.pop(fd)[0].close()
            self.idle = [other for other in self.idle if other != fd]
            self.dial()
            return
        one[2] = data
        end = data.find(b"\r\n\r\n")
        length = LENGTH.search(data)
        if end < 0 or len(data) < end + 4 + int(length[1] if length else 0):
            return
        status = data[9:12]
        self.words[OK if status == b"200" else LIMITED if status == b"429" else OTHER] += 1
        self.words[LONGEST_NS] = max(self.words[LONGEST_NS], time.monotonic_ns() - since_ns)
        self.words[UNDERWAY] -= 1
        one[1:] = 0, b""
        self.idle.append(fd)

    def run(self):
        due = time.monotonic()
        while True:
            rate, now = self.words[RATE], time.monotonic()
            # What could not be asked in time is not asked later.
            due = max(due, now - 0.05)
            while rate and self.idle and due <= now:
                self.ask()
                due += 1 / rate
            for fd, _ in self.poll.poll(max(0.0005, min(0.005, due - now))):
                self.read(fd)


def main():
    role, port, path, *fields = sys.argv[1:]
    if role == "serve":
        serve(int(port), mapped(path))
    client = Client(int(port), mapped(path), fields)
    print("ready", flush=True)
    client.run()
