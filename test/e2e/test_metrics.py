# SPDX-License-Identifier: Apache-2.0
"""/metrics of a live agent: what it says of limits, of the node and of the agent, in both formats."""

import os
import shutil
import time

from client import equal, expect, get
from harness import Skip, case, wait_for
from scrape import OPEN_METRICS, PROMETHEUS, Prometheus, Scraper, parse, promtool

REQUESTS = "kmesh_ratelimit_requests_total"
OF_ALL = {"namespace": "default", "name": "limit", "rule": "all", "service": ""}


def ask(env, count, *lines, conn=None):
    conn = conn or env.connect()
    return [conn.ask(get("/", *lines)).status for _ in range(count)]


@case
def metrics_of_a_limit(env):
    scraper = Scraper(env)
    env.server()
    env.limit(limit="3/hour")
    equal(ask(env, 5), [200] * 3 + [429] * 2, "answers")
    equal(scraper.by("decision", REQUESTS, **OF_ALL), {"allowed": 3, "limited": 2, "shadow_limited": 0}, "requests")
    equal(scraper.value("kmesh_ratelimit_available_tokens", **OF_ALL), 0, "tokens left")
    equal(scraper.value("kmesh_ratelimit_max_tokens", **OF_ALL), 3, "tokens at most")
    equal(scraper.value("kmesh_ratelimit_rule_buckets", **OF_ALL), 1, "buckets of the rule")
    equal(scraper.value("kmesh_ratelimit_rule_endpoints", **OF_ALL), 1, "endpoints of the rule")
    equal((scraper.value("kmesh_ratelimit_buckets"), scraper.value("kmesh_ratelimit_buckets_max")), (1, 1 << 20), "buckets")
    equal((scraper.value("kmesh_ratelimit_rules"), scraper.value("kmesh_ratelimit_rules_max")), (1, 4096), "rules")
    equal(scraper.value("kmesh_ratelimit_overflow_buckets"), 0, "overflow buckets in use")
    equal(scraper.samples("kmesh_ratelimit_limited_requests_total"), [], "users, unless they are asked for")


@case
def metrics_of_shadow_mode(env):
    scraper = Scraper(env)
    env.server()
    env.limit(rules=["{name: all, limit: 3/hour, mode: Shadow}"])
    equal(ask(env, 5), [200] * 5, "answers")
    equal(scraper.by("decision", REQUESTS), {"allowed": 3, "limited": 0, "shadow_limited": 2}, "requests")


@case
def metrics_in_both_formats(env):
    """As the readers of the formats have it: promtool, and the parsers of Prometheus' client for Python."""
    scraper = Scraper(env, "--bpf-stats", "--metrics-top", "5")
    env.server()
    env.limit(limit="3/hour", rules=["{name: all, limit: 3/hour, "
                                     "clientSelectors: [{headers: [{name: x-user, type: Distinct}]}]}"])
    ask(env, 5, "x-user: a\\b\"c")
    equal(scraper.get()[1]["Content-Type"], "text/plain; version=0.0.4; charset=utf-8", "type without Accept")
    for accept in (OPEN_METRICS, PROMETHEUS):
        equal(scraper.get(accept=accept)[1]["Content-Type"], f"{OPEN_METRICS}; charset=utf-8", f"type for {accept}")
    text, other = scraper.text(), scraper.text(OPEN_METRICS)
    expect(other.endswith("\n# EOF\n") and "# EOF" not in text, "the end of OpenMetrics")
    names = [sorted({name for name, _, _ in parse(body)}) for body in (text, other)]
    equal(names[0], names[1], "the names in both")
    status, said = promtool("check", "metrics", text=text)
    equal((status, said), (0, ""), "what promtool says")
    status, said = promtool("check", "metrics", text=text + "bad_metric_ms 1\n")
    expect(status and "bad_metric_ms" in said, "promtool sees what is bad")
    try:
        from prometheus_client.openmetrics import parser as open_metrics
        from prometheus_client import parser as plain
    except ImportError as error:
        raise Skip("python3-prometheus-client is not installed") from error
    families = [{family.name: family for family in read.text_string_to_metric_families(body)}
                for read, body in ((plain, text), (open_metrics, other))]
    equal(families[1]["kmesh_ratelimit_program_run_seconds"].unit, "seconds", "a unit")
    equal(families[1]["kmesh_ratelimit_build"].type, "info", "the type of what says the version")
    limited = [family["kmesh_ratelimit_limited_requests"].samples[0] for family in families]
    equal([(sample.labels["user"], sample.value) for sample in limited], [('x-user="a\\\\b\\"c"', 2)] * 2, "a user in both")


