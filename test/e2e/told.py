# SPDX-License-Identifier: Apache-2.0
"""Answers of a scripted server and what of them the client must see: every byte that was written, the fields
that tell of the limit behind the status line of final answers, and nothing else."""

import json
import os
import re
import time

from client import READ_WITHIN_S, Failure, equal, expect, get
from documents import ratelimit
from harness import PORT

LIMIT = 10000
DAY_S = 86400


def always(*ports, spec="", **settings):
    """A RateLimit with fields on the server's answers; @spec: more lines of it."""
    text = ratelimit("limit", *ports or (PORT,), **settings)
    return text.replace("spec:\n", "spec:\n  responseHeaders: Always\n" + spec, 1)


def final(body=b"", *fields, status="200 OK", version="1.1", length=True):
    """A final answer; the fields stand in front of Content-Length."""
    lines = [f"HTTP/{version} {status}", *fields, *([f"Content-Length: {len(body)}"] if length else []), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


class Told:
    """The fields of one answer: @styled to be read and checked."""

    def __init__(self, remaining, limit=LIMIT, style="Classic", interval_s=DAY_S, rule="all"):
        self.interval_s = interval_s
        window = f"{limit};w={interval_s}"
        self.lines = {
            "Classic": [f"X-RateLimit-Limit: {limit}", f"X-RateLimit-Remaining: {remaining}",
                        "X-RateLimit-Reset: TIME"],
            "Envoy": [f"X-RateLimit-Limit: {limit}, {window}", f"X-RateLimit-Remaining: {remaining}",
                      "X-RateLimit-Reset: SECONDS"],
            "Draft": [f'RateLimit-Policy: "{rule}";q={window}', f'RateLimit: "{rule}";r={remaining};t=SECONDS'],
        }[style]

    def read(self, conn):
        for wanted in self.lines:
            line = conn.line()
            found = re.fullmatch(re.escape(wanted).replace("TIME", "([0-9]+)").replace("SECONDS", "([0-9]+)"), line)
            expect(found, f"expected {wanted!r}, found {line!r} and {bytes(conn.buffer[:200])!r}")
            if found.groups():
                now_s = time.time() if "TIME" in wanted else 0
                expect(now_s - READ_WITHIN_S <= int(found[1]) <= now_s + self.interval_s + 2,
                       f"{line!r} is out of range")


def with_fields(answer, told):
    """What a client must see of the final @answer: pieces for read_stream()."""
    end = answer.index(b"\r\n") + 2
    return [answer[:end], told, answer[end:]]


def read_stream(conn, pieces):
    """Read @pieces, exact bytes and Told, in their order."""
    for piece in pieces:
        if isinstance(piece, Told):
            piece.read(conn)
            continue
        found = conn.read(len(piece))
        if found != piece:
            at = next(i for i, pair in enumerate(zip(found, piece)) if pair[0] != pair[1])
            raise Failure(f"byte {at} of {len(piece)}: expected {piece[at:at + 60]!r}, found {found[at:at + 60]!r}")


class Replies:
    """A server that answers by a script, behind a limit that is told on all answers."""

    def __init__(self, env, limit=LIMIT):
        self.env = env
        self.script = {}
        self.limit = limit
        self.left = limit

    def file(self, data):
        """A file with @data, for a step."""
        path = os.path.join(self.env.root, f"reply{self.env.count}")
        self.env.count += 1
        with open(path, "wb") as file:
            file.write(data)
        return {"file": path}

    def add(self, target, *steps):
        """The answer to requests for @target; short data as bytes."""
        def spec(data):
            if isinstance(data, list):
                return [spec(buffer) for buffer in data]
            return data.decode("latin-1") if isinstance(data, bytes) else data

        self.script[target] = [[how, *map(spec, data)] for how, *data in steps]

    def start(self, kind="nonblocking", document=None, **options):
        path = os.path.join(self.env.root, "script.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.script, file)
        server = self.env.server(kind, program="replies", script=path, **options)
        self.env.write("limit.yaml", document or always(limit=f"{self.limit}/day"))
        self.env.agent("limit")
        return server

    def told(self, count=1):
        """The fields after @count more requests."""
        self.left -= count
        return Told(self.left, self.limit)

    def ask(self, conn, target, answer, method="GET", interim=b""):
        """Send a request and read its final @answer, behind @interim ones."""
        conn.send_segment(get(target, method=method))
        read_stream(conn, [interim, *with_fields(answer, self.told())])


def nothing_more(env, conn):
    """The server has no more to say on @conn."""
    equal(bytes(conn.buffer), b"", "bytes behind the last answer")
    conn.shutdown()
    conn.expect_eof()
