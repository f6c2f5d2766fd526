# SPDX-License-Identifier: Apache-2.0
"""The agent with the capabilities of deploy/base/daemonset.yaml, no more: each kind of rule limits. Without any one of
them it says which."""

import functools
import importlib
import os

import capabilities
import isolation
from client import equal, expect
from harness import PORT, Failure, Skip, case, wait_for
from incoming import guarded, limit, opened

# A case of each kind of rule, run once more with an agent that has no other capabilities.
KINDS = {
    "requests": "basic.one_connection",
    "requests_over_http_2": "http2.the_eleventh_stream_gets_goaway",
    "requests_on_open_connections": "open.they_are_taken_in_in_every_network_namespace",
    "fields_on_answers": "headers.small_answers_of_a_blocking_server",
    "tokens_of_models": "llm_budget.fifty_an_hour_admit_five_of_twelve",
    "connections": "connections.namespaces_with_one_address_have_buckets_of_their_own",
    "connections_at_once": "concurrent.three_at_once_and_the_next_when_one_ends",
    "connections_that_go_out": "outbound.over_the_limit_connect_fails",
    "connections_that_go_out_at_once": "outbound_open.one_that_closes_makes_room",
    "requests_that_go_out": "send.one_connection",
    "the_next_agent": "lifecycle.no_token_is_lost_when_the_agent_comes_back",
}


def confine(env, names):
    env.before_agent = functools.partial(capabilities.keep_only, names)


def confined(env):
    """@env, whose agents have the DaemonSet's capabilities."""
    if os.geteuid():
        raise Skip("not root")
    confine(env, capabilities.of_the_daemonset())
    return env


def again(name, function):
    def run(env):
        suite, case_name = function.split(".")
        getattr(importlib.import_module(f"test_{suite}"), case_name)(confined(env))
        wanted = capabilities.mask(capabilities.of_the_daemonset())
        for agent in env.agents:
            if agent.process.poll() is None:
                equal(capabilities.effective(agent.process.pid), wanted, "capabilities of the agent")

    run.__name__ = name
    return case(run)


for kind, cased in KINDS.items():
    again(kind, cased)


def without(name):
    def run(env):
        says = (f"kmesh-rl-agent: without CAP_{name}: run as root, for example with sudo, or give the container these "
                "capabilities\n")
        limit(env).terminate()
        pins = sorted(env.pins())
        confine(env, [other for other in capabilities.of_the_daemonset() if other != name])
        agent = env.start_agent()
        wait_for("the agent ends", lambda: agent.process.poll() is not None)
        equal((agent.process.returncode, agent.text()), (1, says), "exit status and what the agent says")
        detached = env.detach()
        equal((detached.returncode, detached.stderr), (1, says), "exit status and what --detach says")
        equal(sorted(env.pins()), pins, "pins")
        env.before_agent = None

    run.__name__ = f"without_{name.lower()}"
    return case(run)


for capability in capabilities.of_the_daemonset():
    without(capability)


@case
def pods_of_other_users(env):
    """Of a process that is not root, with no capability: its namespace is guarded like any other."""
    confined(env)
    server = env.server(new_network=True, user=1000)
    limit(env)
    guarded(env)
    with isolation.Inside(server.pid):
        equal(opened(env, 12, port=PORT), 10, "connections let in")


@case
def detach(env):
    confined(env)
    agent = limit(env)
    agent.terminate()
    expect(env.pins(), "there are no pins")
    detached = env.detach()
    equal((detached.returncode, detached.stderr), (0, ""), "exit status and what --detach says")
    equal(env.pins(), [], "pins")
