# SPDX-License-Identifier: Apache-2.0
"""`kmesh-rl diagnose rate-limit` on a node as it comes to be, works, and is left; and on broken ones, each found by
name."""

import json
import os
import shutil
import signal
import socket
import struct
import threading

import bpfmap
import foreign
import incoming
from client import equal, expect, expect_ok, get
from documents import ratelimit, service_ratelimit
from harness import PORT, Skip, case, wait_for

CHECKS = ["kernel", "bpffs", "cgroup", "pins", "agent", "source", "ratelimits", "endpoints", "listeners", "programs", "hooks",
          "sockmaps", "connections", "buckets", "maps", "blocking-readers", "judged", "clock"]
FEATURES = ["sock_ops", "sk_skb", "sk_msg", "cgroup_sock_addr", "sk_lookup", "sched_cls", "sockhash", "lru_hash", "queue", "ringbuf",
            "sk_storage", "prog_array", "bpf_loop", "bpf_for_each_map_elem", "bpf_msg_push_data", "bpf_set_retval", "verdict", "jit",
            "link_before"]
ALL = CHECKS[:1] + [f"feature-{name}" for name in FEATURES] + CHECKS[1:]
NOBODY = 65534
# Of struct krl_config.
ABI_VERSION, WALL_OFFSET = 0, 8


def parsed(result, status):
    """{name: (status, text)} of each check, in order; @status is the exit status to expect."""
    equal(result.returncode, status, f"exit status of diagnose ({result.stdout} {result.stderr})")
    return {check["name"]: (check["status"], check["text"]) for check in json.loads(result.stdout)["checks"]}


def diagnosed(env, status=0):
    return parsed(env.tool("diagnose", "rate-limit", "-o", "json"), status)


def levels(found):
    return {name: level for name, (level, _) in found.items() if level != "ok"}


def expect_found(found, name, level, *parts):
    """The check @name alone is not ok, and says @parts."""
    equal(levels(found), {name: level}, f"checks that are not ok ({found.get(name)})")
    for part in parts:
        expect(part in found[name][1], f"{part!r} is not in: {found[name][1]}")


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
    expect("each of 1 endpoints" in found["listeners"][1], f"listeners: {found['listeners']}")
    text = env.tool("diagnose", "ratelimit")
    equal([line.split()[:2] for line in text.stdout.splitlines()], [["ok", name] for name in ALL], "lines")


@case
def a_node_without_an_agent_fails(env):
    equal(levels(diagnosed(env, status=1)), {"pins": "fail", "agent": "fail"}, "before the first agent")
    env.server()
    agent = env.limit()
    agent.kill()
    expect_found(diagnosed(env, status=1), "agent", "fail", "start it")


@case
def an_agent_that_hangs_fails(env):
    env.server()
    agent = env.limit()
    agent.process.send_signal(signal.SIGSTOP)
    try:
        expect_found(diagnosed(env, status=1), "agent", "fail", "does not answer")
    finally:
        agent.process.send_signal(signal.SIGCONT)


@case
def what_is_no_agent_fails(env):
    env.server()
    env.limit()
    path = os.path.join(env.root, "other.sock")

    def answer():
        conn, _ = listener.accept()
        conn.recv(4096)
        conn.sendall(b"220 mail ready\n")
        conn.close()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        thread = threading.Thread(target=answer)
        thread.start()
        result = env.tool("--control-socket", path, "diagnose", "rate-limit", "-o", "json")
        thread.join()
    expect_found(parsed(result, 1), "agent", "fail", "does not answer")


@case
def a_program_that_is_not_attached_fails(env):
    env.server()
    env.limit()
    env.write("out.yaml", ratelimit("out", PORT, spec=("direction: Outbound",)))
    wait_for("both rules in force", lambda: env.lists("limit", "out"))
    away = os.path.join(env.bpffs, "krl_away")
    for name in ("sockops", "connect4", "connect6", "release"):
        link = os.path.join(env.bpffs, f"link_{name}")
        os.rename(link, away)
        expect_found(diagnosed(env, status=1), "programs", "fail", f"link_{name}")
        os.rename(away, link)
    equal(levels(diagnosed(env)), {}, "checks that are not ok")


@case
def sockets_without_a_verdict_fail(env):
    env.server()
    env.limit()
    bpfmap.detach_programs(os.path.join(env.bpffs, "krl_sockets"), foreign.BPF_SK_SKB_VERDICT)
    expect_found(diagnosed(env, status=1), "programs", "fail", "no program is attached to krl_sockets")


@case
def a_cgroup_that_is_gone_fails(env):
    env.server()
    cgroup = env.cgroup
    env.cgroup = os.path.join(cgroup, "inner")
    os.mkdir(env.cgroup)
    env.limit()
    os.rmdir(env.cgroup)
    env.cgroup = cgroup
    wait_for("the kernel lets go of it", lambda: env.tool("diagnose", "rate-limit").returncode == 1)
    expect_found(diagnosed(env, status=1), "programs", "fail", "the cgroup is gone")


@case
def a_directory_that_is_on_no_bpf_file_system_fails(env):
    env.limit()
    result = env.tool("--bpffs", env.root, "diagnose", "rate-limit", "-o", "json")
    found = parsed(result, 1)
    equal([found[name][0] for name in ("bpffs", "pins", "agent")], ["fail", "fail", "ok"], "bpffs, pins, agent")
    expect("mount -t bpf" in found["bpffs"][1], f"bpffs: {found['bpffs']}")


