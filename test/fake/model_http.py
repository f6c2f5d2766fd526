# SPDX-License-Identifier: Apache-2.0
"""Answers of the simulated model server as HTTP/1.1, and the system calls that write them, as the headers x-fake- of
a request ask for it (model_server.py lists them)."""

import asyncio
import os
import socket
import tempfile
import zlib

IOV_MAX = 1024
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 429: "Too Many Requests", 500: "Internal Server Error"}


class Options:
    """The x-fake- headers of a request."""

    def __init__(self, fields):
        self.fields = {name[len("x-fake-"):]: value for name, value in fields if name.startswith("x-fake-")}

    def get(self, name, otherwise):
        value = self.fields.get(name)
        if value is None:
            return otherwise
        return int(value) if isinstance(otherwise, int) else value


class Answer:
    """Status, type and body, in the @pieces that are written one by one; @call is what was answered, if it was that."""

    def __init__(self, status, kind, pieces, stream=False, call=None):
        self.status = status
        self.kind = kind
        self.pieces = pieces
        self.framing = "chunked" if stream else "length"
        self.encoding = None
        self.call = call

    def writes(self, request, options, keeps):
        """What is written, one after another: the head and the pieces, framed."""
        encoding = options.get("encoding", "")
        if encoding == "gzip" or encoding == "accepted" and request.has("accept-encoding", "gzip"):
            self.encoding = "gzip"
            self.pieces = packed(self.pieces)
        framing = options.get("framing", self.framing)
        if framing == "chunked" and request.minor == 0:
            framing = "close"
        pieces = cut(self.pieces, options.get("chunk-bytes", 0))
        if framing == "chunked":
            pieces = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece] + [b"0\r\n\r\n"]
        out = [self._head(framing, keeps), *pieces]
        join = options.get("join", 0)
        if join:
            first = out[:2] if join == 1 else out
            out[:len(first)] = [b"".join(first)]
        return out

    def _head(self, framing, keeps):
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Other')}", "server: fake",
                 f"content-type: {self.kind}"]
        lines += [f"content-encoding: {self.encoding}"] if self.encoding else []
        lines += [f"content-length: {sum(map(len, self.pieces))}"] if framing == "length" else []
        lines += ["transfer-encoding: chunked"] if framing == "chunked" else []
        lines += [] if keeps else ["connection: close"]
        return "\r\n".join([*lines, "x-request-id: fake", "", ""]).encode()


def cut(pieces, size):
    whole = b"".join(pieces)
    return [whole[at:at + size] for at in range(0, len(whole), size)] if size else pieces


def packed(pieces):
    packer = zlib.compressobj(wbits=31)
    out = [packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH) for piece in pieces]
    return [*out, packer.flush()]


class Writer:
    """The socket, in the system calls that the request asked for."""

    def __init__(self, sock, options):
        self.sock = sock
        self.loop = asyncio.get_running_loop()
        self.how = options.get("write", "send")
        self.size = options.get("write-bytes", 0)

    async def write(self, data):
        size = self.size or len(data) or 1
        parts = [data[at:at + size] for at in range(0, len(data), size)]
        if self.how == "writev":
            for at in range(0, len(parts), IOV_MAX):
                await self._all(parts[at:at + IOV_MAX], self.sock.sendmsg)
        elif self.how == "sendfile":
            await self._file(data, size)
        else:
            for number, part in enumerate(parts, 1):
                flags = socket.MSG_MORE if self.how == "more" and number < len(parts) else 0
                await self._all([part], lambda buffers, flags=flags: self.sock.send(buffers[0], flags))

    async def _all(self, buffers, call):
        buffers = [memoryview(buffer) for buffer in buffers]
        while buffers:
            took = await self._once(lambda: call(buffers))
            while buffers and took >= len(buffers[0]):
                took -= len(buffers.pop(0))
            if took:
                buffers[0] = buffers[0][took:]

    async def _file(self, data, size):
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.flush()
            at = 0
            while at < len(data):
                count = min(size, len(data) - at)
                at += await self._once(lambda: os.sendfile(self.sock.fileno(), file.fileno(), at, count))

    async def _once(self, call):
        while True:
            try:
                return call()
            except BlockingIOError:
                writable = asyncio.Event()
                self.loop.add_writer(self.sock, writable.set)
                try:
                    await writable.wait()
                finally:
                    self.loop.remove_writer(self.sock)
