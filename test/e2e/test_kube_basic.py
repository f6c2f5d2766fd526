# SPDX-License-Identifier: Apache-2.0
"""RateLimits from an API server, on real traffic."""

from client import equal
from harness import admitted, case, wait_for
from kube import Cluster, endpoint, endpoint_slice, ratelimit, service


@case
def kube_apply_edit_delete(env):
    cluster = Cluster(env)
    cluster.api.put(ratelimit("limit", limit="3/day"))
    cluster.agent("limit")
    env.server()
    equal(admitted(env, 5), 3, "requests admitted")
    cluster.api.put(ratelimit("limit", limit="5/day", rules=[{"name": "other", "limit": "5/day"}]))
    wait_for("the edited rule", lambda: [item["rule"] for item in env.stats()] == ["other"])
    equal(admitted(env, 7), 5, "requests admitted after the edit")
    cluster.api.delete("RateLimit", "limit")
    wait_for("no rule", lambda: not env.stats())
    equal(admitted(env, 9), 9, "requests admitted after the deletion")
