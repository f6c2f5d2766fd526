# SPDX-License-Identifier: Apache-2.0
"""maxConnections: how many connections are open at once."""

import os
import signal
import subprocess
import sys
import time

import bpfmap
import foreign
import syn
from client import equal, expect, expect_limited, expect_ok, get
from documents import ratelimit
from harness import PORT, case, wait_for
from incoming import enforce, guarded, hang_up, limit, opened, reached


def at_once(count, name="all", more=""):
    return f"{{name: {name}, maxConnections: {count}{more}}}"


def room(env, count, **which):
    wait_for(f"room for {count} (found {env.tokens(**which)})", lambda: env.tokens(**which) == count)


def nothing_is_held(env):
    for name, size in (("krl_held", 8), ("krl_reserved", 48)):
        wait_for(f"{name} empty", lambda: not bpfmap.keys(os.path.join(env.bpffs, name), size))


def end(env, sock, reset=False):
    env.conns.remove(sock)
    hang_up(sock, reset)


@case
def three_at_once_and_the_next_when_one_ends(env):
    server = env.server()
    enforce(env, rules=[at_once(3)])
    equal(env.tokens(), 3, "room before")
    equal(opened(env, 5), 3, "connections let in")
    equal(env.tokens(), 0, "room with three open")
    for reset in (False, True):
        end(env, env.conns[0], reset)
        room(env, 1)
        equal(opened(env, 2), 1, "connections let in after one ended")
    item = env.item()
    equal((item["totalRequests"], item["rateLimitedRequests"]), (9, 4), "connections judged and refused")
    reached(server, 5)
    env.close_conns()
    room(env, 3)
    nothing_is_held(env)


@case
def one_in_time_wait_is_not_open(env):
    server = env.server()
    enforce(env, rules=[at_once(1)])
    conn = env.connect()
    expect_ok(conn.ask(get("/", "Connection: close")), "/")
    # The server closed first: its end stays in TIME_WAIT.
    conn.close()
    room(env, 1)
    equal(opened(env, 2), 1, "connections let in")
    reached(server, 2)


@case
def a_server_that_is_killed_lets_go_of_all(env):
    server = env.server()
    enforce(env, rules=[at_once(4)])
    equal(opened(env, 5), 4, "connections let in")
    os.kill(server.pid, signal.SIGKILL)
    room(env, 4)
    nothing_is_held(env)
    env.close_conns()
    env.server()
    equal(opened(env, 5), 4, "connections to the next server let in")


@case
def sources_are_counted_apart(env):
    env.server(host="0.0.0.0")
    enforce(env, rules=[at_once(2, more=", clientSelectors: [{sourceCIDR: {value: 127.0.0.0/8, type: Distinct}}]")])
    for source in ("127.0.0.5", "127.0.0.6"):
        equal(opened(env, 3, source=(source, 0)), 2, f"connections from {source} let in")
    env.close_conns()
    nothing_is_held(env)


@case
def a_rate_and_a_number_all_or_none(env):
    env.server()
    enforce(env, rules=["{name: both, count: Connections, limit: 5/day, maxConnections: 3}"])
    equal(opened(env, 4), 3, "connections let in at once")
    env.close_conns()
    wait_for("room", lambda: max(item["availableTokens"] for item in env.stats()) == 3)
    equal(opened(env, 4), 2, "connections let in by the rate")


@case
def shadow_mode_counts_what_is_open(env):
    env.server()
    enforce(env, rules=[at_once(2, more=", mode: Shadow")])
    equal(opened(env, 5), 5, "connections let in")
    equal((env.tokens(), env.item()["shadowLimitedRequests"]), (-3, 3), "room, and what would have been refused")
    env.close_conns()
    room(env, 2)


@case
def a_limit_that_changes_keeps_the_count(env):
    env.server()
    enforce(env, rules=[at_once(4)])
    equal(opened(env, 5), 4, "connections let in")
    for count, left, more in ((2, -2, 0), (6, 2, 2)):
        env.write("limit.yaml", ratelimit("limit", PORT, rules=[at_once(count)]))
        room(env, left)
        equal(opened(env, 4), more, f"connections let in with {count} at once")


