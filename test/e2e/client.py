# SPDX-License-Identifier: Apache-2.0
"""A client that decides itself what goes into which segment, and reads answers strictly."""

import errno
import fcntl
import json
import re
import select
import socket
import struct
import termios
import time

STATUS_LINE = re.compile(r"HTTP/1\.1 ([0-9]{3}) (.*)")
READ_WITHIN_S = 300     # after which no answer is still unread
LIMITED_FIELDS = ["Content-Type", "Content-Length", "Retry-After", "X-RateLimit-Limit",
                  "X-RateLimit-Remaining", "X-RateLimit-Reset"]


class Failure(Exception):
    """The case failed; the text says how."""


def expect(condition, what):
    if not condition:
        raise Failure(what)


def equal(found, wanted, what):
    if found != wanted:
        raise Failure(f"{what}: expected {wanted!r}, found {found!r}")


def get(target="/", *fields, method="GET", version="1.1"):
    """The bytes of a request without a body."""
    lines = [f"{method} {target} HTTP/{version}", "Host: test", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def post(target, body, *fields):
    return get(target, f"Content-Length: {len(body)}", *fields, method="POST") + body


def chunk(body, size):
    """@body in the chunked coding, @size bytes a chunk."""
    pieces = [body[at:at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def post_chunked(target, body, size, *fields):
    head = get(target, "Transfer-Encoding: chunked", *fields, method="POST")
    return head + chunk(body, size)


class Response:
    def __init__(self, head, body):
        self.head = head
        self.body = body
        lines = head.decode("latin-1").split("\r\n")
        match = STATUS_LINE.fullmatch(lines[0])
        expect(match, f"not a status line: {lines[0]!r}")
        self.status = int(match[1])
        self.reason = match[2]
        self.fields = [tuple(re.split(r":[ \t]*", line.rstrip(" \t"), maxsplit=1))
                       for line in lines[1:]]

    def __repr__(self):
        return f"<{self.head!r} {self.body!r}>"

    def field(self, name):
        values = [value for key, value in self.fields if key.lower() == name.lower()]
        expect(len(values) < 2, f"{name} twice in {self.head!r}")
        return values[0] if values else None

    def closes(self):
        return (self.field("Connection") or "").lower() == "close"

    def from_server(self):
        return self.field("X-Server") == "test"


class Conn:
    """One connection. Every wait ends in an exception after @deadline_s."""

    def __init__(self, family, address, deadline_s, receive_buffer=None, source=None):
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        if source:
            self.sock.bind((source, 0))
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(deadline_s)
        self.deadline_s = deadline_s
        self.buffer = bytearray()
        self.sock.connect(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def send(self, data):
        """All of @data, not waiting for it to arrive."""
        self.sock.sendall(data)

    def send_segment(self, data):
        """@data as a segment of its own: the next write cannot join it, for it has been acked."""
        self.sock.sendall(data)
        until = time.monotonic() + self.deadline_s
        while struct.unpack("i", fcntl.ioctl(self.sock, termios.TIOCOUTQ, b"\0" * 4))[0]:
            if self._broken():
                raise ConnectionResetError("the peer reset the connection")
            if time.monotonic() > until:
                raise TimeoutError("what was sent is not acknowledged")
            time.sleep(0.0005)

    def send_bytes(self, data):
        """Each byte in a segment of its own."""
        for at in range(len(data)):
            self.send_segment(data[at:at + 1])

    def send_unawaited(self, data):
        """Each byte in a write of its own, mostly a segment each, up to the end of the connection."""
        try:
            for at in range(len(data)):
                self.sock.sendall(data[at:at + 1])
        except (ConnectionResetError, BrokenPipeError):
            pass

    def send_until_closed(self, pieces):
        """Each piece as a segment, up to the first that the peer no longer takes. Returns how many
        were taken."""
        for sent, piece in enumerate(pieces):
            try:
                self.send_segment(piece)
            except (ConnectionResetError, BrokenPipeError):
                return sent
        return len(pieces)

    def shutdown(self):
        """End this side of the connection, if the peer has not ended it as a whole."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise

    def _broken(self):
        poll = select.poll()
        poll.register(self.sock, 0)
        return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))

    def has_answer(self):
        """Has anything arrived that was not read yet?"""
        return bool(self.buffer) or bool(select.select([self.sock], [], [], 0)[0])

    def _more(self):
        data = self.sock.recv(65536)
        self.buffer += data
        return bool(data)

    def _must(self, where):
        if not self._more():
            raise Failure(f"end of the connection {where} {bytes(self.buffer)!r}")

    def read(self, size):
        """Exactly @size raw bytes."""
        while len(self.buffer) < size:
            self._must("after")
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def rest(self):
        """All bytes up to the end of the connection."""
        while self._more():
            pass
        data = bytes(self.buffer)
        self.buffer.clear()
        return data

    def more_than(self, size):
        """Wait for more than @size bytes that are not read yet."""
        while len(self.buffer) <= size:
            self._must("after")

    def line(self):
        """The next line, without its end."""
        while (end := self.buffer.find(b"\r\n")) < 0:
            self._must("inside")
        return self.read(end + 2)[:-2].decode("latin-1")

    def response(self, to_head=False):
        """The next answer; one to a HEAD has no body."""
        answer = self.response_or_eof(to_head)
        expect(answer, "the connection ended instead of an answer")
        return answer

    def response_or_eof(self, to_head=False):
        while (end := self.buffer.find(b"\r\n\r\n")) < 0:
            if not self._more():
                expect(not self.buffer, f"end of the connection inside {bytes(self.buffer)!r}")
                return None
        head = self.read(end + 4)[:-4]
        answer = Response(head, b"")
        if not to_head and answer.status >= 200:
            length = answer.field("Content-Length")
            expect(length and length.isdigit(), f"Content-Length in {answer!r}")
            answer.body = self.read(int(length))
        return answer

    def expect_eof(self):
        expect(not self.buffer, f"bytes behind the last answer: {bytes(self.buffer)!r}")
        expect(not self._more(), f"bytes instead of the end: {bytes(self.buffer)!r}")

    def ask(self, request):
        """Send @request in one segment, return its answer."""
        self.send_segment(request)
        return self.response(to_head=request.startswith(b"HEAD "))


def expect_ok(answer, target=None, what="an admitted request"):
    equal(answer.status, 200, f"status of {what} ({answer!r})")
    if target is not None and answer.body:
        equal(answer.body.split()[1].decode("latin-1"), target, f"whose answer {what} got")


def expect_limited(answer, limit=10, text="10 per 1 day", interval_s=86400, close=False, head=False):
    """The whole 429 that the kernel sends while the agent lives."""
    equal(answer.status, 429, f"status of a limited request ({answer!r})")
    equal(answer.reason, "Too Many Requests", "reason phrase")
    names = [name for name, _ in answer.fields]
    equal(names, LIMITED_FIELDS + (["Connection"] if close else []), "fields of the 429, in order")
    if close:
        equal(answer.field("Connection"), "close", "Connection of the 429")
    body = json.dumps({"error": f"Rate limit exceeded: {text}"}, separators=(",", ":")).encode()
    equal(answer.field("Content-Type"), "application/json", "Content-Type of the 429")
    equal(answer.field("Content-Length"), str(len(body)), "Content-Length of the 429")
    equal(answer.body, b"" if head else body, "body of the 429")
    equal(answer.field("X-RateLimit-Limit"), str(limit), "X-RateLimit-Limit")
    equal(answer.field("X-RateLimit-Remaining"), "0", "X-RateLimit-Remaining")
    retry_s = int(answer.field("Retry-After"))
    expect(1 <= retry_s <= interval_s, f"Retry-After {retry_s} is not within 1..{interval_s}")
    asked_s = int(answer.field("X-RateLimit-Reset")) - retry_s
    now_s = time.time()
    expect(now_s - READ_WITHIN_S <= asked_s <= now_s,
           f"X-RateLimit-Reset less Retry-After is {asked_s}, and now is {now_s:.0f}")


def expect_compact(answer, what="a request while the agent is away"):
    equal(answer.status, 429, f"status of {what} ({answer!r})")
    equal(answer.field("Content-Length"), "0", f"Content-Length of the compact 429 ({answer!r})")
    expect(int(answer.field("Retry-After") or 0) >= 1, f"Retry-After of the compact 429 ({answer!r})")


def expect_refused(conn, what):
    """The kernel's 400 and the end of the connection."""
    answer = conn.response()
    equal(answer.status, 400, f"status of {what} ({answer!r})")
    equal(answer.reason, "Bad Request", f"reason phrase of {what}")
    expect(answer.closes(), f"no Connection: close in the 400 to {what}: {answer!r}")
    expect(not answer.from_server(), f"{what} was refused by the server, not by the limiter")
    conn.expect_eof()


def count_statuses(answers):
    counts = {}
    for answer in answers:
        counts[answer.status] = counts.get(answer.status, 0) + 1
    return counts
