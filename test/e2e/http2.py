# SPDX-License-Identifier: Apache-2.0
"""Frames of HTTP/2 (RFC 9113), and a client that decides itself what goes into which segment."""

import struct

from client import equal, expect

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8
ENHANCE_YOUR_CALM = 0xb


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def literal(index, value):
    """A header field with an indexed name, not to be added to the table (RFC 7541, 6.2.2)."""
    value = value.encode()
    expect(len(value) < 127, "a short value")
    return bytes([index, len(value)]) + value


def head(path="/", method="GET"):
    """A request's header block: pseudo header fields alone."""
    return literal(2, method) + b"\x86" + literal(4, path) + literal(1, "test")


def request(stream, path="/", flags=END_STREAM | END_HEADERS, method="GET"):
    return frame(HEADERS, flags, stream, head(path, method))


class Frames:
    """Cuts a stream of bytes into frames."""

    def __init__(self):
        self.buffer = bytearray()

    def feed(self, data):
        self.buffer += data

    def next(self):
        """(kind, flags, stream, payload), or None."""
        if len(self.buffer) < 9:
            return None
        length = int.from_bytes(self.buffer[:3], "big")
        if len(self.buffer) < 9 + length:
            return None
        kind, flags, stream = struct.unpack("!BBI", self.buffer[3:9])
        payload = bytes(self.buffer[9:9 + length])
        del self.buffer[:9 + length]
        return kind, flags, stream & 0x7fffffff, payload


class Client:
    """Speaks over @conn, a client.Conn, and keeps what it reads: statuses and bodies by stream, the last GOAWAY,
    what was added to the connection's window. A frame of a kind that nobody sends is a failure."""

    def __init__(self, conn, settings=True):
        self.conn = conn
        self.frames = Frames()
        self.answered = {}
        self.ended = set()
        self.bodies = {}
        self.goaway = None
        self.debug = b""
        self.window = 0
        self.block = None
        self.kinds = []
        if settings:
            conn.send(PREFACE + frame(SETTINGS))

    def send(self, data):
        self.conn.send(data)

    def _take(self, kind, flags, stream, payload):
        self.kinds.append(kind)
        expect(kind <= CONTINUATION, f"the server sent a frame of kind {kind:#x}")
        expect(self.block is None or kind == CONTINUATION, f"a frame of kind {kind} inside a header block")
        expect(len(self.kinds) > 1 or kind == SETTINGS, f"the server began with a frame of kind {kind}")
        if kind in (HEADERS, CONTINUATION):
            self.block = None if flags & END_HEADERS else stream
        if kind == HEADERS:
            self.answered[stream] = payload[:1]
        elif kind == DATA:
            self.bodies[stream] = self.bodies.get(stream, 0) + len(payload)
        elif kind == GOAWAY:
            expect(self.goaway is None, "a second GOAWAY")
            self.goaway = struct.unpack("!II", payload[:8])
            self.debug = payload[8:]
        elif kind == WINDOW_UPDATE and not stream:
            self.window += struct.unpack("!I", payload)[0]
        elif kind == SETTINGS and not flags & ACK:
            self.send(frame(SETTINGS, ACK))
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            self.ended.add(stream)

    def read_until(self, condition):
        """Read until @condition holds of this client; EOFError at the connection's end."""
        while not condition(self):
            found = self.frames.next()
            if found:
                self._take(*found)
                continue
            data = self.conn.sock.recv(65536)
            if not data:
                raise EOFError("the connection ended")
            self.frames.feed(data)

    def ask(self, stream, path="/"):
        """One request, up to the end of its answer."""
        self.send(request(stream, path))
        self.read_until(lambda client: stream in client.ended)

    def refused(self, last):
        """Read up to the GOAWAY, which is to name @last."""
        self.read_until(lambda client: client.goaway)
        equal(self.goaway, (last, ENHANCE_YOUR_CALM), "last stream and error code of GOAWAY")
