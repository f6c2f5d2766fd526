# SPDX-License-Identifier: Apache-2.0
"""What goes wrong between the agent and an API server. Through all of it, what is in force stays, and what the server
says in the end comes into force."""

import json
import sys
import threading
import time

import apiserver
from client import equal, expect
from harness import admitted, case, wait_for
from kube import Cluster, ratelimit

PLURAL = "ratelimits"


def following(env, tls=False, **options):
    """A cluster whose one RateLimit is in force, and its agent, which watches."""
    cluster = Cluster(env, tls=tls, **options)
    cluster.api.put(ratelimit("limit", limit="3/day"))
    agent = cluster.agent("limit")
    wait_for("a watch", lambda: cluster.api.watches)
    return cluster, agent


def recovers(env, cluster, limit=7):
    """An edit from now on comes into force."""
    cluster.api.put(ratelimit("limit", limit=f"{limit}/day"))
    wait_for("the edit is in force", lambda: env.lists("limit") and env.item()["maxTokens"] == limit)


def lists(cluster):
    return cluster.api.count("list", PLURAL)


def watches(cluster):
    return cluster.api.count("watch", PLURAL)


def ends(handler):
    handler.close_connection = True


@case
def kube_server_goes_away(env):
    """It ends in mid-watch; limits stay, what changed meanwhile is found, and the agent says when it is well again."""
    cluster, agent = following(env)
    env.server()
    cluster.api.stop()
    cluster.says(agent, "the limits in force stay")
    equal(admitted(env, 5), 3, "requests admitted without the API server")
    expect(env.tool("version", "-o", "json").stdout.find('"ready": false') > 0, "the agent takes itself for ready")
    cluster.api.put(ratelimit("limit", limit="8/day"))
    cluster.api.put(ratelimit("second", at=9000))
    cluster.api.start()
    wait_for("what changed meanwhile", lambda: env.lists("second") and env.item()["maxTokens"] == 8)
    wait_for("ready", lambda: env.tool("version", "-o", "json").stdout.find('"ready": true') > 0)


@case
def kube_watch_expires(env):
    """410 as an event of the watch: everything is listed anew, and what was deleted meanwhile is gone."""
    cluster, agent = following(env)
    cluster.api.put(ratelimit("second", at=9000))
    wait_for("both", lambda: env.lists("limit", "second"))
    cluster.api.fault("watch", PLURAL, apiserver.error_event(apiserver.expired()))
    cluster.api.fault("watch", PLURAL, apiserver.error_event(apiserver.expired()))
    with cluster.api.lock:
        del cluster.api.kinds[PLURAL].objects[("default", "second")]
        cluster.api.compact()
    cluster.api.reset()
    wait_for("the deleted one is gone", lambda: [item["name"] for item in env.stats()] == ["limit"])
    recovers(env, cluster)
    expect(lists(cluster) >= 2, "nothing was listed anew")
    expect("too old resource version" not in agent.text(), "what happens all the time is said to be wrong")


@case
def kube_watch_gone(env):
    """410 as the status of the answer to a watch."""
    cluster, _ = following(env)
    cluster.api.fault("watch", PLURAL, apiserver.gone)
    cluster.api.reset()
    wait_for("a list", lambda: lists(cluster) == 2)
    recovers(env, cluster)


@case
def kube_list_expires(env):
    """410 as the status of a list's next page: it begins anew."""
    cluster = Cluster(env, tls=False)
    for number in range(600):
        cluster.api.put(ratelimit(f"limit-{number:03}", at=10000 + number))

    def expire(handler):
        if "continue=" in handler.path:
            return apiserver.gone(handler)
        return cluster.api.fault("list", PLURAL, expire) or True

    cluster.api.fault("list", PLURAL, expire)
    cluster.agent("limit-000", "limit-599")
    equal(len(env.stats()), 600, "RateLimits in force")
    equal(lists(cluster), 4, "pages asked for")


