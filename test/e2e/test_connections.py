# SPDX-License-Identifier: Apache-2.0
"""Rules that count connections that come in."""

import os
import shutil
import socket
import ssl
import struct
import subprocess
import threading

import isolation
import syn
from certificates import Certificates
from client import equal, expect
from documents import ratelimit
from harness import PORT, Skip, case, case_of_each, need_ipv6, wait_for
from incoming import RULE, dial, enforce, guarded, limit, links, opened, reached


def counted(env, total, limited, **which):
    item = env.item(**which)
    equal((item["totalRequests"], item["rateLimitedRequests"]), (total, limited), "connections judged and refused")


@case
def ten_are_let_in_and_no_more(env):
    server = env.server()
    enforce(env)
    equal(opened(env, 25), 10, "connections let in")
    reached(server, 10)
    counted(env, 25, 15)
    equal(env.tokens(), 0, "tokens left")


@case
def they_come_back_with_time(env):
    env.server()
    enforce(env, rules=["{name: all, count: Connections, maxTokens: 3, tokensPerFill: 3, fillInterval: 300ms}"])
    equal(opened(env, 3), 3, "connections let in at first")
    wait_for("a connection is let in again", lambda: opened(env, 1) == 1)


@case
def over_ipv6_and_ipv4_to_one_listener(env):
    server = env.server(host="::", dual=True)
    enforce(env, ip="::")
    equal(opened(env, 5, host="127.0.0.1") + opened(env, 10, host="::1"), 10, "connections let in")
    equal(opened(env, 1, host="::ffff:127.0.0.1"), 0, "connections to the mapped address let in")
    reached(server, 10)


@case
def an_address_of_its_own_beside_the_wildcard(env):
    env.server(host="::", dual=True)
    env.write("one.yaml", ratelimit("one", PORT, rules=["{name: all, count: Connections, limit: 2/day}"]))
    enforce(env, ip="0.0.0.0", rules=["{name: all, count: Connections, limit: 5/day}"])
    equal(opened(env, 4), 2, "connections to 127.0.0.1 let in")
    equal(opened(env, 6, host="127.0.0.2"), 3, "connections to 127.0.0.2 let in")
    equal(opened(env, 3, host="::1"), 3, "connections over IPv6 let in, to which no rule applies")


@case
def several_limits_all_or_none(env):
    env.server()
    enforce(env, rules=["{name: few, count: Connections, limit: 3/day}",
                        "{name: many, count: Connections, limit: 10/day}"])
    equal(opened(env, 5), 3, "connections let in")
    equal(env.tokens(rule="many"), 7, "tokens of the rule that did not refuse")
    counted(env, 3, 0, rule="many")
    counted(env, 5, 2, rule="few")


@case
def shadow_mode_lets_in_and_counts(env):
    server = env.server()
    enforce(env, rules=["{name: all, count: Connections, limit: 2/day, mode: Shadow}"])
    equal(opened(env, 5), 5, "connections let in")
    reached(server, 5)
    item = env.item()
    equal((item["totalRequests"], item["rateLimitedRequests"], item["shadowLimitedRequests"]), (5, 0, 3), "counters")


@case
def sources_have_buckets_of_their_own(env):
    env.server(host="0.0.0.0")
    enforce(env, rules=["{name: each, count: Connections, limit: 2/day, clientSelectors:"
                        " [{sourceCIDR: {value: 127.0.0.0/8, type: Distinct}}]}"])
    for source in ("127.0.0.5", "127.0.0.6"):
        equal(opened(env, 3, source=(source, 0)), 2, f"connections from {source} let in")
    shown = env.buckets()["items"]
    equal(len(shown), 2, "buckets shown")


@case
def only_the_selected_source_is_limited(env):
    env.server(host="0.0.0.0")
    enforce(env, rules=["{name: one, count: Connections, limit: 1/day, clientSelectors:"
                        " [{sourceIP: {value: 127.0.0.5}}]}"])
    equal(opened(env, 3, source=("127.0.0.5", 0)), 1, "connections of the source that is selected let in")
    equal(opened(env, 3, source=("127.0.0.6", 0)), 3, "connections of another let in")
    counted(env, 3, 2)


@case
def a_port_that_is_used_again_pays_again(env):
    env.server()
    enforce(env)
    where = ("127.0.0.1", 45678)
    for left in (9, 8, 7):
        sock = dial(env, source=where)
        expect(sock, "refused below the limit")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        env.conns.remove(sock)
        equal(env.tokens(), left, "tokens left")


@case
def a_syn_that_is_sent_again_pays_once(env):
    env.server()
    enforce(env)
    env.conns.append(syn.silence("127.0.0.9", 40001))
    for _ in range(3):
        syn.send("127.0.0.1", syn.segment("127.0.0.9", "127.0.0.1", 40001, PORT))
    equal(env.tokens(), 9, "tokens after three times the same SYN")
    counted(env, 1, 0)
    # What it took is not taken for that of a segment of no connection.
    equal(opened(env, 10), 9, "connections let in beside it")


@case
def segments_of_no_connection_take_nothing(env):
    """They meet the program as a SYN does."""
    server = env.server()
    enforce(env)
    env.conns.append(syn.silence("127.0.0.9", 40001))
    for flags in (syn.ACK, syn.RST, syn.RST | syn.ACK, syn.FIN | syn.ACK, syn.FIN):
        for seq in range(10):
            syn.send("127.0.0.1", syn.segment("127.0.0.9", "127.0.0.1", 40001, PORT, flags, seq, 1))
    let_in = [0]

    def all_of_them():
        let_in[0] += opened(env, 1)
        return let_in[0] == 10

    wait_for("ten let in", all_of_them)
    equal(opened(env, 3), 0, "connections let in beyond ten")
    reached(server, 10)


