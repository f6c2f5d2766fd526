# SPDX-License-Identifier: Apache-2.0
"""Anything, in any order: edits, and an API server that fails in between. When it is let alone, the agent has what the
server has."""

import os
import random

import apiserver
from client import Failure, expect
from harness import case, wait_for
from kube import NODE, Cluster, endpoint, endpoint_slice, ratelimit, service

NAMES = ["a", "b", "c", "d"]
PLURALS = ["ratelimits", "services", "endpointslices"]
ROUNDS = 4
STEPS = 12


class World:
    def __init__(self, env, seed):
        self.random = random.Random(seed)
        self.cluster = Cluster(env, tls=False, slices=self.random.choice(["discovery.k8s.io/v1",
                                                                         "discovery.k8s.io/v1beta1"]))
        self.cluster.flags[self.cluster.flags.index("--watch-seconds") + 1] = str(self.random.choice([1, 2, 60]))
        self.api = self.cluster.api

    def edit(self):
        name = self.random.choice(NAMES)
        kind = self.random.choice(["RateLimit", "RateLimit", "Service", "EndpointSlice"])
        at = f"{name}-x7k2p" if kind == "EndpointSlice" else name
        objects = next(found for found in self.api.kinds.values() if found.kind == kind).objects
        if ("default", at) in objects and self.random.random() < 0.3:
            self.api.delete(kind, at)
        elif kind == "RateLimit":
            # One in four is by address.
            target = {"service": self.random.choice(NAMES)} if self.random.random() < 0.75 else {}
            self.api.put(ratelimit(name, limit=f"{self.random.randrange(1, 1000)}/day",
                                   at=9000 + NAMES.index(name), **target))
        elif kind == "Service":
            self.api.put(service(name))
        else:
            here = [endpoint(f"127.0.{NAMES.index(name) + 1}.{self.random.randrange(1, 250)}",
                             node=self.random.choice([NODE, NODE, "node-b"]))
                    for _ in range(self.random.randrange(4))]
            for one in here if self.api.kinds["endpointslices"].group_version.endswith("beta1") else []:
                one["topology"] = {"kubernetes.io/hostname": one.pop("nodeName")}
            self.api.put({**endpoint_slice(name), "endpoints": here})

    def trouble(self):
        acts = [apiserver.gone, apiserver.too_many(1), apiserver.refuse(500, "InternalError", "oops"),
                apiserver.refuse(401, "Unauthorized", "Unauthorized"), lambda handler: handler.answer(200, b"{"),
                lambda handler: self.api.reset(), apiserver.error_event(apiserver.expired()),
                apiserver.error_event(apiserver.status(500, "InternalError", "oops"))]
        what = self.random.randrange(4)
        if what == 0:
            self.api.reset()
        elif what == 1:
            self.api.compact()
            self.api.reset()
        elif what == 2:
            self.api.fault(self.random.choice(["list", "watch"]), self.random.choice(PLURALS),
                           self.random.choice(acts))
            self.api.reset()
        else:
            self.api.emit(self.random.choice(PLURALS), b'{"type":"ADDED","object":')

    def expected(self):
        """Name, tokens and endpoints of what the server has, for this node."""
        found = set()
        slices = self.api.kinds["endpointslices"].objects
        for (_, name), object in self.api.kinds["ratelimits"].objects.items():
            spec = object["spec"]
            endpoints = 1
            if "service" in spec:
                slice_ = slices.get(("default", f"{spec['service']}-x7k2p"), {"endpoints": []})
                endpoints = len({one["addresses"][0] for one in slice_["endpoints"]
                                 if NODE in (one.get("nodeName"),
                                             one.get("topology", {}).get("kubernetes.io/hostname"))})
            found.add((name, int(spec["rules"][0]["limit"].split("/")[0]), endpoints))
        return {entry for entry in found if entry[2]}


def settle(env, world, what):
    """After many failures in a row the next try may be half a minute away."""
    wanted = world.expected()
    for _ in range(2):
        try:
            return wait_for(f"{what}: {wanted}", lambda: has(env, wanted))
        except Failure:
            pass
    return wait_for(f"{what}: {wanted}", lambda: has(env, wanted))


def has(env, wanted):
    return {(item["name"], item["maxTokens"], item["endpoints"]) for item in env.stats() if item["endpoints"]} == wanted


def run(env, seed):
    world = World(env, seed)
    world.edit()
    world.cluster.start()
    for number in range(ROUNDS):
        for _ in range(STEPS):
            world.edit()
            if world.random.random() < 0.2:
                world.trouble()
        with world.api.lock:
            world.api.faults.clear()
        settle(env, world, f"round {number} of KRL_SEED={seed}")
    expect(env.agents[-1].process.poll() is None, "the agent exited")


@case
def kube_anything(env):
    run(env, int(os.environ.get("KRL_SEED", "1")))


@case
def kube_anything_else(env):
    run(env, random.randrange(1 << 32))
