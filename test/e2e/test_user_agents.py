# SPDX-License-Identifier: Apache-2.0
"""Limits as programs meet them that know nothing of the limiter: each case with curl, http.client and fetch()."""

import functools
import json
import re
import time

import user_agents
from client import READ_WITHIN_S, equal, expect
from documents import bucket_rule, ratelimit
from harness import PORT, case, wait_for
from user_agents import request, with_all

USER = "{headers: [{name: user-id, type: Distinct}]}"
UPLOAD_BYTES = 2 << 20      # above 1 MiB curl waits for 100 Continue


def statuses(answers):
    return [answer.status for answer in answers]


def stayed(server):
    """The client kept its connections, though it was refused on them. fetch() has two."""
    expect(len(server.events("accept")) <= 2, f"{len(server.events('accept'))} connections of one client")


def retry_after(answer, interval_s):
    seconds = int(answer.headers["retry-after"])
    expect(1 <= seconds <= interval_s, f"Retry-After {seconds} is not within 1..{interval_s}")
    return seconds


@with_all
def tiers(env, ask):
    server = env.server()
    env.limit(rules=[
        "{name: premium, limit: 10/minute, clientSelectors: [{headers: [{name: user-type, value: premium}]}]}",
        "{name: admin, limit: 20/minute, clientSelectors: [{headers: [{name: user-type, value: admin}]}]}",
        "{name: default, limit: 5/minute}"])
    kinds = {"premium": 10, "admin": 20, "other": 5}
    requests = [request(f"/{kind}", user_type=kind) for kind in kinds for _ in range(22)]
    answers = ask(requests)
    for (kind, limit), at in zip(kinds.items(), (0, 22, 44)):
        equal(statuses(answers[at:at + 22]), [200] * limit + [429] * (22 - limit), f"statuses of {kind}")
        last = answers[at + 21]
        retry_after(last, 60)
        equal(json.loads(last.body), {"error": f"Rate limit exceeded: {limit} per 1 minute"}, f"told to {kind}")
        equal(answers[at].body, f"GET /{kind} 0\n", f"the server's answer to {kind}")
    stayed(server)
    equal(len(server.requests()), 35, "requests that reached the server")


@with_all
def paths(env, ask):
    env.server()
    env.limit(rules=["{name: models, limit: 2/day, clientSelectors: [{path: {value: /v1/models}}]}",
                     "{name: upload, limit: 1/day, clientSelectors: [{path: {value: /v1}, methods: [POST]}]}",
                     "{name: rest, limit: 4/day}"])
    answers = ask([request("/v1/models"), request("/v1/models/a?b=c"), request("/v1//models"), request("/v1/modelsx"),
                   request("/v1/x", "POST", 10), request("/v1/y", "POST", 10), request("/v1/x", "PUT", 10),
                   request("/"), request("/v10", "POST", 10), request("/")])
    equal(statuses(answers), [200, 200, 429, 200, 200, 429, 200, 200, 200, 429], "statuses")


@with_all
def users(env, ask):
    server = env.server()
    env.limit(rules=[f"{{name: user, limit: 2/day, clientSelectors: [{USER}]}}", "{name: nobody, limit: 1/day}"])
    names = ["alice", "bob", "a b", "u" * 200]
    answers = ask([request(user_id=name) for _ in range(3) for name in names] + [request(), request()])
    equal(statuses(answers), [200] * 8 + [429] * 4 + [200, 429], "statuses of four users, and of nobody")
    stayed(server)
    equal(env.item(rule="user")["buckets"], 4, "buckets of users")


@with_all
def burst_and_sustained(env, ask):
    """Whatever the time between its requests, a client is admitted as often as the sustained limit says, and told
    by it in the end."""
    server = env.server()
    env.limit(rules=[bucket_rule(3, 3, "100ms", "burst"), "{name: sustained, limit: 10/day}"])
    answers = []

    def sustained_refused():
        answers.extend(ask([request()] * 8))
        return answers[-1].headers.get("x-ratelimit-limit") == "10"

    wait_for("the sustained limit refuses", sustained_refused)
    equal(statuses(answers).count(200), 10, "admitted")
    retry_after(answers[-1], 86400)
    equal(len(server.requests()), 10, "requests that reached the server")


