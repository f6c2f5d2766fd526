# SPDX-License-Identifier: Apache-2.0
"""Many pods: what the agent spends on knowing them, and what it has of them in memory."""

import os

import bpfmap
from client import expect
from harness import PORT, SCALE, case, wait_for
from kube import Cluster, namespace, pod, ratelimit
from test_kube_scale import cpu_s, memory_mib

PODS = 10000
RSS_MIB = 150
CPU_S = 10


def fill(api):
    """Pods as large as they are in clusters, about 6 KiB."""
    fields = {f"f:field{number}": {"f:more": {}, "k:{\"port\":80,\"protocol\":\"TCP\"}": {}} for number in range(30)}
    for number in range(100):
        api.put(namespace(f"team-{number}", tier="gold" if number % 10 == 0 else "none"))
    for number in range(PODS):
        deployment, replica = f"web-{number // 10 % 10}", f"{number // 10 % 10:05}"
        object = pod(f"{deployment}-{replica}-{number:05}", f"10.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}",
                     namespace=f"team-{number % 100}", account="web", owner=("ReplicaSet", f"{deployment}-{replica}"),
                     labels={"app": "web", "pod-template-hash": replica, "release": f"r{number % 7}"},
                     nodeName=f"node-{number % 300}")
        object["metadata"]["managedFields"] = [{"manager": "kubelet", "fieldsV1": fields}]
        object["spec"]["containers"][0]["env"] = [{"name": f"VARIABLE_{at}", "value": "x" * 60} for at in range(30)]
        api.put(object)


@case(alone=True)
def kube_pods_at_cluster_size(env):
    """10,000 pods, of which a tenth meets a selector, each told apart; then one of these changes."""
    cluster = Cluster(env)
    fill(cluster.api)
    cluster.api.put(ratelimit("limit", endpoints=[{"ip": "127.0.0.1", "port": PORT}], rules=[
        {"name": "gold", "limit": "5/day", "clientSelectors": [{"from": {
            "type": "Distinct", "by": "Pod", "namespaceSelector": {"matchLabels": {"tier": "gold"}}}}]}]))
    cluster.flags = ["--watch-seconds", "600"]
    agent = cluster.agent("limit")
    pid = agent.process.pid

    def rows(name, size):
        return len(bpfmap.keys(os.path.join(env.bpffs, name), size))

    wait_for("all in the maps", lambda: rows("krl_peer_meets", 24) == PODS // 10 and rows("krl_peers", 16) == PODS)
    spent, peak = cpu_s(pid), memory_mib(pid, "VmHWM")
    print(f"{PODS} pods: {spent:.2f} s of CPU, {peak:.0f} MiB at most, {memory_mib(pid, 'VmRSS'):.0f} MiB now")
    cluster.api.put(namespace("team-1", tier="gold"))
    wait_for("a namespace more", lambda: rows("krl_peer_meets", 24) == PODS // 10 + PODS // 100)
    print(f"a namespace of {PODS // 100} pods: {(cpu_s(pid) - spent) * 1000:.0f} ms of CPU")
    expect(spent < CPU_S * SCALE and peak < RSS_MIB * SCALE, f"{spent:.2f} s of CPU, {peak:.0f} MiB")
