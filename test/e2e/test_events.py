# SPDX-License-Identifier: Apache-2.0
"""`kmesh-rl events`, and what `describe` shows of them, on a live agent."""

import json
import os
import re
import signal
import subprocess

from client import equal, expect, get
from documents import ratelimit
from harness import DEADLINE_S, PORT, case, wait_for

USERS = "clientSelectors: [{headers: [{name: x-user, type: Distinct}]}]"
PATHS = "clientSelectors: [{path: {type: Distinct}}]"


def ask(env, *requests):
    conn = env.connect()
    return [conn.ask(request).status for request in requests]


def lines(env, *args):
    """What it has to say in JSON, an object a line."""
    result = env.tool("events", "-o", "json", *args)
    equal((result.returncode, result.stderr), (0, ""), "exit status and complaints")
    return [json.loads(line) for line in result.stdout.splitlines()]


class Follower:
    """`kmesh-rl events -f`, asking the agents at @control."""

    def __init__(self, env, control, *args):
        self.path = os.path.join(env.root, "followed")
        with open(self.path, "wb") as out:
            self.process = subprocess.Popen([os.path.join(env.build, "kmesh-rl"), "events", "-f", "--control-socket", control, *args],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE)
        env.processes.append(self.process)

    def lines(self):
        with open(self.path, encoding="utf-8") as out:
            return out.read().split("\n")[:-1]

    def until(self, count):
        wait_for(f"{count} lines", lambda: len(self.lines()) >= count)
        return self.lines()

    def end(self):
        """By Ctrl-C; returns what it complained of."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=DEADLINE_S)[1].decode()


@case
def events_are_shown_and_filtered(env):
    env.server()
    env.write("more.yaml", ratelimit("more", PORT + 1).replace("namespace: default", "namespace: shop"))
    env.server(port=PORT + 1)
    env.limit(rules=[f"{{name: users, limit: 1/day, {USERS}}}", "{name: rest, limit: 1/day, mode: Shadow}"])
    wait_for("both", lambda: env.lists("limit", "more"))
    none = env.tool("events")
    equal((none.returncode, none.stdout, none.stderr), (0, "", "No events found in default namespace.\n"), "before there is any")
    expect("Last Limited:   <none>" in env.tool("describe", "ratelimit", "limit").stdout, "describe, before there is any")
    equal(ask(env, *[get("/v1/x?secret", "X-User: al\xc2\x9b2Jice", method="PUT")] * 2, *[get("/")] * 2), [200, 429, 200, 200], "answers")
    conn = env.connect(PORT + 1)
    equal([conn.ask(get("/")).status for _ in range(11)][-1], 429, "the last answer of the other one")
    wait_for("all are remembered", lambda: len(lines(env, "-A")) == 3)
    first, second = lines(env)
    equal((first["rule"], first["descriptor"], first["path"], first["decision"]), ("users", "x-user=al??2Jice", "/v1/x", "Limited"), "first")
    equal((second["rule"], second["decision"]), ("rest", "ShadowLimited"), "second")
    equal([item["namespace"] for item in lines(env, "-n", "shop", "more")], ["shop"], "those of the other one")
    typo = env.tool("events", "nobody")
    equal((typo.returncode, typo.stdout, typo.stderr), (1, "", 'Error: rate limit "nobody" not found in namespace "default"\n'),
          "those of no rate limit")
    table = [re.split(" {2,}", line) for line in env.tool("events").stdout.splitlines()]
    equal(table[0], ["TIME", "RULE", "CLIENT", "METHOD", "PATH", "DESCRIPTOR", "MODEL", "NEEDED", "LEFT", "COUNT", "DECISION"], "title")
    equal(table[1], [first["time"][:23] + "Z", "default/limit/users", first["client"], "PUT", "/v1/x", "x-user=al??2Jice", "<none>", "1",
                     "0", "1", "Limited"], "first row")
    wide = env.tool("events", "-o", "wide").stdout.splitlines()
    equal(re.split(" {2,}", wide[1])[-6:], ["<none>", f"127.0.0.1:{PORT}", "HTTP/1.1", "Inbound", str(first["retryAfter"]), "429"],
          "more columns")
    described = env.tool("describe", "ratelimit", "limit").stdout
    row = re.search(r"^Last Limited: *\n  TIME +RULE +CLIENT +REQUEST +DESCRIPTOR +DECISION +COUNT\n  (.*)\n  .*ShadowLimited", described, re.M)
    expect(row and re.split(" {2,}", row[1])[1:] == ["users", first["client"], "PUT /v1/x", "x-user=al??2Jice", "Limited", "1"],
           f"describe shows\n{described}")
    as_json = json.loads(env.tool("describe", "ratelimit", "limit", "-o", "json").stdout)
    equal(as_json["lastLimited"], [first, second], "describe in JSON")


@case
def events_are_followed_over_agents(env):
    env.server()
    env.limit(limit="1/day")
    first = env.agents[-1]
    ask(env, get("/0"), get("/1"))
    wait_for("it is remembered", lambda: lines(env))
    follower, tables = Follower(env, first.control, "-o", "json"), None
    equal([json.loads(line)["path"] for line in follower.until(1)], ["/1"], "what is remembered")
    ask(env, get("/2"))
    equal([json.loads(line)["path"] for line in follower.until(2)], ["/1", "/2"], "what comes")
    first.terminate()
    agent_args = env.agent_args
    env.agent_args = lambda control, *args: agent_args(first.control, *args)
    env.start_agent().control = first.control
    wait_for("another agent", lambda: env.tool("version", "--running").returncode == 0)
    ask(env, get("/3"))
    equal([json.loads(line)["path"] for line in follower.until(3)], ["/1", "/2", "/3"], "what another agent tells")
    ask(env, get("/4"))
    equal([json.loads(line)["path"] for line in follower.until(4)], ["/1", "/2", "/3", "/4"], "each once")
    complaints = follower.end()
    expect(complaints in ("", "agent does not answer: waiting for one\n"), f"complaints: {complaints!r}")
    tables = Follower(env, first.control)
    title, *rows = tables.until(3)
    ask(env, get("/" + "x" * 60))
    rows = tables.until(4)[1:]
    equal([row.index("/") > 0 and row.index("Limited") - title.index("DECISION") for row in rows[:2]], [0, 0], "columns are aligned")
    equal(rows[2].index("127.0.0.1"), title.index("CLIENT"), "so are those before a value that is too long")
    equal(tables.end(), "", "complaints")


@case
def events_end_with_who_reads_them(env):
    env.server()
    env.limit(limit="1/day")
    ask(env, get("/"), get("/"))
    wait_for("it is remembered", lambda: lines(env))
    with subprocess.Popen([os.path.join(env.build, "kmesh-rl"), "events", "-f", "--control-socket", env.agents[-1].control],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        env.processes.append(process)
        process.stdout.readline()
        process.stdout.close()
        equal((process.wait(DEADLINE_S), process.stderr.read()), (0, b""), "status and complaints, though nothing more came")
    env.agents[-1].terminate()
    expect("Last Limited:   <unknown>\n" in env.tool("describe", "ratelimit", "limit").stdout, "describe does not say that nobody knows")
    for args in ([], ["-f"], ["-o", "json"]):
        gone = env.tool("events", *args)
        equal((gone.returncode, gone.stdout, gone.stderr), (1, "", "Error: agent not running: nobody else remembers events\n"),
              f"without an agent {args}")


@case
def events_hide_what_redact_hides(env):
    """Also those of another RateLimit of the endpoint, which tell of the same path."""
    env.server()
    env.write("other.yaml", ratelimit("other", PORT, rules=["{name: all, limit: 1/day, mode: Shadow}"]))
    env.limit(rules=[f"{{name: paths, limit: 2/day, {PATHS}}}"], spec=["redact: true"])
    wait_for("both", lambda: env.lists("limit", "other"))
    equal(ask(env, *[get("/users/alice")] * 3), [200, 200, 429], "answers")
    wait_for("they are remembered", lambda: len(lines(env)) == 2)
    other, item = lines(env)
    equal((other["name"], item["name"], item["method"]), ("other", "limit", "GET"), "events")
    expect(re.fullmatch("path=#[0-9a-f]{8}", item["descriptor"]), f"no hash: {item['descriptor']}")
    wait_for("the log says so", lambda: env.agents[-1].text().count(", last: GET, client") == 2)
    told = env.tool("events", "-A", "-o", "json").stdout + env.tool("describe", "ratelimit", "other").stdout + env.agents[-1].text()
    expect("alice" not in told, "a path is shown")