@case
def kube_too_many_requests(env):
    """429 with Retry-After, of a list and of a watch: not asked again before that."""
    cluster = Cluster(env, tls=False)
    cluster.api.put(ratelimit("limit"))
    cluster.api.fault("list", PLURAL, apiserver.too_many(2))
    begun = time.monotonic()
    agent = cluster.agent("limit")
    expect(time.monotonic() - begun >= 2, f"the list was asked for again after {time.monotonic() - begun:.1f} s")
    cluster.says(agent, "RateLimits: 429 ")
    wait_for("a watch", lambda: cluster.api.watches)
    cluster.api.fault("watch", PLURAL, apiserver.too_many(2))
    before = watches(cluster)
    cluster.api.reset()
    wait_for("a refused watch", lambda: watches(cluster) == before + 1)
    begun = time.monotonic()
    wait_for("the next one", lambda: watches(cluster) == before + 2)
    expect(time.monotonic() - begun >= 1.9, f"the watch was asked for again after {time.monotonic() - begun:.1f} s")
    equal(lists(cluster), 2, "lists: a watch that is too much goes on from where it was")
    recovers(env, cluster)


@case
def kube_server_errors(env):
    """5xx: waits become longer; the watch goes on from where it was as long as there are few."""
    cluster, agent = following(env)
    times = []

    def broken(handler):
        times.append(time.monotonic())
        handler.answer(503, apiserver.status(503, "ServiceUnavailable", "etcd has no leader"))

    cluster.api.fault("watch", PLURAL, broken, 2)
    cluster.api.reset()
    wait_for("both errors", lambda: len(times) == 2)
    cluster.says(agent, "RateLimits: 503 etcd has no leader")
    recovers(env, cluster)
    equal(lists(cluster), 1, "lists")
    expect(times[1] - times[0] >= 0.45, f"{times[1] - times[0]:.2f} s between the second try and the third")


