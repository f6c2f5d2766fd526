# SPDX-License-Identifier: Apache-2.0
"""A large cluster, and long watches: what the agent spends on them."""

import json
import os
import re
import time
from datetime import datetime

import bpfmap
from client import expect
from harness import SCALE, Skip, case, wait_for
from kube import Cluster, endpoint, endpoint_slice, pod, ratelimit, service

SERVICES = 10000
ENDPOINTS_EACH = 5
RATELIMITS = 1000
RSS_MIB = 200
EDITS = 11


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(rf"{field}:\s+(\d+) kB", file.read())[1]) / 1024


def fill(api):
    """Objects as large as they are in clusters: about 1.5 KiB a Service, 4 KiB a slice of five endpoints."""
    fields = {f"f:field{number}": {"f:more": {}, "k:{\"port\":80,\"protocol\":\"TCP\"}": {}} for number in range(12)}
    for number in range(SERVICES):
        name = f"service-{number:05}"
        namespace = f"team-{number % 100}"
        cluster_ip = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        for object in (service(name, namespace=namespace, clusterIP=cluster_ip),
                       endpoint_slice(name, *(address(number, place) for place in range(ENDPOINTS_EACH)),
                                      namespace=namespace)):
            object["metadata"]["managedFields"] = [{"manager": "helm", "fieldsV1": fields}]
            object["metadata"]["annotations"] = {"team.example.com/notes": "x" * 200}
            api.put(object)
        if number % (SERVICES // RATELIMITS) == 0:
            api.put(ratelimit(name, namespace, service=name))


def address(service_number, place):
    host = service_number * ENDPOINTS_EACH + place
    return endpoint(f"127.{64 + (host >> 16)}.{host >> 8 & 255}.{host & 255}",
                    targetRef={"kind": "Pod", "name": f"pod-{host}", "uid": f"{host:036}"}, zone="zone-a")


def applied(agent, since):
    """The times at which the agent changed the maps."""
    return [datetime.fromisoformat(line[5:28]).timestamp() for line in agent.text()[since:].splitlines()
            if "limits applied" in line and "level=info" in line]


@case(alone=True)
def kube_at_cluster_size(env):
    """10,000 Services, 50,000 endpoints and 1,000 RateLimits; then one of these changes."""
    cluster = Cluster(env)
    fill(cluster.api)
    cluster.flags = ["--watch-seconds", "600"]
    agent = cluster.start()
    pid = agent.process.pid
    endpoints = RATELIMITS * ENDPOINTS_EACH
    wait_for("all in the maps",
             lambda: sum(map(int, re.findall(r"endpoints \+(\d+)", agent.text()))) == endpoints)
    spent, peak = cpu_s(pid), memory_mib(pid, "VmHWM")
    print(f"listed: {spent:.2f} s of CPU, {peak:.0f} MiB at most, {memory_mib(pid, 'VmRSS'):.0f} MiB now")
    edits = []
    for number in range(EDITS):
        before, spent_before = len(agent.text()), cpu_s(pid)
        put = time.time()
        cluster.api.put(ratelimit("service-00000", "team-0", service="service-00000", limit=f"{number + 4}/day"))
        took = wait_for("the edit", lambda: applied(agent, before))[0] - put
        edits.append(took * 1000)
        print(f"edit: {took * 1000:.0f} ms, {(cpu_s(pid) - spent_before) * 1000:.0f} ms of CPU")
    print(f"an edit, the median: {sorted(edits)[EDITS // 2]:.0f} ms")
    expect(peak < RSS_MIB * SCALE, f"{peak:.0f} MiB")


EVENTS = int(os.environ.get("KRL_EVENTS", "100000"))
GROWTH_MIB = 4


def flood(api, plural, lines, copies):
    """@copies times @lines as events of the one watch of @plural."""
    piece = b"".join(lines)
    for _ in range(copies):
        wait_for("the watch takes what it was sent",
                 lambda: [waiting for watched, waiting in api.open if watched == plural] == [[]])
        api.emit(plural, piece)


def stays_flat(env, cluster, pid, objects, settled):
    """Events without an end, of @objects that change and come and go: what the agent has of memory after a tenth of them is
    what it has after all (KRL_EVENTS: how many). settled(N): wait until they are over, each time with another N."""
    if env.build.endswith("/asan"):
        raise Skip("ASan keeps what is freed")
    lines = []
    for number, object in enumerate(objects):
        object["metadata"]["resourceVersion"] = "101"
        object["metadata"]["annotations"] = {"notes": "x" * (number % 300)}
        change = ("DELETED", "ADDED", "MODIFIED")[number % 3]
        lines.append(json.dumps({"type": change, "object": object}).encode() + b"\n")
    plural = next(kind.plural for kind in cluster.api.kinds.values() if kind.kind == objects[0]["kind"])
    flood(cluster.api, plural, lines, EVENTS // 10000)
    settled(7)
    first, spent = memory_mib(pid, "VmRSS"), cpu_s(pid)
    flood(cluster.api, plural, lines, EVENTS // 1000 - EVENTS // 10000)
    settled(8)
    last = memory_mib(pid, "VmRSS")
    print(f"{EVENTS} events of {plural}: {first:.1f} MiB after a tenth, {last:.1f} MiB after all, "
          f"{(cpu_s(pid) - spent) / EVENTS / 0.9 * 1e6:.0f} us of CPU each")
    expect(last - first < GROWTH_MIB * SCALE, f"{first:.1f} MiB after a tenth of the events, {last:.1f} after all")


@case(alone=True)
def kube_memory_stays_flat(env):
    cluster = Cluster(env)
    cluster.api.put(ratelimit("limit"))
    agent = cluster.agent("limit")

    def settled(limit):
        cluster.api.put(ratelimit("limit", limit=f"{limit}/day"))
        wait_for("the events are over", lambda: env.item()["maxTokens"] == limit)
    stays_flat(env, cluster, agent.process.pid, [
        ratelimit(f"other-{number % 7}", at=9000 + number % 7, limit=f"{number % 5 + 1}/day") for number in range(1000)], settled)


@case(alone=True)
def kube_memory_stays_flat_by_slices(env):
    """Of a service that a RateLimit refers to, and of others."""
    cluster = Cluster(env)
    for object in (service("web"), endpoint_slice("web"), ratelimit("limit", service="web")):
        cluster.api.put(object)
    agent = cluster.agent("limit")

    def settled(count):
        # Of those that come and go none is left.
        cluster.api.put(endpoint_slice("web", *(endpoint(f"127.0.1.{host + 1}") for host in range(count)), suffix="last"))
        wait_for("the events are over", lambda: env.item()["endpoints"] == count + 1)
    stays_flat(env, cluster, agent.process.pid, [
        endpoint_slice("web" if number % 7 == 0 or number == 999 else f"other-{number % 7}",
                       *(endpoint(f"127.0.2.{host + 1}") for host in range(number % 5 + 1)), suffix="more")
        for number in range(1000)], settled)


@case(alone=True)
def kube_memory_stays_flat_by_pods(env):
    """While a rule asks which pod connects."""
    cluster = Cluster(env)
    cluster.api.put(ratelimit("limit", rules=[
        {"name": "some", "limit": "2/day", "clientSelectors": [{"from": {
            "type": "Distinct", "by": "Pod", "podSelector": {"matchLabels": {"app": "web"}}}}]}]))
    agent = cluster.agent("limit")
    peers = os.path.join(env.bpffs, "krl_peers")

    def settled(host):
        cluster.api.put(pod(f"last-{host}", f"10.65.0.{host}", labels={"app": "web"}))
        wait_for("the events are over", lambda: any(bytes([10, 65, 0, host]) in key for key in bpfmap.keys(peers, 16)))
    stays_flat(env, cluster, agent.process.pid, [
        pod(f"web-{number % 7}", f"10.64.0.{number % 50}", labels={"app": "web" if number % 2 else "db"}, account=f"a-{number % 3}",
            owner=("ReplicaSet", f"web-{number % 7}")) for number in range(1000)], settled)
