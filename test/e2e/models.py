# SPDX-License-Identifier: Apache-2.0
"""The simulated model server (test/fake), and clients of it: connections that send a request in any pieces, and the
packages of OpenAI and Anthropic."""

import json
import os
import shutil
import signal
import socket
import struct
import subprocess

from client import Response, chunk, equal, expect, get
from harness import DEADLINE_S, PORT, Skip

TARGETS = {"chat": "/v1/chat/completions", "completions": "/v1/completions", "embeddings": "/v1/embeddings",
           "responses": "/v1/responses", "messages": "/v1/messages"}
STREAMED = [api for api in TARGETS if api != "embeddings"]


class Models:
    """A running model server."""

    def __init__(self, env, port=PORT, **options):
        self.server = env.server(None, port, program="model_server", commands=True, **options)

    def stats(self):
        """What it answered, by its own account, up to what a client has read."""
        self.server.command("stats")
        return json.loads(self.server.process.stdout.readline())

    def of(self, model):
        return self.stats()["models"].get(model) or dict.fromkeys(
            ("requests", "input", "output", "total", "cached", "reasoning", "events"), 0)

    def held(self):
        """How many answers wait for the release."""
        return len(self.server.events("held"))

    def release(self):
        self.server.command("release")


# --- limits -----------------------------------------------------------------------------------------

PLENTY = 1000000
EACH_USER = "{headers: [{name: x-user-id, type: Distinct}]}"
EACH_MODEL = "{model: {type: Distinct}}"


def of_model(value, kind="Exact"):
    return f"{{model: {{type: {kind}, value: {value}}}}}"


def budget(limit=f"{PLENTY}/hour", name="all", who=None, **fields):
    """A rule that counts tokens; @who is one of its clientSelectors, @fields are more of its fields."""
    who = f"[{who}]" if who else None
    fields = {"name": name, "count": "LLMTokens", "limit": limit, "clientSelectors": who, **fields}
    return "{" + ", ".join(f"{field}: {value}" for field, value in fields.items() if value is not None) + "}"


def spent(env, whole=PLENTY, **which):
    """Of the emptiest bucket of a rule, which holds @whole."""
    return whole - env.tokens(**which)


# --- requests ---------------------------------------------------------------------------------------


def asked(api, model="m", prompt=5, most=None, stream=False, include_usage=True, **more):
    """The JSON of a request whose prompt has @prompt words."""
    text = " ".join(["word"] * prompt)
    body = {"model": model, **more}
    if api in ("chat", "messages"):
        body["messages"] = [{"role": "user", "content": text}]
    else:
        body["prompt" if api == "completions" else "input"] = text
    if api == "messages":
        body["max_tokens"] = most if most is not None else 7
    elif most is not None:
        body["max_output_tokens" if api == "responses" else "max_tokens"] = most
    if stream:
        body["stream"] = True
        if include_usage and api in ("chat", "completions"):
            body["stream_options"] = {"include_usage": True}
    return body


def headers(fake=None, **fields):
    """The lines of a head: @fake names headers without their x-fake-, user_id is user-id."""
    lines = [f"x-fake-{name.replace('_', '-')}: {value}" for name, value in (fake or {}).items()]
    return lines + [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]


def head_and_body(api, body, *fields, chunks=0):
    """The two halves of a request, as a client writes them that sends each by itself; @body is JSON or text of it.
    @chunks: in the chunked coding, of so many bytes a chunk."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    framing = "Transfer-Encoding: chunked" if chunks else f"Content-Length: {len(data)}"
    head = get(TARGETS[api], "Content-Type: application/json", framing, *fields, method="POST")
    return head, chunk(data, chunks) if chunks else data


def request(api, body, *fields, chunks=0):
    return b"".join(head_and_body(api, body, *fields, chunks=chunks))


class Reply(Response):
    """A whole answer, whatever its framing: @raw is the body as it came, @body without the chunked coding."""

    def __init__(self, head, raw=b"", body=b""):
        super().__init__(head, body)
        self.raw = raw

    def json(self):
        return json.loads(self.body)

    def events(self):
        """The JSON of each event of a stream, which has to end in good form."""
        text = self.body.decode().replace("\r\n", "\n").replace("\r", "\n")
        expect(text.endswith("\n\n"), f"the end of a stream: {text[-100:]!r}")
        events = []
        for event in text[:-2].split("\n\n"):
            data = [line[5:].removeprefix(" ") for line in event.split("\n") if line.startswith("data:")]
            if data != ["[DONE]"]:
                events.append(json.loads("\n".join(data)))
        return events


def reply(conn):
    """The next answer on @conn. Failure when it does not end as it says."""
    lines = []
    while line := conn.line():
        lines.append(line)
    head = Reply("\r\n".join(lines).encode("latin-1"))
    length = head.field("Content-Length")
    if head.field("Transfer-Encoding") == "chunked":
        raw, body = _chunks(conn)
    else:
        raw = body = conn.read(int(length)) if length is not None else conn.rest()
    return Reply(head.head, raw, body)


def _chunks(conn):
    raw, body = bytearray(), bytearray()
    while True:
        line = conn.line()
        data = conn.read(int(line, 16) + 2)
        expect(data.endswith(b"\r\n"), f"a chunk without its end: {data[-20:]!r}")
        raw += line.encode() + b"\r\n" + data
        body += data[:-2]
        if len(data) == 2:
            return bytes(raw), bytes(body)


def ask(env, api, body, *fields, port=PORT, chunks=0):
    """The answer to one request on a connection of its own, its head and its body in a segment each."""
    with env.connect(port) as conn:
        env.conns.remove(conn)
        for half in head_and_body(api, body, *fields, chunks=chunks):
            conn.send_segment(half)
        return reply(conn)


# --- ends of a connection, given a running model server and a client's end -------------------------------


def close(_, conn):
    conn.close()


def reset(_, conn):
    conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def kill(models, _):
    os.kill(models.server.pid, signal.SIGKILL)
    models.server.process.wait(DEADLINE_S)


def abort(models, _):
    """The server ends it with RST."""
    models.server.command("abort")


# --- the packages -------------------------------------------------------------------------------------


def call(api, body, *fields, stop_after=None):
    """One of the calls of sdk(); @fields are lines of headers()."""
    lines = dict(field.split(": ", 1) for field in fields)
    return {"api": api, "body": body, "headers": lines, "stopAfter": stop_after}


def sdk(env, *calls, port=PORT, retries=0, together=False):
    """What the packages of OpenAI and Anthropic make of each answer, as test/clients/ask.mjs prints it."""
    node = shutil.which("node")
    if not node:
        raise Skip("node is not installed")
    places = [os.path.join(build, "test/clients") for build in (env.build, os.path.dirname(env.build))]
    place = next((place for place in places if os.path.exists(os.path.join(place, "node_modules"))), None)
    if not place:
        raise Skip("the packages openai and @anthropic-ai/sdk are not installed (make e2e does that)")
    asking = {"url": f"http://127.0.0.1:{port}", "maxRetries": retries, "together": together, "calls": calls}
    result = subprocess.run([node, "--no-warnings", os.path.join(place, "ask.mjs")], input=json.dumps(asking),
                            capture_output=True, text=True, timeout=3 * DEADLINE_S, check=False)
    equal((result.returncode, result.stderr), (0, ""), "exit status and errors of the packages' client")
    return json.loads(result.stdout)
