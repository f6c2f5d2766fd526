# SPDX-License-Identifier: Apache-2.0
"""Connections that go out: connect() fails over the limit of what was dialled."""

import concurrent.futures
import ctypes
import errno
import os
import select
import socket
import struct
import subprocess
import sys

import bpfmap
import foreign
import isolation
from client import equal, expect, expect_limited, expect_ok, get
from documents import bucket_rule, endpoint_slice, ratelimit, several
from harness import DEADLINE_S, PORT, Skip, case, need_ipv6, wait_for

LOOPBACK = "127.0.0.1"
MAPPED = "::ffff:127.0.0.1"
TEN = "{name: all, count: Connections, limit: 10/day}"
OUTBOUND = "direction: Outbound"
IPPROTO_MPTCP = 262
TCP_FASTOPEN_CONNECT = 30
SOCK_RELEASE = 34  # of enum bpf_attach_type

_libc = ctypes.CDLL(None, use_errno=True)


def outbound(env, *rules, ports=(PORT,), ip=LOOPBACK, spec=()):
    return env.limit(*ports, ip=ip, spec=(OUTBOUND, *spec), rules=list(rules) or [TEN])


def listener(host=LOOPBACK, port=PORT, backlog=1024, **options):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=backlog, **options)


def dialling(host=LOOPBACK, kind=socket.SOCK_STREAM, proto=0, family=None):
    sock = socket.socket(family or (socket.AF_INET6 if ":" in host else socket.AF_INET), kind, proto)
    sock.settimeout(DEADLINE_S)
    return sock


def outcomes(count, host=LOOPBACK, port=PORT, **options):
    """The errno of each of @count connect(), 0 for one that was admitted."""
    answers = []
    for _ in range(count):
        with dialling(host, **options) as sock:
            answers.append(sock.connect_ex((host, port)))
    return answers


def is_ten(answers, refused=errno.ECONNREFUSED):
    equal(answers, [0] * 10 + [refused] * (len(answers) - 10), "what connect() said")


def accepted(server):
    """How many connections wait to be accepted."""
    count = 0
    server.setblocking(False)
    while select.select([server], [], [], 0)[0]:
        server.accept()[0].close()
        count += 1
    return count


@case
def over_the_limit_connect_fails(env):
    with listener() as server:
        outbound(env)
        is_ten(outcomes(15))
        equal(accepted(server), 10, "connections that the server saw")
    item = env.item()
    equal((item["totalRequests"], item["rateLimitedRequests"]), (15, 5), "all, and limited")
    equal(env.tokens(), 0, "tokens left")


@case
def eperm_on_request(env):
    with listener():
        outbound(env, spec=("onLimit: EPERM",))
        is_ten(outcomes(15), errno.EPERM)


@case
def the_refusing_rule_says_why(env):
    """Two RateLimits on one address: that which refuses decides."""
    with listener():
        env.write("wide.yaml", ratelimit("wide", PORT, spec=(OUTBOUND, "onLimit: EPERM"), rules=[
            "{name: all, count: Connections, limit: 5/day}"]))
        env.write("limit.yaml", ratelimit("limit", PORT, spec=(OUTBOUND,), rules=[TEN]))
        env.agent("limit", "wide")
        equal(outcomes(7), [0] * 5 + [errno.EPERM] * 2, "what connect() said")
        equal(env.tokens("limit"), 5, "tokens of the rule that did not refuse")


@case
def tokens_come_back(env):
    with listener():
        outbound(env, bucket_rule(1, 1, "500ms")[:-1] + ", count: Connections}")
        wait_for("a connection that is refused", lambda: outcomes(1) != [0])
        wait_for("one that is admitted", lambda: outcomes(1) == [0])


@case
def a_mapped_address_is_the_ipv4_one(env):
    with listener("::", dualstack_ipv6=True):
        outbound(env)
        is_ten(outcomes(5) + outcomes(6, MAPPED))


