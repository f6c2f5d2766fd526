# SPDX-License-Identifier: Apache-2.0
"""The password of Redis: from where it is read, and that nothing tells it."""

import os

from client import equal, expect
from documents import ratelimit
from harness import PORT, case, case_of_each, wait_for
from nodes import REDIS, Node, Redis, running

SECRET = "s3cr et:/@%"
IN_URL = "s3cr%20et%3A%2F%40%25"
PARTS = SECRET, IN_URL, "s3cr"
HOST = f"127.0.0.1:{REDIS}"

# What an agent needs to be allowed.
RIGHTS = ("~krl:*", "+evalsha", "+script|load", "+get", "+set", "+ping", "+select", "+role", "+cluster|slots", "+info", "+time",
          "+hget", "+hset", "+hmget", "+hgetall", "+hdel", "+del", "+pexpire", "+incrby")


def start(env, nodes, url, *flags, wait=True):
    nodes.append(Node(env, "n", PORT, ratelimit("limit", PORT, rules=["{name: all, limit: 5/day, scope: Cluster, initialCredit: 0}"]),
                      [url], wait=wait, flags=flags))
    return nodes[0]


def read(pid, name):
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read().decode(errors="replace").replace("\0", " ")


def check_untold(node):
    """Not in the log, which is that of level debug, nor in what the tool shows."""
    told = {"the log": node.agents[-1].text()}
    for words in ("diagnose",), ("get", "ratelimit-stats", "-A", "-o", "json"), ("get", "ratelimits", "-A", "-o", "yaml"):
        result = node.tool(*words)
        told[" ".join(words)] = result.stdout + result.stderr
    for name, text in told.items():
        expect(not any(part in text for part in PARTS), f"{name} has no password")
    expect("--log-level debug" in read(node.agents[-1].process.pid, "cmdline"), "the log is that of level debug")


def check_works(node):
    node.wait_for_redis()
    wait_for("a request is let through", lambda: node.ask() == 200)
    check_untold(node)


@case_of_each({"password": ":", "user": "agent:"})
def it_is_in_the_url(env, user):
    with running() as (nodes, servers):
        more = ["--user", "agent", "on", f">{SECRET}", *RIGHTS] if user != ":" else ["--requirepass", SECRET]
        servers.append(Redis(env, *more))
        check_works(start(env, nodes, f"redis://{user}{IN_URL}@{HOST}"))


@case
def it_is_in_a_file_which_is_read_again(env):
    file = os.path.join(env.root, "password")
    env.publish(file, "s3cr-of-yesterday\n")
    with running() as (nodes, servers):
        servers.append(Redis(env, "--requirepass", SECRET))
        node = start(env, nodes, f"redis://{HOST}", "--redis-password-file", file, wait=False)
        wait_for("it is refused", lambda: f"{HOST}: the user or the password is wrong" in node.agents[-1].text())
        check_untold(node)
        env.publish(file, SECRET + "\n")
        check_works(node)
        expect("s3cr" not in read(node.agents[-1].process.pid, "cmdline"), "the command line has no password")


@case
def it_is_in_the_environment(env):
    os.environ["REDIS_PASSWORD"] = SECRET
    with running() as (nodes, servers):
        servers.append(Redis(env, "--requirepass", SECRET))
        node = start(env, nodes, f"redis://{HOST}")
        check_works(node)
        expect("s3cr" not in read(node.agents[-1].process.pid, "cmdline"), "the command line has no password")


@case
def a_file_that_is_missing_is_told_of(env):
    with running() as (nodes, servers):
        servers.append(Redis(env))
        node = start(env, nodes, f"redis://{HOST}", "--redis-password-file", os.path.join(env.root, "none"), wait=False)
        wait_for("it is told", lambda: "/none: No such file or directory" in node.agents[-1].text())


# Each with how Redis is started, and what is told of it.
REFUSING = {
    "none is set": ([], "AUTH is refused: ERR"),
    "another": (["--requirepass", "other"], "the user or the password is wrong"),
    # Its answer would have the arguments.
    "no such command": (["--rename-command", "AUTH", ""], "AUTH is refused: ERR"),
}


@case_of_each(REFUSING)
def a_server_that_refuses_it(env, value):
    args, told = value
    with running() as (nodes, servers):
        servers.append(Redis(env, *args))
        node = start(env, nodes, f"redis://:{IN_URL}@{HOST}", wait=False)
        wait_for("it is told", lambda: f"{HOST}: {told}" in node.agents[-1].text())
        check_untold(node)


@case
def an_answer_with_the_key_of_all_nodes_is_cut(env):
    with running() as (nodes, servers):
        servers.append(Redis(env, "--rename-command", "SET", ""))
        node = start(env, nodes, f"redis://{HOST}", wait=False)
        wait_for("it is told", lambda: f"{HOST}: ERR unknown command 'SET'" in node.agents[-1].text())
        expect("krl:hash" not in node.agents[-1].text(), "without what was to be written")


@case_of_each({"port": f"{HOST}x", "database": f"{HOST}/x", "host": ""})
def a_url_that_is_none_ends_the_agent(env, where):
    env.metrics += ["--redis", f"redis://:{IN_URL}@{where}"]
    agent = env.start_agent()
    wait_for("it ends", lambda: agent.process.poll() is not None)
    equal(agent.process.returncode, 1, "exit status")
    expect("expected redis://" in agent.text(), f"it says why: {agent.text()}")
    expect(not any(part in agent.text() for part in PARTS), "without the password")
