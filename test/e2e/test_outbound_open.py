# SPDX-License-Identifier: Apache-2.0
"""How many connections that went out may be open at once."""

import contextlib
import errno
import os
import signal
import socket
import struct
import subprocess
import sys

import foreign
from client import equal
from documents import ratelimit
from harness import PORT, case, wait_for
from test_outbound import LOOPBACK, OUTBOUND, dialling, listener, outbound, outcomes

THREE = "{name: all, maxConnections: 3}"
EPERM = ("onLimit: EPERM",)
NO_ROUTE = "198.51.100.1"


class Dials(contextlib.ExitStack):
    """Sockets that are held open."""

    def more(self, count, host=LOOPBACK, port=PORT):
        """The errno of each of @count connect() more."""
        return [self.enter_context(dialling(host)).connect_ex((host, port)) for _ in range(count)]


def none_open(env, limit=3):
    wait_for("nothing open", lambda: env.tokens() == limit)


@case
def one_that_closes_makes_room(env):
    with listener(), Dials() as held:
        outbound(env, THREE, spec=EPERM)
        equal(held.more(5), [0] * 3 + [errno.EPERM] * 2, "what connect() said")
        item = env.item()
        equal((item["totalRequests"], item["rateLimitedRequests"], item["availableTokens"]), (5, 2, 0), "counted")
        held.close()
        none_open(env)
        equal(held.more(4), [0] * 3 + [errno.EPERM], "what connect() said after the first were closed")


@case
def a_reset_makes_room(env):
    with listener() as server, Dials() as held:
        outbound(env, THREE, spec=EPERM)
        equal(held.more(3), [0] * 3, "what connect() said")
        for _ in range(3):
            conn = server.accept()[0]
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            conn.close()
        none_open(env)
        equal(held.more(4), [0] * 3 + [errno.EPERM], "what connect() said after the server had reset them")


HOLDER = """
import socket, sys
held = []
for _ in range(int(sys.argv[2])):
    held.append(socket.socket())
    held[-1].connect(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
sys.stdin.read()
"""


@case
def the_death_of_a_process_makes_room(env):
    """Nobody accepts, so the ends of a dead process wait for the other side's FIN; some of them as sockets still."""
    with open("/proc/sys/net/ipv4/tcp_fin_timeout", "w", encoding="ascii") as seconds:
        seconds.write("1")
    with listener(backlog=4096):
        agent = outbound(env, "{name: all, maxConnections: 900}", spec=EPERM)
        for dead in (False, True):
            holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(PORT), "900"], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE)
            env.processes.append(holder)
            equal(holder.stdout.readline(), b"ready\n", "the process that holds the connections")
            equal(outcomes(1), [errno.EPERM], "what connect() said with 900 open")
            if dead:
                agent.kill()
            holder.send_signal(signal.SIGKILL)
            none_open(env, 900)


@case
def connections_that_never_began_are_not_open(env):
    """Nobody listens, there is no route, no port is free: on fresh sockets, and on one that tries again."""
    outbound(env, THREE, spec=EPERM)
    env.write("away.yaml", ratelimit("away", PORT, ip=NO_ROUTE, spec=(OUTBOUND, *EPERM), rules=[THREE]))
    wait_for("both rules in force", lambda: env.lists("limit", "away"))
    equal(outcomes(9), [errno.ECONNREFUSED] * 9, "nobody listens")
    equal(outcomes(9, NO_ROUTE), [errno.ENETUNREACH] * 9, "no route")
    with dialling() as sock:
        equal([sock.connect_ex((NO_ROUTE, PORT)) for _ in range(9)], [errno.ENETUNREACH] * 9, "the same socket")
    equal((env.tokens("limit"), env.tokens("away")), (3, 3), "what is left")
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w", encoding="ascii") as ports:
        ports.write("40001 40001")
    with listener(), Dials() as held:
        equal(held.more(1), [0], "what takes the only port")
        equal(outcomes(9), [errno.EADDRNOTAVAIL] * 9, "no port")
        equal(env.tokens("limit"), 2, "what is left")