@case
def with_syn_cookies_each_connection_pays_once(env):
    server = env.server()
    with open("/proc/sys/net/ipv4/tcp_syncookies", "w", encoding="ascii") as cookies:
        cookies.write("2")
    enforce(env)
    # The last ACK takes the token: who comes too late is reset after connect().
    for _ in range(15):
        try:
            dial(env)
        except ConnectionResetError:
            pass
    reached(server, 10)
    wait_for("no token left", lambda: env.tokens() == 0)
    item = env.item()
    equal(item["totalRequests"] - item["rateLimitedRequests"], 10, "connections let in, as counted")


def addresses_of_ipv6(network, address):
    """All of @network are this machine's, as those of 127.0.0.0/8 are, and @address may be bound to."""
    need_ipv6()
    if not shutil.which("ip"):
        raise Skip("ip(8) is missing")
    subprocess.run(["ip", "-6", "route", "add", "local", network, "dev", "lo"], check=True)
    subprocess.run(["ip", "address", "add", address, "dev", "lo", "nodad"], check=True)


@case_of_each({"IPv4": ("127.0.0.1", "127.0.0.0/8", "127.0.0.5", "127.0.9.{}"),
               "IPv6": ("::1", "fd00:9::/48", "fd00:9:0:ff::5", "fd00:9:0:{}::9")})
def a_flood_of_syns_leaves_another_source_its_service(env, addresses):
    host, network, another, flooding = addresses
    if ":" in host:
        addresses_of_ipv6(network, another)
    server = env.server(host=host)
    enforce(env, ip=host, rules=["{name: each, count: Connections, limit: 20/day, clientSelectors:"
                                 f" [{{sourceCIDR: {{value: {network}, type: Distinct}}}}]}}"])
    for burst in range(10):
        syn.send(host, *(syn.segment(flooding.format(source), host, 20000 + burst * 100 + i, PORT)
                         for source in range(1, 21) for i in range(20)))
        equal(opened(env, 2, host=host, source=(another, 0)), 2, "connections of another source let in")
    equal(opened(env, 1, host=host, source=(another, 0)), 0, "connections above its own limit")
    reached(server, 20)
    item = env.item()
    equal(item["buckets"], 21, "buckets: of each source")
    expect(item["rateLimitedRequests"] > 20 * 100, f"{item['rateLimitedRequests']} SYNs of the flood refused")


class TlsServer(threading.Thread):
    """Answers each record with itself, until the case ends."""

    def __init__(self, certs):
        super().__init__(daemon=True)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certs.sign("server", "/CN=localhost"))
        self.listener = socket.create_server(("127.0.0.1", PORT))
        self.shaken = 0
        self.start()

    def run(self):
        while True:
            sock = self.listener.accept()[0]
            with self.context.wrap_socket(sock, server_side=True) as conn:
                self.shaken += 1
                conn.sendall(conn.recv(4096))


@case
def tls_is_let_in_or_refused_as_any(env):
    certs = Certificates(env.root)
    server = TlsServer(certs)
    context = ssl.create_default_context(cafile=certs.ca)
    enforce(env, rules=["{name: all, count: Connections, limit: 3/day}"])
    for number in range(5):
        sock = dial(env)
        equal(sock is not None, number < 3, f"connection {number} let in")
        if sock:
            with context.wrap_socket(sock, server_hostname="localhost") as conn:
                conn.sendall(b"hello")
                equal(conn.recv(4096), b"hello", "what the server says")
            env.conns.remove(sock)
    equal(server.shaken, 3, "handshakes")
    counted(env, 5, 2)


@case
def an_edit_and_its_end_reach_the_kernel(env):
    env.server()
    enforce(env, rules=["{name: all, count: Connections, limit: 2/day}"])
    equal(opened(env, 3), 2, "connections let in")
    env.write("limit.yaml", ratelimit("limit", PORT, rules=[RULE, "{name: b, count: Connections, limit: 3/day}"]))
    wait_for("the edit", lambda: len(env.stats()) == 2)
    equal(opened(env, 5), 0, "connections let in, of tokens that an edit does not bring back")
    os.unlink(os.path.join(env.config, "limit.yaml"))
    wait_for("the namespace let go", lambda: not links(env))
    equal(opened(env, 3), 3, "connections let in without a rule")


@case
def a_listener_that_comes_is_covered(env):
    limit(env, rules=["{name: all, count: Connections, limit: 2/day}"])
    equal(links(env), [], "namespaces guarded without a listener")
    env.server()
    guarded(env)
    equal(opened(env, 3), 2, "connections let in")


@case
def it_holds_without_the_agent_and_with_the_next(env):
    env.server()
    agent = enforce(env, rules=["{name: all, count: Connections, limit: 4/day}"])
    equal(opened(env, 2), 2, "connections let in")
    agent.kill()
    equal(opened(env, 1), 1, "connections let in without an agent")
    env.agent("limit")
    guarded(env)
    equal(opened(env, 3), 1, "connections let in by the next")


@case
def namespaces_with_one_address_have_buckets_of_their_own(env):
    servers = [env.server(new_network=True) for _ in range(2)]
    limit(env, rules=["{name: all, count: Connections, limit: 2/day}"])
    guarded(env, 2)
    for server in servers:
        with isolation.Inside(server.pid):
            equal(opened(env, 3), 2, "connections let in")
        reached(server, 2)
    equal(env.item()["buckets"], 2, "buckets")
