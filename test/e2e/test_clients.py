# SPDX-License-Identifier: Apache-2.0
"""clientIP: who the client is, where proxies say so in a header."""

import json

from client import equal, expect, expect_ok, get
from documents import ratelimit
from harness import PORT, admitted_of, case, each, wait_for
from nginx import proxies, start_nginx

EACH = "clientSelectors: [{sourceCIDR: {type: Distinct}}]"
PEER = "127.0.0.9"
CLIENT = "203.0.113.7"


def from_header(name, hops):
    return f"clientIP: {{header: {name}, trustedHops: {hops}}}"


def limits(env, name, hops, limit="1/day", **more):
    """A server, and an agent that gives @limit to each client that @name tells of."""
    server = env.server()
    spec = [from_header(name, hops), *(f"{field}: {value}" for field, value in more.items())]
    env.limit(rules=[f"{{name: client, limit: {limit}, {EACH}}}"], spec=spec)
    return server


def statuses(env, requests, **options):
    """Of @requests, each on a connection of its own from PEER."""
    return [env.connect(source=PEER, **options).ask(request).status for request in requests]


def forwarded(*lines):
    return get("/", *(f"X-Forwarded-For: {line}" for line in lines))


def one_client(env, requests, what):
    """All of @requests are by CLIENT, at a limit of 1: the first alone is admitted, whatever the others say."""
    found = dict(zip(requests, statuses(env, requests)))
    equal(found, dict(zip(requests, [200] + [429] * (len(requests) - 1))), what)
    equal(statuses(env, [get()]), [200], "status of the peer itself, who has a bucket too")


@case
def behind_a_proxy(env):
    """One connection of the proxy brings several clients; what they say of themselves does not count."""
    server = limits(env, "X-Forwarded-For", 1, "2/day")
    start_nginx(env, proxies(PORT + 1, PORT), PORT + 1)
    for last in (2, 3, 4):
        options = {"port": PORT + 1, "source": f"127.0.0.{last}"}
        equal(admitted_of(env, 1, get(), **options), 1, f"admitted of 127.0.0.{last}")
        equal(admitted_of(env, 3, forwarded("192.0.2.1"), **options), 1, "... which names another")
        equal(admitted_of(env, 2, forwarded("192.0.2.2, 192.0.2.3"), **options), 0, "... and two others")
    expect(len(server.events("accept")) < 9, "each client has a connection of the proxy's own")


@case
def behind_two_proxies(env):
    limits(env, "X-Forwarded-For", 2, "2/day")
    start_nginx(env, proxies(PORT + 2, PORT + 1, PORT), PORT + 2)
    for last in (2, 3, 4):
        options = {"port": PORT + 2, "source": f"127.0.0.{last}"}
        equal(admitted_of(env, 1, get(), **options), 1, f"admitted of 127.0.0.{last}")
        equal(admitted_of(env, 3, forwarded("192.0.2.1", "192.0.2.2, x,"), **options), 1, "... which names others")
    equal(admitted_of(env, 3, get(), port=PORT + 1, source="127.0.0.5"), 2, "admitted past the first proxy")
    equal(admitted_of(env, 1, get(), port=PORT + 1, source="127.0.0.6"), 0,
          "admitted of another past it: both are the peer")


@case
def real_ip(env):
    limits(env, "X-Real-IP", 1, "2/day")
    start_nginx(env, proxies(PORT + 1, PORT), PORT + 1)
    for last in (2, 3):
        options = {"port": PORT + 1, "source": f"127.0.0.{last}"}
        equal(admitted_of(env, 3, get("/", "X-Real-IP: 192.0.2.1"), **options), 2, f"admitted of 127.0.0.{last}")


@case
def without_trusted_hops_it_is_the_peer(env):
    limits(env, "X-Forwarded-For", 0)
    found = statuses(env, [forwarded(f"192.0.2.{n}") for n in range(5)])
    equal(found, [200] + [429] * 4, "statuses of one peer with five names")
    equal(admitted_of(env, 2, forwarded("192.0.2.1"), source="127.0.0.8"), 1, "admitted of another peer")


