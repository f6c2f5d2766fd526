# SPDX-License-Identifier: Apache-2.0
"""The CustomResourceDefinition and the policy, as a real API server takes them, and what it refuses by them."""

import glob
import json
import os
import re

from client import equal, expect
from cluster import GROUP, MADE, NAMESPACE, VERSION, Cluster, is_of_its_build, ratelimit
from harness import HERE as E2E, Skip, case, wait_for

TOP = os.path.dirname(os.path.dirname(E2E))
DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/ratelimits.kmesh.net"
# CustomResourceDefinitions with rules in CEL, and field validation by the server, are on by default as of 1.25.
HAS_RULES = VERSION >= (1, 25)


def documents(group):
    """(name, YAML) of test/crds/GROUP/*.yaml, but for lists, which kubectl takes apart."""
    for path in sorted(glob.glob(os.path.join(TOP, "test/crds", group, "*.yaml"))):
        with open(path, encoding="utf-8") as file:
            for text in re.split(r"^---\n", file.read(), flags=re.M)[1:]:
                name = re.search(r"name: ([^\s,}]+)", text)
                if not re.search(r"^kind: List", text, re.M):
                    yield f"{os.path.basename(path)}: {name[1] if name else text[:40]}", text


def refusal(cluster, text, validation="Strict"):
    """Why the server does not create the RateLimit @text; None: it would. @validation: of fields, where it has that."""
    text = re.sub(r"namespace: ml-models", f"namespace: {NAMESPACE}", text)
    answer = cluster.admin("POST", f"{GROUP}/namespaces/{NAMESPACE}/ratelimits?dryRun=All&fieldValidation={validation}", text.encode(),
                           "application/yaml")
    return None if answer.status == 201 else f"{answer.status} {answer.json.get('message')}"


@case
def established(env):
    cluster = Cluster(env)
    found = cluster.admin("GET", DEFINITION).json
    conditions = {condition["type"]: condition["status"] for condition in found["status"]["conditions"]}
    equal([conditions.get(kind) for kind in ("Established", "NamesAccepted")], ["True", "True"], "conditions")
    # apiextensions-apiserver, pkg/controller/nonstructuralschema: there where a schema is not structural.
    equal(conditions.get("NonStructuralSchema", "False"), "False", f"NonStructuralSchema ({found['status']['conditions']})")
    text = json.dumps(found["spec"])
    equal("x-kubernetes-validations" in text, VERSION >= (1, 23), "whether the server keeps rules in CEL")
    for shown in ("ratelimit", "rl"):
        expect(cluster.kubectl("explain", f"{shown}.spec.rules.limit").find("DESCRIPTION") > 0, f"kubectl explain {shown}")
    equal(cluster.kubectl("api-resources", "--api-group=kmesh.net", "--no-headers").split()[:2], ["ratelimits", "rl"],
          "names")


@case
def good_documents(env):
    cluster = Cluster(env)
    refused = {name: why for name, why in ((name, refusal(cluster, text)) for name, text in documents("good")) if why}
    refused = {name: why for name, why in refused.items() if not is_of_its_build(why)}
    equal(refused, {}, "documents that the server refuses")


@case
def bad_documents(env):
    """All are refused by a server that has CEL, and says no to fields that are not there; old ones cannot see each."""
    cluster = Cluster(env)
    found = {name: refusal(cluster, text) for group in ("bad", "schema-only") for name, text in documents(group)}
    for why in filter(None, found.values()):
        expect(why.startswith(("422 ", "400 ")), why)
    taken = sorted(name for name, why in found.items() if not why)
    if HAS_RULES:
        equal(taken, [], "documents that the server takes")
    expect(len(taken) < len(found) / 3, f"the server takes {len(taken)} of {len(found)}")


@case
def policy(env):
    """What the schema takes and the policy refuses; on kubectl's standard error."""
    cluster = Cluster(env)
    if not MADE["policies"]:
        raise Skip(f"{MADE['git_version']} has no ValidatingAdmissionPolicy v1")
    many = ratelimit(rules=[{"limit": ";".join(["1/day"] * 65)}])

    def refused():
        try:
            return "limit has more than 64 limits" in cluster.apply(many, fails=True)
        finally:
            cluster.kubectl("delete", "rl", "limit", "--ignore-not-found")
    # A policy is in force some time after it was created (kubernetes.io, "Validating Admission Policy").
    wait_for("the policy is in force", lambda: cluster.admin(
        "POST", f"{GROUP}/namespaces/{NAMESPACE}/ratelimits?dryRun=All", many).status != 201)
    expect(refused(), "the message is another one")
    refused_by = {name: refusal(cluster, text, "Ignore") for name, text in documents("agent-only")}
    expect(any("ValidatingAdmissionPolicy" in why for why in refused_by.values() if why), f"{refused_by}")
    for name, why in refused_by.items():
        expect(not why or "ValidatingAdmissionPolicy" in why, f"{name}: {why}")
    warned = cluster.admin("GET", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/ratelimits.kmesh.net").json
    equal(warned.get("status", {}).get("typeChecking", {}).get("expressionWarnings", []), [],
          "what the type checks of a controller warn of")


@case
def agent_only_documents(env):
    """The schema takes them."""
    cluster = Cluster(env)
    for name, text in documents("agent-only"):
        # A key that is given twice is no field too many.
        why = refusal(cluster, text, "Ignore")
        expect(not why or "ValidatingAdmissionPolicy" in why, f"{name}: {why}")


@case
def kubectl_refuses(env):
    """As somebody sees it who made a mistake."""
    cluster = Cluster(env)
    said = cluster.apply(ratelimit(rules=[{"name": "all", "limit": "3/day", "mode": "Enforced"}]), fails=True)
    expect("mode" in said and "Enforce" in said, said)
    if HAS_RULES:
        said = cluster.apply({**ratelimit(), "spec": {**ratelimit()["spec"], "service": "web"}}, fails=True)
        expect("only one of service, services" in said, said)


@case
def comes_late(env):
    """Without the definition there is nothing to list; the agent says so, and goes on when it is there."""
    cluster = Cluster(env)
    if not MADE["owned"]:
        raise Skip("the definition was there before, and with it would go what is of it")
    cluster.undefine()
    try:
        agent = cluster.start()
        cluster.says(agent, "RateLimits: 404 ")
    finally:
        cluster.define()
    cluster.apply(ratelimit())
    wait_for("the RateLimit", lambda: env.lists("limit"))
    cluster.undefine()
    try:
        wait_for("no rule", lambda: not env.stats())
    finally:
        cluster.define()
