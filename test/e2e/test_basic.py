# SPDX-License-Identifier: Apache-2.0
"""Ten requests pass, the next get the kernel's 429: families, listeners, and who is not touched."""

import os
import threading

import documents
from client import count_statuses, equal, expect, expect_limited, expect_ok, get, post
from harness import PORT, case, need_ipv6, wait_for
from isolation import Inside
from ten import on_fifteen_connections, on_one_connection, ten_then_limited


@case
def one_connection(env):
    on_one_connection(env)


@case
def fifteen_connections(env):
    on_fifteen_connections(env)


@case
def ten_per_minute_as_written(env):
    env.server()
    env.limit(limit="10/minute")
    conn = env.connect()
    limited = [answer for answer in (conn.ask(get()) for _ in range(15)) if answer.status == 429]
    expect(limited, "fifteen requests at once, and none was limited")
    for answer in limited:
        expect_limited(answer, text="10 per 1 minute", interval_s=60)


@case
def ipv6(env):
    need_ipv6()
    server = env.server(host="::1")
    env.limit(ip="::1")
    ten_then_limited(env, server, "::1")


@case
def ipv4_client_of_a_dual_stack_listener(env):
    need_ipv6()
    server = env.server(host="::", dual=True)
    env.limit()
    ten_then_limited(env, server)


@case
def a_mapped_endpoint_is_the_ipv4_endpoint(env):
    server = env.server()
    env.limit(ip="::ffff:127.0.0.1")
    ten_then_limited(env, server)


@case
def both_families_of_one_listener_count_apart(env):
    need_ipv6()
    env.server(host="::", dual=True)
    env.write("four.yaml", documents.ratelimit("four", PORT))
    env.write("six.yaml", documents.ratelimit("six", PORT, ip="::1", limit="3/day"))
    env.agent("four", "six")
    four = [env.connect().ask(get()) for _ in range(12)]
    six = [env.connect(host="::1").ask(get()) for _ in range(5)]
    equal(count_statuses(four), {200: 10, 429: 2}, "answers on IPv4")
    equal(count_statuses(six), {200: 3, 429: 2}, "answers on IPv6")


@case
def wildcard_ipv4_shares_one_bucket(env):
    env.server(host="0.0.0.0")
    env.limit(ip="0.0.0.0")
    for host in ("127.0.0.1", "127.0.0.2"):
        for _ in range(5):
            expect_ok(env.connect(host=host).ask(get()))
    for host in ("127.0.0.1", "127.0.0.2", "127.9.9.9"):
        expect_limited(env.connect(host=host).ask(get()))


@case
def wildcard_ipv6_covers_both_families(env):
    need_ipv6()
    env.server(host="::", dual=True)
    env.limit(ip="::")
    for host in ("::1", "127.0.0.1"):
        for _ in range(5):
            expect_ok(env.connect(host=host).ask(get()))
    for host in ("::1", "127.0.0.1"):
        expect_limited(env.connect(host=host).ask(get()))


@case
def a_wildcard_counts_at_the_exact_address_too(env):
    env.server(host="0.0.0.0")
    env.write("all.yaml", documents.ratelimit("all", PORT, ip="0.0.0.0", limit="5/day"))
    env.write("one.yaml", documents.ratelimit("one", PORT, ip="127.0.0.2", limit="2/day"))
    env.agent("all", "one")
    statuses = [env.connect(host="127.0.0.2").ask(get()).status for _ in range(4)]
    equal(statuses, [200, 200, 429, 429], "statuses on 127.0.0.2")
    equal(env.tokens("all"), 3, "tokens of the wildcard's rule, which counts there too")
    statuses = [env.connect(host="127.0.0.1").ask(get()).status for _ in range(4)]
    equal(statuses, [200, 200, 200, 429], "statuses on 127.0.0.1")
    env.write("all.yaml", documents.ratelimit("all", PORT, ip="0.0.0.0", limit="6/day"))
    wait_for("the edit is in force", lambda: env.item("all")["maxTokens"] == 6)
    equal(env.tokens("all"), 0, "tokens of the wildcard's rule after an edit")


@case
def a_connection_falls_back_to_the_wildcard(env):
    """Its own endpoint goes away while it is open."""
    env.server(host="0.0.0.0")
    env.write("all.yaml", documents.ratelimit("all", PORT, ip="0.0.0.0", limit="3/day"))
    env.write("one.yaml", documents.ratelimit("one", PORT, ip="127.0.0.2", limit="9/day"))
    env.agent("all", "one")
    conn = env.connect(host="127.0.0.2")
    expect_ok(conn.ask(get()))
    os.unlink(os.path.join(env.config, "one.yaml"))
    wait_for("the exact endpoint is gone", lambda: not env.lists("one"))
    statuses = [conn.ask(get()).status for _ in range(3)]
    equal(statuses, [200, 200, 429], "statuses on the connection")