@case
def what_is_left_of_the_trusted_hops_does_not_count(env):
    limits(env, "X-Forwarded-For", 2)
    one_client(env, [
        forwarded(f"{CLIENT}, 10.0.0.1"),
        forwarded(f"192.0.2.1, {CLIENT}, 10.0.0.2"),
        forwarded(f"192.0.2.1, 192.0.2.2, 192.0.2.3, {CLIENT}, 10.0.0.3"),
        forwarded(f"unknown, {CLIENT}, unknown"),
        forwarded(f"[, {CLIENT}, ["),
        forwarded(f" ,, , {CLIENT} ,,\t, 10.0.0.1, ,"),
        forwarded(", ".join(f"192.0.2.{n}" for n in range(200)) + f", {CLIENT}, 10.0.0.1"),
        forwarded("a" * 2000 + f",{CLIENT},10.0.0.1"),
        forwarded(*(f"192.0.2.{n}" for n in range(20)), CLIENT, "10.0.0.1"),
    ], "statuses of one client with many names before its own")


@case
def the_most_trusted_hops(env):
    limits(env, "X-Forwarded-For", 8)
    behind = ", ".join(f"10.0.0.{n}" for n in range(7))
    one_client(env, [forwarded(f"{CLIENT}, {behind}"), forwarded(f"192.0.2.1, {CLIENT}, {behind}"),
                     forwarded(*[f"192.0.2.{n}" for n in range(9)], CLIENT, *behind.split(", "))],
               "statuses of one client behind eight proxies")
    equal(statuses(env, [forwarded(behind)]), [429], "status with seven addresses: the peer again")


@case
def several_lines_are_one_list(env):
    """... and none of them makes a request ambiguous."""
    limits(env, "X-Forwarded-For", 3, failurePolicy="Closed")
    one_client(env, [
        forwarded(f"{CLIENT}, 10.0.0.1, 10.0.0.2"),
        forwarded(f"{CLIENT}, 10.0.0.1", "10.0.0.2"),
        forwarded(CLIENT, "10.0.0.1", "10.0.0.2"),
        forwarded("192.0.2.1", f"192.0.2.2, {CLIENT}", "10.0.0.1, 10.0.0.2"),
        forwarded("", CLIENT, "", ", ", "10.0.0.1,", "", ",10.0.0.2", ""),
        get("/", f"x-forwarded-for: {CLIENT}", "X-Real-IP: 192.0.2.1", "X-FORWARDED-FOR:10.0.0.1", "X-Forwarded: x",
            "x-Forwarded-For:  10.0.0.2  "),
    ], "statuses of one client in several lines")


@case
def an_address_may_be_written_in_several_ways(env):
    limits(env, "X-Forwarded-For", 1)
    one_client(env, [forwarded(text) for text in (
        CLIENT, f"{CLIENT}:4711", f"[{CLIENT}]", f"[{CLIENT}]:80", f"::ffff:{CLIENT}", f"[::FFFF:{CLIENT}]:80",
        "::ffff:cb00:7107", f"\t{CLIENT} \t", f"{CLIENT}:")], "statuses of one IPv4 client")
    found = statuses(env, [forwarded(text) for text in (
        "2001:db8::1", "2001:DB8::1", "[2001:db8::1]", "[2001:db8:0:0::1]:443", "2001:0db8:0:0:0:0:0:0001",
        "2001:db8::0.0.0.1")])
    equal(found, [200] + [429] * 5, "statuses of one IPv6 client")


@case
def a_network_is_one_client(env):
    limits(env, "X-Forwarded-For", 1)
    found = statuses(env, [forwarded(text) for text in (
        "2001:db8:0:1::1", "2001:db8:0:1::2", "[2001:db8:0:1:ffff:ffff:ffff:ffff]:80", "2001:db8:0:2::1", "2001:db8::1",
        "192.0.2.1", "192.0.2.2")])
    equal(found, [200, 429, 429, 200, 200, 200, 200], "statuses of three addresses of a /64, and of four others")


