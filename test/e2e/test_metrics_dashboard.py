# SPDX-License-Identifier: Apache-2.0
"""Each query of the dashboard, and each alert, by a Prometheus that scrapes an agent which has everything to tell."""

import itertools
import json
import os

from client import equal, expect, get
from documents import ratelimit
from harness import HERE, PORT, Skip, case, wait_for
from models import EACH_USER, Models, ask, asked, budget, headers
from scrape import Prometheus, Scraper

DEPLOY = os.path.join(os.path.dirname(os.path.dirname(HERE)), "deploy")
WEB = 8081
VARIABLES = {"$__rate_interval": "1m", "$__range": "5m", "$namespace": ".*", "$instance": ".*"}


def queries():
    """Of each panel, by its title."""
    with open(os.path.join(DEPLOY, "grafana/kmesh-rl.json"), encoding="utf-8") as file:
        dashboard = json.load(file)
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"]
            for name, value in VARIABLES.items():
                query = query.replace(name, value)
            expect("$" not in query, f"a variable that is not known: {query}")
            yield f"{panel['title']} {target['refId']}", query


def traffic(env, number):
    """Of each kind that a panel shows."""
    env.connect(WEB).ask(b"GET / HTTP/1.1\r\nbad header: 1\r\n\r\n")
    conn = env.connect(WEB)
    for _ in range(150):
        conn.ask(get("/", "X-User: alice"))
    for user in ("bob", "bob", f"new{number}"):
        ask(env, "chat", asked("chat", model="gpt"), *headers(x_user_id=user))


@case(alone=True)
def data_for_each_query_of_the_dashboard(env):
    if not os.path.exists(DEPLOY):
        raise Skip("deploy/ is not here")
    Scraper(env, "--bpf-stats", "--metrics-top", "10")
    prometheus = Prometheus(env, rules=[os.path.join(DEPLOY, "prometheus/kmesh-rl.rules.yaml")])
    Models(env)
    env.server(port=WEB)
    env.write("web.yaml", ratelimit("web", WEB, rules=[
        "{name: all, limit: 60/hour, clientSelectors: [{headers: [{name: x-user, type: Distinct}]}]}"]))
    env.write("limit.yaml", ratelimit("limit", PORT, rules=[budget("12/hour", who=EACH_USER)]))
    env.agent("limit", "web")
    missing = dict(queries())
    expect(len(missing) > 15, f"{len(missing)} queries")

    numbers = itertools.count()

    def all_have_data():
        traffic(env, next(numbers))
        env.close_conns()
        for title, query in list(missing.items()):
            rows = prometheus.query(query)
            if any(value == value for _, value in rows):
                del missing[title]
        return not missing

    try:
        wait_for("data for each query", all_have_data)
    finally:
        expect(not missing, f"queries without data: {list(missing)}")
    alerts = {labels["alertname"] for labels, _ in prometheus.query("ALERTS")}
    equal(alerts - {"KmeshRateLimitExhausted"}, set(), "alerts, but the one that waits")
