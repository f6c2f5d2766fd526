# SPDX-License-Identifier: Apache-2.0
"""The fields of the resource, and what agents write into its status."""

import re

import yaml

from checks import check, differ
from pages import spans

CRD = "crds/kmesh.net_ratelimits.yaml"
RULE = "spec.rules[]"
SELECTOR = f"{RULE}.clientSelectors[]"
# What a table is of, by what its first title says, and the mapping whose fields those are.
TABLES = {"`spec`": "spec", "a rule": RULE, "a selector": SELECTOR, "`clientIP`": "spec.clientIP",
          "`schedule`": f"{RULE}.schedule", "`response`": f"{RULE}.response", "`from`": f"{SELECTOR}.from"}

# The fields of mappings that are of no one type to an API server stand in the decoders alone.
MAPPINGS = {f"{RULE}.limit": ("agent/policy/decode_limit.c", "limit_fields"),
            f"{SELECTOR}.sourceCIDR": ("agent/policy/decode_selector.c", "source_fields")}


def walk(schema, path, ret):
    """@ret: path -> the schema of each field below, and whether it is required there."""
    for name, below in schema.get("properties", {}).items():
        at = f"{path}.{name}" if path else name
        ret[at] = {**below, "is_required": name in schema.get("required", [])}
        walk(below, at, ret)
    if isinstance(schema.get("items"), dict):
        walk(schema["items"], f"{path}[]", ret)
    return ret


def fields(tree):
    """path -> schema of each field of `spec` and `status`."""
    versions = yaml.safe_load(tree.read(CRD))["spec"]["versions"]
    every = walk(versions[0]["schema"]["openAPIV3Schema"], "", {})
    return {path: schema for path, schema in every.items() if re.match(r"(spec|status)(\.|$)", path)}


def decoded(tree, path, table):
    """The names in a table of struct krl_field."""
    text = re.search(rf" {table}\[\] = \{{(.*?)\n\}};", tree.read(path), re.DOTALL)[1]
    return set(re.findall(r'\{ "([A-Za-z]+)"', text))


def told_paths(page):
    return {spans(row.cells[0])[0]: row for table in page.tables if table.header[0] == "field" for row in table.rows}


@check
def fields_by_their_paths(tree):
    page, known = tree.pages["docs/fields.md"], fields(tree)
    rows = told_paths(page)
    services = {path for path in known if path.startswith("spec.services[].rules[]")}
    same = {path.replace("spec.services[].rules[]", RULE) for path in services}
    yield from differ(dict.fromkeys(same, CRD), {path for path in known if path.startswith(RULE)}, CRD, "spec.rules[]")
    known = set(known) - services - {"spec", "status"}
    for path, (source, table) in MAPPINGS.items():
        known |= {f"{path}.{name}" for name in decoded(tree, source, table)}
    yield from differ({name: page.at(row.line) for name, row in rows.items()}, known, page.name, CRD)


@check
def values_and_defaults_of_fields(tree):
    page, known = tree.pages["docs/fields.md"], fields(tree)
    for path, row in told_paths(page).items():
        schema = known.get(path)
        if not schema or path.startswith("status."):
            continue
        _, told, default = row.cells[:3]
        values = {value for value in schema.get("enum", schema.get("items", {}).get("enum", [])) if value}
        if values and values != set(spans(told)):
            yield f"{page.at(row.line)}: {path} may be {', '.join(sorted(values))}"
        if "default" in schema and [str(schema["default"])] != spans(default):
            yield f"{page.at(row.line)}: the default of {path} is {schema['default']}"
        if schema["is_required"] != (default == "required"):
            yield f"{page.at(row.line)}: {path} is {'' if schema['is_required'] else 'not '}required"


@check
def fields_in_the_tables_of_the_reference(tree):
    known, told = fields(tree), {}
    for page in tree.pages.values():
        for table in page.tables:
            title = re.fullmatch(r"field of (.*)", table.header[0])
            if not title:
                continue
            if title[1] not in TABLES:
                yield f"{page.at(table.rows[0].line)}: test/docs/check_resource.py does not know what {title[1]} is"
                continue
            told.setdefault(TABLES[title[1]], {}).update(
                {name: page.at(row.line) for row in table.rows for name in spans(row.cells[0])})
    for path in sorted(set(TABLES.values())):
        names = {one[len(path) + 1:] for one in known if one.startswith(f"{path}.") and
                 not re.search(r"[.\[{]", one[len(path) + 1:])}
        yield from differ(told.get(path, {}), names, "docs/reference.md", f"{path} of {CRD}")


@check
def conditions_and_events(tree):
    page = tree.pages["docs/kubernetes.md"]
    conditions = next(table for table in page.tables if table.header[0] == "condition")
    told, kinds = {}, {}
    for row in conditions.rows:
        kinds.update({name: page.at(row.line) for name in spans(row.cells[0])})
        told.update({name: page.at(row.line) for name in spans(row.cells[1]) if name not in ("True", "False", "Unknown")})
    source = "agent/k8s/conditions.c"
    yield from differ(kinds, tree.strings(source, r'condition\(seen, "([A-Za-z]+)"') |
                      tree.strings(source, r'^\t\{ "([A-Za-z]+)", KRL_VERDICT_'), page.name, source)
    yield from differ(told, tree.strings(source, r'^\t\[KRL_VERDICT_[A-Z_]+\] = "([A-Za-z0-9]+)"') | {"Accepted", "AllMatched", "RedisThere"},
                      page.name, source)
    events = next(table for table in page.tables if table.header[0] == "Event")
    source = "agent/source/status_write.c"
    yield from differ({name: page.at(row.line) for row in events.rows for name in spans(row.cells[0])},
                      tree.strings(source, r'^\t\[KRL_TOLD_[A-Z]+\] = \{ "[A-Z][a-z]+", "([A-Za-z]+)"'), page.name, source)