@case
def connections_from_before_the_rule_count(env):
    env.server(host="::", dual=True)
    agent = env.agent()
    equal(opened(env, 2) + opened(env, 2, host="::1"), 4, "connections without a rule")
    env.write("limit.yaml", ratelimit("limit", PORT, ip="::", rules=[at_once(5)]))
    wait_for("the rule", lambda: env.lists("limit"))
    room(env, 1)
    equal(opened(env, 3), 1, "connections let in beside those of before")
    env.write("limit.yaml", ratelimit("limit", PORT, ip="::", rules=[at_once(5), at_once(8, "more")]))
    wait_for("the second rule", lambda: len(env.stats()) == 2)
    room(env, 3, rule="more")
    equal(env.tokens(rule="all"), 0, "room of the rule that stayed")
    for sock in list(env.conns):
        end(env, sock)
    room(env, 5, rule="all")
    room(env, 8, rule="more")
    nothing_is_held(env)
    expect(agent.process.poll() is None, "the agent ended")


@case
def the_next_agent_goes_on_with_the_count(env):
    env.server()
    agent = enforce(env, rules=[at_once(4)])
    equal(opened(env, 3), 3, "connections let in")
    agent.kill()
    end(env, env.conns[0])
    room(env, 2)
    equal(opened(env, 3), 2, "connections let in without an agent")
    env.agent("limit")
    equal((env.tokens(), opened(env, 1)), (0, 0), "room, and connections let in by the next")
    env.close_conns()
    room(env, 4)
    nothing_is_held(env)


@case
def one_that_never_gets_beyond_its_syn_is_given_back(env):
    server = env.server()
    with open("/proc/sys/net/ipv4/tcp_synack_retries", "w", encoding="ascii") as retries:
        retries.write("1")
    enforce(env, rules=[at_once(2)])
    env.conns += [syn.silence("127.0.0.9", port) for port in (40001, 40002)]
    begun = time.monotonic()
    syn.send("127.0.0.1", *(syn.segment("127.0.0.9", "127.0.0.1", port, PORT) for port in (40001, 40002)))
    equal(env.tokens(), 0, "room beside two that are half open")
    equal(opened(env, 1), 0, "connections let in beside them")
    room(env, 2)
    # The first SYN-ACK is repeated after a second, and two seconds later the request is gone.
    expect(time.monotonic() - begun > 2, "given back while the kernel still waits for the last ACK")
    nothing_is_held(env)
    equal(opened(env, 3), 2, "connections let in after that")
    reached(server, 2)


@case
def a_segment_of_no_connection_takes_no_room(env):
    env.server()
    agent = enforce(env, rules=[at_once(2), "{name: rate, count: Connections, limit: 9/day}"])
    env.conns.append(syn.silence("127.0.0.9", 40001))
    syn.send("127.0.0.1", syn.segment("127.0.0.9", "127.0.0.1", 40001, PORT, syn.ACK))
    room(env, 2, rule="all")
    room(env, 9, rule="rate")
    agent.kill()
    syn.send("127.0.0.1", syn.segment("127.0.0.9", "127.0.0.1", 40001, PORT, syn.ACK))
    let_in = [0]

    def both():
        let_in[0] += opened(env, 1)
        return let_in[0] == 2

    wait_for("two let in, without an agent", both)
    equal(opened(env, 2), 0, "connections let in beside them")


SERVER = """
import resource, selectors, socket
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", %d))
listener.listen(4096)
print("ready", flush=True)
held = []
while True:
    held.append(listener.accept()[0])
""" % PORT

CLIENT = """
import resource, socket, time
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
held = [socket.create_connection(("127.0.0.1", %d)) for _ in range(10000)]
print("ready", flush=True)
time.sleep(1000)
""" % PORT


def python(env, code):
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    env.processes.append(process)
    equal(process.stdout.readline(), b"ready\n", "what the process says")
    return process


@case
def ten_thousand_opened_and_killed(env):
    for name, value in (("core/somaxconn", "4096"), ("ipv4/ip_local_port_range", "10000 65000")):
        with open(f"/proc/sys/net/{name}", "w", encoding="ascii") as setting:
            setting.write(value)
    limit(env, rules=[at_once(10001)])
    for victim in range(2):
        processes = [python(env, SERVER)]
        guarded(env)
        processes.append(python(env, CLIENT))
        equal(env.tokens(), 1, "room with 10,000 open")
        equal(opened(env, 2), 1, "connections let in beside them")
        processes[victim].kill()
        processes[victim].wait()
        processes[1 - victim].kill()
        processes[1 - victim].wait()
        env.close_conns()
        room(env, 10001)
        nothing_is_held(env)


