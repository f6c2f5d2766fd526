# SPDX-License-Identifier: Apache-2.0
"""Connections as the cases of what comes in make them, and what becomes of them."""

import errno
import socket

from client import equal
from documents import ratelimit
from harness import DEADLINE_S, PORT, wait_for

RULE = "{name: all, count: Connections, limit: 10/day}"


def limit(env, *ports, rules=(RULE,), **settings):
    """A RateLimit on connections to @ports, and an agent that enforces it."""
    env.write("limit.yaml", ratelimit("limit", *ports or (PORT,), rules=list(rules), **settings))
    return env.agent("limit")


def guarded(env, count=1):
    """@count network namespaces have the program."""
    wait_for(f"{count} network namespaces guarded", lambda: len(links(env)) == count)


def enforce(env, *ports, **settings):
    """limit(), once it is in force in the network namespace of the case."""
    agent = limit(env, *ports, **settings)
    guarded(env)
    return agent


def links(env):
    return [name for name in env.pins() if name.startswith("link_lookup_")]


def dial(env, port=PORT, host="127.0.0.1", source=None):
    """A connection that stays until the case ends; None when it is refused at once."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.settimeout(DEADLINE_S)
    env.conns.append(sock)
    if source:
        sock.bind(source)
    try:
        sock.connect((host, port))
    except OSError as error:
        env.conns.remove(sock)
        sock.close()
        if error.errno != errno.ECONNREFUSED:
            raise
        return None
    return sock


def opened(env, tries, **where):
    """How many of @tries connections are not refused."""
    return sum(dial(env, **where) is not None for _ in range(tries))


def reached(server, count):
    """The server has accepted @count connections, and no more come."""
    wait_for(f"{count} connections at the server", lambda: len(server.events("accept")) >= count)
    equal(len(server.events("accept")), count, "connections at the server")


def hang_up(sock, reset=False):
    """Close @sock; with RST, if asked."""
    if reset:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()
