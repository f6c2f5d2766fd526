# SPDX-License-Identifier: Apache-2.0
"""A model server that has no model: the APIs of OpenAI and Anthropic over HTTP/1.1, as JSON and as streams. What it
answers, and in which writes, its requests say in headers; without them it uses as many tokens as the prompt has words,
and max_tokens or 7 for the answer.

    model_server.py --port N [--host H] [--record FILE] [--commands]

    POST /v1/chat/completions /v1/completions /v1/embeddings /v1/responses /v1/messages
    GET /v1/models /health, and /fake/stats: what was answered, as JSON

    x-fake-prompt-tokens, -completion-tokens, -cached-tokens, -cache-creation-tokens, -reasoning-tokens: N
    x-fake-usage      how they are told: one of model_answers.USAGES
    x-fake-ends       of a stream of messages, without message_delta: error (an event tells it), short
    x-fake-content    what the model says: one of model_texts.TEXTS
    x-fake-events     of a stream, that bring a piece of the answer
    x-fake-pad-bytes  its size
    x-fake-tool-calls N calls at once
    x-fake-json       compact, spaced, indented
    x-fake-sse        one of model_streams.FORMS
    x-fake-status     an error instead
    x-fake-framing    length, chunked, close (to the end of the connection)
    x-fake-chunk-bytes  cuts the body into pieces, and chunks, of so many bytes, wherever events end
    x-fake-encoding   gzip; accepted: gzip if the request takes it
    x-fake-write      send, more (MSG_MORE), writev, sendfile
    x-fake-write-bytes  at most so many a write, or in a buffer of writev
    x-fake-join       1: the head in the first write of the body, else in its own; 2: all in one write
    x-fake-delay-ms   before each piece
    x-fake-hold       first, middle, last: the pieces from there on wait for the command "release"

With --commands standard input takes the lines "release" (what is held goes on), "abort" (each connection is reset) and
"stats" (a line of JSON on standard output); its end is the end of the server. "ready" is printed once it listens.
"""

import argparse
import asyncio
import collections
import json
import os
import signal
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))

import model_answers
import model_streams
import model_texts
from framing import BadRequest, Framer
from model_http import Answer, Options, Writer
from session import Recorder

RECV_BYTES = 65536


class Stats:
    """By model what was answered to the end; of all requests how they ended."""

    def __init__(self):
        self.models = {}
        self.ends = collections.Counter(requests=0, torn=0, answered=0, cut=0, errors=0)

    def add(self, call):
        row = self.models.setdefault(call.model, collections.Counter())
        counts = call.counts
        row.update(requests=1, input=counts.prompt, output=counts.completion, total=counts.prompt + counts.completion,
                   cached=counts.cached, reasoning=counts.reasoning, events=call.content_events)

    def told(self):
        return {**self.ends, "models": self.models}


def answer_json(status, value, style="compact"):
    return Answer(status, "application/json", [model_texts.dumps(value, style=style).encode()])


def answer_to(request, options, stats):
    """An Answer to @request, which is whole."""
    target = request.target.split("?")[0]
    api = model_answers.API.get(target)
    status = options.get("status", 200)
    if request.method == "GET" and target == "/health":
        return Answer(200, "text/plain", [b""])
    if request.method == "GET" and target == "/fake/stats":
        return answer_json(200, stats.told())
    if request.method == "GET" and target == "/v1/models":
        models = [{"id": model, "object": "model", "created": model_answers.CREATED, "owned_by": "fake"}
                  for model in stats.models]
        return answer_json(200, {"object": "list", "data": models})
    if request.method != "POST" or not api:
        return answer_json(404, model_answers.error(api, 404, "not_found_error", f"no {target}"))
    if status != 200:
        return answer_json(status, model_answers.error(api, status, "server_error", "as it was asked to"))
    try:
        call = model_answers.Call(target, json.loads(request.body), options.get)
        if not call.stream:
            body = model_texts.dumps(model_answers.JSON[call.api](call), call.content, call.style).encode()
            return Answer(200, "application/json", [body], call=call)
        events = list(model_streams.events(call, options.get("sse", "lf")))
        return Answer(200, "text/event-stream; charset=utf-8", events, stream=True, call=call)
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        return answer_json(400, model_answers.error(api, 400, "invalid_request_error", repr(error)))