@case
def requests_are_limited_beside(env):
    env.server()
    enforce(env, rules=[at_once(1), "{name: requests, limit: 1/day}"])
    conn = env.connect()
    expect_ok(conn.ask(get()), "/")
    expect_limited(conn.ask(get()), 1, "1 per 1 day")
    equal(opened(env, 1), 0, "connections let in beside it")


@case
def those_that_are_open_follow_an_edit_of_selectors(env):
    """A count that was one becomes one for each source, and then that of a source alone."""
    each = ", clientSelectors: [{sourceCIDR: {value: 127.0.0.0/8, type: Distinct}}]"
    one = ", clientSelectors: [{sourceCIDR: {value: 127.0.0.5/32}}]"
    env.server(host="0.0.0.0")
    limit(env, rules=[at_once(3)])
    guarded(env)
    equal(opened(env, 1, source=("127.0.0.5", 0)) + opened(env, 2, source=("127.0.0.6", 0)), 3, "connections let in")
    env.write("limit.yaml", ratelimit("limit", PORT, rules=[at_once(3, more=each)]))
    wait_for("buckets of both", lambda: env.item()["buckets"] > 2)
    equal(opened(env, 3, source=("127.0.0.5", 0)), 2, "connections of one source let in")
    equal(opened(env, 3, source=("127.0.0.6", 0)), 1, "connections of the other let in")
    env.write("limit.yaml", ratelimit("limit", PORT, rules=[at_once(4, more=one)]))
    room(env, 1)
    equal(opened(env, 2, source=("127.0.0.5", 0)), 1, "connections of the one that counts let in")
    equal(opened(env, 2, source=("127.0.0.6", 0)), 2, "connections of the other let in")
    env.close_conns()
    room(env, 4)
    nothing_is_held(env)


@case
def those_that_are_open_follow_their_rule_to_another_address(env):
    env.server(host="0.0.0.0")
    limit(env, ip="0.0.0.0", rules=[at_once(3)])
    guarded(env)
    equal(opened(env, 1, host="127.0.0.2") + opened(env, 2), 3, "connections let in")
    env.write("limit.yaml", ratelimit("limit", PORT, rules=[at_once(3)]))
    room(env, 1)
    equal(opened(env, 2), 1, "connections let in")
    equal(opened(env, 2, host="127.0.0.2"), 2, "connections to the other address let in")
    env.close_conns()
    room(env, 3)
    nothing_is_held(env)


@case
def connections_that_no_rule_counts_are_left_alone(env):
    """The agent does not find them anew at each look; of which some go by until a SYN is given back."""
    with open("/proc/sys/net/ipv4/tcp_synack_retries", "w", encoding="ascii") as retries:
        retries.write("1")
    env.server(host="0.0.0.0")
    agent = limit(env, rules=[at_once(3, more=", clientSelectors: [{sourceCIDR: {value: 127.0.0.5/32}}]")])
    guarded(env)
    equal(opened(env, 2, source=("127.0.0.6", 0)), 2, "connections let in")
    env.conns.append(syn.silence("127.0.0.5", 40001))
    syn.send("127.0.0.1", syn.segment("127.0.0.5", "127.0.0.1", 40001, PORT))
    equal(env.tokens(), 2, "room beside one that is half open")
    room(env, 3)
    counted = [line for line in agent.text().splitlines() if "connections counted anew" in line]
    equal([line for line in counted if "+0 -1" not in line], [], "what else the agent counted anew")


@case
def what_was_never_accepted_ends_with_its_listener(env):
    server = env.server(hold_accept=True)
    limit(env, rules=[at_once(3)])
    guarded(env)
    equal(opened(env, 5), 3, "connections let in")
    os.kill(server.pid, signal.SIGKILL)
    room(env, 3)
    nothing_is_held(env)


@case
def another_program_may_make_the_kernel_forget_to_tell(env):
    """Of the end of connections: an edit has them looked at, and asks anew."""
    env.server()
    limit(env, rules=[at_once(4)])
    guarded(env)
    link = foreign.asking(env.cgroup)
    equal(opened(env, 4), 4, "connections let in")
    os.close(link)
    env.write("limit.yaml", ratelimit("limit", PORT, rules=[at_once(4), at_once(5, "more")]))
    wait_for("the second rule", lambda: len(env.stats()) == 2)
    room(env, 1, rule="more")
    env.close_conns()
    room(env, 4, rule="all")
    nothing_is_held(env)
