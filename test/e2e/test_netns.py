# SPDX-License-Identifier: Apache-2.0
"""Network namespaces that come and go, as pods do."""

import contextlib
import json
import os
import shutil

import bpfmap
import isolation
from client import equal, expect
from documents import ratelimit
from harness import DEADLINE_S, PORT, Skip, case, wait_for
from incoming import guarded, limit, links, opened
from process import Program

TWO = ["{name: all, count: Connections, limit: 2/day}"]


class Pod:
    def __init__(self, env):
        self.process = Program("pod", [str(PORT)])
        env.processes.append(self.process)
        equal(self.process.stdout.readline(), b"ready\n", "what the pod says")

    def let_in(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self):
        self.process.kill()
        self.process.wait(DEADLINE_S)
        self.process.stdin.close()
        self.process.stdout.close()


def numbers_of(agent, what):
    """The numbers of the objects of BPF that @agent holds, by @what /proc calls them."""
    found = set()
    for fd in os.listdir(f"/proc/{agent.process.pid}/fdinfo"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/{agent.process.pid}/fdinfo/{fd}", encoding="ascii") as info:
            found |= {int(line.split()[1]) for line in info if line.startswith(f"{what}:")}
    return found


def of_bpf(env, agent):
    """How many programs with maps of @agent there are, maps of those and of the agent, and links to those, by bpftool;
    None without it. All of them are in the kernel, whoever holds them."""
    if not shutil.which("bpftool"):
        return None

    def ask(what):
        return json.loads(env.run(["bpftool", "-j", what, "show"]).stdout)

    maps = numbers_of(agent, "map_id")
    programs = [program for program in ask("prog") if maps & set(program.get("map_ids", []))]
    maps = maps.union(*(program["map_ids"] for program in programs))
    ids = {program["id"] for program in programs}
    return {"programs": len(programs), "maps": len(maps & {one["id"] for one in ask("map")}),
            "links": sum(link.get("prog_id") in ids for link in ask("link"))}


def descriptors(agent):
    found = []
    for fd in os.listdir(f"/proc/{agent.process.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/{agent.process.pid}/fd/{fd}"))
    return sorted(found)


def at_rest(probe):
    """What @probe says twice in a row: an agent that looks at namespaces opens files meanwhile."""
    said = [probe()]

    def again():
        said.append(probe())
        return said[-1] == said[-2]

    wait_for("the agent is at rest", again)
    return said[-1]


@case
def two_hundred_pods_come_and_go(env):
    agent = limit(env, rules=TWO)
    pod = Pod(env)
    guarded(env)
    equal(pod.let_in(), 2, "connections let in in the first pod")
    before, objects = at_rest(lambda: descriptors(agent)), at_rest(lambda: of_bpf(env, agent))
    for _ in range(5):
        pods = [Pod(env) for _ in range(40)]
        guarded(env, 41)
        equal([other.let_in() for other in pods], [2] * 40, "connections let in in each pod")
        for other in pods:
            other.end()
            env.processes.remove(other.process)
        wait_for("the pods are let go", lambda: len(links(env)) == 1)
    wait_for(f"descriptors of the agent as before: {before}", lambda: descriptors(agent) == before)
    equal(len(bpfmap.keys(os.path.join(env.bpffs, "krl_guarded"))), 1, "namespaces guarded")
    wait_for("their buckets gone", lambda: env.item()["buckets"] == 1)
    wait_for(f"programs, maps and links as before: {objects}", lambda: of_bpf(env, agent) == objects)
    pod.end()
    wait_for("the first pod is let go", lambda: not links(env))


@case
def pods_that_come_while_no_agent_is_there(env):
    agent = limit(env, rules=TWO)
    agent.kill()
    pods = [Pod(env) for _ in range(3)]
    env.agent("limit")
    guarded(env, 3)
    equal([pod.let_in() for pod in pods], [2, 2, 2], "connections let in in each")


@case
def what_slips_in_before_the_agent_is_counted(env):
    agent = limit(env, rules=TWO)
    agent.kill()
    pod = Pod(env)
    with isolation.Inside(pod.process.pid):
        equal(opened(env, 4), 4, "connections to a namespace that no agent knows")
    equal(env.reasons()["unguarded"], 4, "connections counted as such")


@case
def namespaces_are_let_go_with_the_last_port_that_counts(env):
    limit(env, rules=TWO)
    pod = Pod(env)
    other = env.server(port=PORT + 1, new_network=True)
    env.write("other.yaml", ratelimit("other", PORT + 1, rules=TWO))
    guarded(env, 2)
    os.unlink(os.path.join(env.config, "other.yaml"))
    guarded(env, 1)
    equal(pod.let_in(), 2, "connections let in where the rule stays")
    with isolation.Inside(other.pid):
        equal(opened(env, 4, port=PORT + 1), 4, "connections let in where it went")


@case
def sources_in_namespaces_of_their_own(env):
    """Over veth, as pods of one node reach each other."""
    if not shutil.which("ip"):
        raise Skip("ip(8) is missing")
    env.server(host="0.0.0.0")
    clients = [Pod(env) for _ in range(2)]
    for i, client in enumerate(clients):
        pid = str(client.process.pid)
        for args in (f"link add krl{i} type veth peer name eth0 netns {pid}", f"addr add 10.7.{i}.1/24 dev krl{i}",
                     f"link set krl{i} up"):
            equal(env.run(["ip", *args.split()]).stderr, "", f"what ip {args} says")
        with isolation.Inside(client.process.pid):
            for args in (f"addr add 10.7.{i}.2/24 dev eth0", "link set eth0 up"):
                equal(env.run(["ip", *args.split()]).stderr, "", f"what ip {args} says")
    limit(env, ip="0.0.0.0", rules=["{name: each, count: Connections, limit: 2/day, clientSelectors:"
                                    " [{sourceCIDR: {value: 10.7.0.0/16, type: Distinct}}]}"])
    guarded(env, 3)
    for i, client in enumerate(clients):
        with isolation.Inside(client.process.pid):
            equal(opened(env, 3, host=f"10.7.{i}.1"), 2, f"connections of client {i} let in")
    equal(opened(env, 3), 3, "connections of a source that no rule selects")
