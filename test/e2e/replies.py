# SPDX-License-Identifier: Apache-2.0
"""A server that answers by a script: which bytes go into which system call is the case's affair.

    replies.py KIND --port N --script FILE --record FILE [--send-buffer BYTES] [--notsent BYTES]

KIND nonblocking writes as a server on epoll does, what the kernel did not take again; blocking leaves that to
the kernel. Either has a thread for each connection. FILE is a JSON object: for the target of a request the list
of the steps that make its answer,

    [HOW, DATA]     write DATA; HOW is send, more (MSG_MORE), zerocopy (MSG_ZEROCOPY, but what that has no memory
                    for is copied), bytes (one a write) or writev (DATA is a list, a buffer each)
    ["sendfile", {"file": PATH}]
    ["splice", DATA]    through a pipe, 64 KiB at most
    ["keep", DATA]  goes in front of what is written next
    ["try", DATA]   write DATA once; what is not taken goes in front of what is written next
    ["anyway", DATA]    write DATA once, whatever became of it, also of what was written before
    ["wait"]        for a line "go" on standard input
    ["early"]       as the first: the others are done when the head of the request is there
    ["close"]
    ["reset"]       the same, with RST

DATA is text of latin-1, or {"file": PATH}. What the calls were asked for and what they took is on record.
"""

import argparse
import ctypes
import errno
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import threading

from framing import Framer
from session import Recorder

RECV_BYTES = 65536
CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n"
MSG_ZEROCOPY, SO_ZEROCOPY, TCP_NOTSENT_LOWAT = 0x4000000, 60, 25

# As in servers.py.
_libc = ctypes.CDLL(None)


def data_of(spec):
    if isinstance(spec, str):
        return spec.encode("latin-1")
    with open(spec["file"], "rb") as file:
        return file.read()


class Connection:
    def __init__(self, sock, number, script, recorder, go):
        self.sock = sock
        self.number = number
        self.script = script
        self.recorder = recorder
        self.go = go
        self.framer = Framer()
        self.kept = b""
        self.answered = None    # a request whose body did not come yet

    def run(self):
        self.recorder.note("accept", self.number)
        try:
            why = self._answer_all()
        except OSError as error:
            why = str(error)
        self.sock.close()
        self.recorder.note("closed", self.number, why=why)

    def _answer_all(self):
        while data := self._receive():
            self.framer.feed(data)
            while request := self._next():
                if request is not self.answered and self._answer(request):
                    return "answered"
        return "eof"

    def _next(self):
        """The next whole request; or the one that comes, to be answered already. None while bytes are missing."""
        owes = self.framer.wants_continue()
        comes = self.framer.request
        if comes and comes is not self.answered and self.script[comes.target][0] == ["early"]:
            return comes
        if owes:
            self._step("send", CONTINUE)
        request = self.framer.next()
        if request:
            self.recorder.request(self.number, request.method, request.target, request.body)
        return request

    def _answer(self, request):
        """Returns whether that ends the connection."""
        self.answered = request
        for step in self.script[request.target]:
            if step[0] == "reset":
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if step[0] in ("close", "reset"):
                return True
            if step[0] != "early":
                self._step(*step)
        return False

    def _receive(self):
        while True:
            try:
                return self.sock.recv(RECV_BYTES)
            except BlockingIOError:
                select.select([self.sock], [], [])

    def _step(self, how, spec=None):
        if how == "wait":
            self.go.acquire()
        elif how == "keep":
            self.kept += data_of(spec)
        elif how == "try":
            self.kept += data_of(spec)
            self.kept = self.kept[self._try(self.sock.send, self.kept, len(self.kept)):]
        elif how == "anyway":
            try:
                self._once(self.sock.send, data_of(spec), len(data_of(spec)))
            except OSError as error:
                self.recorder.note("failed", self.number, why=error.errno)
        elif how == "writev":
            self._write_all([data_of(buffer) for buffer in spec], self.sock.sendmsg)
        elif how == "sendfile":
            self._send_file(spec["file"])
        elif how == "splice":
            self._splice(data_of(spec))
        elif how == "bytes":
            for byte in data_of(spec):
                self._write_all([bytes([byte])], self.sock.sendmsg)
        else:
            write = {"send": self.sock.send, "more": lambda data: self.sock.send(data, socket.MSG_MORE),
                     "zerocopy": self._send_zerocopy}[how]
            data, self.kept = self.kept + data_of(spec), b""
            self._write_all([data], lambda buffers: write(buffers[0]))

    def _send_zerocopy(self, data):
        try:
            return self.sock.send(data, MSG_ZEROCOPY)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
        self.recorder.note("copies", self.number)
        return self.sock.send(data)

    def _write_all(self, buffers, write):
        """Write all of @buffers, what was not taken at once again."""
        buffers = [memoryview(buffer) for buffer in buffers if buffer]
        while buffers:
            took = self._once(write, buffers, sum(len(buffer) for buffer in buffers))
            while buffers and took >= len(buffers[0]):
                took -= len(buffers.pop(0))
            if took:
                buffers[0] = buffers[0][took:]

    def _send_file(self, path):
        with open(path, "rb") as file:
            left, at = os.fstat(file.fileno()).st_size, 0
            while at < left:
                at += self._once(lambda count: os.sendfile(self.sock.fileno(), file.fileno(), at, count),
                                 left - at, left - at)

    def _splice(self, data):
        reading, writing = os.pipe()
        left = os.write(writing, data)
        while left:
            left -= self._once(lambda count: os.splice(reading, self.sock.fileno(), count), left, left)
        os.close(reading)
        os.close(writing)

    def _try(self, write, what, asked):
        """One system call; what it took."""
        try:
            took = write(what)
        except BlockingIOError:
            self.recorder.note("full", self.number)
            return 0
        self.recorder.note("wrote", self.number, asked=asked, took=took)
        return took

    def _once(self, write, what, asked):
        """As often as it takes for something to be taken."""
        while not (took := self._try(write, what, asked)):
            select.select([], [self.sock], [])
        return took


def accept(listener, blocking):
    if blocking:
        return listener.accept()[0]
    return socket.socket(fileno=_libc.accept4(listener.fileno(), None, None, os.O_NONBLOCK | os.O_CLOEXEC))


def commands(go):
    for line in sys.stdin:
        if line == "go\n":
            go.release()
    os._exit(0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["nonblocking", "blocking"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--script", required=True)
    parser.add_argument("--record", required=True)
    parser.add_argument("--send-buffer", type=int)
    parser.add_argument("--notsent", type=int, help="TCP_NOTSENT_LOWAT")
    parser.add_argument("--locked", type=int, help="RLIMIT_MEMLOCK, as a user that is bound by it")
    options = parser.parse_args()

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with open(options.script, encoding="utf-8") as file:
        script = json.load(file)
    recorder = Recorder(options.record, False)
    go = threading.Semaphore(0)
    threading.Thread(target=commands, args=(go,), daemon=True).start()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
    if options.send_buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, options.send_buffer)
    listener.bind((options.host, options.port))
    listener.listen(256)
    if options.locked is not None:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (options.locked, options.locked))
        os.setresuid(65534, 65534, 65534)
    print("ready", flush=True)
    count = 0
    while True:
        sock = accept(listener, options.kind == "blocking")
        count += 1
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
        if options.notsent:
            sock.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, options.notsent)
        connection = Connection(sock, count, script, recorder, go)
        threading.Thread(target=connection.run, daemon=True).start()


if __name__ == "__main__":
    main()