@case
def ipv6(env):
    with listener("::1"):
        outbound(env, ip="::1")
        is_ten(outcomes(12, "::1"))


@case
def any_address(env):
    """A rule of :: has one bucket over all that is dialled."""
    with listener("::", dualstack_ipv6=True):
        outbound(env, ip="::")
        is_ten(outcomes(3) + outcomes(3, "::1") + outcomes(3, MAPPED) + outcomes(3, "127.0.0.2"))


@case
def no_address_means_the_loopback_one(env):
    with listener("::", dualstack_ipv6=True):
        outbound(env)
        is_ten(outcomes(6, "0.0.0.0") + outcomes(6, "::ffff:0.0.0.0"))
        outbound_6 = ratelimit("six", PORT, ip="::1", spec=(OUTBOUND,), rules=[TEN])
        env.write("six.yaml", outbound_6)
        wait_for("the second rule in force", lambda: env.lists("six"))
        is_ten(outcomes(12, "::"))
        with dialling() as bound:
            bound.bind(("127.0.0.2", 0))
            equal(bound.connect_ex(("0.0.0.0", PORT)), 0, "connect() to itself of a socket that is bound elsewhere")


@case
def as_many_when_they_dial_at_once(env):
    with listener(), concurrent.futures.ThreadPoolExecutor(16) as pool:
        outbound(env, "{name: all, count: Connections, limit: 100/day}")
        answers = sum(pool.map(outcomes, [20] * 16), [])
    equal((answers.count(0), answers.count(errno.ECONNREFUSED)), (100, 220), "admitted and refused")
    item = env.item()
    equal((item["totalRequests"], item["rateLimitedRequests"]), (320, 220), "all, and limited")


@case
def others_are_not_counted(env):
    """UDP, another port, another address."""
    with listener("::", dualstack_ipv6=True), listener(port=PORT + 1):
        outbound(env)
        for options in ({"kind": socket.SOCK_DGRAM}, {"port": PORT + 1}, {"host": "127.0.0.2"}, {"host": "::1"}):
            equal(outcomes(15, **options), [0] * 15, f"what connect() said, {options}")
        equal(env.item()["totalRequests"], 0, "connections counted")
        is_ten(outcomes(11))
        equal(outcomes(1, kind=socket.SOCK_DGRAM), [0], "what connect() of UDP said, with no token left")


@case
def each_attempt_is_one(env):
    """Asking how a connection gets on takes nothing; one more attempt does, on the same socket too."""
    with listener(backlog=0), dialling() as first, dialling() as second:
        outbound(env)
        equal(first.connect_ex((LOOPBACK, PORT)), 0, "what fills the queue of the server")
        second.setblocking(False)
        equal(second.connect_ex((LOOPBACK, PORT)), errno.EINPROGRESS, "a connection that is not accepted")
        equal([second.connect_ex((LOOPBACK, PORT)) for _ in range(5)], [errno.EALREADY] * 5, "asked again")
        equal(env.tokens(), 8, "tokens after two attempts")
    with listener():
        is_ten([0] * 2 + outcomes(9))


def disconnect(sock):
    equal(_libc.connect(sock.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16), 0, "disconnecting")


@case
def a_socket_that_dials_again(env):
    """With nobody there, then over the limit; and after it was disconnected."""
    outbound(env, "{name: all, count: Connections, limit: 4/day}")
    with dialling() as sock:
        sock.setblocking(True)
        equal([sock.connect_ex((LOOPBACK, PORT)) for _ in range(2)], [errno.ECONNREFUSED] * 2, "nobody listens")
        equal(env.tokens(), 2, "tokens after two attempts that failed")
        with listener():
            equal(sock.connect_ex((LOOPBACK, PORT)), 0, "the third attempt")
            equal(sock.connect_ex((LOOPBACK, PORT)), errno.EISCONN, "on a connection")
            equal(env.tokens(), 1, "tokens after three")
            disconnect(sock)
            equal(sock.connect_ex((LOOPBACK, PORT)), 0, "the fourth")
            disconnect(sock)
            equal(sock.connect_ex((LOOPBACK, PORT)), errno.ECONNREFUSED, "the fifth")


