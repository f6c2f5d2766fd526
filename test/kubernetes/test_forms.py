# SPDX-License-Identifier: Apache-2.0
"""The fake of the other cases answers as a real API server does: the same requests, to both."""

import http.client
import json

import apiserver
import cluster as real
from client import equal, expect
from cluster import GROUP, NAMESPACE, Answer, Cluster, ratelimit, service
from harness import Skip, case

LIMITS = f"{GROUP}/namespaces/{NAMESPACE}/ratelimits"
SERVICES = f"/api/v1/namespaces/{NAMESPACE}/services"
EVENTS = f"/api/v1/namespaces/{NAMESPACE}/events"
STATUS = f"{LIMITS}/limit/status"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


class Both:
    """The real one and the fake, with the same two RateLimits and Services in them."""

    def __init__(self, env):
        self.cluster = Cluster(env)
        self.fake = apiserver.ApiServer(token=None, slices=real.DISCOVERY)
        objects = [ratelimit(), ratelimit("second", at=9000), service("one"), service("two")]
        self.cluster.apply(*objects)
        for made in objects:
            self.fake.put(made)

    def ask_fake(self, method, path, body=None, kind="application/json"):
        connection = http.client.HTTPConnection("127.0.0.1", self.fake.port, timeout=20)
        try:
            connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": kind} if body else {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def ask(self, what, method, path, body=None, kind="application/json", *, status, fake_path=None):
        """Both answer with @status, and what the fake says is there in what the real one says."""
        answers = self.cluster.admin(method, path, body, kind), self.ask_fake(method, fake_path or path, body, kind)
        equal([answer.status for answer in answers], [status, status],
              f"{what}: statuses of the real one and the fake ({answers[0].body[:300]})")
        if "json" in (answers[0].fields["Content-Type"] or ""):
            for one, other in zip(*[answer.lines if "watch=" in path else [answer.json] for answer in answers]):
                covers(what, one, other)
        return answers


# What the values of these say is told, not only that they are there.
SAID = ("kind", "apiVersion", "status", "code", "type", "operation", "fieldsType")


def covers(what, there, made):
    """Everything of @made, which the fake says, is in @there, with a value of the same type."""
    if isinstance(made, dict):
        expect(isinstance(there, dict), f"{what}: an object in the fake, {there!r} in the real one")
        for key, value in made.items():
            if key == "managedFields":
                continue
            if value == "":
                continue
            expect(key in there, f"{what}.{key}: is not there in the real one, which has {sorted(there)}")
            if key in SAID and isinstance(value, (str, int)):
                equal(value, there[key], f"{what}.{key}: what the fake says")
            if key == "reason" and value:
                equal(value, there[key], f"{what}.{key}: what the fake says")
            covers(f"{what}.{key}", there[key], value)
    elif isinstance(made, list):
        expect(isinstance(there, list), f"{what}: a list in the fake")
        for one, other in zip(there, made):
            covers(what, one, other)
    elif made is not None and there is not None:
        equal(type(made), type(there), f"{what}: type in the fake")


@case
def lists(env):
    """Pages, of custom resources and of built-in ones; a token is of one version."""
    both = Both(env)
    for path in (LIMITS, SERVICES):
        first = both.ask("a page", "GET", f"{path}?limit=1", status=200)
        tokens = [answer.json["metadata"]["continue"] for answer in first]
        second = [both.cluster.admin("GET", f"{path}?limit=1&continue={tokens[0]}"),
                  both.ask_fake("GET", f"{path}?limit=1&continue={tokens[1]}")]
        for one, two in zip(first, second):
            equal(two.status, 200, "status of the second page")
            equal(two.json["metadata"]["resourceVersion"], one.json["metadata"]["resourceVersion"], "version of the second page")
            expect(not two.json["metadata"].get("continue"), "the last page has a token")
        for answer in first:
            item = answer.json["items"][0]
            equal("kind" in item, path == LIMITS, f"whether the items of {path} say their kind")
    both.ask("no token", "GET", f"{LIMITS}?limit=1&continue=bm90aGluZw", status=400)
    both.ask("a list of nothing", "GET", f"/api/v1/namespaces/{NAMESPACE}-none/services", status=200)


@case
def watches(env):
    """They end cleanly at timeoutSeconds, with a bookmark a minute, and 410 is an event."""
    both = Both(env)
    version = [answer.json["metadata"]["resourceVersion"] for answer in both.ask("all", "GET", LIMITS, status=200)]
    path = f"{LIMITS}?watch=1&allowWatchBookmarks=true&timeoutSeconds=%d&resourceVersion=%s"
    streams = (both.cluster.admin("GET", path % (75, version[0]), patience_s=90).lines,
               both.ask_fake("GET", path % (4, version[1])).lines)
    for lines in streams:
        equal({line["type"] for line in lines} - {"BOOKMARK"}, set(), "events of a watch in which nothing happens")
    # There is no promise that there is any.
    for bookmark in streams[0][-1:]:
        covers("a bookmark", bookmark, streams[1][-1])
        equal(set(bookmark["object"]), set(streams[1][-1]["object"]), "what a bookmark has")
        equal(set(bookmark["object"]["metadata"]) - {"creationTimestamp"}, {"resourceVersion"}, "its metadata")
    # From before there was anything.
    both.fake.compact()
    streams = both.cluster.admin("GET", path % (4, "1")).lines, both.ask_fake("GET", path % (4, "1")).lines
    equal([len(lines) for lines in streams], [1, 1], "events of a watch from version 1")
    covers("410", streams[0][0], streams[1][0])
    equal(streams[0][0]["object"]["code"], 410, "the code")