@case
def metrics_of_users(env):
    """The most limited alone, and as many of them as were asked for."""
    scraper = Scraper(env, "--metrics-top", "2")
    env.server()
    env.limit(rules=["{name: all, limit: 2/hour, clientSelectors: [{headers: [{name: x-user, type: Distinct}]}]}"])
    long_name = "b" * 300
    for user, count in (("alice", 3), (long_name, 9), ("carol", 5), ("dave", 1)):
        ask(env, count, f"x-user: {user}")
    limited = scraper.by("user", "kmesh_ratelimit_limited_requests_total", **OF_ALL)
    equal(list(limited.values()), [7, 3], "the most limited, most first")
    cut, carol = limited
    equal(carol, "x-user=carol", "the second")
    expect(cut.startswith("x-user=") and len(cut.encode()) <= 128 and long_name not in cut, f"a long one is cut: {cut}")
    equal(scraper.by("decision", REQUESTS)["limited"], 7 + 3 + 1, "all that were limited")
    os.unlink(os.path.join(env.config, "limit.yaml"))
    wait_for("no rule", lambda: not env.stats())
    equal(scraper.samples("kmesh_ratelimit_limited_requests_total"), [], "users of a rule that is gone")


@case
def metrics_of_the_node(env):
    scraper = Scraper(env)
    env.server()
    env.limit(limit="3000/hour")
    conn = env.connect()
    ask(env, 1, conn=conn)
    equal(scraper.by("direction", "kmesh_ratelimit_connections"), {"inbound": 1, "outbound": 0}, "connections")
    equal(scraper.value("kmesh_ratelimit_reasons_total", reason="bad_request"), 0, "bad requests before")
    equal(env.connect().ask(b"GET / HTTP/1.1\r\nbad header: 1\r\n\r\n").status, 400, "a bad request's answer")
    equal(scraper.value("kmesh_ratelimit_reasons_total", reason="bad_request"), 1, "bad requests")
    env.close_conns()
    scraper.until("kmesh_ratelimit_connections", lambda count: count == 0, direction="inbound")
    equal(scraper.value("kmesh_ratelimit_connections_max"), 65536, "room for connections")
    memory = scraper.by("map", "kmesh_ratelimit_map_memory_bytes")
    expect(memory["krl_buckets"] > 1 << 20 and memory["krl_rules"] > 1 << 16, f"memory of maps: {memory}")
    equal(scraper.value("kmesh_ratelimit_build_info", version=version(env)), 1, "the version")


def version(env):
    return env.tool("version", "-o", "json").stdout.split('"version":')[1].split('"')[1]


@case
def metrics_of_decisions(env):
    """One in 64 is measured: of so many, some are."""
    scraper = Scraper(env)
    env.server()
    env.limit(limit="100000/hour")
    name = "kmesh_ratelimit_decision_duration_seconds"
    equal(scraper.value(f"{name}_count"), 0, "decisions before")
    equal(set(ask(env, 1500)), {200}, "answers")
    count = scraper.value(f"{name}_count")
    expect(0 < count < 500, f"{count} of 1500 decisions were measured")
    buckets = scraper.by("le", f"{name}_bucket")
    equal(buckets["+Inf"], count, "the last bucket")
    equal(sorted(buckets.values()), list(buckets.values()), "buckets that contain those before")
    mean = scraper.value(f"{name}_sum") / count
    expect(1e-7 < mean < 1e-2, f"a decision took {mean} s")


@case
def metrics_of_programs(env):
    """What the kernel measures if it is asked to, and nothing when it is not."""
    scraper = Scraper(env)
    env.server()
    agent = env.limit(limit="100000/hour")
    with open("/proc/sys/kernel/bpf_stats_enabled", encoding="ascii") as file:
        anyway = file.read().strip() != "0"
    equal(bool(scraper.samples("kmesh_ratelimit_program_runs_total")), anyway, "runs are told that nobody asked to measure")
    equal(agent.terminate(), 0, "exit status of the agent")
    scraper = Scraper(env, "--bpf-stats")
    env.agent("limit")
    before = scraper.value("kmesh_ratelimit_program_runs_total", program="krl_stream")
    spent = scraper.value("kmesh_ratelimit_program_run_seconds_total", program="krl_stream")
    ask(env, 20)
    equal(scraper.value("kmesh_ratelimit_program_runs_total", program="krl_stream"), before + 20, "runs")
    took = scraper.value("kmesh_ratelimit_program_run_seconds_total", program="krl_stream") - spent
    expect(20 * 1e-7 < took < 0.1, f"20 runs took {took} s")
    for part in ("agent", "programs"):
        scraper.until("kmesh_ratelimit_cpu_overhead_ratio", lambda ratio: 0 <= ratio <= 1, part=part)


