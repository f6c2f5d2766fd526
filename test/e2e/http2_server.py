# SPDX-License-Identifier: Apache-2.0
"""A server of HTTP/2 in cleartext with prior knowledge:

    http2_server.py KIND --port N --record FILE

KIND strict ends the connection at what RFC 9113 calls an error of it; careless takes each HEADERS frame for a request;
both speaks HTTP/1.1 up to the preface, and says nothing before it, or switches where a request asks for h2c.
What arrives is appended to FILE, as servers.py does. /gated is answered after `release` on standard input, of
/half half a frame is written before; /large is answered with 4 MB, which it does not wait for any window to send; a
request with a body when that has ended."""

import argparse
import asyncio
import os
import socket
import struct
import sys

from http2 import (ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PREFACE,
                   RST_STREAM, SETTINGS, WINDOW_UPDATE, Frames, frame)
from session import Recorder

STATUS_200 = b"\x88"
LARGE = 256 * 16384
HALF = frame(DATA, 0, 1, b"h" * 40)


class Error(Exception):
    pass


class Connection(asyncio.Protocol):
    def __init__(self, service):
        self.service = service
        self.frames = Frames()
        self.begun = False
        self.streams = {}
        self.last = 0
        self.block = None
        self.why = "eof"

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.service.count += 1
        self.number = self.service.count
        self.note("accept")
        self.service.connections.add(self)
        if not self.service.both:
            transport.write(frame(SETTINGS))

    def connection_lost(self, error):
        self.service.connections.discard(self)
        self.note("closed", why=str(error or self.why))

    def note(self, event, **more):
        self.service.recorder.note(event, self.number, **more)

    def data_received(self, data):
        self.service.recorder.data(self.number, data)
        self.frames.feed(data)
        if not self.begun:
            while self.service.both and b"\r\n\r\n" in self.frames.buffer and not self.frames.buffer.startswith(b"PRI"):
                self.http1()
            if len(self.frames.buffer) < len(PREFACE):
                return
            if not self.frames.buffer.startswith(PREFACE):
                self.end("preface")
                return
            del self.frames.buffer[:len(PREFACE)]
            self.begun = True
            if self.service.both and not self.streams:
                self.transport.write(frame(SETTINGS))
        try:
            for found in iter(self.frames.next, None):
                self.take(*found)
        except Error as error:
            self.end(str(error))

    def http1(self):
        head, _, rest = bytes(self.frames.buffer).partition(b"\r\n\r\n")
        self.frames.buffer[:] = rest
        self.note("request", stream=0, method="", target=head.split()[1].decode("latin-1"))
        if b"Upgrade: h2c" not in head:
            self.transport.write(b"HTTP/1.1 200 OK\r\nX-Server: test\r\nContent-Length: 0\r\n\r\n")
            return
        self.transport.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" +
                             frame(SETTINGS))
        self.last = 1
        self.streams[1] = {"head": head, "over": True, "bytes": 0, "noted": True}
        self.complete(1)

    def end(self, why):
        self.note("bad", why=why)
        self.why = why
        self.transport.write(frame(GOAWAY, 0, 0, struct.pack("!II", self.last, 1)))
        self.transport.close()

    def take(self, kind, flags, stream, payload):
        if self.block is not None and (kind != CONTINUATION or stream != self.block) and self.service.strict:
            raise Error(f"kind {kind} inside a header block")
        if kind == HEADERS:
            self.headers(flags, stream, payload)
        elif kind == CONTINUATION:
            if self.block is None:
                raise Error("CONTINUATION of nothing")
            self.streams[stream]["head"] += payload
        elif kind == DATA:
            self.body(flags, stream, payload)
        elif kind in (WINDOW_UPDATE, RST_STREAM):
            if stream > self.last:
                raise Error(f"kind {kind} on an idle stream")
            if kind == RST_STREAM:
                self.note("reset", stream=stream)
        elif kind == SETTINGS and not flags & ACK:
            self.transport.write(frame(SETTINGS, ACK))
        elif kind == PING and not flags & ACK:
            self.transport.write(frame(PING, ACK, 0, payload))
        elif kind > CONTINUATION:
            self.note("unknown", kind=kind, stream=stream)
        if kind in (HEADERS, CONTINUATION):
            self.block = None if flags & END_HEADERS else stream
            if flags & END_HEADERS:
                self.complete(stream)

    def headers(self, flags, stream, payload):
        known = self.streams.get(stream)
        if self.service.strict:
            if not stream & 1 or (stream <= self.last and (not known or known["over"])):
                raise Error(f"HEADERS on stream {stream}")
            if known:
                known["over"] = bool(flags & END_STREAM)
                self.note("trailers", stream=stream)
                return
        self.last = max(self.last, stream)
        self.streams[stream] = {"head": payload, "over": bool(flags & END_STREAM), "bytes": 0, "noted": False}

    def body(self, flags, stream, payload):
        known = self.streams.get(stream)
        if not known or known["over"]:
            raise Error(f"DATA on stream {stream}")
        if flags & PADDED:
            payload = payload[1:len(payload) - payload[0]]
        known["bytes"] += len(payload)
        if flags & END_STREAM:
            known["over"] = True
            self.complete(stream)

    def complete(self, stream):
        known = self.streams[stream]
        if not known["noted"]:
            known["noted"] = True
            self.note("request", stream=stream, method="", target=known["head"].decode("latin-1"))
        if known["over"]:
            known["gated"] = b"/gated" in known["head"] or b"/half" in known["head"]
            if self.service.released or not known["gated"]:
                self.answer(stream)
            elif b"/half" in known["head"]:
                self.transport.write(frame(HEADERS, END_HEADERS, stream, STATUS_200) + HALF[:20])

    def answer(self, stream):
        known = self.streams[stream]
        known["gated"] = False
        body = str(known["bytes"]).encode()
        self.note("answered", stream=stream, bytes=known["bytes"])
        if b"/half" in known["head"]:
            self.transport.write(HALF[20:] + frame(DATA, END_STREAM, stream, body))
            return
        self.transport.write(frame(HEADERS, END_HEADERS, stream, STATUS_200))
        if b"/large" in known["head"]:
            for _ in range(LARGE // 16384):
                self.transport.write(frame(DATA, 0, stream, b"x" * 16384))
        self.transport.write(frame(DATA, END_STREAM, stream, body))

    def release(self):
        for stream, known in self.streams.items():
            if known.get("gated"):
                self.answer(stream)


class Service:
    def __init__(self, options):
        self.recorder = Recorder(options.record, False)
        self.strict = options.kind != "careless"
        self.both = options.kind == "both"
        self.connections = set()
        self.released = False
        self.count = 0

    def commands(self):
        words = os.read(sys.stdin.fileno(), 4096).split()
        if not words:
            os._exit(0)
        if b"release" in words:
            self.released = True
            for connection in self.connections:
                connection.release()

    async def run(self, options):
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(self), options.host, options.port)
        loop.add_reader(sys.stdin.fileno(), self.commands)
        print("ready", flush=True)
        await server.serve_forever()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["strict", "careless", "both"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--record", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    options = parser.parse_args()
    asyncio.run(Service(options).run(options))


if __name__ == "__main__":
    main()
