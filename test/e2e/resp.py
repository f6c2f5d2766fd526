# SPDX-License-Identifier: Apache-2.0
"""A client of Redis."""

import socket

from harness import DEADLINE_S


class Refused(Exception):
    """An answer that is an error; its text."""


class Client:
    def __init__(self, port, host="127.0.0.1"):
        self.sock = socket.create_connection((host, port), DEADLINE_S)
        self.stream = self.sock.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stream.close()
        self.sock.close()

    def ask(self, *words):
        """The answer: a number, a text, None or a list of those. Refused for an error."""
        encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.sock.sendall(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded))
        return self._read()

    def _read(self):
        line = self.stream.readline()
        if not line:
            raise ConnectionResetError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"-":
            raise Refused(rest)
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if int(rest) < 0:
            return None
        if kind == b"*":
            return [self._read() for _ in range(int(rest))]
        return self.stream.read(int(rest) + 2)[:-2].decode()


def answers(port, host="127.0.0.1"):
    """Does a server answer there, be it with an error?"""
    try:
        with Client(port, host) as client:
            client.ask("PING")
    except Refused:
        return True
    except OSError:
        return False
    return True
