# SPDX-License-Identifier: Apache-2.0
"""Connections that went out before maxConnections came, or while it changes, count in it."""

import errno
import os
import signal
import socket
import struct
import subprocess
import sys

import foreign
import isolation
from client import equal
from documents import ratelimit
from harness import PORT, case, need_ipv6, wait_for
from test_concurrent import nothing_is_held, room
from test_outbound import LOOPBACK, MAPPED, OUTBOUND, dialling, listener, outcomes
from test_outbound_open import EPERM, HOLDER, NO_ROUTE, Dials

OTHER = "127.0.0.2"


def write(env, name="limit", ip=LOOPBACK, **limits):
    """A RateLimit whose rules are called as @limits are, each a maxConnections."""
    rules = [f"{{name: {rule}, maxConnections: {limit}}}" for rule, limit in limits.items()]
    env.write(f"{name}.yaml", ratelimit(name, PORT, ip=ip, spec=(OUTBOUND, *EPERM), rules=rules))


def comes(env, name="limit", **settings):
    """It is in force, as write() has it."""
    write(env, name, **settings)
    limits = set(settings) - {"ip"}
    wait_for("the rules in force", lambda: {i["rule"] for i in env.stats() if i["name"] == name} == limits)


@case
def those_from_before_the_rule(env):
    """Above the limit too; a second rule counts them as well, the first one only once."""
    need_ipv6()
    agent = env.agent()
    with listener("::", dualstack_ipv6=True) as server, Dials() as held, Dials() as more:
        equal(held.more(3) + held.more(1, "::1") + held.more(1, MAPPED), [0] * 5, "what connect() said without a rule")
        comes(env, ip="::", all=3)
        room(env, -2)
        equal(outcomes(2), [errno.EPERM] * 2, "what connect() said with two more than may be open")
        comes(env, ip="::", all=6, more=8)
        room(env, 3, rule="more")
        room(env, 1, rule="all")
        equal(more.more(2), [0, errno.EPERM], "what connect() said beside them")
        for _ in range(3):
            conn = server.accept()[0]
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            conn.close()
        room(env, 3, rule="all")
        held.close()
        room(env, 5, rule="all")
        room(env, 7, rule="more")
        equal(more.more(6), [0] * 5 + [errno.EPERM], "what connect() said when those from before were closed")
        more.close()
        room(env, 6, rule="all")
        room(env, 8, rule="more")
        nothing_is_held(env)
    equal(agent.process.poll(), None, "exit status of the agent")


@case
def one_on_its_way(env):
    """It counts before it is established, and no longer when it is given up."""
    env.agent()
    with listener(backlog=0) as server, Dials() as held:
        equal(held.more(1), [0], "what fills the queue of the server")
        with dialling() as sock:
            sock.setblocking(False)
            equal(sock.connect_ex((LOOPBACK, PORT)), errno.EINPROGRESS, "a connection that is not accepted")
            comes(env, all=2)
            room(env, 0)
            equal(outcomes(1), [errno.EPERM], "a third")
        room(env, 1)
        server.accept()[0].close()
        held.close()
        room(env, 2)
        nothing_is_held(env)


@case
def those_of_a_process_that_dies(env):
    with open("/proc/sys/net/ipv4/tcp_fin_timeout", "w", encoding="ascii") as seconds:
        seconds.write("1")
    env.agent()
    with listener(backlog=4096):
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(PORT), "900"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        env.processes.append(holder)
        equal(holder.stdout.readline(), b"ready\n", "the process that holds the connections")
        comes(env, all=901)
        room(env, 1)
        equal(outcomes(1), [0], "one more")
        holder.send_signal(signal.SIGKILL)
        room(env, 901)
        nothing_is_held(env)


@case
def the_next_agent_counts_them_once(env):
    with listener(), Dials() as first, Dials() as second, Dials() as third:
        equal(first.more(2), [0] * 2, "what connect() said without an agent")
        write(env, all=5)
        agent = env.agent("limit")
        room(env, 3)
        equal(second.more(2), [0] * 2, "what connect() said with the agent")
        agent.kill()
        equal(third.more(2), [0, errno.EPERM], "what connect() said when it was killed")
        first.close()
        env.agent("limit")
        room(env, 2)
        comes(env, all=5, more=9)
        room(env, 6, rule="more")
        room(env, 2, rule="all")
        second.close()
        third.close()
        room(env, 5, rule="all")
        room(env, 9, rule="more")
        nothing_is_held(env)


