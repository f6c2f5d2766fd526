# SPDX-License-Identifier: Apache-2.0
"""Frames of HTTP/2 in any order, with any flags and numbers, cut anywhere: of what reaches the server no more than the
limit is requests."""

import random
import socket
import threading

from client import equal, expect
from harness import DEADLINE_S, PORT, case
from http2 import (CONTINUATION, DATA, END_STREAM, HEADERS, PING, PREFACE, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS,
                   WINDOW_UPDATE, Frames, frame, head)

LIMIT = 3
STREAMS = 200
KINDS = [HEADERS] * 6 + [DATA] * 4 + [CONTINUATION] * 2 + [RST_STREAM, PRIORITY, PING, WINDOW_UPDATE, SETTINGS,
                                                           PUSH_PROMISE, 0x20, 0xe4]
FLAGS = (0x0, 0x1, 0x4, 0x5, 0x8, 0x20, 0x25, 0x2d, 0xff)
NUMBERS = (1, 3, 5, 7, 9, 11, 13, 2, 4, 0, 255, 257, 513, 0x80000001, 0x80000003)


def some_frames(chance):
    """The beginning of a connection, and what nobody would send behind it."""
    stream = PREFACE + frame(SETTINGS)
    for _ in range(chance.randrange(5, 40)):
        kind = chance.choice(KINDS)
        payload = head() if kind == HEADERS and chance.random() < 0.7 else bytes(chance.randrange(700))
        stream += frame(kind, chance.choice(FLAGS), chance.choice(NUMBERS), payload)
    return stream


def requests_in(stream):
    """HEADERS that are not the trailers of a stream that is open."""
    frames, sending, last, count = Frames(), set(), 0, 0
    frames.feed(stream[len(PREFACE):])
    for kind, flags, number, _ in iter(frames.next, None):
        ends = flags & END_STREAM
        if kind == HEADERS and number in sending and ends:
            sending.discard(number)
        elif kind == HEADERS:
            count += 1
            if number & 1 and number > last:
                last = number
                sending |= set() if ends else {number}
        elif kind == RST_STREAM or (kind == DATA and ends):
            sending.discard(number)
    return count


def take_all(server, streams):
    """A server that answers nothing and keeps what it gets."""
    for _ in range(STREAMS):
        data = b""
        with server.accept()[0] as conn:
            conn.settimeout(DEADLINE_S)
            conn.send(frame(SETTINGS))
            while more := conn.recv(65536):
                data += more
        streams.append(data)


@case
def no_frames_are_a_way_round(env):
    env.limit(rules=[f"{{limit: {LIMIT}/day, clientSelectors: [{{sourceCIDR: {{type: Distinct}}}}]}}"])
    chance, streams = random.Random(1), []
    with socket.create_server(("127.0.0.1", PORT)) as server:
        taking = threading.Thread(target=take_all, args=(server, streams))
        taking.start()
        for number in range(STREAMS):
            stream = some_frames(chance)
            with socket.socket() as sock:
                sock.settimeout(DEADLINE_S)
                sock.bind((f"127.0.1.{number + 1}", 0))
                sock.connect(("127.0.0.1", PORT))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while stream:
                    size = chance.choice((1, 2, 3, 5, 9, 13, 50, 200, 1000))
                    sock.sendall(stream[:size])
                    stream = stream[size:]
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass
        taking.join()
    counts = [requests_in(stream) for stream in streams]
    equal(max(counts), LIMIT, "requests of one client that reached the server, at most")
    expect(counts.count(LIMIT) > STREAMS / 2, f"few clients came to their limit: {counts}")
