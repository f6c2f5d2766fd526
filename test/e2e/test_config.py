# SPDX-License-Identifier: Apache-2.0
"""What the documents say is what is enforced: the forms of a limit, and where it applies."""

import os
import re
import time

import documents
from client import equal, expect, expect_limited, expect_ok, get
from documents import bucket_rule, ratelimit
from harness import HERE, PORT, Skip, admitted, case, take, wait_for

EXAMPLES = os.path.join(HERE, "..", "..", "deploy", "examples")


# --- forms of a limit -----------------------------------------------------------------------------


@case
def burst_form(env):
    env.server()
    env.limit(limit="{requests: 10, unit: Day, burst: 20}")
    equal(admitted(env, 23), 20, "admitted at a burst of 20")


@case
def requests_and_unit_without_burst(env):
    env.server()
    env.limit(limit="{requests: 4, unit: hours}")
    equal(admitted(env, 6), 4, "admitted at 4 an hour")


@case
def the_three_integers(env):
    env.server()
    env.limit(rules=[bucket_rule(6, 2, 86400 * 10**9)])
    equal(admitted(env, 8), 6, "admitted at maxTokens 6")


@case
def refill_after_the_interval(env):
    env.server()
    interval_s = 2
    env.limit(rules=[bucket_rule(3, 1, f"{interval_s}s")])
    before = time.monotonic()
    equal(admitted(env, 3), 3, "admitted from a full bucket")
    conn = env.connect()
    used = 3

    def limited():
        nonlocal used
        answer = conn.ask(get())
        used += answer.status == 200
        return answer if answer.status == 429 else None

    answer = wait_for("the bucket is empty", limited)
    equal(answer.field("Retry-After") in ("1", "2"), True, "Retry-After within the interval")
    wait_for("the refill admits a request", lambda: conn.ask(get()).status == 200)
    used += 1
    bound = 3 + (time.monotonic() - before) / interval_s + 1
    expect(used <= bound, f"{used} admitted where {bound:.1f} may be")


@case
def burst_and_sustained_are_taken_all_or_none(env):
    env.server()
    env.limit(rules=["{name: burst, limit: 3/hour}", "{name: sustained, limit: 10/day}"])
    conn = env.connect()
    for _ in range(3):
        expect_ok(conn.ask(get()))
    for _ in range(5):
        expect_limited(conn.ask(get()), limit=3, text="3 per 1 hour", interval_s=3600)
    equal((env.tokens(rule="burst"), env.tokens(rule="sustained")), (0, 7), "tokens")
    equal((env.item(rule="burst")["rateLimitedRequests"],
           env.item(rule="sustained")["rateLimitedRequests"]), (5, 0), "limited, by rule")


@case
def the_rule_that_fills_last_answers(env):
    env.server()
    env.limit(rules=["{name: burst, limit: 2/hour}", "{name: sustained, limit: 2/day}"])
    take(env, 2)
    expect_limited(env.connect().ask(get()), limit=2, text="2 per 1 day")


# --- where requests are limited -------------------------------------------------------------------


@case
def several_documents_in_one_file(env):
    env.server()
    env.server(port=PORT + 1)
    env.write("all.yaml", documents.several(ratelimit("one", PORT, limit="2/day"),
                                            ratelimit("two", PORT + 1, limit="3/day")))
    env.agent("one", "two")
    equal((admitted(env, 5), admitted(env, 5, PORT + 1)), (2, 3), "admitted on the two ports")


@case
def service_and_endpointslice(env):
    """The Service's port is 80; what is limited is where the EndpointSlice says it listens."""
    env.server()
    env.server(port=PORT + 1)
    env.write("limit.yaml", documents.service_ratelimit("limit", "web", limit="3/day"))
    env.write("web.yaml", documents.several(documents.service("web", 80, PORT),
                                            documents.endpoint_slice("web", PORT)))
    env.agent("limit")
    equal(admitted(env, 5), 3, "admitted on the service's endpoint")
    equal(admitted(env, 5, PORT + 1), 5, "admitted on a port of no service")


@case
def a_service_of_another_namespace_is_another_service(env):
    env.server()
    env.server(port=PORT + 1)
    env.write("limit.yaml", documents.service_ratelimit("limit", "web", namespace="prod", limit="3/day"))
    for namespace, port in (("default", PORT), ("prod", PORT + 1)):
        env.write(f"{namespace}.yaml",
                  documents.several(documents.service("web", 80, port, namespace),
                                    documents.endpoint_slice("web", port, namespace=namespace)))
    env.agent("limit")
    equal((admitted(env, 5), admitted(env, 5, PORT + 1)), (5, 3), "admitted in default and in prod")


@case
def an_endpoint_that_appears_later_is_limited(env):
    env.server()
    env.write("limit.yaml", documents.service_ratelimit("limit", "web", limit="3/day"))
    env.write("web.yaml", documents.service("web", 80, PORT))
    env.start_agent()
    wait_for("the agent answers", lambda: env.tool("get", "ratelimit-stats", "-A").returncode == 0)
    equal(admitted(env, 5), 5, "admitted while the service has no endpoint")
    env.write("slice.yaml", documents.endpoint_slice("web", PORT))
    wait_for("new connections are limited", lambda: env.connect().ask(get()).status == 429)
    env.write("slice.yaml", documents.endpoint_slice("web", PORT + 1))
    wait_for("the endpoint that went away is free",
             lambda: all(env.connect().ask(get()).status == 200 for _ in range(10)))


def kmesh_example(env, name):
    """The example as it is, with Service and EndpointSlice for what it names."""
    path = os.path.join(EXAMPLES, name)
    if not os.path.exists(path):
        raise Skip(f"deploy/examples/{name} does not exist")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    env.write(name, text)
    text = re.sub(r"^#.*\n", "", text, flags=re.M)
    namespace = re.search(r"namespace: *([\w-]+)", text)
    return text, namespace[1] if namespace else "default"


def serve(env, service, port, namespace):
    env.server(port=port)
    env.write(f"{service}.yaml", documents.several(documents.service(service, port, port, namespace),
                                                   documents.endpoint_slice(service, port,
                                                                            namespace=namespace)))


@case
def kmesh_document_with_one_service(env):
    text, namespace = kmesh_example(env, "kmesh-service.yaml")
    serve(env, re.search(r"service: *([\w-]+)", text)[1], PORT, namespace)
    env.agent(re.search(r"name: *([\w-]+)", text)[1])
    size = int(re.search(r"maxTokens: *(\d+)", text)[1])
    tokens = sum(item["availableTokens"] for item in env.stats())
    expect(tokens >= size, f"{tokens} tokens for maxTokens {size}")
    before = env.stats()[0]["totalRequests"]
    equal(admitted(env, 1), 1, "admitted from a full bucket")
    equal(env.stats()[0]["totalRequests"], before + 1, "requests counted")


@case
def kmesh_document_with_several_services(env):
    text, namespace = kmesh_example(env, "kmesh-services.yaml")
    names = re.findall(r"^ *- (?:\{ *)?name: *([\w-]+)", text, re.M)
    expect(len(names) > 1, f"services {names} in the example")
    for number, name in enumerate(names):
        serve(env, name, PORT + number, namespace)
    env.agent(re.search(r"metadata:\s*(?:\{ *)?name: *([\w-]+)", text)[1])
    for number, name in enumerate(names):
        equal(admitted(env, 1, PORT + number), 1, f"admitted on {name}")
    counted = {item["service"].split("/")[-1].split(":")[0]: item["totalRequests"] for item in env.stats()}
    for name in names:
        equal(counted.get(name), 1, f"requests counted for {name}, of {counted}")