@case
def each_namespace_counts_its_own(env):
    holders = [env.server(new_network=True) for _ in range(2)]
    env.agent()
    with Dials() as held, Dials() as more:
        for count, holder in enumerate(holders, 1):
            with isolation.Inside(holder.pid):
                equal(held.more(count), [0] * count, "what connect() said without a rule")
        comes(env, all=3)
        wait_for("two buckets", lambda: env.buckets()["total"] == 2)
        for count, holder in enumerate(holders, 1):
            with isolation.Inside(holder.pid):
                equal(more.more(3), [0] * (3 - count) + [errno.EPERM] * count, "what connect() said beside them")


@case
def those_that_were_accepted_are_none(env):
    """Here is the other end of a connection from an address to which connections are counted."""
    env.agent()
    with listener(OTHER, PORT + 1), listener(), dialling() as from_there, Dials() as held:
        from_there.bind((OTHER, PORT))
        equal(from_there.connect_ex((OTHER, PORT + 1)), 0, "a connection from the port")
        equal(held.more(1), [0], "one to the port")
        comes(env, ip="0.0.0.0", all=3)
        room(env, 2)
        equal(held.more(3), [0] * 2 + [errno.EPERM], "what connect() said beside it")


@case
def those_outside_the_agents_cgroup_are_none(env):
    env.cgroup = os.path.join(env.cgroup, "inside")
    os.mkdir(env.cgroup)
    holders = []
    try:
        env.agent()
        with listener(), Dials() as held, open(os.path.join(env.cgroup, "cgroup.procs"), "wb", 0) as procs:
            equal(held.more(2), [0] * 2, "what connect() said outside")
            holders.append(subprocess.Popen([sys.executable, "-c", HOLDER, str(PORT), "1"], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, preexec_fn=lambda: procs.write(b"0")))
            equal(holders[0].stdout.readline(), b"ready\n", "the process that holds one inside")
            comes(env, all=3)
            room(env, 2)
    finally:
        for holder in holders:
            holder.kill()
            holder.wait()
        os.rmdir(env.cgroup)


@case
def what_was_dialled_counts(env):
    """Another program sent them elsewhere; what they dialled was noted for a rule that does not count what is open, on
    connections or on requests."""
    before = ("{name: pace, count: Connections, limit: 100/day}", "{name: requests, limit: 100/day}")
    with listener(port=PORT + 1), Dials() as held, Dials() as more:
        for ip, old in zip((LOOPBACK, OTHER), before):
            env.write(f"{ip}.yaml", ratelimit(ip, PORT, ip=ip, spec=(OUTBOUND,), rules=[old]))
        env.agent(LOOPBACK, OTHER)
        link = foreign.rewriting(env.cgroup, LOOPBACK, PORT + 1)
        equal(held.more(1) + held.more(2, OTHER), [0] * 3, "what connect() said")
        comes(env, all=3)
        comes(env, name="other", ip=OTHER, all=3)
        room(env, 2, name="limit")
        room(env, 1, name="other")
        equal(more.more(3), [0] * 2 + [errno.EPERM], "what connect() said beside them")
        os.close(link)


@case
def where_a_socket_dialled_before_does_not_count(env):
    write(env, "away", ip=NO_ROUTE, all=3)
    env.agent("away")
    with listener(), dialling() as sock:
        equal(sock.connect_ex((NO_ROUTE, PORT)), errno.ENETUNREACH, "no route")
        equal(sock.connect_ex((LOOPBACK, PORT)), 0, "what nobody limits")
        comes(env, all=3)
        room(env, 2, name="limit")
        equal(env.tokens("away"), 3, "room where there is no route")


@case
def without_its_rule_a_connection_holds_nothing(env):
    env.agent()
    with listener(), Dials() as held:
        comes(env, all=3)
        equal(held.more(2), [0] * 2, "what connect() said")
        os.unlink(os.path.join(env.config, "limit.yaml"))
        wait_for("the rule gone", lambda: not env.stats())
        nothing_is_held(env)
        comes(env, all=3)
        room(env, 1)


@case
def rules_that_are_gone_leave_room_for_others(env):
    """A connection counts in four rules at most: in those that are there."""
    env.agent()
    with listener(), Dials() as held:
        equal(held.more(1), [0], "what connect() said without a rule")
        for name in "abcdef":
            comes(env, **{name: 3})
            wait_for(f"rule {name} counts it", lambda: [i["availableTokens"] for i in env.stats()] == [2])
        held.close()
        room(env, 3)
        nothing_is_held(env)
