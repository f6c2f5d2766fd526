# SPDX-License-Identifier: Apache-2.0
"""Clients as they are found: curl, Python's http.client, and Node's fetch(). Each gets requests, sends them over
connections that it keeps, and returns what it read, in order; with @together, all at the same time, and in any
order."""

import concurrent.futures
import functools
import http.client
import json
import os
import shutil
import subprocess

from client import equal
from harness import DEADLINE_S, HERE, PORT, Skip, case


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers      # by their names in lower case
        self.body = body

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body!r}>"


def request(path="/", method="GET", size=0, chunked=False, **headers):
    """With a body of @size bytes, if any, in the chunked coding or not; user_id is the header user-id."""
    return {"path": path, "method": method, "size": size, "chunked": chunked,
            "headers": {name.replace("_", "-"): value for name, value in headers.items()}}


def run(program, args, text):
    """What @program prints when it reads @text."""
    binary = shutil.which(program)
    if not binary:
        raise Skip(f"{program} is not installed")
    result = subprocess.run([binary, *args], input=text, capture_output=True, text=True, timeout=DEADLINE_S,
                            check=False)
    equal((result.returncode, result.stderr), (0, ""), f"exit status and errors of {program}")
    return result.stdout


def curl(env, requests, port=PORT, together=False):
    config = ["parallel", "no-progress-meter"] if together else []
    for number, asked in enumerate(requests):
        upload = os.path.join(env.root, f"upload{number}")
        options = {
            "url": f"http://127.0.0.1:{port}{asked['path']}", "request": asked["method"],
            "output": os.path.join(env.root, f"download{number}"),
            "write-out": f'[{number}, %{{http_code}}, %{{header_json}}],',
        }
        if asked["size"]:
            with open(upload, "wb") as file:
                file.write(b"x" * asked["size"])
            options["data-binary"] = f"@{upload}"
        fields = [f"{name}: {value}" for name, value in asked["headers"].items()]
        fields += ["Transfer-Encoding: chunked"] if asked["chunked"] else []
        lines = list(options.items()) + [("header", field) for field in fields]
        config += ["next"] if number else []
        config += ["silent", "show-error"]
        config += [f"{name} = {json.dumps(value)}" for name, value in lines]
    printed = run("curl", ["--disable", "--config", "-"], "\n".join(config))
    answers = []
    for number, status, headers in json.loads(f"[{printed.rstrip(',')}]"):
        with open(os.path.join(env.root, f"download{number}"), encoding="utf-8") as file:
            answers.append(Answer(status, {name: ", ".join(values) for name, values in headers.items()}, file.read()))
    return answers


def http_client(_, requests, port=PORT, together=False):
    def ask(conn, asked):
        body = b"x" * asked["size"] or None
        conn.request(asked["method"], asked["path"], iter([body]) if asked["chunked"] else body, asked["headers"])
        answer = conn.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()},
                      answer.read().decode())

    def ask_alone(asked):
        conn = http.client.HTTPConnection("127.0.0.1", port, DEADLINE_S)
        answer = ask(conn, asked)
        conn.close()
        return answer

    if together:
        with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
            return list(pool.map(ask_alone, requests))
    conn = http.client.HTTPConnection("127.0.0.1", port, DEADLINE_S)
    answers = [ask(conn, asked) for asked in requests]
    conn.close()
    return answers


def fetch(_, requests, port=PORT, together=False):
    asked = json.dumps({"url": f"http://127.0.0.1:{port}", "requests": requests, "together": together})
    printed = run("node", ["--no-warnings", os.path.join(HERE, "fetch.mjs")], asked)
    return [Answer(**answer) for answer in json.loads(printed)]


ALL = [curl, http_client, fetch]


def with_all(check):
    """Register @check, which gets an Env and one of these functions, as a case for each of those."""
    for ask in ALL:
        @case
        @functools.wraps(check)
        def one(env, ask=ask):
            check(env, functools.partial(ask, env))

        one.__name__ = f"{ask.__name__}_{check.__name__}"