@case
def metrics_of_the_agent(env):
    scraper = Scraper(env)
    env.server()
    env.limit(limit="3/hour")
    name = "kmesh_ratelimit_agent_reconcile_duration_seconds"
    before = scraper.value(f"{name}_count")
    expect(before >= 1, "the first reconciliation")
    equal(scraper.value("kmesh_ratelimit_agent_refused"), 0, "complaints")
    env.write("bad.yaml", "apiVersion: kmesh.net/v1alpha1\nkind: RateLimit\nmetadata: {name: bad}\nspec: {}\n")
    scraper.until("kmesh_ratelimit_agent_refused", lambda count: count >= 1)
    expect(scraper.value(f"{name}_count") > before, "another reconciliation")
    equal(scraper.value(f"{name}_bucket", le="+Inf"), scraper.value(f"{name}_count"), "the last bucket")
    equal(scraper.value("kmesh_ratelimit_agent_ready"), 1, "ready")
    equal(scraper.by("resource", "kmesh_ratelimit_agent_watch_up"), {"directory": 1}, "what is followed")
    synced = scraper.value("kmesh_ratelimit_agent_last_sync_timestamp_seconds")
    expect(abs(time.time() - synced) < 10, f"synced {time.time() - synced} s ago")
    expect(scraper.value("process_cpu_seconds_total") > 0, "CPU time of the agent")
    expect(scraper.value("process_resident_memory_bytes") > 1 << 20, "memory of the agent")
    age = time.time() - scraper.value("process_start_time_seconds")
    expect(-2 < age < 600, f"the agent is {age} s old")
    shutil.rmtree(env.config)
    scraper.until("kmesh_ratelimit_agent_watch_up", lambda up: not up, resource="directory")
    synced = scraper.value("kmesh_ratelimit_agent_last_sync_timestamp_seconds")
    time.sleep(0.05)
    equal(scraper.value("kmesh_ratelimit_agent_last_sync_timestamp_seconds"), synced, "the last time in sync")
    equal(scraper.value("kmesh_ratelimit_agent_ready"), 1, "ready, since limits are in force")


@case
def metrics_that_the_next_agent_goes_on_with(env):
    scraper = Scraper(env)
    env.server()
    agent = env.limit(limit="3/hour")
    ask(env, 5)
    agent.kill()
    env.agent("limit")
    equal(scraper.by("decision", REQUESTS)["limited"], 2, "requests that were limited before")


# What a person asks, some of the dashboard's kind.
QUERIES = [
    'up{job="kmesh-rl"} == 1',
    'sum by (namespace, name, rule) (kmesh_ratelimit_requests_total{decision="limited"}) == 2',
    'rate(kmesh_ratelimit_requests_total{decision="allowed"}[1m])',
    "kmesh_ratelimit_available_tokens / kmesh_ratelimit_max_tokens",
    "histogram_quantile(0.99, sum by (le) (kmesh_ratelimit_agent_reconcile_duration_seconds_bucket))",
    "rate(kmesh_ratelimit_program_run_seconds_total[1m])",
    "sum(kmesh_ratelimit_map_memory_bytes) > 0",
    "time() - kmesh_ratelimit_agent_last_sync_timestamp_seconds < 60",
    "kmesh_ratelimit_build_info == 1",
    "min(kmesh_ratelimit_agent_watch_up) == 1",
    'sum by (user) (kmesh_ratelimit_limited_requests_total{user="x-user=alice"}) == 2',
    "kmesh_ratelimit_cpu_overhead_ratio",
]


@case
def metrics_for_prometheus(env):
    """Debian's, which asks for OpenMetrics: a scrape without complaints, and data for what people ask."""
    Scraper(env, "--bpf-stats", "--metrics-top", "10")
    env.server()
    env.limit(rules=["{name: all, limit: 3/hour, clientSelectors: [{headers: [{name: x-user, type: Distinct}]}]}"])
    ask(env, 5, "x-user: alice")
    prometheus = Prometheus(env)
    target = prometheus.target()
    equal((target["health"], target["lastError"]), ("up", ""), "the target")
    for query in QUERIES:
        prometheus.until(query)
    with open(prometheus.log, encoding="utf-8") as log:
        bad = [line for line in log if "level=warn" in line or "level=error" in line]
    equal(bad, [], "complaints of Prometheus")