@case
def a_socket_that_does_not_wait_is_refused_at_once(env):
    with listener():
        outbound(env)
        is_ten(outcomes(10))
        with dialling() as sock:
            sock.setblocking(False)
            equal(sock.connect_ex((LOOPBACK, PORT)), errno.ECONNREFUSED, "what connect() said")


@case
def fast_open_is_no_way_round(env):
    with listener():
        outbound(env)
        is_ten(outcomes(10))
        with dialling() as sock:
            try:
                sock.sendto(b"x", socket.MSG_FASTOPEN, (LOOPBACK, PORT))
                said = 0
            except OSError as error:
                said = error.errno
            equal(said, errno.ECONNREFUSED, "what sendto() with MSG_FASTOPEN said")
        with dialling() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
            equal(sock.connect_ex((LOOPBACK, PORT)), errno.ECONNREFUSED, "connect() with TCP_FASTOPEN_CONNECT")


@case
def multipath_tcp_is_no_way_round(env):
    try:
        dialling(proto=IPPROTO_MPTCP).close()
    except OSError as error:
        raise Skip(f"no MPTCP: {error.strerror}")
    with listener():
        outbound(env)
        is_ten(outcomes(12, proto=IPPROTO_MPTCP))


@case
def each_namespace_has_a_bucket(env):
    holders = [env.server(new_network=True) for _ in range(2)]
    outbound(env)
    for holder in holders:
        with isolation.Inside(holder.pid):
            is_ten(outcomes(12))
    with listener():
        is_ten(outcomes(12))
    equal(env.buckets()["total"], 3, "buckets")


@case
def shadow_mode_refuses_nothing(env):
    with listener():
        outbound(env, "{name: all, count: Connections, limit: 3/day, mode: Shadow}")
        equal(outcomes(10), [0] * 10, "what connect() said")
    item = env.item()
    equal((item["totalRequests"], item["rateLimitedRequests"], item["shadowLimitedRequests"]), (10, 0, 7), "counted")


@case
def edits_and_removal(env):
    with listener():
        outbound(env)
        is_ten(outcomes(11))
        env.write("limit.yaml", ratelimit("limit", PORT, spec=(OUTBOUND, "onLimit: EPERM"), rules=[TEN]))
        wait_for("the edit in force", lambda: outcomes(1) == [errno.EPERM])
        os.unlink(os.path.join(env.config, "limit.yaml"))
        wait_for("the rule gone", lambda: not env.stats())
        equal(outcomes(15), [0] * 15, "what connect() said without a rule")


@case
def limits_hold_when_the_agent_is_killed(env):
    with listener():
        agent = outbound(env)
        equal(outcomes(5), [0] * 5, "with the agent")
        agent.kill()
        is_ten([0] * 5 + outcomes(7))
        env.agent("limit")
        equal(outcomes(2), [errno.ECONNREFUSED] * 2, "with the next agent")
        equal(attached(env), {10: 1, 11: 1}, "programs on the cgroup, by type")


def attached(env, *kinds):
    """How many programs for connect4 (10) and connect6 (11), or of @kinds, are on the cgroup."""
    directory, counts = os.open(env.cgroup, os.O_RDONLY), {}
    for kind in kinds or (10, 11):
        query = ctypes.create_string_buffer(struct.pack("IIIIQI", directory, kind, 0, 0, 0, 0), 64)
        expect(_libc.syscall(bpfmap.NUMBER, 16, query, 64) == 0, "BPF_PROG_QUERY failed")
        counts[kind] = struct.unpack_from("I", query, 24)[0]
    os.close(directory)
    return counts


