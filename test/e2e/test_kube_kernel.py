# SPDX-License-Identifier: Apache-2.0
"""A kernel that takes not all programs: what of RateLimits it does not do is told, and the others are in force."""

from client import expect
from harness import case, case_of_each, wait_for
from kube import NODE, Cluster, ratelimit
from kube_status import happened, wait_condition
from refusals import Refusals

PROGRAM = "krl_stream_llm"
TOKENS = [{"name": "tokens", "count": "LLMTokens", "limit": "100/day"}]
WORDS = {"EINVAL": "Invalid argument", "EACCES": "Permission denied", "EPERM": "Operation not permitted",
         "E2BIG": "Argument list too long", "EOPNOTSUPP": "Operation not supported"}


def beside(env, how):
    """A cluster with a RateLimit that is in force, and one that needs the program, which the kernel answers by @how."""
    refusals, cluster = Refusals(env), Cluster(env)
    cluster.api.put(ratelimit("other", limit="3/day"))
    cluster.agent("other")
    wait_condition(cluster, "Programmed", "True", "Programmed", "other")
    refusals.refuse(PROGRAM, how)
    cluster.api.put(ratelimit("limit", rules=TOKENS))
    return refusals, cluster


@case_of_each(WORDS)
def kube_kernel_refuses_a_program(env, word):
    """In the condition, an Event and `describe` there is which program, and the kernel's word; what was in force stays."""
    how = next(name for name, text in WORDS.items() if text == word)
    _, cluster = beside(env, how)
    says = f"the kernel refuses the program {PROGRAM}: {word}"
    message = wait_condition(cluster, "Programmed", "False", "UnsupportedByKernel")["message"]
    expect(message.startswith(f"{NODE}: ") and says in message, message)
    wait_for("an Event", lambda: [event for event in happened(cluster, "Refused") if says in event["message"]])
    got = env.tool("describe", "ratelimit", "limit")
    expect(says in got.stdout + got.stderr, got.stdout + got.stderr)
    wait_condition(cluster, "Programmed", "True", "Programmed", "other")


@case
def kube_kernel_is_short_of_memory(env):
    """That passes: nothing is said to be refused for good, and with the next change it is in force."""
    refusals, cluster = beside(env, "ENOMEM")
    wait_condition(cluster, "Programmed", "False", "Pending")
    refusals.end()
    cluster.api.put(ratelimit("another", at=1, limit="3/day"))
    wait_condition(cluster, "Programmed", "True", "Programmed")
    expect(not happened(cluster, "Refused"), "an Event says that it was refused")