class Connection:
    """Reads while it answers, as uvicorn does: an end of the client's is the end of the answer."""

    def __init__(self, server, sock, number):
        self.server = server
        self.sock = sock
        self.number = number
        self.framer = Framer()
        self.requests = asyncio.Queue()
        self.aborted = asyncio.Event()

    def abort(self):
        """End the connection with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.aborted.set()

    async def run(self):
        self.server.note("accept", self.number)
        self.server.connections.add(self)
        tasks = [asyncio.create_task(task) for task in (self._read_all(), self._answer_all(), self.aborted.wait())]
        done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        await asyncio.wait(tasks)
        self.sock.close()
        self.server.connections.discard(self)
        self.server.stats.ends["cut"] += self.requests.qsize()
        why = [task.exception() or task.result() for task in done]
        self.server.note("closed", self.number, why=str(why[0]))

    async def _read_all(self):
        try:
            while data := await self._receive():
                self.framer.feed(data)
                if self.framer.wants_continue():
                    self.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                while request := self.framer.next():
                    self.server.request(self.number, request)
                    self.requests.put_nowait(request)
        except BadRequest as error:
            self.server.note("bad", self.number, why=str(error))
            self.sock.send(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            return "bad request"
        self.server.stats.ends["torn"] += bool(self.framer.request or self.framer.buffer)
        return "eof"

    async def _receive(self):
        try:
            return await asyncio.get_running_loop().sock_recv(self.sock, RECV_BYTES)
        except OSError:
            return b""

    async def _answer_all(self):
        keeps = True
        while keeps:
            request = await self.requests.get()
            options = Options(request.fields)
            keeps = request.keeps_alive() and options.get("framing", "") != "close"
            answer = answer_to(request, options, self.server.stats)
            ended = False
            try:
                await self._write(answer.writes(request, options, keeps), options)
                ended = True
            finally:
                self.server.answered(answer, ended)
        return "answered"

    async def _write(self, pieces, options):
        writer = Writer(self.sock, options)
        delay_s = options.get("delay-ms", 0) / 1000
        held = {"first": 0, "middle": len(pieces) // 2, "last": len(pieces) - 1}.get(options.get("hold", ""))
        for number, piece in enumerate(pieces):
            if delay_s:
                await asyncio.sleep(delay_s)
            if number == held:
                await self.server.hold(self.number)
            await writer.write(piece)


class ModelServer:
    def __init__(self, options):
        self.recorder = Recorder(options.record, False) if options.record else None
        self.stats = Stats()
        self.released = asyncio.Event()
        self.connections = set()
        self.listener = socket.socket(socket.AF_INET6 if ":" in options.host else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((options.host, options.port))
        self.listener.listen(1024)
        self.listener.setblocking(False)

    def note(self, event, conn, **more):
        if self.recorder:
            self.recorder.note(event, conn, **more)

    def request(self, conn, request):
        self.stats.ends["requests"] += 1
        if self.recorder:
            self.recorder.request(conn, request.method, request.target, request.body)

    def answered(self, answer, ended):
        self.stats.ends["answered" if ended else "cut"] += 1
        self.stats.ends["errors"] += answer.status >= 400
        if answer.call and ended:
            self.stats.add(answer.call)

    async def hold(self, conn):
        self.note("held", conn)
        await self.released.wait()

    def command(self):
        words = os.read(sys.stdin.fileno(), 4096).split()
        if not words:
            os._exit(0)
        for word in words:
            if word == b"release":
                self.released.set()
                self.released = asyncio.Event()
            elif word == b"abort":
                for connection in self.connections:
                    connection.abort()
            elif word == b"stats":
                print(json.dumps(self.stats.told()), flush=True)

    async def serve(self, commands):
        loop = asyncio.get_running_loop()
        if commands:
            loop.add_reader(sys.stdin.fileno(), self.command)
        print("ready", flush=True)
        tasks = set()
        count = 0
        while True:
            sock, _ = await loop.sock_accept(self.listener)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            count += 1
            task = asyncio.create_task(Connection(self, sock, count).run())
            tasks.add(task)
            task.add_done_callback(tasks.discard)


async def serve(options):
    await ModelServer(options).serve(options.commands)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--record", help="what happens, a JSON object a line")
    parser.add_argument("--commands", action="store_true", help="lines on standard input")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    asyncio.run(serve(options))


if __name__ == "__main__":
    main()