@case
def nothing_is_in_the_way_before_the_first_rule(env):
    """With a rule for what comes in alone neither connect() nor the end of a socket runs a program. The first rule for
    what goes out attaches those, which stay; so does the next agent's."""
    kinds = (10, 11, SOCK_RELEASE)
    env.write("in.yaml", ratelimit("in", PORT, rules=["{name: all, count: Connections, limit: 1000/day}"]))
    agent = env.agent("in")
    with listener(), dialling() as old, dialling() as other:
        equal(attached(env, *kinds), dict.fromkeys(kinds, 0), "programs on the cgroup, by type")
        equal(old.connect_ex((LOOPBACK, PORT)), 0, "connect() before the rule")
        env.write("limit.yaml", ratelimit("limit", PORT, spec=(OUTBOUND,), rules=[TEN]))
        wait_for("the rule in force", lambda: env.lists("limit", "in"))
        equal(attached(env, *kinds), dict.fromkeys(kinds, 1), "programs on the cgroup, by type, with the rule")
        is_ten([other.connect_ex((LOOPBACK, PORT))] + outcomes(11))
        os.unlink(os.path.join(env.config, "limit.yaml"))
        wait_for("the rule gone", lambda: not env.lists("limit"))
        agent.kill()
        env.agent("in")
        equal(attached(env, *kinds), dict.fromkeys(kinds, 1), "programs on the cgroup, by type, without the rule")
        env.write("limit.yaml", ratelimit("limit", PORT, spec=(OUTBOUND,), rules=[TEN]))
        wait_for("the rule in force", lambda: env.lists("limit", "in"))
        is_ten(outcomes(12))


@case
def detach_leaves_nothing(env):
    with listener(), dialling() as held:
        agent = outbound(env)
        equal(held.connect_ex((LOOPBACK, PORT)), 0, "connect()")
        equal(attached(env), {10: 1, 11: 1}, "programs on the cgroup, by type")
        agent.terminate()
        equal(env.detach().returncode, 0, "exit status of --detach")
        equal(attached(env), {10: 0, 11: 0}, "programs on the cgroup, by type, after --detach")
        equal(outcomes(15), [0] * 15, "what connect() said after --detach")


@case
def requests_and_connections_are_apart(env):
    """A rule on what comes in and one on what goes out, at one address."""
    env.server()
    env.write("in.yaml", ratelimit("in", PORT, limit="2/day"))
    env.write("limit.yaml", ratelimit("limit", PORT, spec=(OUTBOUND,), rules=[
        "{name: all, count: Connections, limit: 3/day}"]))
    env.agent("limit", "in")
    conn = env.connect()
    for _ in range(2):
        expect_ok(conn.ask(get()))
    expect_limited(conn.ask(get()), 2, "2 per 1 day")
    equal(outcomes(3), [0, 0, errno.ECONNREFUSED], "what connect() said")
    equal((env.tokens("in"), env.tokens("limit")), (0, 0), "tokens")


@case
def another_program_may_send_it_elsewhere(env):
    """What was dialled counts, not where it went."""
    with listener(port=PORT + 1):
        outbound(env)
        link = foreign.rewriting(env.cgroup, LOOPBACK, PORT + 1)
        is_ten(outcomes(12))
        equal(outcomes(3, port=PORT + 1), [0] * 3, "what nobody limits")
        os.close(link)


@case
def another_program_that_was_there_first(env):
    if tuple(int(part) for part in os.uname().release.split(".")[:2]) < (6, 17):
        raise Skip("the kernel runs programs on a cgroup in the order in which they came")
    with listener(port=PORT + 1):
        link = foreign.rewriting(env.cgroup, LOOPBACK, PORT + 1)
        outbound(env)
        is_ten(outcomes(12))
        os.close(link)


DIALLER = """
import os, socket, sys
with open(os.path.join(sys.argv[1], "cgroup.procs"), "w") as procs:
    procs.write("0")
for _ in range(3):
    with socket.socket() as sock:
        print(sock.connect_ex((sys.argv[2], int(sys.argv[3]))))
"""


