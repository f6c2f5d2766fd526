# SPDX-License-Identifier: Apache-2.0
"""Names of Redis' servers: looked up beside the agent's work, and all their addresses tried."""

import contextlib
import os
import socket
import struct

from documents import ratelimit
from harness import DEADLINE_S, PORT, case, wait_for
from isolation import bind
from nodes import REDIS, Node, Redis, running

A, IN = 1, 1


class NameServer:
    """Answers when it is told to; its questions are those of this case alone."""

    def __init__(self, env):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 53))
        self.sock.settimeout(DEADLINE_S)
        for name, text in ("resolv.conf", "nameserver 127.0.0.1\n"), ("nsswitch.conf", "hosts: dns\n"):
            env.publish(os.path.join(env.root, name), text)
            bind(os.path.join(env.root, name), os.path.join("/etc", name))

    def question(self):
        return self.sock.recvfrom(512)

    def answer(self, question, *addresses):
        text, client = question
        end = text.index(b"\0", 12) + 5
        kind = struct.unpack("!H", text[end - 4:end - 2])[0]
        found = addresses if kind == A else ()
        head = text[:2] + struct.pack("!HHHHH", 0x8180, 1, len(found), 0, 0)
        rows = (struct.pack("!HHHIH", 0xc00c, A, IN, 0, 4) + socket.inet_aton(one) for one in found)
        self.sock.sendto(head + text[12:end] + b"".join(rows), client)

    def answer_all(self, *addresses):
        """Until a server of them was asked."""
        self.sock.settimeout(0.1)
        with contextlib.suppress(TimeoutError):
            while True:
                self.answer(self.question(), *addresses)


def start(env, nodes):
    nodes.append(Node(env, "n", PORT, ratelimit("limit", PORT, rules=["{name: all, limit: 100/second, scope: Cluster}"]),
                      [f"redis://redis.example:{REDIS}"], wait=False))
    return nodes[0]


@case
def a_name_server_that_hangs_holds_up_nothing(env):
    names = NameServer(env)
    with running() as (nodes, _):
        node = start(env, nodes)
        question = names.question()
        node.write("other.yaml", ratelimit("other", PORT + 1))
        wait_for("another limit is in force meanwhile", lambda: node.lists("other"))
        # The order is the resolver's: once, it is not the first of them where somebody listens.
        both = "127.0.0.2", "127.0.0.1"
        names.answer(question, *both)
        for host in both:
            redis = Redis(env, host=host)
            wait_for("Redis is there", lambda: names.answer_all(*both) or f"at={host}:{REDIS}" in node.agents[-1].text())
            redis.stop()


@case
def a_name_that_is_not_there_is_told(env):
    names = NameServer(env)
    with running() as (nodes, servers):
        node = start(env, nodes)
        wait_for("it is told", lambda: names.answer_all() or
                 f"redis.example:{REDIS}: no address" in node.agents[-1].text())
        servers.append(Redis(env))
        wait_for("it is tried again", lambda: names.answer_all("127.0.0.1") or "Redis is there" in node.agents[-1].text())