@case
def other_ports_and_addresses_are_untouched(env):
    env.server(port=PORT, host="0.0.0.0")
    for port in (PORT - 1, PORT + 1, 80):
        env.server(port=port)
    env.limit(limit="1/day")
    for host, port in (("127.0.0.1", PORT - 1), ("127.0.0.1", PORT + 1), ("127.0.0.1", 80),
                       ("127.0.0.2", PORT)):
        conn = env.connect(port, host)
        for number in range(30):
            expect(conn.ask(get(f"/{number}")).status == 200, f"limited on {host}:{port}")
    equal(env.tokens(), 1, "tokens of the protected port")


@case
def two_ports_of_one_ratelimit_count_apart(env):
    env.server()
    env.server(port=PORT + 1)
    env.limit(PORT, PORT + 1, limit="3/day")
    for port in (PORT, PORT + 1):
        statuses = [env.connect(port).ask(get()).status for _ in range(5)]
        equal(statuses, [200] * 3 + [429] * 2, f"statuses on port {port}")


@case
def two_networks_count_apart(env):
    env.server()
    other = env.server(new_network=True)
    env.limit(limit="3/day")
    own = [env.connect().ask(get()).status for _ in range(5)]
    with Inside(other.pid):
        conns = [env.connect() for _ in range(5)]
    there = [conn.ask(get()).status for conn in conns]
    equal(own, [200] * 3 + [429] * 2, "statuses in the first network")
    equal(there, own, "statuses in the second network")


@case
def head_gets_no_body(env):
    server = env.server()
    env.limit(limit="1/day")
    conn = env.connect()
    expect_ok(conn.ask(get("/first")))
    for _ in range(3):
        answer = conn.ask(get("/over", method="HEAD"))
        expect_limited(answer, limit=1, text="1 per 1 day", head=True)
    expect_limited(conn.ask(get("/over")), limit=1, text="1 per 1 day")
    equal(env.settled(server).requests(), [("GET", "/first")], "requests that reached the server")


@case
def any_method_counts(env):
    env.server()
    env.limit(limit="7/day")
    conn = env.connect()
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "X-CUSTOM"):
        expect_ok(conn.ask(get("/", "Content-Length: 0", method=method)))
    for method in ("GET", "POST", "X-CUSTOM"):
        expect_limited(conn.ask(get("/", method=method)), limit=7, text="7 per 1 day")


@case
def http_1_0_and_close_end_the_connection(env):
    server = env.server()
    env.limit(limit="2/day")
    for request in (get("/", version="1.0"), get("/", "Connection: close")):
        conn = env.connect()
        expect_ok(conn.ask(request))
        conn.expect_eof()
    for request in (get("/over", version="1.0"), get("/over", "Connection: close"),
                    get("/over", "Connection: keep-alive", version="1.0"),
                    get("/over", "Connection: TE, CLOSE"), post("/over", b"x" * 100, "Connection: close")):
        conn = env.connect()
        expect_limited(conn.ask(request), limit=2, text="2 per 1 day", close=True)
        conn.expect_eof()
    equal(len(env.settled(server).requests()), 2, "requests that reached the server")


@case
def the_shortest_request_gets_the_whole_answer(env):
    env.server()
    env.limit(limit="1/day")
    conn = env.connect()
    expect_ok(conn.ask(b"GET / HTTP/1.1\r\n\r\n"))
    for _ in range(3):
        expect_limited(conn.ask(b"GET / HTTP/1.1\r\n\r\n"), limit=1, text="1 per 1 day")


@case
def a_long_head_gets_the_whole_answer(env):
    server = env.server()
    env.limit(limit="1/day")
    conn = env.connect()
    expect_ok(conn.ask(get("/first")))
    for size in (500, 5000, 20000):
        expect_limited(conn.ask(get("/over", "X-Long: " + "a" * size)), limit=1, text="1 per 1 day")
    equal(env.settled(server).requests(), [("GET", "/first")], "requests that reached the server")


@case
def eight_clients_at_once_share_exactly_the_limit(env):
    server = env.server()
    env.limit(limit="100/hour")
    answers = []

    def client(conn):
        for number in range(50):
            answers.append(conn.ask(get(f"/{number}")))

    threads = [threading.Thread(target=client, args=(env.connect(),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(count_statuses(answers), {200: 100, 429: 300}, "answers to 8 clients of 50 requests")
    equal(len(env.settled(server).requests()), 100, "requests that reached the server")
    item = env.item()
    equal((item["availableTokens"], item["totalRequests"], item["rateLimitedRequests"]), (0, 400, 300),
          "available, total and limited requests in the statistics")


@case
def two_limits_on_one_endpoint_must_both_admit(env):
    env.server()
    env.write("wide.yaml", documents.ratelimit("wide", PORT))
    env.write("narrow.yaml", documents.ratelimit("narrow", PORT, limit="3/day"))
    env.agent("wide", "narrow")
    conn = env.connect()
    for _ in range(3):
        expect_ok(conn.ask(get()))
    for _ in range(4):
        expect_limited(conn.ask(get()), limit=3, text="3 per 1 day")
    equal((env.tokens("wide"), env.tokens("narrow")), (7, 0), "tokens: all or none")
