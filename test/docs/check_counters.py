# SPDX-License-Identifier: Apache-2.0
"""Metrics, alerts and counted reasons."""

import glob
import os
import re

from checks import check, differ
from pages import spans

FAMILIES = "agent/metrics/families.h"
REASONS = "include/kmesh_rl/reasons.h"
RULES = "deploy/prometheus/kmesh-rl.rules.yaml"
DASHBOARD = "deploy/grafana/kmesh-rl.json"
METRIC = re.compile(r"\b(?:kmesh_ratelimit|gen_ai_client|process)_[a-z_]+\b")


def families(tree):
    """name -> type in small letters."""
    found = re.findall(r'^\tX\([A-Z_]+, ([A-Z]+), "[a-z]*", "([a-z_]+)"', tree.read(FAMILIES), re.MULTILINE)
    return {name: kind.lower() for kind, name in found}


@check
def metrics_and_their_types(tree):
    page, known = tree.pages["docs/metrics.md"], families(tree)
    rows = {name: (row, row.cells[1]) for table in page.tables if table.header[0] == "metric"
            for row in table.rows for name in spans(row.cells[0])}
    yield from differ({name: page.at(row.line) for name, (row, _) in rows.items()}, known, page.name, FAMILIES)
    for name, (row, kind) in rows.items():
        if name in known and kind != known[name]:
            yield f"{page.at(row.line)}: {name} is a {known[name]}"


@check
def labels_of_metrics(tree):
    """Not metric by metric, but each name."""
    page = tree.pages["docs/metrics.md"]
    told = dict.fromkeys(re.findall(r"`([a-z]+)`", next(line for line in page.lines if line.startswith("With the labels"))),
                         page.name)
    for table in page.tables:
        if table.header[0] == "metric" and len(table.header) > 3:
            for row in table.rows:
                for part in re.sub(r"\([^)]*\)", "", row.cells[2]).split(";"):
                    told.update(dict.fromkeys(spans(part.split(":")[0]), page.at(row.line)))
    known = set()
    for path in glob.glob(os.path.join(tree.top, "agent", "metrics", "*.c")):
        known |= tree.strings(os.path.relpath(path, tree.top), r'\{ "([a-z_]+)", (?!used->)')
    yield from differ(told, known, page.name, "agent/metrics")


@check
def metrics_wherever_they_are_named(tree):
    known = families(tree)
    parts = {name + end for name, kind in known.items() if kind == "histogram" for end in ("_bucket", "_sum", "_count")}
    texts = {page.name: page.lines for page in tree.pages.values()}
    texts.update({path: tree.read(path).split("\n") for path in (RULES, DASHBOARD)})
    for path, lines in texts.items():
        for number, line in enumerate(lines, 1):
            for name in METRIC.findall(line):
                if name not in known and name not in parts:
                    yield f"{path}:{number}: there is no metric {name}"


@check
def alerts(tree):
    page = tree.pages["docs/operations.md"]
    table = next(table for table in page.tables if table.header[0] == "alert")
    yield from differ({name: page.at(row.line) for row in table.rows for name in spans(row.cells[0])},
                      tree.strings(RULES, r"^ *- alert: (\w+)"), page.name, RULES)


@check
def counted_reasons(tree):
    page = tree.pages["docs/reference.md"]
    table = next(table for table in page.tables if table.header[0] == "reason")
    told = {name: page.at(row.line) for row in table.rows for name in spans(row.cells[0])}
    yield from differ(told, tree.strings(REASONS, r'^\tX\([A-Z_0-9]+, "([a-z_0-9]+)"'), page.name, REASONS)
    for row in table.rows:
        if not all(row.cells):
            yield f"{page.at(row.line)}: {row.cells[0]} is without a word on what it counts, or what to do"


NAMED = r"((?:`[^`]+`(?:, | and | or )?)+)"


@check
def what_symptoms_show(tree):
    """The page of symptoms names reasons as `reason X`, checks as `diagnose: X` and messages as `log: X`."""
    page = tree.pages["docs/operations.md"]
    log = next(table for table in page.tables if table.header[0] == "`msg`")
    known = {r"\breasons? ": tree.strings(REASONS, r'^\tX\([A-Z_0-9]+, "([a-z_0-9]+)"'),
             "diagnose: ": tree.strings("tools/kmesh-rl/diagnose_checks.c", r'^\t\{ "([a-z-]+)", '),
             "log: ": {text for row in log.rows for text in spans(row.cells[0])}}
    for before, names in known.items():
        named = [(number, name) for number, line in enumerate(page.lines, 1)
                 for listed in re.findall(before + NAMED, line) for name in spans(listed)]
        for number, name in named:
            if name not in names:
                yield f"{page.at(number)}: there is no {name}"
        if not named:
            yield f"{page.name}: names nothing behind {before}"


@check
def fields_of_events(tree):
    page, source = tree.pages["docs/events.md"], "agent/control/events.c"
    table = next(table for table in page.tables if table.header[0] == "field")
    yield from differ({name: page.at(row.line) for row in table.rows for name in spans(row.cells[0])},
                      tree.strings(source, r'^\t{3} "([a-zA-Z]+)", '), page.name, source)
