# SPDX-License-Identifier: Apache-2.0
"""`kmesh-rl diagnose rate-limit` on a node as it comes to be, works, and is left."""

import json
import os

from client import equal, expect, expect_ok, get
from documents import ratelimit
from harness import PORT, case, wait_for

ALL = ["kernel", "bpffs", "cgroup", "pins", "agent", "programs", "connections", "buckets", "blocking-readers", "judged"]


def diagnosed(env, status=0):
    """{name: (status, text)} of each check, in order; @status is the exit status to expect."""
    result = env.tool("diagnose", "rate-limit", "-o", "json")
    equal(result.returncode, status, f"exit status of diagnose ({result.stdout} {result.stderr})")
    return {check["name"]: (check["status"], check["text"]) for check in json.loads(result.stdout)["checks"]}


def levels(found):
    return {name: level for name, (level, _) in found.items() if level != "ok"}


@case
def a_node_that_limits_is_ok(env):
    env.server()
    env.limit()
    expect_ok(env.connect().ask(get()), "/")
    found = diagnosed(env)
    equal(list(found), ALL, "checks")
    equal(levels(found), {}, f"checks that are not ok of {found}")
    expect(found["connections"][1].startswith("1 of "), f"connections: {found['connections']}")
    expect(found["buckets"][1].startswith("1 of "), f"buckets: {found['buckets']}")
    text = env.tool("diagnose", "ratelimit")
    equal([line.split()[:2] for line in text.stdout.splitlines()], [["ok", name] for name in ALL], "lines")


@case
def a_node_without_an_agent_fails(env):
    equal(levels(diagnosed(env, status=1)), {"pins": "fail", "agent": "fail"}, "before the first agent")
    agent = env.limit()
    agent.kill()
    found = diagnosed(env, status=1)
    equal(levels(found), {"agent": "fail"}, "without an agent")
    expect("start it" in found["agent"][1], f"agent: {found['agent']}")


@case
def a_program_that_is_not_attached_fails(env):
    env.limit()
    env.write("out.yaml", ratelimit("out", PORT, spec=("direction: Outbound",)))
    wait_for("both rules in force", lambda: env.lists("limit", "out"))
    away = os.path.join(env.bpffs, "krl_away")
    for name in ("sockops", "connect4", "connect6", "release"):
        link = os.path.join(env.bpffs, f"link_{name}")
        os.rename(link, away)
        equal(levels(diagnosed(env, status=1)), {"programs": "fail"}, f"without the link of {name}")
        os.rename(away, link)
    equal(levels(diagnosed(env)), {}, "checks that are not ok")


@case
def blocking_servers_are_told(env):
    env.server("blocking")
    env.limit()
    conn = env.connect()
    for _ in range(3):
        expect_ok(conn.ask(get()), "/")
    found = diagnosed(env)
    equal(levels(found), {"blocking-readers": "warn"}, "checks that are not ok")
    text = found["blocking-readers"][1]
    expect("1 connections so far" in text and f"127.0.0.1:{PORT} (1)" in text, f"it says: {text}")


@case
def what_cannot_be_judged_is_told(env):
    env.server()
    env.limit()
    conn = env.accepted(env.servers[0])
    conn.send_segment(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    wait_for("it is counted", lambda: env.reasons()["tls"])
    equal(levels(diagnosed(env)), {"judged": "warn"}, "checks that are not ok")
