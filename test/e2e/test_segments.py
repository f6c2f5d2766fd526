# SPDX-License-Identifier: Apache-2.0
"""TCP segments that come twice, overlap, or are out of order: server and limiter see each byte once."""

from client import equal, expect, get, post
from documents import ratelimit
from harness import PORT, case
from segments import HOST, Segments, Tun

BODY = bytes(range(ord("A"), ord("Z") + 1)) * 4


def protected(env, limit):
    tun = Tun()
    server = env.server(host=HOST, raw=True)
    env.write("limit.yaml", ratelimit("limit", PORT, limit=limit, ip=HOST))
    env.agent("limit")
    return tun, server


@case
def what_is_sent_again_with_more_is_seen_once(env):
    """As Linux sends when it joins what was not acknowledged: the head, then the head with the body."""
    tun, server = protected(env, "10/day")
    conn = Segments(tun, PORT)
    request = post("/first", BODY)
    head = len(request) - len(BODY)
    conn.send_acked(0, request[:head], head)
    conn.send_acked(0, request, len(request))
    conn.wait_for(b"POST /first 104\n")
    conn.send(len(request), get("/second"))
    conn.wait_for(b"GET /second 0\n")
    equal(server.raw().encode(), request + get("/second"), "bytes at the server")
    equal(env.tokens(), 8, "tokens left of ten")


@case
def overlaps_out_of_order_are_seen_once(env):
    tun, server = protected(env, "10/day")
    conn = Segments(tun, PORT)
    request = post("/first", BODY)
    conn.send_acked(0, request[:60], 60)
    conn.send(80, request[80:])
    conn.send_acked(50, request[50:90], len(request))
    conn.wait_for(b"POST /first 104\n")
    equal(server.raw().encode(), request, "bytes at the server")


@case
def an_overlap_hides_no_request(env):
    """Other bytes in the part that was there already."""
    tun, server = protected(env, "1/day")
    conn = Segments(tun, PORT)
    request = get("/first")
    conn.send_acked(0, request[:10], 10)
    conn.send(2, b"x" * 8 + request[10:])
    conn.wait_for(b"GET /first 0\n")
    conn.send(len(request) - 5, b"x" * 5 + get("/over"))
    conn.wait_for(b"HTTP/1.1 429 ")
    equal(server.requests(), [("GET", "/first")], "requests that reached the server")
    expect(not server.events("bad"), "the server complained of a request")
