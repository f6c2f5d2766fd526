# SPDX-License-Identifier: Apache-2.0
"""What an agent wrote to the API server, for the cases."""

import contextlib
import time

from client import equal
from harness import wait_for
from kube import NODE


def condition(cluster, kind, name="limit"):
    """A condition of a RateLimit; {} without it."""
    return next((found for found in cluster.api.status(name).get("conditions", []) if found["type"] == kind), {})


def node(cluster, name=NODE, of="limit"):
    return next((found for found in cluster.api.status(of).get("nodes", []) if found["node"] == name), {})


def happened(cluster, reason, name="limit"):
    return [event for event in cluster.api.happened(name) if event["reason"] == reason]


def wait_condition(cluster, kind, status, reason, name="limit"):
    wait_for(f"{kind} is {status} by {reason}",
             lambda: [condition(cluster, kind, name).get(key) for key in ("status", "reason")] == [status, reason])
    return condition(cluster, kind, name)


def writes(cluster):
    return sum(verb in ("patch", "create") for verb, *_ in cluster.api.requests)


def settled(cluster):
    """Nothing has been written for longer than the agent would wait with it."""
    seen = [writes(cluster), time.monotonic()]

    def rests():
        if writes(cluster) != seen[0]:
            seen[:] = writes(cluster), time.monotonic()
        return time.monotonic() - seen[1] > 2.5
    wait_for("nothing is written any more", rests)


@contextlib.contextmanager
def second_node(env, cluster, name):
    """Another agent, which takes itself for the node @name: other maps, in the same network."""
    first, flags = env.bpffs, cluster.flags
    try:
        env.bpffs, cluster.flags = first + "-b", [name if flag == NODE else flag for flag in flags]
        agent = cluster.start()
        env.bpffs, cluster.flags = first, flags
        yield agent
    finally:
        agent.terminate()
        env.bpffs = first + "-b"
        left = env.detach().stderr
        env.bpffs, cluster.flags = first, flags
        equal(left, "", "what --detach of the second agent says")