@case
def maps_of_another_version_fail(env):
    env.server()
    env.limit().kill()
    config = os.path.join(env.bpffs, "krl_config")
    with_version = struct.pack("I", 3)
    bpfmap.write(config, ABI_VERSION, with_version)
    found = diagnosed(env, status=1)
    equal(found["pins"][0], "fail", "pins")
    expect("another version" in found["pins"][1], f"pins: {found['pins']}")
    expect("programs" not in found, "what is read from the pins is left out")


@case
def without_rights_it_says_so(env):
    env.server()
    env.limit()

    def be_nobody():
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)

    try:
        result = env.run([os.path.join(env.build, "kmesh-rl"), "--bpffs", env.bpffs, "diagnose", "rate-limit", "-o", "json"],
                         preexec_fn=be_nobody)
    except PermissionError as error:
        raise Skip(f"nobody may not run what is built here: {error}") from error
    found = parsed(result, 1)
    equal((found["features"][0], found["pins"][0]), ("warn", "fail"), "features and pins")
    expect("run as root" in found["features"][1] and "run as root" in found["pins"][1], f"it says so: {found}")


@case
def a_source_that_is_gone_fails(env):
    env.server()
    env.limit()
    shutil.rmtree(env.config)
    wait_for("the agent sees it", lambda: env.tool("diagnose", "rate-limit").returncode == 1)
    expect_found(diagnosed(env, status=1), "source", "fail", "not in force as it says", env.config)
    os.mkdir(env.config)


@case
def what_is_refused_is_named(env):
    env.server()
    env.limit()
    env.write("bad.yaml", ratelimit("bad", PORT, limit="1/fortnight"))
    wait_for("it is refused", lambda: "refused" in env.agents[-1].text())
    found = diagnosed(env)
    equal(levels(found), {"source": "warn", "ratelimits": "warn"}, "checks that are not ok")
    expect("default/bad: Invalid" in found["ratelimits"][1] and "bad.yaml:" in found["ratelimits"][1], f"it says: {found}")


@case
def a_service_without_endpoints_is_named(env):
    env.server()
    env.write("waiting.yaml", service_ratelimit("waiting", "nobody"))
    env.limit()
    expect_found(diagnosed(env), "endpoints", "warn", "default/waiting: ServiceNotFound", "service nobody has no endpoint")


@case
def where_nobody_listens_is_named(env):
    env.server()
    env.limit(PORT, PORT + 1)
    expect_found(diagnosed(env), "listeners", "warn", f"127.0.0.1:{PORT + 1} (default/limit), of 2 endpoints")


@case
def a_server_outside_of_the_cgroup_is_named(env):
    env.server()
    cgroup = env.cgroup
    env.cgroup = os.path.join(cgroup, "inner")
    os.mkdir(env.cgroup)
    try:
        env.limit()
        expect_found(diagnosed(env), "listeners", "warn", f"the servers at 127.0.0.1:{PORT} (default/limit) are outside of the cgroup")
    finally:
        os.rmdir(env.cgroup)
        env.cgroup = cgroup


@case
def programs_of_others_are_named(env):
    env.server()
    incoming.limit(env, rules=[incoming.RULE])
    incoming.guarded(env)
    for attach, where in (lambda: foreign.asking(env.cgroup), "sock_ops"), (foreign.looking, "sk_lookup"):
        link = attach()
        try:
            expect_found(diagnosed(env), "hooks", "warn", f"{where} foreign (id ")
        finally:
            os.close(link)
        equal(levels(diagnosed(env)), {}, "checks that are not ok")


@case
def sockets_in_the_map_of_another_are_told(env):
    """An open connection that somebody else has in a map of his, with a verdict."""
    with socket.create_server(("127.0.0.1", PORT)) as listener, socket.create_connection(("127.0.0.1", PORT)) as client:
        server, _ = listener.accept()
        server.setblocking(False)
        held = foreign.holding(server)
        try:
            env.limit()
            wait_for("it is not let in", lambda: env.reasons()["not_enrolled"])
            found = diagnosed(env)
            equal(levels(found), {"sockmaps": "warn", "connections": "warn"}, f"checks that are not ok of {found}")
            expect("foreign_socks (id " in found["sockmaps"][1], f"sockmaps: {found['sockmaps']}")
        finally:
            os.close(held)
            server.close()


@case
def maps_that_are_nearly_full_are_named(env):
    env.server()
    env.limit().kill()
    bpfmap.fill(os.path.join(env.bpffs, "krl_loose"))
    found = diagnosed(env, status=1)
    equal(levels(found), {"agent": "fail", "maps": "warn"}, "checks that are not ok")
    expect("krl_loose is nearly full, 65536 of 65536" in found["maps"][1], f"maps: {found['maps']}")


@case
def a_clock_that_nobody_follows_is_told(env):
    env.server()
    env.limit().kill()
    bpfmap.write(os.path.join(env.bpffs, "krl_config"), WALL_OFFSET, struct.pack("q", 10**18))
    found = diagnosed(env, status=1)
    equal(levels(found), {"agent": "fail", "clock": "warn"}, "checks that are not ok")
    expect("X-RateLimit-Reset is wrong" in found["clock"][1], f"clock: {found['clock']}")


@case
def blocking_servers_are_told(env):
    env.server("blocking")
    env.limit()
    conn = env.connect()
    for _ in range(3):
        expect_ok(conn.ask(get()), "/")
    expect_found(diagnosed(env), "blocking-readers", "warn", "1 connections so far", f"127.0.0.1:{PORT} (1)")


@case
def what_cannot_be_judged_is_told(env):
    env.server()
    env.limit()
    conn = env.accepted(env.servers[0])
    conn.send_segment(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    wait_for("it is counted", lambda: env.reasons()["tls"])
    expect_found(diagnosed(env), "judged", "warn", "tls 1")
