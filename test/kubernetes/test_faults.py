# SPDX-License-Identifier: Apache-2.0
"""What goes wrong between the agent and a real API server. What is in force stays, and what is said in the end comes into
force."""

from client import Failure, equal, expect
from cluster import Cluster, endpoint_slice, ratelimit, service
from harness import case, wait_for


def following(env, watch_s=60):
    """A RateLimit on a service is in force, and its agent has three watches."""
    cluster = Cluster(env)
    cluster.flags[cluster.flags.index("--watch-seconds") + 1] = str(watch_s)
    cluster.apply(service("web"), endpoint_slice("web"), ratelimit(service="web"))
    agent = cluster.agent("limit")
    cluster.wait_condition("Programmed", "True", "Programmed")
    return cluster, agent


def in_the_end(what, probe):
    """As wait_for(), and for as long again: before it asks a server again that was away, the agent may wait 30 s."""
    try:
        return wait_for(what, probe)
    except Failure:
        return wait_for(what, probe)


def ready(env):
    return '"ready": true' in env.tool("version", "-o", "json").stdout


def goes_and_comes_back(env, go):
    """The API server is away by @go and comes back; limits stay meanwhile, and what changed is found."""
    cluster, agent = following(env)
    wait_for("ready", lambda: ready(env))
    cluster.serve()
    go(cluster)
    cluster.says(agent, "the limits in force stay")
    equal(cluster.admitted(5), 3, "requests admitted without the API server")
    expect(not ready(env), "the agent takes itself for ready")
    cluster.answers()
    cluster.apply(ratelimit(service="web", limit="8/day"), ratelimit("second", at=9000))
    cluster.delete("endpointslice", "web-x7k2p")
    cluster.apply(endpoint_slice("web", suffix="other"))
    cluster.back()
    in_the_end("what changed meanwhile", lambda: env.lists("limit", "second") and env.item()["maxTokens"] == 8)
    wait_for("ready", lambda: ready(env))
    equal(env.item()["endpoints"], 1, "endpoints")
    wait_for("the status of it", lambda: cluster.status()["observedGeneration"] == 2)
    cluster.apply(ratelimit(service="web", limit="9/day"))
    wait_for("a change after it", lambda: env.item()["maxTokens"] == 9)


@case
def restart_in_mid_watch(env):
    """With RESTART, the server itself."""
    goes_and_comes_back(env, Cluster.restart)


@case
def cut_off_in_mid_watch(env):
    """Its connections are cut, and refused for a while."""
    goes_and_comes_back(env, lambda cluster: cluster.forward.close())


@case
def away_at_the_start(env):
    """An agent that starts meanwhile leaves alone what is in force."""
    cluster, agent = following(env)
    cluster.serve()
    agent.terminate()
    cluster.forward.close()
    agent = cluster.start()
    cluster.says(agent, "the limits in force stay")
    equal(cluster.admitted(5), 3, "requests admitted")
    cluster.answers()
    cluster.delete("ratelimit", "limit")
    cluster.back()
    in_the_end("no rule", lambda: not env.stats())


@case
def watches_end(env):
    """As they are asked to, again and again, and nobody calls it trouble."""
    cluster, agent = following(env, watch_s=1)
    for limit in range(4, 9):
        cluster.apply(ratelimit(service="web", limit=f"{limit}/day"))
        wait_for("the edit", lambda: env.item()["maxTokens"] == limit)
        # It is written some watches later, since that is done once a second.
        wait_for("its status", lambda: cluster.status()["limit"] == f"{limit}/day")
    expect("level=error" not in agent.text() and "the limits in force stay" not in agent.text(), agent.text())


@case
def connections_reset(env):
    cluster, agent = following(env)
    for limit in range(4, 8):
        cluster.forward.cut()
        cluster.apply(ratelimit(service="web", limit=f"{limit}/day"))
        wait_for("the edit", lambda: env.item()["maxTokens"] == limit)
    expect(agent.process.poll() is None, "the agent exited")


@case
def silence(env):
    """A connection of which nothing arrives any more is given up when its watches should have ended."""
    cluster, agent = following(env, watch_s=2)
    cluster.forward.hold()
    cluster.apply(ratelimit(service="web", limit="7/day"))
    wait_for("the edit", lambda: env.item()["maxTokens"] == 7)
    expect(agent.process.poll() is None, "the agent exited")


@case
def one_connection(env):
    """HTTP/2, where the server has it: everything beside each other on one connection."""
    cluster, _ = following(env)
    if not cluster.tls:
        return
    cluster.apply(ratelimit(service="web", limit="7/day"))
    wait_for("the edit", lambda: env.item()["maxTokens"] == 7)
    wait_for("its status", lambda: cluster.status()["observedGeneration"] == 2)
    equal(cluster.forward.taken, 1, "connections")


@case
def deleted_while_away(env):
    """A deletion that no watch told of."""
    cluster, _ = following(env)
    cluster.apply(ratelimit("second", at=9000))
    wait_for("both", lambda: env.lists("limit", "second"))
    cluster.forward.close()
    cluster.delete("ratelimit", "second")
    cluster.forward.open()
    in_the_end("it is gone", lambda: not env.lists("second"))
    equal([item["name"] for item in env.stats()], ["limit"], "RateLimits in force")
