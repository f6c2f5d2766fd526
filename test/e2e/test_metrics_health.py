# SPDX-License-Identifier: Apache-2.0
"""Whether an agent answers probes and scrapes, whoever else asks, and what it says when it cannot."""

import os
import select
import time
import socket

import bpfmap
from apiserver import refuse
from client import equal, expect, get
from documents import ratelimit
from harness import case, wait_for
from kube import Cluster
from kube import ratelimit as kube_ratelimit
from scrape import HOST, PORT, Scraper, Slow, parse, seconds


@case
def health_and_readiness(env):
    scraper = Scraper(env)
    agent = env.limit(limit="3/hour")
    for path in ("/healthz", "/readyz"):
        equal(scraper.get(path)[::2], (200, "ok\n"), f"answer of {path}")
    equal(scraper.status("/"), 404, "status of a path that is not there")
    status, headers, _ = scraper.get("/metrics", method="POST")
    equal((status, headers["Allow"]), (405, "GET, HEAD"), "answer to a POST")
    status, headers, body = scraper.get("/metrics", method="HEAD")
    expect(status == 200 and body == "" and int(headers["Content-Length"]) > 1000, f"answer to a HEAD: {status} {headers}")
    link = os.path.join(env.bpffs, "link_sockops")
    os.rename(link, link + "_away")
    status, _, body = scraper.get("/readyz")
    expect(status == 503 and body.startswith("the programs are not attached: "), f"not attached: {status} {body}")
    equal(scraper.status("/healthz"), 200, "status of /healthz then")
    equal(scraper.value("kmesh_ratelimit_agent_ready"), 0, "ready then")
    os.rename(link + "_away", link)
    equal(scraper.status("/readyz"), 200, "status of /readyz once they are attached")
    equal(agent.terminate(), 0, "exit status of the agent")


@case
def readiness_waits_for_the_api_server(env):
    """Not before all was read; after that an API server that is gone makes no agent unready, since limits go on."""
    scraper = Scraper(env)
    cluster = Cluster(env)
    cluster.api.put(kube_ratelimit())
    cluster.api.fault("list", "ratelimits", refuse(500, "InternalError", "not now"), times=3)
    agent = cluster.start()
    wait_for("it is told why it is not ready", lambda: "metrics are told" in agent.text())
    status, _, body = scraper.get("/readyz")
    equal((status, body), (503, "the source was not read yet\n"), "answer of /readyz before the list")
    equal(scraper.status("/healthz"), 200, "status of /healthz before the list")
    equal(scraper.samples("kmesh_ratelimit_agent_last_sync_timestamp_seconds"), [], "the last time in sync")
    wait_for("ready", lambda: scraper.status("/readyz") == 200)
    expect(env.lists("limit"), "the limit is in force once it is ready")
    equal(scraper.by("resource", "kmesh_ratelimit_agent_watch_up"), {"ratelimits": 1}, "what is followed")
    cluster.api.stop()
    scraper.until("kmesh_ratelimit_agent_watch_up", lambda up: not up, resource="ratelimits")
    equal(scraper.status("/readyz"), 200, "status of /readyz without the API server")
    synced = scraper.value("kmesh_ratelimit_agent_last_sync_timestamp_seconds")
    equal(scraper.value("kmesh_ratelimit_agent_last_sync_timestamp_seconds"), synced, "the last time in sync")
    expect(agent.process.poll() is None, "the agent runs")


@case
def metrics_where_the_port_is_taken(env):
    """One line that says so, and nothing is left."""
    Scraper(env)
    env.write("limit.yaml", ratelimit("limit", 8080, limit="3/hour"))
    with socket.socket() as taken:
        taken.bind((HOST, PORT))
        taken.listen()
        agent = env.start_agent()
        equal(agent.process.wait(20), 1, "exit status")
        lines = agent.text().splitlines()
        equal(len(lines), 1, f"lines on standard error ({lines})")
        expect(lines[0].startswith(f"kmesh-rl-agent: metrics at {HOST}:{PORT}: Address already in use (another agent"), lines[0])
        expect("--metrics" in lines[0], lines[0])
        equal(env.pins(), [], "pins")
    env.agent("limit")


ADDRESSES = {
    "by default": ([], HOST, f"{HOST}:{PORT}"),
    "all of IPv4": (["--metrics", f"0.0.0.0:{PORT}"], "127.0.0.2", f"0.0.0.0:{PORT}"),
    "all, over IPv4": (["--metrics", f":{PORT}"], "127.0.0.2", f"[::]:{PORT}"),
    "all, over IPv6": (["--metrics", f":{PORT}"], "::1", f"[::]:{PORT}"),
    "IPv6": (["--metrics", f"[::1]:{PORT}"], "::1", f"[::1]:{PORT}"),
    "localhost": (["--metrics", f"localhost:{PORT}"], HOST, f"{HOST}:{PORT}"),
}


