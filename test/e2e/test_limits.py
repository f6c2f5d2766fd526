# SPDX-License-Identifier: Apache-2.0
"""`kmesh-rl get ratelimits`, `describe ratelimit` and what is shown again and again."""

import json
import os
import subprocess

import kube
from client import equal, expect, expect_ok, get
from documents import ratelimit
from harness import PORT, admitted, case, take, wait_for

REFUSED = """\
apiVersion: kmesh.net/v1alpha1
kind: RateLimit
metadata: {name: broken}
spec:
  endpoints: [{ip: 127.0.0.1, port: 8081}]
  rules: [{name: r, limit: 10/fortnight}]
"""

WAITING = """\
apiVersion: kmesh.net/v1alpha1
kind: RateLimit
metadata: {name: waiting, namespace: shop, creationTimestamp: "2020-01-02T03:04:05Z"}
spec:
  service: nobody
  rules: [{name: r, limit: 10/minute}]
"""

SELECTING = """\
apiVersion: kmesh.net/v1alpha1
kind: RateLimit
metadata: {name: limit}
spec:
  endpoints: [{ip: 127.0.0.1, port: 8080}]
  failurePolicy: Closed
  clientIP: {header: X-Forwarded-For, trustedHops: 1}
  rules:
    - name: users
      limit: 5/hour
      clientSelectors:
        - headers: [{name: x-client, type: Distinct}, {name: x-type, value: a, invert: true}]
          path: {type: PathPrefix, value: /v1}
          methods: [GET, POST]
        - sourceCIDR: {value: 10.0.0.0/8, type: Distinct}
    - {name: rest, limit: "7/second; 20 per 1 minute", mode: Shadow}
"""


def limits(env, *args):
    result = env.tool("get", "ratelimits", "-o", "json", *args)
    equal(result.returncode, 0, f"exit status of get ratelimits ({result.stderr.strip()})")
    return {item["name"]: item for item in json.loads(result.stdout)["items"]}


def rows(result):
    """The cells of the table in @result."""
    equal(result.returncode, 0, f"exit status ({result.stderr.strip()})")
    return [[cell.strip() for cell in line.split("   ") if cell] for line in result.stdout.splitlines()]


def three(env):
    """One in force, one refused, one whose service has no endpoint."""
    env.server()
    env.write("broken.yaml", REFUSED)
    env.write("waiting.yaml", WAITING)
    env.limit(limit="3/hour")
    equal(admitted(env, 5), 3, "admitted")


@case
def each_has_a_row_with_what_became_of_it(env):
    three(env)
    equal(rows(env.tool("get", "ratelimits")),
          [["NAME", "SERVICE", "LIMIT", "ACCEPTED", "LIMITED", "AGE"],
           ["broken", "<none>", "<none>", "False", "0", "<unknown>"],
           ["limit", "127.0.0.1:8080", "3 per 1 hour", "True", "2", "<unknown>"]], "of the namespace default")
    table = rows(env.tool("get", "ratelimits", "-A"))
    equal([row[:2] for row in table], [["NAMESPACE", "NAME"], ["default", "broken"], ["default", "limit"], ["shop", "waiting"]], "of all")
    expect(table[3][-1].endswith("d"), f"its age is in days: {table[3]}")
    equal(rows(env.tool("get", "ratelimits", "waiting", "-n", "shop"))[1][:4], ["waiting", "nobody", "10 per 1 minute", "True"], "by name")
    equal(env.tool("get", "ratelimits", "nobody").returncode, 1, "exit status of a name that is not there")
    found = limits(env, "-A")
    equal([found[name]["reason"] for name in ("broken", "limit", "waiting")], ["Invalid", "Programmed", "ServiceNotFound"], "reasons")
    expect("broken.yaml:6:" in found["broken"]["message"], f"it says where: {found['broken']['message']}")
    expect(found["limit"]["source"].endswith("limit.yaml:1"), f"it says where it is from: {found['limit']}")
    equal(found["limit"]["addresses"], ["127.0.0.1:8080"], "addresses")


@case
def without_an_agent_those_in_force_are_shown(env):
    three(env)
    env.agents[-1].kill()
    result = env.tool("get", "ratelimits", "-A")
    equal(rows(result)[1:], [["default", "limit", "<none>", "3 per 1 hour", "Unknown", "2", "<unknown>"]], "rows")
    expect("agent not running" in result.stderr, f"standard error: {result.stderr}")


