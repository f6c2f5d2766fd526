# SPDX-License-Identifier: Apache-2.0
"""A limit of ten, whether requests are judged as they come in or as they go out."""

from client import equal, expect_limited, expect_ok, get
from harness import PORT


def ten_then_limited(env, server, host="127.0.0.1", port=PORT):
    conn = env.connect(port, host)
    for number in range(10):
        expect_ok(conn.ask(get(f"/{number}")), f"/{number}")
    for number in range(5):
        expect_limited(conn.ask(get(f"/over/{number}")))
    equal(env.settled(server).requests(), [("GET", f"/{number}") for number in range(10)],
          "requests that reached the server")


def on_one_connection(env, **settings):
    server = env.server()
    env.limit(**settings)
    ten_then_limited(env, server)
    item = env.item()
    equal((item["availableTokens"], item["totalRequests"], item["rateLimitedRequests"]), (0, 15, 5),
          "available, total and limited requests in the statistics")


def on_fifteen_connections(env, **settings):
    server = env.server()
    env.limit(**settings)
    answers = [env.connect().ask(get(f"/{number}")) for number in range(15)]
    equal([answer.status for answer in answers], [200] * 10 + [429] * 5, "statuses")
    for answer in answers[10:]:
        expect_limited(answer)
    equal(len(env.settled(server).requests()), 10, "requests that reached the server")