@case
def they_are_not_when_the_rule_comes_later_either(env):
    """Of sockets from before the first rule for what goes out, which dial when it is there, and are closed."""
    agent = env.agent()
    with Dials() as held:
        socks = [held.enter_context(dialling()) for _ in range(3)]
        equal([sock.connect_ex((NO_ROUTE, PORT)) for sock in socks], [errno.ENETUNREACH] * 3, "without a rule")
        env.write("limit.yaml", ratelimit("limit", PORT, ip=NO_ROUTE, spec=(OUTBOUND, *EPERM), rules=[THREE]))
        wait_for("the rule in force", lambda: env.lists("limit"))
        agent.kill()
        equal([sock.connect_ex((NO_ROUTE, PORT)) for sock in socks], [errno.ENETUNREACH] * 3, "with the rule")
        equal(env.tokens(), 0, "what is left while they are open")
    equal(env.tokens(), 3, "what is left when they are closed")


@case
def what_another_program_refuses_is_not_open(env):
    with listener(), Dials() as held:
        outbound(env, THREE)
        link = foreign.refusing(env.cgroup)
        equal(outcomes(9), [errno.EPERM] * 9, "what connect() said")
        with dialling() as sock:
            equal([sock.connect_ex((LOOPBACK, PORT)) for _ in range(9)], [errno.EPERM] * 9, "the same socket")
            os.close(link)
            equal(sock.connect_ex((LOOPBACK, PORT)), 0, "the same socket, later")
            equal(held.more(3), [0] * 2 + [errno.ECONNREFUSED], "others")


@case
def a_failed_attempt_is_forgotten_when_the_socket_goes_elsewhere(env):
    with listener(), Dials() as held:
        env.write("limit.yaml", ratelimit("limit", PORT, ip=NO_ROUTE, spec=(OUTBOUND,), rules=[THREE]))
        env.agent("limit")
        for _ in range(5):
            sock = held.enter_context(dialling())
            equal(sock.connect_ex((NO_ROUTE, PORT)), errno.ENETUNREACH, "no route")
            equal(sock.connect_ex((LOOPBACK, PORT)), 0, "what nobody limits")
        equal(env.tokens(), 3, "what is left")


@case
def a_socket_that_does_not_wait_holds_its_place(env):
    """A connection counts from connect() on: while it is not established, and no longer when it is given up."""
    with listener(backlog=0) as server, Dials() as held:
        equal(held.more(1), [0], "what fills the queue of the server")
        outbound(env, "{name: all, maxConnections: 2}", spec=EPERM)
        none_open(env, 1)
        with dialling() as sock:
            sock.setblocking(False)
            equal(sock.connect_ex((LOOPBACK, PORT)), errno.EINPROGRESS, "a connection that is not accepted")
            equal(outcomes(1), [errno.EPERM], "a third")
        none_open(env, 1)
        server.accept()[0].close()
        equal(held.more(1), [0], "one after that was given up")


@case
def beside_a_limit_in_time(env):
    with listener(), Dials() as held:
        outbound(env, "{name: all, count: Connections, limit: 5/day, maxConnections: 3}", spec=EPERM)
        equal(held.more(4), [0] * 3 + [errno.EPERM], "what connect() said")
        equal(env.tokens(rule="all"), 2, "tokens of the limit in time")
        held.close()
        wait_for("nothing open", lambda: env.tokens(rule="all-2") == 3)
        equal(held.more(3), [0] * 2 + [errno.EPERM], "what connect() said after those were closed")


@case
def shadow_mode(env):
    with listener(), Dials() as held:
        outbound(env, "{name: all, maxConnections: 3, mode: Shadow}")
        equal(held.more(5), [0] * 5, "what connect() said")
        item = env.item()
        equal((item["totalRequests"], item["rateLimitedRequests"], item["shadowLimitedRequests"]), (5, 0, 2), "counted")
        held.close()
        none_open(env)