@case
def one_that_is_refused_after_it_was_good_stays_in_force(env):
    env.server()
    env.limit()
    env.write("limit.yaml", ratelimit("limit", PORT, limit="1/fortnight"))
    wait_for("it is refused", lambda: limits(env)["limit"]["accepted"] == "False")
    equal(limits(env)["limit"]["programmed"], "True", "Programmed")
    expect_ok(env.connect().ask(get()), "/")


@case
def those_of_a_cluster_have_an_age_and_events(env):
    cluster = kube.Cluster(env)
    cluster.api.put(kube.ratelimit())
    cluster.api.put(kube.ratelimit("waiting", service="nobody"))
    cluster.agent("limit")
    env.server()
    item = limits(env)["limit"]
    equal((item["source"], item["creationTimestamp"]), ("kubernetes", "2026-01-01T00:00:00Z"), "source and creation")
    equal(limits(env)["waiting"]["reason"], "ServiceNotFound", "reason of one whose service is not there")
    equal(admitted(env, 5), 3, "admitted")
    wait_for("that requests were refused is told", lambda: "LimitingStarted" in
             [event["reason"] for event in limits(env)["limit"].get("events", [])])
    text = env.tool("describe", "ratelimit", "limit").stdout
    expect("LimitingStarted" in text and "requests are beyond the limit" in text, f"no such event in: {text}")


@case
def a_description_says_all(env):
    env.server()
    env.write("limit.yaml", SELECTING)
    env.agent("limit")
    for client in ("ann", "bob", "bob"):
        expect_ok(env.connect().ask(f"GET /v1/x HTTP/1.1\r\nHost: a\r\nX-Client: {client}\r\n\r\n".encode()), "/v1/x")
    text = env.tool("describe", "ratelimit", "limit").stdout
    for part in ("Failure Policy: Closed", "header x-forwarded-for, address 1 from the right", "127.0.0.1:8080 (1 in all)",
                 'header x-client distinct, header x-type != "a", path begins with "/v1", method GET or POST; or '
                 "source in 10.0.0.0/8 distinct", "Programmed   True     Programmed", "x-client=bob   3", "Events:         <none>"):
        expect(part in text, f"{part!r} is not in: {text}")
    whole = json.loads(env.tool("describe", "ratelimits", "limit", "-o", "json").stdout)
    equal([rule["rule"] for rule in whole["statistics"]], ["rest", "rest-2", "users"], "statistics")
    equal(whole["buckets"]["items"][0]["value"], "x-client=bob", "the emptiest bucket")
    equal(env.tool("describe", "ratelimit", "other").returncode, 1, "exit status of a name that is not there")
    equal(env.tool("describe", "ratelimt", "limit").returncode, 2, "exit status of a kind that is not there")


@case
def wide_statistics_have_window_ratio_and_callers(env):
    env.server()
    env.write("limit.yaml", SELECTING)
    env.agent("limit")
    for client, count in (("ann", 6), ("bob", 8), ("eve", 2)):
        for _ in range(count):
            env.connect().ask(f"GET /v1/x HTTP/1.1\r\nHost: a\r\nX-Client: {client}\r\n\r\n".encode())
    item = env.item(rule="users")
    equal((item["window"], item["rejectedRatio"]), (3600 * 10**9, 4 / 16), "window and ratio")
    equal([(caller["value"], caller["limitedRequests"]) for caller in item["topCallers"]],
          [("x-client=bob", 3), ("x-client=ann", 1)], "callers")
    table = rows(env.tool("get", "ratelimit-stats", "-o", "wide"))
    equal(table[0][-3:], ["WINDOW", "REJECTED", "CALLERS"], "columns")
    equal(table[3][-3:], ["1h", "25.0%", "x-client=bob (3); x-client=ann (1)"], "the rule of users")


@case
def what_is_watched_is_shown_again(env):
    env.server()
    env.limit()
    args = [os.path.join(env.build, "kmesh-rl"), "--bpffs", env.bpffs, "--control-socket", env.agents[-1].control,
            "get", "ratelimit-stats", "-w", "--interval", "0.1"]
    with subprocess.Popen(args, stdout=subprocess.PIPE, text=True) as process:
        env.processes.append(process)
        first = [process.stdout.readline() for _ in range(3)]
        expect(first[1].split()[-2:] == ["0", "0"] and first[2] == "\n", f"the first table: {first}")
        take(env, 1)
        line = ""
        while line.split()[-2:] != ["1", "0"]:
            line = process.stdout.readline()
            expect(line, "it ended")
        process.terminate()
    equal(env.tool("get", "ratelimit-stats", "--interval", "1").returncode, 2, "exit status without --watch")
    equal(env.tool("get", "ratelimit-stats", "-w", "--interval", "0").returncode, 2, "exit status of no interval")
