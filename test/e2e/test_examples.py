# SPDX-License-Identifier: Apache-2.0
"""Files of deploy/examples, as they are, with the addresses of their services beside them: each limit bites as docs/examples.md
says."""

import os
import re
import shutil
import time

from client import equal, expect, get
from documents import endpoint_slice
from harness import HERE, PORT, Skip, case, wait_for
from incoming import dial, guarded, opened
from models import Models, ask, asked, headers
from nginx import start_nginx

PROJECT = os.path.dirname(os.path.dirname(HERE))
TOP = os.path.join(PROJECT, "deploy", "examples")

# Of each file: its RateLimits, and where its service is.
FILES = {"per-ip": (["api-per-ip"], "shop", "api", 8001),
         "tiers": (["models", "models-burst"], "ml-models", "sklearn-iris", 8002),
         "paths": (["paths"], "shop", "web", 8003),
         "burst": (["burst-and-sustained"], "shop", "search", 8004),
         "connections": (["database"], "shop", "postgres", 5432),
         "llm": (["tokens"], "ml-models", "vllm", 8000)}


def apply(env, *names):
    """The files, and an agent that has them in force."""
    for name in names:
        path = os.path.join(TOP, f"{name}.yaml")
        if not os.path.exists(path):
            raise Skip("deploy/examples is not here")
        shutil.copy(path, env.config)
        _, namespace, service, port = FILES[name]
        env.write(f"{name}-slice.yaml", endpoint_slice(service, port, namespace=namespace))
    env.agent(*(limit for name in names for limit in FILES[name][0]))


def port_of(name):
    return FILES[name][3]


def statuses(env, name, tries, request, source=None):
    conn = env.connect(port_of(name), source=source)
    found = [conn.ask(request).status for _ in range(tries)]
    conn.close()
    return found


def refill(env, limit, rule, namespace):
    equal(env.tool("reset", limit, "-n", namespace, "--rule", rule).returncode, 0, f"exit status of reset {limit}")


def admitted_by(env, limit, rule, attempt, refilled):
    """How often @attempt succeeds up to the first time that @rule refuses, when the tokens of the rule that is @refilled come
    back each time that it refuses."""
    admitted = 0
    while env.item(limit, rule)["rateLimitedRequests"] == 0:
        while attempt():
            admitted += 1
            expect(admitted < 1000, f"{rule} does not refuse")
        refill(env, *refilled)
    return admitted


def asking(env, name, request):
    conn = env.connect(port_of(name))
    return lambda: conn.ask(request).status == 200


@case
def examples_limit_requests(env):
    apply(env, "per-ip", "tiers", "paths", "burst")
    for name in ("per-ip", "tiers", "paths", "burst"):
        env.server(port=port_of(name))

    api = get("/api/v1/items")
    found = statuses(env, "per-ip", 61, api)
    equal((found.count(200), found[-1]), (60, 429), "admitted of one address, and the last")
    equal(statuses(env, "per-ip", 1, api, source="127.0.0.2"), [200], "of another")
    equal(statuses(env, "per-ip", 2, get("/health")), [200] * 2, "beside the API")

    premium = get("/", "x-user-type: premium", "x-user-id: alice")
    equal(admitted_by(env, "models", "default", asking(env, "tiers", get()), ("models-burst", "all", "ml-models")), 100,
          "admitted of the default tier")
    equal(statuses(env, "tiers", 5, premium), [200] * 5, "of a premium user, whose bucket is another")

    login = get("/login", "Content-Length: 0", method="POST")
    equal(statuses(env, "paths", 6, login), [200] * 5 + [429], "to log in")
    equal(statuses(env, "paths", 1, login, source="127.0.0.2"), [200], "to log in from another address")
    equal(statuses(env, "paths", 3, get("/export/all.csv")), [200] * 2 + [429], "of exports")
    equal(statuses(env, "paths", 1, get("/reports/export")), [429], "of the other path of exports")
    found = statuses(env, "paths", 21, get("/search?q=x"))
    equal((found.count(200), found[-1]), (20, 429), "admitted of searches, and the last")
    equal(statuses(env, "paths", 30, get("/")), [200] * 30, "of all else")

    equal(admitted_by(env, "burst-and-sustained", "sustained", asking(env, "burst", get()),
                      ("burst-and-sustained", "burst", "shop")), 120, "admitted in the long run")
    expect(env.item("burst-and-sustained", "burst")["rateLimitedRequests"] > 0, "no burst was refused")


@case
def examples_limit_connections_and_tokens(env):
    apply(env, "connections", "llm")
    env.server(port=port_of("connections"))
    guarded(env)
    equal(admitted_by(env, "database", "each-2", lambda: dial(env, port_of("connections")), ("database", "each", "shop")), 50,
          "connections of one address")
    expect(env.item("database", "each")["rateLimitedRequests"] > 0, "no pace was kept")
    expect(dial(env, port_of("connections"), source=("127.0.0.2", 0)), "another address is refused")

    models = Models(env, port_of("llm"))

    def request(user, model="gpt-4", **more):
        return ask(env, "chat", asked("chat", model=model, prompt=10, most=300, **more), *headers({"completion_tokens": 300}, x_user_id=user),
                   port=port_of("llm")).status

    equal([request("alice") for _ in range(4)], [200] * 3 + [429], "of a user with gpt-4")
    equal(request("bob"), 200, "of another user")
    equal(request("alice", model="qwen"), 200, "of another model")
    equal(request("bob", stream=True, include_usage=False), 400, "of a stream without usage")
    equal((models.of("gpt-4")["requests"], models.of("gpt-4")["output"]), (4, 1200), "what was answered")


def shown(language, having):
    """The block of docs/migration.md in this language that has this in it."""
    path = os.path.join(PROJECT, "docs", "migration.md")
    if not os.path.exists(path):
        raise Skip("docs is not here")
    with open(path, encoding="utf-8") as file:
        blocks = re.findall(rf"```{language}\n(.*?)```", file.read(), re.DOTALL)
    found = [block for block in blocks if having in block]
    equal(len(found), 1, f"blocks of {language} with {having}")
    return found[0]


@case
def nginx_limits_and_what_they_become(env):
    """The configuration of the migration page, and beside it a server without limits under the RateLimit of that page: both
    let the same through. What is said to differ does."""
    limits = shown("nginx", "limit_req_zone")
    server = re.sub(r"^ *limit_.*\n", "", limits, flags=re.MULTILINE).replace(str(PORT), str(PORT + 1))
    start_nginx(env, limits + server, PORT)
    env.write("limit.yaml", shown("yaml", "maxTokens: 21").replace(str(PORT), str(PORT + 1)))
    env.agent("api")
    guarded(env)

    def passed(port):
        conn, began = env.connect(port), time.monotonic()
        found = [conn.ask(get("/api/x")).status for _ in range(40)]
        expect(set(found) <= {404, 503}, f"statuses {set(found)} at port {port}")
        conn.close()
        return found.count(404), int((time.monotonic() - began) * 10) + 1

    for port in (PORT, PORT + 1):
        count, came_back = passed(port)
        expect(21 <= count <= 21 + came_back, f"{count} of 40 passed at port {port}, where {came_back} may have come back")
    wait_for("no connection is open", lambda: env.tokens("api", "connections") == 10)
    equal(opened(env, 12, port=PORT), 12, "idle connections to nginx")
    equal(opened(env, 12, port=PORT + 1), 10, "idle connections, all of which count here")
