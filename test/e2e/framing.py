# SPDX-License-Identifier: Apache-2.0
"""The test servers' own framing of HTTP/1.x requests, strict, over any segmentation."""

import re

REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\xff]+) HTTP/1\.([01])")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(;[\t\x20-\x7e\x80-\xff]*)?")
HEAD_MAX = 65536


class BadRequest(Exception):
    pass


class Request:
    def __init__(self, method, target, minor, fields):
        self.method = method
        self.target = target
        self.minor = minor
        self.fields = fields
        self.body = bytearray()

    def all(self, name):
        return [value for key, value in self.fields if key == name]

    def has(self, name, word):
        """Is @word one of the comma separated words of the fields @name?"""
        words = [w.strip().lower() for value in self.all(name) for w in value.split(",")]
        return word in words

    def keeps_alive(self):
        if self.minor == 0:
            return self.has("connection", "keep-alive")
        return not self.has("connection", "close")


def parse_head(head):
    lines = head.split(b"\r\n")
    match = REQUEST_LINE.fullmatch(lines[0])
    if not match:
        raise BadRequest(f"request line {lines[0]!r}")
    fields = []
    for line in lines[1:]:
        field = FIELD.fullmatch(line)
        if not field:
            raise BadRequest(f"field {line!r}")
        fields.append((field[1].decode("latin-1").lower(), field[2].decode("latin-1")))
    return Request(match[1].decode("latin-1"), match[2].decode("latin-1"), int(match[3]), fields)


class Framer:
    """feed() bytes, take whole requests with next(); BadRequest ends the connection."""

    def __init__(self):
        self.buffer = bytearray()
        self.request = None
        self.left = 0           # of the body, or of the chunk
        self.chunked = False
        self.in_chunk = False
        self.trailers = False
        self.owes_continue = False

    def feed(self, data):
        self.buffer += data

    def wants_continue(self):
        """True once for a request that waits for 100 Continue before it sends its body."""
        self._head()
        owes = self.owes_continue
        self.owes_continue = False
        return owes

    def next(self):
        """The next whole request, or None while bytes are missing."""
        if not self._head() or not (self._chunks() if self.chunked else self._take()):
            return None
        request = self.request
        self.request = None
        self.owes_continue = False
        return request

    def _head(self):
        if self.request:
            return True
        while self.buffer.startswith(b"\r\n"):
            del self.buffer[:2]
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self.buffer) > HEAD_MAX:
                raise BadRequest("head too long")
            return False
        request = parse_head(bytes(self.buffer[:end]))
        lengths = request.all("content-length")
        codings = request.all("transfer-encoding")
        if len(lengths) > 1 or len(codings) > 1 or (lengths and codings):
            raise BadRequest("more than one length")
        if codings and (codings[0].lower() != "chunked" or request.minor == 0):
            raise BadRequest(f"transfer coding {codings[0]!r}")
        if lengths and not re.fullmatch("[0-9]{1,18}", lengths[0]):
            raise BadRequest(f"length {lengths[0]!r}")
        del self.buffer[:end + 4]
        self.request = request
        self.chunked = bool(codings)
        self.left = int(lengths[0]) if lengths else 0
        self.in_chunk = False
        self.trailers = False
        self.owes_continue = request.has("expect", "100-continue") and not self.buffer
        return True

    def _take(self):
        piece = self.buffer[:self.left]
        del self.buffer[:len(piece)]
        self.request.body += piece
        self.left -= len(piece)
        return self.left == 0

    def _line(self):
        end = self.buffer.find(b"\r\n")
        if end < 0:
            return None
        line = bytes(self.buffer[:end])
        del self.buffer[:end + 2]
        return line

    def _chunks(self):
        """Chunk by chunk, up to the empty line behind the trailers."""
        while not self.trailers:
            if self.in_chunk:
                if not self._take() or len(self.buffer) < 2:
                    return False
                if self.buffer[:2] != b"\r\n":
                    raise BadRequest("chunk without its CRLF")
                del self.buffer[:2]
                self.in_chunk = False
            line = self._line()
            if line is None:
                return False
            match = CHUNK_SIZE.fullmatch(line)
            if not match:
                raise BadRequest(f"chunk size {line!r}")
            self.left = int(match[1], 16)
            self.in_chunk = self.left > 0
            self.trailers = not self.in_chunk
        while line := self._line():
            if not FIELD.fullmatch(line):
                raise BadRequest(f"trailer {line!r}")
        return line is not None
