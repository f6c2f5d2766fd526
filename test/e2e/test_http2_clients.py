# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 as it is spoken: nghttp, h2load and gRPC."""

import os
import re
import shutil
import subprocess
import sys

from client import equal, expect
from documents import bucket_rule, ratelimit
from harness import DEADLINE_S, HERE, PORT, Skip, case, wait_for


def program(name):
    binary = shutil.which(name, path="/usr/sbin:/usr/local/bin:" + os.environ.get("PATH", ""))
    if not binary:
        raise Skip(f"{name} is not installed")
    return binary


def listens(env):
    try:
        env.connect(PORT).close()
    except ConnectionRefusedError:
        return False
    return True


def nghttpd(env):
    """nghttpd, with a file of a megabyte."""
    root = os.path.join(env.root, "files")
    os.mkdir(root)
    with open(os.path.join(root, "large"), "wb") as file:
        file.write(b"x" * 1000000)
    process = subprocess.Popen([program("nghttpd"), "--no-tls", "-d", root, str(PORT)], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    env.processes.append(process)
    wait_for("nghttpd listens", lambda: listens(env))


URL = f"http://127.0.0.1:{PORT}/large"


@case
def nghttp_sees_goaway(env):
    """Twelve requests at once, of which ten are admitted, and read whole."""
    nghttpd(env)
    env.limit(limit="10/day")
    result = env.run([program("nghttp"), "-v", "-n", "-m", "12", URL])
    goaways = re.findall(r"recv GOAWAY frame.*\n.*last_stream_id=(\d+), error_code=(\w+)", result.stdout)
    opened = re.findall(r"send HEADERS frame <.*stream_id=(\d+)>", result.stdout)
    ended = re.findall(r"recv DATA frame <.*flags=0x01, stream_id=(\d+)>", result.stdout)
    equal(len(opened), 12, "requests that were sent")
    equal(goaways, [(opened[9], "ENHANCE_YOUR_CALM")], "last stream and error code of GOAWAY")
    equal(sorted(ended, key=int), opened[:10], "streams that were answered")
    item = env.item()
    equal((item["totalRequests"], item["rateLimitedRequests"]), (12, 2), "requests and those limited")


@case
def h2load_gets_what_the_limit_allows(env):
    nghttpd(env)
    env.limit(limit="60/day")
    result = env.run([program("h2load"), "-n", "100", "-c", "5", "-m", "4", URL])
    done = re.search(r"requests: .* (\d+) succeeded", result.stdout)
    expect(done, f"h2load said {result.stdout!r} {result.stderr!r}")
    equal(int(done[1]), 60, "requests that succeeded")
    equal(env.tokens(), 0, "tokens")


@case
def h2load_is_not_disturbed_below_the_limit(env):
    nghttpd(env)
    env.limit(limit="1000000/day")
    result = env.run([program("h2load"), "-n", "400", "-c", "4", "-m", "20", URL])
    expect(re.search(r"\b400 succeeded, 0 failed, 0 errored", result.stdout), f"h2load said {result.stdout!r}")
    equal(env.item()["totalRequests"], 400, "requests counted")


def grpc_peer(*args):
    if subprocess.run([sys.executable, "-c", "import grpc"], stderr=subprocess.DEVNULL, check=False).returncode:
        raise Skip("gRPC for Python is not installed")
    return [sys.executable, os.path.join(HERE, "grpc_peer.py"), *map(str, args)]


def grpc_server(env, port=PORT):
    process = subprocess.Popen(grpc_peer("server", port), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    env.processes.append(process)
    expect(process.stdout.readline() == b"ready\n", "the gRPC server did not start")
    return process


@case
def a_grpc_client_finds_the_server_unavailable(env):
    grpc_server(env)
    env.limit(limit="10/day")
    result = env.run(grpc_peer("calls", PORT, 12))
    equal(result.stdout.split(), ["OK"] * 10 + ["UNAVAILABLE"] * 2, f"statuses of the calls ({result.stderr[-300:]!r})")


@case
def a_grpc_client_retries_as_its_policy_says(env):
    grpc_server(env)
    env.limit(rules=[bucket_rule(1, 1, "2s")])
    result = env.run(grpc_peer("retry", 2, PORT))
    equal(result.stdout.split(), ["OK", "OK"], f"statuses of the calls ({result.stderr[-300:]!r})")
    expect(env.item()["rateLimitedRequests"] > 0, "no call was refused")


@case
def a_grpc_client_retries_elsewhere(env):
    """Of two servers one is over its limit: what that refuses goes to the other."""
    for port in (PORT, PORT + 1):
        grpc_server(env, port)
    env.write("other.yaml", ratelimit("other", PORT + 1, limit="1000/day"))
    env.write("limit.yaml", ratelimit("limit", PORT, limit="2/day"))
    env.agent("limit", "other")
    result = env.run(grpc_peer("retry", 12, PORT, PORT + 1))
    equal(result.stdout.split(), ["OK"] * 12, f"statuses of the calls ({result.stderr[-300:]!r})")
    limited, other = env.item("limit"), env.item("other")
    equal((limited["totalRequests"] - limited["rateLimitedRequests"], other["totalRequests"]), (2, 10), "calls by server")
    expect(limited["rateLimitedRequests"] > 0, "no call was refused")


@case
def a_grpc_call_that_was_admitted_finishes(env):
    server = grpc_server(env)
    env.limit(limit="3/day")
    process = subprocess.Popen(grpc_peer("wait", PORT), stdout=subprocess.PIPE)
    env.processes.append(process)
    equal(process.stdout.readline(), b"UNAVAILABLE\n", "status of the refused call")
    server.stdin.write(b"\n")
    server.stdin.flush()
    equal(process.stdout.readline(), b"OK\n", "status of the call that was admitted")
    equal(process.wait(DEADLINE_S), 0, "exit status of the client")