@case
def metrics_at_each_address(env):
    """One agent after another: an address that the one before had is free at once."""
    scraper = Scraper(env)
    env.write("limit.yaml", ratelimit("limit", 8080, limit="3/hour"))
    for name, (flags, host, said) in ADDRESSES.items():
        env.metrics = flags
        agent = env.agent("limit")
        expect(f"metrics are told\" at={said}" in agent.text().replace("at=\"", "at=").replace(f"{said}\"", said),
               f"[{name}] the agent says {said}: {agent.text()}")
        equal(scraper.status("/healthz", host=host), 200, f"[{name}] status of /healthz")
        # What the agent closes first stays in TIME_WAIT.
        with socket.create_connection((host, PORT)):
            equal(agent.terminate(), 0, f"[{name}] exit status")
    env.metrics = ["--metrics", "off"]
    env.agent("limit")
    with socket.socket() as sock:
        expect(sock.connect_ex((HOST, PORT)), "nobody listens with --metrics off")
    for flags in (["--metrics", "9464"], ["--metrics", "localhost:x"], ["--metrics", "[::1:1"], ["--metrics-top", "1001"]):
        done = env.run([env.agent_path(), "--source", "dir:x", *flags])
        expect(done.returncode == 2 and flags[0] in done.stderr and flags[1] in done.stderr, f"{flags}: {done.stderr}")


def is_served(scraper, **where):
    """A connection of one too many is reset."""
    try:
        return scraper.status("/metrics", **where) == 200
    except ConnectionError:
        return False


def go_on(env, scraper, what):
    """The agent goes round its loop: it answers on the control socket, gives 429s with their fields, and tells probes."""
    took = seconds(lambda: equal(scraper.status("/healthz", source="127.0.0.2"), 200, f"{what}: status of /healthz"))
    expect(took < 2, f"{what}: /healthz took {took} s")
    expect(env.lists("limit"), f"{what}: the control socket answers")
    reply = env.connect().ask(get())
    equal((reply.status, reply.field("Retry-After") is not None), (429, True), f"{what}: a whole answer from the kernel")


@case
def slow_clients_hold_up_nobody(env):
    """Clients that say nothing, a half head or half a line; that read nothing of a large answer; and too many of them."""
    scraper = Scraper(env)
    env.server()
    for number in range(40):
        env.write(f"many{number}.yaml", ratelimit(f"many{number}", 9000 + number, rules=[
            f"{{name: {'r' * 50}{rule}, limit: 3/hour}}" for rule in range(30)]))
    env.limit(limit="1/hour")
    env.connect().ask(get())
    large = scraper.text()
    expect(len(large) > 1 << 20, f"{len(large)} bytes of metrics")
    silent = [Slow(text) for text in (b"", b"G", b"GET /metrics HTTP/1.1\r\nHost: x\r\n", b"GET /metrics HTTP/1.1\r\nHo")]
    go_on(env, scraper, "silent clients")
    deaf = [Slow(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", room=4096) for _ in range(8)]
    go_on(env, scraper, "clients that read nothing")
    other = scraper.get(source="127.0.0.2")[2]
    equal(*[sum(sample[0] == "kmesh_ratelimit_requests_total" for sample in parse(text)) for text in (other, large)],
          "samples for another client meanwhile")
    many = [Slow(b"GET /metrics HTTP/1.1\r\n") for _ in range(100)]
    wait_for("those of one address that are too many are closed", lambda: sum(client.is_closed() for client in many) > 80)
    go_on(env, scraper, "too many clients of one address")
    for client in silent + many + deaf:
        client.close()
    wait_for("this address is served again", lambda: is_served(scraper))
    several = [Slow(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(12)]
    equal(scraper.status("/metrics"), 200, "status beside others that ask at the same time")
    for client in several:
        client.close()


@case
def others_cannot_take_the_connections_of_the_node(env):
    """From several addresses that are not loopback's, as many as they like: probes on the node itself are answered."""
    addresses = [f"192.0.2.{number}" for number in range(1, 6)]
    for address in addresses:
        equal(env.run(["ip", "address", "add", f"{address}/32", "dev", "lo"]).returncode, 0, "exit status of ip")
    scraper = Scraper(env, address=f":{PORT}")
    env.limit(limit="3/hour")
    clients = [Slow(b"GET /healthz HTTP/1.1\r\n", host=addresses[0], source=address) for address in addresses * 15]
    wait_for("some of them are closed", lambda: sum(client.is_closed() for client in clients) == len(clients) - 48)
    equal(scraper.status("/readyz"), 200, "status of /readyz on loopback")
    for client in clients:
        client.close()
    wait_for("others are served again", lambda: is_served(scraper, host=addresses[0], source=addresses[1]))


@case(alone=True)
def a_million_buckets_hold_up_nobody(env):
    """Reading them takes a while, in which the agent answers others, and is not taken for dead."""
    scraper = Scraper(env)
    env.server()
    env.limit(rules=["{name: all, limit: 1/hour, clientSelectors: [{headers: [{name: x-user, type: Distinct}]}]}"])
    bpfmap.fill(os.path.join(env.bpffs, "krl_buckets"))
    equal([env.connect().ask(get("/", "x-user: a")).status for _ in range(2)], [200, 429], "answers by the overflow bucket")
    asked = Slow(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    longest, count, began = 0, 0, time.monotonic()
    while not select.select([asked.sock], [], [], 0)[0]:
        longest = max(longest, seconds(lambda: equal(scraper.status("/healthz"), 200, "status of /healthz")))
        reply = env.connect().ask(get("/", "x-user: a"))
        equal((reply.status, reply.field("Retry-After") is not None), (429, True), "a whole answer meanwhile")
        count += 1
    took = time.monotonic() - began
    expect(count > 2 and longest < took / 3, f"{count} others were served in {took} s, one of them in {longest} s")
    expect(scraper.value("kmesh_ratelimit_buckets") > 1 << 19, "buckets in use")
    equal(scraper.value("kmesh_ratelimit_overflow_buckets"), 1, "overflow buckets in use")
    expect(scraper.value("kmesh_ratelimit_reasons_total", reason="bucket_overflow") >= 2, "requests that found no room")