@case
def what_is_not_there(env):
    both = Both(env)
    for path in ("/apis/kmesh.net/v9/ratelimits", "/apis/no.such.group/v1/things"):
        for answer in both.ask(path, "GET", path, status=404):
            equal(answer.body, b"404 page not found\n", f"the body of {path}")


@case
def statuses(env):
    """Server-side apply to the status: what it takes, who conflicts with whom, and what it says no to."""
    both = Both(env)

    def wanted(**status):
        return {"apiVersion": "kmesh.net/v1alpha1", "kind": "RateLimit", "metadata": {"name": "limit"}, "status": status}

    node = {"nodes": [{"node": "a", "endpoints": 1}]}
    both.ask("apply", "PATCH", f"{STATUS}?fieldManager=a&force=true", wanted(limited=5, **node), APPLY, status=200)
    both.ask("another item", "PATCH", f"{STATUS}?fieldManager=b", wanted(nodes=[{"node": "b", "endpoints": 2}]), APPLY,
             status=200)
    both.ask("a conflict", "PATCH", f"{STATUS}?fieldManager=b", wanted(limited=6), APPLY, status=409)
    both.ask("the same value", "PATCH", f"{STATUS}?fieldManager=c", wanted(limited=5), APPLY, status=200)
    others = [{"node": "b", "endpoints": 2}]
    for answer in both.ask("forced", "PATCH", f"{STATUS}?fieldManager=b&force=true", wanted(limited=7, nodes=others), APPLY,
                           status=200):
        equal([answer.json["status"]["limited"], answer.json["status"]["nodes"]], [7, node["nodes"] + others],
              "what is there then")
    # The last one of a list had better stay: of an empty one, servers before 1.22 make null, and refuse that.
    for answer in both.ask("no more", "PATCH", f"{STATUS}?fieldManager=a&force=true", wanted(), APPLY, status=200):
        equal(answer.json["status"], {"limited": 7, "nodes": others}, "what nobody applies any more")
    both.ask("an unknown field", "PATCH", f"{STATUS}?fieldManager=b&force=true", wanted(limited=7, nothing=1, nodes=others),
             APPLY, status=500)
    both.ask("no manager", "PATCH", f"{STATUS}?force=true", wanted(limited=5), APPLY, status=422)
    both.ask("an item without its key", "PATCH", f"{STATUS}?fieldManager=a", wanted(nodes=[{"endpoints": 1}]), APPLY, status=500)
    both.ask("an item twice", "PATCH", f"{STATUS}?fieldManager=a", wanted(nodes=2 * node["nodes"]), APPLY, status=500)
    both.ask("nobody", "PATCH", f"{LIMITS}/nobody/status?fieldManager=a", {
        **wanted(limited=5), "metadata": {"name": "nobody"}}, APPLY, status=404)
    both.ask("another media type", "PATCH", f"{STATUS}?fieldManager=a", wanted(limited=5), "application/json", status=415)


@case
def writes_that_change_nothing(env):
    """An apply of what is there already is no write: the version stays."""
    both = Both(env)
    wanted = {"apiVersion": "kmesh.net/v1alpha1", "kind": "RateLimit", "metadata": {"name": "limit"}, "status": {"limited": 5}}
    first = both.ask("apply", "PATCH", f"{STATUS}?fieldManager=a&force=true", wanted, APPLY, status=200)
    again = both.ask("again", "PATCH", f"{STATUS}?fieldManager=a&force=true", wanted, APPLY, status=200)
    for one, two in zip(first, again):
        equal(two.json["metadata"]["resourceVersion"], one.json["metadata"]["resourceVersion"], "the version")
        equal(two.json["metadata"]["generation"], 1, "the generation, of which the status is no part")


@case
def events(env):
    both = Both(env)
    event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "limit.1", "namespace": NAMESPACE},
             "involvedObject": {"apiVersion": "kmesh.net/v1alpha1", "kind": "RateLimit", "namespace": NAMESPACE,
                                "name": "limit", "uid": "x"},
             "type": "Normal", "reason": "Programmed", "message": "x", "count": 1, "source": {"component": "x", "host": "x"},
             "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z",
             "reportingComponent": "x", "reportingInstance": "x"}
    both.ask("an Event", "POST", EVENTS, event, status=201)
    both.ask("the same name", "POST", EVENTS, event, status=409)
    both.ask("more of it", "PATCH", f"{EVENTS}/limit.1", {"count": 2, "lastTimestamp": "2026-01-01T01:00:00Z"}, MERGE, status=200)
    both.ask("one that is gone", "PATCH", f"{EVENTS}/limit.2", {"count": 2}, MERGE, status=404)
    elsewhere = {**event, "metadata": {"name": "limit.3", "namespace": NAMESPACE},
                 "involvedObject": {**event["involvedObject"], "namespace": "elsewhere"}}
    both.ask("of another namespace", "POST", EVENTS, elsewhere, status=422)


@case
def who_is_nobody(env):
    """401: the token is not known."""
    cluster = Cluster(env)
    answer = cluster.ask_as("nobody", "GET", LIMITS)
    fake = apiserver.ApiServer(token="other")
    connection = http.client.HTTPConnection("127.0.0.1", fake.port, timeout=20)
    connection.request("GET", LIMITS, headers={"Authorization": "Bearer nobody"})
    other = Answer(connection.getresponse())
    connection.close()
    equal([answer.status, other.status], [401, 401], "statuses")
    covers("401", answer.json, other.json)


@case
def addresses(env):
    """Loopback addresses are no endpoints to Kubernetes: which is why these cases have others."""
    cluster = Cluster(env)
    if real.DISCOVERY.endswith("v1beta1"):
        raise Skip(f"{real.DISCOVERY} takes them")
    cluster.apply(service("web"))
    said = cluster.apply(real.endpoint_slice("web", real.endpoint("127.0.0.1")), fails=True)
    expect("loopback" in said, said)
