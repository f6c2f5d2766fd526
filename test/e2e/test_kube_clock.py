# SPDX-License-Identifier: Apache-2.0
"""A node whose clock is not that of the API server."""

import glob
import os
import time

import apiserver
from client import equal, expect
from harness import Skip, admitted, case, case_of_each, wait_for
from kube import NODE, Cluster, ratelimit
from kube_status import condition, happened, second_node, settled, wait_condition


def skew(env, hours):
    """Agents from now on take it for so many hours later."""
    library = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not library:
        raise Skip("libfaketime is not installed")

    def before_agent():
        # Timers are by another clock, which nobody sets.
        os.environ.update(LD_PRELOAD=library[0], FAKETIME=f"{hours:+}h", FAKETIME_DONT_FAKE_MONOTONIC="1",
                          ASAN_OPTIONS="verify_asan_link_order=0")
    env.before_agent = before_agent


@case
def kube_clock_before_the_certificate(env):
    """A certificate that is not valid yet: nothing is asked of the server, and that is said."""
    cluster = Cluster(env)
    cluster.api.put(ratelimit("limit"))
    skew(env, -48)
    agent = cluster.start()
    cluster.says(agent, "certificate is not yet valid")
    equal(cluster.api.requests, [], "requests")
    agent.terminate()
    env.before_agent = None
    cluster.agent("limit")


@case_of_each({"ahead": 2, "behind": -2})
def kube_clock(env, hours):
    """Limits, waits, status and Events are what they are with the right time; and an agent that has that does not write
    anew what another one wrote by its own."""
    cluster = Cluster(env, tls=False)
    cluster.api.put(ratelimit("limit", limit="3/day"))
    skew(env, hours)
    cluster.api.fault("list", "ratelimits", apiserver.too_many(1))
    cluster.agent("limit")
    accepted = wait_condition(cluster, "Accepted", "True", "Accepted")
    expect(accepted["lastTransitionTime"][:13] != time.strftime("%Y-%m-%dT%H", time.gmtime()), "the agent's clock is right")
    env.server()
    equal(admitted(env, 5), 3, "requests admitted")
    wait_for("limiting began", lambda: happened(cluster, "LimitingStarted"))
    wait_for("limiting ended", lambda: happened(cluster, "LimitingEnded"))
    env.before_agent = None
    with second_node(env, cluster, "node-b"):
        wait_for("an entry each", lambda: len(cluster.api.status()["nodes"]) == 2)
        settled(cluster)
        equal(condition(cluster, "Accepted")["lastTransitionTime"], accepted["lastTransitionTime"], "the time that was written")
        equal(len(happened(cluster, "Programmed")), 1, "Events")
    equal([node["node"] for node in cluster.api.status()["nodes"]], [NODE, "node-b"], "nodes")