@case
def without_an_address_it_is_the_peer(env):
    limits(env, "X-Forwarded-For", 1)
    table = {"none": get()}
    for text in ("", ",", ", ,", "unknown", "_hidden", "-", "203.0.113", "203.0.113.256", "203.0.113.07",
                 "203.0.113.7.", "203.0.113.7 1", "203.0.113.7x", "for=203.0.113.7", "[203.0.113.7", "203.0.113.7, x",
                 "203.0.113.7;", "\"203.0.113.7\"", "\xb2\xb3.1.1.1", "2001:db8::1%eth0", "2001:db8:::1", "2001:db8:1",
                 "[]"):
        table[text] = forwarded(text)
    table["another header"] = get("/", f"X-Real-IP: {CLIENT}", f"X-Forwarded-Fo: {CLIENT}",
                                  f"X-Forwarded-For2: {CLIENT}")
    equal(statuses(env, [get()]), [200], "status of the peer")

    def of_the_peer(_, request):
        conn = env.connect(source=PEER)
        conn.send(request)
        yield
        equal(conn.response().status, 429, "status")

    each(table, of_the_peer)
    equal(statuses(env, [forwarded(CLIENT)] * 2), [200, 429], "statuses of a client")


@case
def a_range_is_of_clients(env):
    server = env.server()
    env.limit(rules=["{name: inside, limit: 2/day, clientSelectors: [{sourceCIDR: 10.0.0.0/8}]}",
                     "{name: outside, limit: 1/day}"], spec=[from_header("X-Forwarded-For", 1)])
    found = statuses(env, [forwarded("10.1.2.3"), forwarded("10.200.0.1"), forwarded("10.1.2.3"),
                           forwarded("10.1.2.3, 11.0.0.1"), forwarded("11.0.0.1"), get()])
    equal(found, [200, 200, 429, 200, 429, 429], "statuses of three inside, and of three outside")
    equal(len(env.settled(server).requests()), 3, "requests that reached the server")


@case
def a_head_may_come_in_any_pieces(env):
    server = limits(env, "X-Forwarded-For", 2)
    request = get("/", f"X-Forwarded-For: 192.0.2.1, [::ffff:{CLIENT}]:80", "x-user: a", "X-Forwarded-For: 10.0.0.1")
    equal(statuses(env, [request]), [200], "status of the first")
    for at in range(1, len(request)):
        with env.accepted(server) as conn:
            conn.send_segment(request[:at])
            conn.send_segment(request[at:])
            equal(conn.response().status, 429, f"status of the request cut at {at}")
    with env.accepted(server) as conn:
        conn.send_bytes(request)
        equal(conn.response().status, 429, "status of the request in single bytes")
    equal(admitted_of(env, 2, get()), 1, "admitted of the peer, which none of them was taken for")


@case
def each_request_of_a_connection_has_its_client(env):
    """In one piece, and one after another."""
    server = limits(env, "X-Forwarded-For", 1)
    names = [f"192.0.2.{n}" for n in range(5)]
    with env.accepted(server) as conn:
        conn.send_segment(b"".join(forwarded(name) for name in names) + get())
        equal([conn.response().status for _ in range(6)], [200] * 6, "statuses of five clients and the peer")
    conn = env.connect()
    equal([conn.ask(forwarded(name)).status for name in names], [429] * 5, "statuses of the same five")
    equal(conn.ask(get()).status, 429, "status of the peer")
    expect_ok(conn.ask(forwarded("192.0.2.9")))


@case
def ratelimits_with_clients_of_their_own(env):
    """Two on one endpoint; a third header is refused, a third count of hops is not."""
    env.server()
    for name, header, limit in (("proxied", "X-Forwarded-For", "3/day"), ("real", "X-Real-IP", "2/day")):
        env.write(f"{name}.yaml", ratelimit(name, PORT, rules=[f"{{limit: {limit}, {EACH}}}"],
                                            spec=[from_header(header, 1)]))
    agent = env.agent("proxied", "real")

    def admitted(count, first, second):
        return admitted_of(env, count, get("/", f"X-Forwarded-For: {first}", f"X-Real-IP: {second}"))

    equal(admitted(3, "10.0.0.1", "192.0.2.1"), 2, "admitted, up to the limit of the second")
    equal(admitted(3, "10.0.0.1", "192.0.2.2"), 1, "admitted, up to the limit of the first")
    equal(admitted(3, "10.0.0.2", "192.0.2.2"), 1, "admitted of another in the first alone")
    env.write("third.yaml", ratelimit("third", PORT, rules=[f"{{limit: 1/day, {EACH}}}"],
                                      spec=[from_header("CF-Connecting-IP", 1)]))
    wait_for("a third header is refused",
             lambda: "default/third: too many different headers in clientIP on one endpoint" in agent.text())
    equal(admitted(3, "10.0.0.2", "192.0.2.3"), 2, "admitted, with the two in force")
    env.write("third.yaml", ratelimit("third", PORT, rules=[f"{{limit: 1/day, {EACH}}}"],
                                      spec=[from_header("X-Forwarded-For", 2)]))
    wait_for("a third count of hops is in force", lambda: env.lists("third"))
    found = [admitted(1, f"{first}, 10.0.0.9", f"192.0.2.{last}")
             for first, last in (("10.9.9.1", 5), ("10.9.9.1", 6), ("10.9.9.2", 7))]
    equal(found, [1, 0, 1], "admitted of one twice, and of another, in the third")


