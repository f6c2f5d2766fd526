# SPDX-License-Identifier: Apache-2.0
"""What the test servers do with a connection, whatever way they read it."""

import functools
import hashlib
import json
import os

from framing import BadRequest, Framer


class Recorder:
    def __init__(self, path, raw):
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.raw = raw

    def note(self, event, conn, **more):
        line = json.dumps({"event": event, "conn": conn, **more})
        os.write(self.fd, line.encode() + b"\n")

    def data(self, conn, data):
        more = {"data": data.decode("latin-1")} if self.raw else {}
        self.note("data", conn, bytes=len(data), **more)

    def request(self, conn, method, target, body):
        self.note("request", conn, method=method, target=target, length=len(body),
                  sha256=hashlib.sha256(body).hexdigest())


class Session:
    """One connection's requests and answers, without the socket: bytes go in by received(), what is
    to be sent gathers in .out, .close says that the connection ends after it. Until the release, /gated
    gets no answer, and /half gets one without the second half of its body."""

    def __init__(self, recorder, conn):
        self.recorder = recorder
        self.conn = conn
        self.framer = Framer()
        self.out = bytearray()
        self.close = False
        self.echo = False
        self.gated = None
        self.released = False

    def received(self, data):
        self.recorder.data(self.conn, data)
        if self.echo:
            self.out += data
            return
        self.framer.feed(data)
        self._advance()

    def release(self):
        self.released = True
        if self.gated:
            self.gated()
            self.gated = None
            self._advance()

    def _advance(self):
        try:
            while not self.gated and not self.close and not self.echo:
                if self.framer.wants_continue():
                    self.out += b"HTTP/1.1 100 Continue\r\n\r\n"
                request = self.framer.next()
                if not request:
                    return
                self.recorder.request(self.conn, request.method, request.target, request.body)
                if request.target.startswith("/gated") and not self.released:
                    self.gated = functools.partial(self._answer, request)
                else:
                    self._answer(request)
        except BadRequest as error:
            self.recorder.note("bad", self.conn, why=str(error))
            self.out += b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nX-Server: test\r\n" \
                        b"Content-Length: 0\r\n\r\n"
            self.close = True

    def _answer(self, request):
        if request.target == "/ws" and request.all("upgrade"):
            self.out += b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n" \
                        b"Connection: Upgrade\r\n\r\n"
            self.echo = True
            return
        body = f"{request.method} {request.target} {len(request.body)}\n".encode()
        keep = request.keeps_alive()
        self.out += b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Server: test\r\n"
        self.out += f"Content-Length: {len(body)}\r\n".encode()
        if not keep:
            self.out += b"Connection: close\r\n"
            self.close = True
        elif request.minor == 0:
            self.out += b"Connection: keep-alive\r\n"
        self.out += b"\r\n"
        if request.method == "HEAD":
            return
        half = len(body) // 2 if request.target == "/half" and not self.released else len(body)
        self.out += body[:half]
        if body[half:]:
            self.gated = functools.partial(self.out.extend, body[half:])
