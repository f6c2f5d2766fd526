# SPDX-License-Identifier: Apache-2.0
"""What can have one limit on several nodes: connections that come in and go out, tokens of model servers, and the values of
a Distinct selector."""

import contextlib
import itertools
import socket
import threading

import models
from client import equal, expect, get
from cluster_net import cluster
from harness import DEADLINE_S, case, case_of_each, wait_for
from incoming import links

CLUSTER = {"scope": "Cluster", "initialCredit": 0, "whenUnavailable": "Closed"}


def dialled(node):
    """Does one more connection to its port come about? It is closed again."""
    with node.inside(), socket.socket() as sock:
        sock.settimeout(DEADLINE_S)
        return not sock.connect_ex(("127.0.0.1", node.port))


@case_of_each(("Inbound", "Outbound"))
def connections(env, direction):
    rule = "{name: all, count: Connections, limit: 30/day, scope: Cluster, initialCredit: 0, whenUnavailable: Closed}"
    with cluster(env, 2, rule, spec=(f"direction: {direction}",)) as net:
        servers = [node.server(port=node.port) for node in net.nodes]
        if direction == "Inbound":
            for node in net.nodes:
                wait_for("its namespace is guarded", lambda node=node: len(links(node)) == 1)
        came = [0, 0]
        node = itertools.cycle(enumerate(net.nodes))

        def spent():
            number, one = next(node)
            came[number] += dialled(one)
            return net.redis.spent()

        wait_for("all are spent", spent)
        equal(sum(came), 30, f"connections that came about on both nodes: {came}")
        expect(all(came), f"some on each node: {came}")
        equal([dialled(one) for one in net.nodes], [False, False], "one more on each node")
        for server, count in zip(servers, came):
            wait_for("the server has accepted them", lambda server=server, count=count: len(server.events("accept")) == count)


def requests_of(node, body, *fields):
    """Until one is refused and nothing is left; the tokens of those that were answered."""
    while True:
        with node.connect(node.port) as conn:
            node.conns.remove(conn)
            conn.send(models.request("chat", body, *fields))
            yield models.reply(conn).status


@case_of_each({"reserved": {"reserve": "MaxTokens"}, "counted afterwards": {}})
def llm_tokens(env, fields):
    whole, need = 3000, 160
    body = models.asked("chat", prompt=1, most=100)
    completion = models.headers({"completion-tokens": 60})
    with cluster(env, 2, models.budget(f"{whole}/day", **CLUSTER, **fields)) as net:
        servers = [models.Models(node, node.port) for node in net.nodes]
        asking = itertools.cycle([requests_of(node, body, *completion) for node in net.nodes])

        def answered():
            rows = [server.of("m") for server in servers]
            return sum(row["total"] for row in rows), [row["requests"] for row in rows]

        refused = []

        def over():
            status = next(next(asking))
            expect(status in (200, 429), f"status {status}")
            refused.append(status == 429)
            # A reservation may be refused while nodes hold parts of what it needs: not for long.
            return net.redis.lendable() < need if fields else len(refused) > 60 and all(refused[-60:])

        wait_for("all is spent", over)
        total, counts = answered()
        each = total // sum(counts)
        # Without a reservation an answer is counted when it is over: one on each node.
        most = whole if fields else whole + len(net.nodes) * each
        expect(whole - (1 if fields else 3) * need <= total <= most, f"{total} tokens were answered of {whole}, requests {counts}")
        expect(all(counts), f"some on each node: {counts}")


@case
def values_of_a_selector(env):
    """Forty users on three nodes: each has one limit."""
    rule = ("{name: all, limit: 6/day, scope: Cluster, initialCredit: 0, whenUnavailable: Closed, "
            "clientSelectors: [{headers: [{name: x-user, type: Distinct}]}]}")
    users = [f"u{number}" for number in range(40)]
    with cluster(env, 3, rule) as net:
        servers = [node.server(port=node.port) for node in net.nodes]
        admitted = [dict.fromkeys(users, 0) for _ in net.nodes]
        conns = [node.connect(node.port) for node in net.nodes]
        over = threading.Event()

        def ask(conn, counts):
            with contextlib.suppress(OSError):
                for user in itertools.cycle(users):
                    if over.is_set():
                        return
                    counts[user] += conn.ask(get("/", f"x-user: {user}")).status == 200

        threads = [threading.Thread(target=ask, args=pair) for pair in zip(conns, admitted)]
        for thread in threads:
            thread.start()
        try:
            wait_for("all of all users is spent", lambda: net.redis.spent(len(users)))
        finally:
            over.set()
            for thread in threads:
                thread.join()
        sums = {user: sum(counts[user] for counts in admitted) for user in users}
        equal(sums, dict.fromkeys(users, 6), "requests let through of each user")
        expect(all(sum(counts.values()) for counts in admitted), "some on each node")
        equal(sum(len(server.requests()) for server in servers), 6 * len(users), "requests that reached the servers")