@case
def what_another_program_refuses_takes_nothing(env):
    """Programs on a cgroup below run before."""
    inner = os.path.join(env.cgroup, "inner")
    os.mkdir(inner)
    try:
        link = foreign.refusing(inner)
        with listener():
            outbound(env)
            done = env.run([sys.executable, "-c", DIALLER, inner, LOOPBACK, str(PORT)])
            equal(done.stdout.split(), [str(errno.EPERM)] * 3, "what connect() said")
            is_ten(outcomes(11))
        os.close(link)
    finally:
        os.rmdir(inner)


SERVICE_IPS = ("10.96.0.10", "fd00:96::10")
ENDPOINT_IPS = ("10.0.0.2", "fd00::2")

TRANSLATION = f"""\
table ip service {{
    chain out {{
        type nat hook output priority -100
        ip daddr {SERVICE_IPS[0]} tcp dport 80 dnat to {ENDPOINT_IPS[0]}:{PORT}
    }}
}}
table ip6 service {{
    chain out {{
        type nat hook output priority -100
        ip6 daddr {SERVICE_IPS[1]} tcp dport 80 dnat to [{ENDPOINT_IPS[1]}]:{PORT}
    }}
}}
"""


def ip_command(*args):
    subprocess.run(["ip", *args], check=True)


def service_over_veth(env):
    """Service addresses of this namespace whose connections are translated to a server in another."""
    nft = "/usr/sbin/nft"
    if not os.path.exists(nft):
        raise Skip("nft is not installed")
    holder = subprocess.Popen(["sleep", "infinity"], preexec_fn=isolation.new_network)
    env.processes.append(holder)
    ip_command("link", "add", "here", "type", "veth", "peer", "name", "there", "netns", str(holder.pid))
    ip_command("address", "add", "10.0.0.1/24", "dev", "here")
    ip_command("address", "add", "fd00::1/64", "dev", "here", "nodad")
    ip_command("link", "set", "here", "up")
    ip_command("route", "add", "10.96.0.0/16", "via", ENDPOINT_IPS[0])
    ip_command("route", "add", "fd00:96::/64", "via", ENDPOINT_IPS[1])
    env.publish(os.path.join(env.root, "nat"), TRANSLATION)
    done = env.run([nft, "-f", os.path.join(env.root, "nat")])
    if done.returncode:
        raise Skip(f"no NAT: {done.stderr.strip().splitlines()[0]}")
    with isolation.Inside(holder.pid):
        ip_command("address", "add", f"{ENDPOINT_IPS[0]}/24", "dev", "there")
        ip_command("address", "add", f"{ENDPOINT_IPS[1]}/64", "dev", "there", "nodad")
        ip_command("link", "set", "there", "up")
        return listener("::", dualstack_ipv6=True)


SERVICE = f"""\
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: default}}
spec:
  clusterIP: {SERVICE_IPS[0]}
  clusterIPs: ["{SERVICE_IPS[0]}", "{SERVICE_IPS[1]}"]
  ports:
    - {{name: http, protocol: TCP, port: 80, targetPort: {PORT}}}
"""

OF_SERVICE = f"""\
apiVersion: kmesh.net/v1alpha1
kind: RateLimit
metadata: {{name: limit, namespace: default}}
spec:
  service: web
  direction: Outbound
  rules:
    - {TEN}
"""


@case
def a_service_address_is_limited_as_it_was_dialled(env):
    need_ipv6()
    with service_over_veth(env):
        slices = [endpoint_slice("web", PORT, (ip,), kind=kind, suffix=kind.lower())
                  for ip, kind in zip(ENDPOINT_IPS, ("IPv4", "IPv6"))]
        env.write("limit.yaml", several(OF_SERVICE, SERVICE, *slices))
        env.agent("limit")
        for service_ip, endpoint_ip in zip(SERVICE_IPS, ENDPOINT_IPS):
            is_ten(outcomes(12, service_ip, 80))
            is_ten(outcomes(12, endpoint_ip, PORT))
        equal(env.buckets()["total"], 4, "buckets: of the service's addresses, and of the endpoint's")