@case
def kube_reset_in_an_event(env):
    """A connection that ends in the middle of an event: it is told again, whole."""
    cluster, _ = following(env)
    half = threading.Event()

    def cut(handler):
        handler.begin_stream()
        half.wait(10)
        event = json.dumps({"type": "MODIFIED", "object": cluster.api.events[-1][3]}).encode()
        handler.chunk(event[:len(event) // 2])
        cluster.api.reset()

    cluster.api.fault("watch", PLURAL, cut)
    cluster.api.reset()
    wait_for("the watch", lambda: watches(cluster) == 2)
    cluster.api.put(ratelimit("limit", limit="6/day"))
    half.set()
    wait_for("the edit", lambda: env.item()["maxTokens"] == 6)
    recovers(env, cluster)


@case
def kube_silence(env):
    """A watch that outlasts its timeoutSeconds in silence is dead, and asked for again on another connection."""
    cluster = Cluster(env, tls=False)
    cluster.flags[cluster.flags.index("--watch-seconds") + 1] = "1"
    cluster.api.put(ratelimit("limit"))
    held = threading.Event()

    def silent(handler):
        handler.begin_stream()
        held.wait(30)

    cluster.api.fault("watch", PLURAL, silent)
    cluster.agent("limit")
    wait_for("the silent watch", lambda: watches(cluster) == 1)
    cluster.api.put(ratelimit("limit", limit="6/day"))
    wait_for("the edit", lambda: env.item()["maxTokens"] == 6)
    held.set()
    equal(lists(cluster), 1, "lists")


@case
def kube_watch_ends(env):
    """A watch that ends as it was asked to is asked for again from the last version, and nothing is listed."""
    cluster = Cluster(env, tls=False)
    cluster.flags[cluster.flags.index("--watch-seconds") + 1] = "1"
    cluster.api.put(ratelimit("limit"))
    agent = cluster.agent("limit")
    wait_for("three watches", lambda: watches(cluster) >= 3)
    recovers(env, cluster)
    equal(lists(cluster), 1, "lists")
    expect("level=error" not in agent.text(), "a watch that ends is taken for an error")


@case
def kube_bookmarks(env):
    """The version of a bookmark is where the next watch begins, though nothing changed."""
    cluster = Cluster(env, tls=False)
    # Without a name it writes no status, which would be a change.
    cluster.flags = cluster.flags[2:]
    cluster.api.put(ratelimit("limit"))
    cluster.agent("limit")
    wait_for("a watch", lambda: cluster.api.watches)
    wait_for("bookmarks are asked for",
             lambda: any("allowWatchBookmarks=true" in path for _, _, path, _ in cluster.api.requests))
    with cluster.api.lock:
        cluster.api.version += 500
        marked = cluster.api.version
    edit = ratelimit("limit", limit="5/day")
    edit["metadata"]["resourceVersion"] = str(marked - 499)
    bookmark = {"kind": "RateLimit", "apiVersion": "kmesh.net/v1alpha1",
                "metadata": {"resourceVersion": str(marked), "creationTimestamp": None}}
    # In one piece: where the edit is in force, the bookmark was read too.
    cluster.api.emit(PLURAL, b"".join(json.dumps({"type": kind, "object": object}).encode() + b"\n"
                                      for kind, object in (("MODIFIED", edit), ("BOOKMARK", bookmark))))
    wait_for("the edit before it", lambda: env.item()["maxTokens"] == 5)
    with cluster.api.lock:
        cluster.api.oldest = marked
    cluster.api.reset()
    wait_for("the next watch", lambda: watches(cluster) == 2)
    last = [path for verb, _, path, _ in cluster.api.requests if verb == "watch"][-1]
    equal(int(last.split("resourceVersion=")[1]), marked, "where the next watch begins")
    recovers(env, cluster)
    equal(lists(cluster), 1, "lists")


@case
def kube_slow_bytes(env):
    """An event, and a list, byte by byte."""
    cluster = Cluster(env, tls=False)
    cluster.api.put(ratelimit("limit"))

    def slow_list(handler):
        body = json.dumps({"kind": "RateLimitList", "apiVersion": "kmesh.net/v1alpha1",
                           "metadata": {"resourceVersion": str(cluster.api.version)},
                           "items": list(cluster.api.kinds[PLURAL].objects.values())}).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        drip(handler.wfile.write, body)

    def slow_watch(handler):
        handler.begin_stream()
        while not cluster.api.kinds[PLURAL].objects[("default", "limit")]["spec"]["rules"][0]["limit"] == "6/day":
            time.sleep(0.01)
        drip(handler.chunk, json.dumps({"type": "MODIFIED", "object": cluster.api.events[-1][3]}).encode() + b"\n")
        time.sleep(30)

    def drip(write, data):
        for at in range(len(data)):
            write(data[at:at + 1])
            time.sleep(0.0005)

    cluster.api.fault("list", PLURAL, slow_list)
    cluster.api.fault("watch", PLURAL, slow_watch)
    cluster.agent("limit")
    cluster.api.put(ratelimit("limit", limit="6/day"))
    wait_for("the edit", lambda: env.item()["maxTokens"] == 6)


@case
def kube_huge_objects(env):
    """An object of 2 MiB is one like others. An event beyond any bound is given up, and the list tells the rest."""
    cluster, agent = following(env)
    huge = ratelimit("second", at=9000)
    huge["metadata"]["annotations"] = {"notes": "x" * (2 << 20)}
    cluster.api.put(huge)
    wait_for("the huge one", lambda: env.lists("second"))
    cluster.api.emit(PLURAL, b'{"type":"ADDED","object":{"metadata":{"name":"' + b"y" * (9 << 20) + b'"}}}\n')
    wait_for("a watch anew", lambda: watches(cluster) >= 2)
    recovers(env, cluster)
    expect(env.lists("second"), "the huge one is gone")


@case
def kube_wrong_lists(env):
    """What is no list, no JSON, and a list with what are no RateLimits in it: said, and what was in force stays."""
    cluster, agent = following(env)
    env.server()
    sound = ratelimit("second", at=9000)
    sound["metadata"]["resourceVersion"] = "1"

    def odd_list(handler):
        items = [5, None, "x", [], {}, {"metadata": 7}, {"metadata": {"name": 7}, "spec": []},
                 {"metadata": {"name": "odd", "namespace": "default"}, "spec": {"rules": 5}},
                 {"metadata": {"name": "deep", "namespace": "default"}, "spec": deep(100)},
                 {**sound, "apiVersion": None, "kind": 5}, cluster.api.kinds[PLURAL].objects[("default", "limit")]]
        handler.answer(200, {"items": items, "metadata": {"resourceVersion": str(cluster.api.version)}})

    def deep(levels):
        return {"a": deep(levels - 1)} if levels else 1

    cluster.api.fault("watch", PLURAL, apiserver.gone)
    cluster.api.fault("list", PLURAL, odd_list)
    for body in (b'{"items":[],"metadata":{"resourceVersion":5}}', b'{"items":{}}', b"{"):
        cluster.api.fault("list", PLURAL, lambda handler, body=body: handler.answer(200, body))
    cluster.api.faults.reverse()
    cluster.api.reset()
    cluster.says(agent, "RateLimits: an answer that is no list")
    equal(admitted(env, 5), 3, "requests admitted")
    cluster.says(agent, "RateLimit default/odd: spec.rules: expected a list")
    cluster.says(agent, "RateLimit default/deep: ")
    wait_for("the sound one", lambda: env.lists("limit", "second"))
    recovers(env, cluster)


@case
def kube_wrong_events(env):
    """What is no event ends the watch; an event of a type that nobody knows is passed over."""
    cluster, agent = following(env)
    cluster.api.put(ratelimit("second", at=9000))
    wait_for("both", lambda: env.lists("limit", "second"))
    for line in (b"\n", b'{"type":"FANCY","object":{"metadata":{"name":"second","namespace":"default"}}}\n',
                 b'{"type":"DELETED","object":{"metadata":{"name":1}}}\n',
                 b'{"type":"DELETED","object":{"metadata":7}}\n'):
        cluster.api.emit(PLURAL, line)
    recovers(env, cluster, 8)
    equal(watches(cluster), 1, "watches")
    for line in (b"nothing\n", b'{"type":"ADDED","object":[]}\n', b'{"type":5,"object":{}}\n'):
        wait_for("a watch", lambda: cluster.api.watches)
        before = watches(cluster)
        cluster.api.emit(PLURAL, line)
        wait_for("another watch", lambda: watches(cluster) > before)
    cluster.says(agent, "RateLimits: an event that is no JSON")
    recovers(env, cluster)
    expect(env.lists("second"), "the other one is gone")


@case
def kube_missing_definition(env):
    """Without the CustomResourceDefinition there is nothing to list; limits stay, and come when it does."""
    cluster = Cluster(env, tls=False)
    group = cluster.api.kinds[PLURAL].group_version
    cluster.api.kinds[PLURAL].group_version = "not-yet/v1"
    agent = cluster.start()
    cluster.says(agent, "RateLimits: 404 ")
    cluster.api.kinds[PLURAL].group_version = group
    cluster.api.put(ratelimit("limit"))
    wait_for("the RateLimit", lambda: env.lists("limit"))


@case
def kube_what_go_takes_for_json(env):
    """U+0000, an integer of more than 64 bits, and more levels than jansson takes: they hide no other object, neither in a
    list nor in a watch."""
    cluster, agent = following(env)
    sys.setrecursionlimit(20000)
    odd = [("nul", {"notes": "x\0y"}, {"limit": "3/day"}), ("large", {}, {"limit": {"unit": "day", "requests": 10**20}}),
           ("deep", {}, {"limit": {"unit": "day", "requests": "DEEP"}})]
    for number, (name, annotations, rule) in enumerate(odd):
        object = ratelimit(name, at=9100 + number, rules=[{"name": "all", **rule}])
        object["metadata"]["annotations"] = annotations
        object = json.loads(json.dumps(object).replace('"DEEP"', "[" * 2500 + "]" * 2500)) if name == "deep" else object
        cluster.api.put(object)
        recovers(env, cluster, 7 + number)
    equal(watches(cluster), 1, "watches")
    cluster.api.fault("watch", PLURAL, apiserver.gone)
    cluster.api.reset()
    recovers(env, cluster, 11)
    expect(env.lists("nul"), "the one with U+0000 in an annotation is not in force")
    cluster.says(agent, "RateLimit default/large: ")
    cluster.says(agent, "RateLimit default/deep: ")