@with_all
def header_styles(env, ask):
    styles = ["Classic", "Envoy", "Draft"]
    told = {}
    for port, style in enumerate(styles, PORT):
        env.server(port=port)
        env.write(f"{style}.yaml", ratelimit(style.lower(), port, rules=["{name: all, limit: 1/day}"],
                                             spec=[f"headerStyle: {style}"]))
    env.agent(*(style.lower() for style in styles))
    for port, style in enumerate(styles, PORT):
        answers = ask([request(), request()], port=port)
        equal(statuses(answers), [200, 429], f"statuses with {style}")
        wait_s = retry_after(answers[1], 86400)
        told[style] = {name: value for name, value in answers[1].headers.items() if "ratelimit" in name}
        equal([name for name in answers[0].headers if "ratelimit" in name], [], "told in the server's own answer")
        if style == "Classic":
            asked_s = int(told[style].pop("x-ratelimit-reset")) - wait_s
            expect(time.time() - READ_WITHIN_S <= asked_s <= time.time() + 2, f"asked at {asked_s}")
        elif style == "Envoy":
            equal(told[style].pop("x-ratelimit-reset"), str(wait_s), "X-RateLimit-Reset of Envoy")
        else:
            match = re.fullmatch('"all";r=0;t=([0-9]+)', told[style].pop("ratelimit"))
            equal(match and int(match[1]), wait_s, "t of RateLimit")
    equal(told, {"Classic": {"x-ratelimit-limit": "1", "x-ratelimit-remaining": "0"},
                 "Envoy": {"x-ratelimit-limit": "1, 1;w=86400", "x-ratelimit-remaining": "0"},
                 "Draft": {"ratelimit-policy": '"all";q=1;w=86400'}}, "what else was told")


@with_all
def shadow(env, ask):
    server = env.server()
    env.limit(rules=["{name: seen, limit: 2/day, mode: Shadow}", "{name: held, limit: 6/day}"])
    answers = ask([request()] * 8)
    equal(statuses(answers), [200] * 6 + [429] * 2, "statuses")
    equal(env.item(rule="seen")["shadowLimitedRequests"], 4, "what the shadow rule would have refused")
    equal({answer.body for answer in answers[:6]}, {"GET / 0\n"}, "answers to what it would have")
    equal(len(server.requests()), 6, "requests that reached the server")


@with_all
def uploads(env, ask):
    server = env.server()
    env.limit(limit="3/day")
    upload = functools.partial(request, "/up", "POST", UPLOAD_BYTES)
    answers = ask([upload(), upload(chunked=True), upload(), upload(chunked=True), upload(), request()])
    equal(statuses(answers), [200] * 3 + [429] * 3, "statuses")
    equal([answer.body for answer in answers[:3]], [f"POST /up {UPLOAD_BYTES}\n"] * 3, "answers to what was admitted")
    equal([event["length"] for event in server.events("request")], [UPLOAD_BYTES] * 3, "bodies at the server")


@with_all
def together(env, ask):
    server = env.server()
    env.limit(limit="8/day")
    found = statuses(ask([request()] * 20, together=True))
    equal((found.count(200), found.count(429)), (8, 12), "admitted and refused of twenty at the same time")
    equal(len(server.requests()), 8, "requests that reached the server")


@case
def curl_comes_back_when_it_is_told(env):
    """curl --retry waits as long as Retry-After says."""
    env.server()
    env.limit(rules=[bucket_rule(1, 1, "1s")])
    url = f"http://127.0.0.1:{PORT}/"
    args = ["--disable", "--silent", "--retry", "5", "--fail", "--write-out", "%{http_code}", url, url]

    def was_refused_and_came_back():
        said = user_agents.run("curl", args, "")
        equal(re.findall("GET / 0\n200", said), ["GET / 0\n200"] * 2, f"answers in the end, of {said!r}")
        return env.item()["rateLimitedRequests"] > 0

    wait_for("curl is refused once", was_refused_and_came_back)
