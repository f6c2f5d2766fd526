# SPDX-License-Identifier: Apache-2.0
"""`redact: true`: the values that pick buckets are kept and shown nowhere."""

import json
import re

import bpfmap
from client import count_statuses, equal, expect, get
from documents import ratelimit
from harness import PORT, case, wait_for
from scrape import Scraper

USERS = "clientSelectors: [{headers: [{name: x-user, type: Distinct}]}]"
HASH = re.compile(r"x-user=#[0-9a-f]{8}")


def ask(env, count):
    conn = env.connect()
    return count_statuses([conn.ask(get("/", "X-User: alice")) for _ in range(count)])


def redact(env, hides):
    env.write("limit.yaml", ratelimit("limit", PORT, rules=[f"{{name: users, limit: 3/day, {USERS}}}"],
                                      spec=[f"redact: {str(hides).lower()}"]))
    wait_for("it is in force", lambda: hides == ('"redact": true' in env.tool("get", "ratelimits", "limit", "-o", "json").stdout))


def shown(env, scraper):
    """All that is told to operators of who was limited."""
    views = [["events", "-o", "json"], ["get", "ratelimit-buckets", "-A", "-o", "json"], ["get", "ratelimit-stats", "-A", "-o", "json"],
             ["get", "ratelimit-stats", "-A", "-o", "wide"], ["describe", "ratelimit", "limit"],
             ["describe", "ratelimit", "other", "-o", "yaml"]]
    return "\n".join([env.tool(*view).stdout for view in views] + [scraper.text()])


def callers(env, name):
    items = json.loads(env.tool("get", "ratelimit-stats", name, "-o", "json").stdout)["items"]
    return [caller["value"] for item in items for caller in item["topCallers"]]


@case
def hidden_values_are_neither_shown_nor_kept(env):
    """Of two RateLimits on one endpoint, which share what they look at, one hides it, from some time on."""
    scraper = Scraper(env, "--metrics-top", "9")
    env.server()
    env.write("other.yaml", ratelimit("other", PORT, rules=[f"{{name: each, limit: 2/day, mode: Shadow, {USERS}}}"]))
    env.limit(rules=[f"{{name: users, limit: 3/day, {USERS}}}"])
    wait_for("the other one", lambda: env.lists("limit", "other"))
    equal(ask(env, 5), {200: 3, 429: 2}, "answers")
    equal(callers(env, "limit"), ["x-user=alice"], "callers of what hides nothing")
    wait_for("events show her", lambda: "x-user=alice" in env.tool("events").stdout)
    wait_for("the log has said it", lambda: len(re.findall("rule (?:users|each)", env.agents[-1].text())) == 2)
    values = f"{env.bpffs}/krl_values"
    expect(b"alice" in b"".join(bpfmap.values(values)), "the value is not kept")
    redact(env, True)
    wait_for("what was kept is gone", lambda: "alice" not in shown(env, scraper))
    redact(env, False)
    wait_for("it is kept again", lambda: ask(env, 1) and "alice" in shown(env, scraper))
    redact(env, True)
    wait_for("what was kept meanwhile is gone", lambda: "alice" not in shown(env, scraper))
    equal(ask(env, 5), {200: 3, 429: 2}, "answers, from new buckets")
    wait_for("events of them", lambda: HASH.search(env.tool("events").stdout))
    text = shown(env, scraper)
    expect("alice" not in text, f"a value is shown: {[line for line in text.splitlines() if 'alice' in line]}")
    expect(b"alice" not in b"".join(bpfmap.values(values)), "a value is kept")
    hashes = {item["name"]: item["value"] for item in env.buckets()["items"] if HASH.fullmatch(item["value"])}
    equal(set(hashes), {"limit", "other"}, "RateLimits that show a hash in place of the value")
    expect(hashes["limit"] in callers(env, "limit"), f"it is not among the callers: {callers(env, 'limit')}")
    users = scraper.by("user", "kmesh_ratelimit_limited_requests_total", name="limit")
    expect(hashes["limit"] in users, f"it is not among the users of the metrics: {users}")
    checked = env.tool("check", "--live", "-f", env.config, "--header", "x-user: alice", "-o", "json")
    equal({item["name"]: item["availableTokens"] for item in json.loads(checked.stdout)["items"]}, {"limit": 0, "other": 0},
          f"tokens in her buckets ({checked.stderr.strip()})")
    expect("\nRedact:         values of headers" in env.tool("describe", "ratelimit", "limit").stdout, "describe does not say it")