@case
def an_edit_reaches_open_connections(env):
    """Nothing but clientIP changes; buckets stay those of their addresses."""
    limits(env, "X-Forwarded-For", 1)
    conn = env.connect(source=PEER)
    equal([conn.ask(request).status for request in (get(), get(), forwarded(CLIENT), forwarded(CLIENT))],
          [200, 429, 200, 429], "statuses before the edit")
    env.write("limit.yaml", ratelimit("limit", PORT, rules=[f"{{name: client, limit: 1/day, {EACH}}}"],
                                      spec=[from_header("X-Real-IP", 1)]))
    fresh = iter(range(1, 1 << 24))

    def by_real_ip():
        number = next(fresh)
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        return conn.ask(get("/", f"X-Real-IP: {address}")).status == 200

    wait_for("the other header counts", by_real_ip)
    equal(conn.ask(get("/", f"X-Real-IP: {CLIENT}")).status, 429, "status of a client from before the edit")
    equal(conn.ask(forwarded("192.0.2.1")).status, 429, "status of the peer, whom the first header no longer names")
    env.write("limit.yaml", ratelimit("limit", PORT, rules=[f"{{name: client, limit: 1/day, {EACH}}}"]))
    wait_for("no header counts", lambda: not by_real_ip())
    equal(statuses(env, [forwarded("192.0.2.2")]), [429], "status of the peer without clientIP")


@case
def clients_outlive_the_agent(env):
    """The next one finds the document broken, and another for the same endpoint."""
    limits(env, "X-Forwarded-For", 2)
    first, second = forwarded("192.0.2.1, 10.0.0.1"), forwarded("192.0.2.2, 10.0.0.1")
    equal(statuses(env, [first]), [200], "status of the first client")
    env.agents[-1].kill()
    equal(statuses(env, [first, second, first]), [429, 200, 429], "statuses without an agent")
    env.write("limit.yaml", "kind: RateLimit\n")
    env.write("other.yaml", ratelimit("other", PORT, rules=[f"{{limit: 9/day, {EACH}}}"],
                                      spec=[from_header("X-Real-IP", 1)]))
    env.agent("limit", "other")
    third = forwarded("192.0.2.3, 10.0.0.1")
    equal(statuses(env, [first, second, third, third]), [429, 429, 200, 429], "statuses with the next agent")
    equal(env.item("other")["totalRequests"], 1, "requests that the other RateLimit counted")


@case
def check_tells_of_the_clients_bucket(env):
    limits(env, "X-Forwarded-For", 1, "5/day")
    equal(admitted_of(env, 3, forwarded(CLIENT)), 3, "admitted")

    def live(*headers):
        args = [word for header in headers for word in ("--header", header)]
        result = env.tool("check", "--live", "-f", env.config, "-o", "json", "--source", PEER, *args)
        equal(result.returncode, 0, f"exit status of check ({result.stderr.strip()})")
        item, = json.loads(result.stdout)["items"]
        return item["bucket"], item["availableTokens"]

    equal(live(f"X-Forwarded-For: 192.0.2.1, {CLIENT}:80"), (f"source={CLIENT}", 2), "of the client")
    equal(live(), (f"source={PEER}", 5), "of the peer")
