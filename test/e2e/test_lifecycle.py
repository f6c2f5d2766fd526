# SPDX-License-Identifier: Apache-2.0
"""The agent comes, goes, dies and comes back; what is enforced does not change until --detach."""

import os
import resource
import shutil
import signal
import subprocess
import time

import isolation
from client import equal, expect, expect_compact, expect_limited, expect_ok, get, post, post_chunked
from documents import endpoint_slice, ratelimit, service, service_ratelimit, several
from harness import DEADLINE_S, PORT, admitted, case, take, wait_for

LONG = "X-Padding: " + "a" * 60
NOBODY = 65534


def one_line(result, what):
    """A program failed, with one line that says why."""
    expect(result.returncode != 0, f"{what}: exit status 0")
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    equal(len(lines), 1, f"{what}: lines on standard error ({result.stderr!r})")
    return lines[0]


@case
def limits_hold_when_the_agent_is_killed(env):
    server = env.server()
    agent = env.limit()
    conn = env.connect()
    for _ in range(4):
        expect_ok(conn.ask(get("/", LONG)))
    agent.kill()
    for _ in range(3):
        expect_ok(conn.ask(get("/", LONG)))
    for _ in range(3):
        expect_ok(env.connect().ask(get("/", LONG)))
    for _ in range(5):
        expect_compact(conn.ask(get("/over", LONG)))
    for _ in range(5):
        expect_compact(env.connect().ask(get("/over", LONG)))
    equal(len(env.settled(server).requests()), 10, "requests that reached the server")


@case
def compact_answers_to_bodies_while_the_agent_is_dead(env):
    """A body long enough to be answered over, then the connection goes on."""
    server = env.server()
    agent = env.limit(limit="1/day")
    conn = env.connect()
    expect_ok(conn.ask(get("/first")))
    agent.kill()
    expect_compact(conn.ask(post("/over", b"x" * 100)), "a POST by length")
    expect_compact(conn.ask(post_chunked("/over", b"x" * 100, 40)), "a chunked POST")
    conn.send(post("/over", b"x" * 100000))
    expect_compact(conn.response(), "a long POST")
    expect_compact(conn.ask(get("/over", LONG)), "a GET behind it")
    equal(env.settled(server).requests(), [("GET", "/first")], "requests that reached the server")


@case
def the_shortest_requests_get_a_status_while_the_agent_is_dead(env):
    """There is no room for a length: the answer runs to the end of the connection, and nothing follows."""
    server = env.server()
    agent = env.limit(limit="1/day")
    take(env, 1)
    agent.kill()
    for request in (b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost:\r\n\r\n"):
        conn = env.connect()
        conn.send_segment(request)
        equal(conn.read(len(request)).split()[:2], [b"HTTP/1.1", b"429"], f"answer to {request!r}")
        conn.send_segment(get("/again", LONG))
        expect(not conn.has_answer(), "a second answer behind one without a length")
    equal(len(env.settled(server).requests()), 1, "requests that reached the server")


@case
def detach_leaves_the_pins_of_others(env):
    env.limit().terminate()
    foreign = os.path.join(env.bpffs, "foreign")
    os.mkdir(foreign)
    equal(env.detach().returncode, 0, "exit status of --detach")
    equal(os.listdir(env.bpffs), ["foreign"], "what is left")
    os.rmdir(foreign)
    os.rmdir(env.bpffs)


@case
def a_pin_directory_that_others_can_write_to_is_refused(env):
    os.mkdir(env.bpffs)
    os.chmod(env.bpffs, 0o777)
    args = env.agent_args(os.path.join(env.root, "a.sock"), "info")
    expect(env.bpffs in one_line(env.run(args), "the agent"), "the directory is not named")
    os.chmod(env.bpffs, 0o700)
    os.chown(env.bpffs, NOBODY, NOBODY)
    expect(env.bpffs in one_line(env.run(args), "the agent"), "the directory is not named")
    os.rmdir(env.bpffs)


@case
def head_while_the_agent_is_dead(env):
    env.server()
    agent = env.limit(limit="1/day")
    take(env, 1)
    agent.kill()
    conn = env.connect()
    for _ in range(3):
        expect_compact(conn.ask(get("/over", LONG, method="HEAD")))


@case
def no_token_is_lost_when_the_agent_comes_back(env):
    env.server()
    agent = env.limit()
    held = env.connect()
    for _ in range(4):
        expect_ok(held.ask(get("/", LONG)))
    agent.kill()
    take(env, 3)
    env.agent("limit")
    item = env.item()
    equal((item["availableTokens"], item["totalRequests"]), (3, 7), "tokens and requests adopted")
    for _ in range(3):
        expect_ok(held.ask(get("/", LONG)))
    expect_limited(held.ask(get("/over", LONG)))
    expect_limited(env.connect().ask(get("/over")))


@case
def many_deaths(env):
    env.server()
    env.write("limit.yaml", ratelimit("limit", PORT))
    conn = None
    for number in range(10):
        agent = env.agent("limit")
        equal(env.tokens(), 10 - number, "tokens adopted")
        conn = conn or env.connect()
        expect_ok(conn.ask(get("/", LONG)))
        agent.kill()
    expect_compact(conn.ask(get("/over", LONG)))


@case
def an_edit_while_the_agent_is_dead_applies_when_it_is_back(env):
    env.server()
    agent = env.limit()
    take(env, 2)
    agent.kill()
    env.write("limit.yaml", ratelimit("limit", PORT, limit="5/day"))
    env.agent("limit")
    wait_for("the edited limit is in force", lambda: env.tokens() == 5)


@case
def a_document_removed_while_the_agent_is_dead_is_gone(env):
    env.server()
    agent = env.limit(limit="1/day")
    take(env, 1)
    agent.kill()
    os.unlink(os.path.join(env.config, "limit.yaml"))
    env.start_agent()
    wait_for("new connections are free", lambda: env.connect().ask(get("/", LONG)).status == 200)


@case
def what_is_broken_at_a_restart_keeps_its_endpoints(env):
    """Of two services, one on a port of its own, one on a port that another RateLimit limits too."""
    env.server()
    env.server(port=PORT + 1)
    env.write("limits.yaml", several(service_ratelimit("alone", "web", limit="5/day"),
                                     service_ratelimit("shared", "api", limit="5/day"),
                                     ratelimit("other", PORT + 1),
                                     ratelimit("wide", PORT, ip="0.0.0.0")))
    good = {"services.yaml": several(service("web", 80, PORT), service("api", 80, PORT + 1)),
            "slices.yaml": several(endpoint_slice("web", PORT), endpoint_slice("api", PORT + 1))}
    for name, text in good.items():
        env.write(name, text)
    agent = env.agent("alone", "shared", "other", "wide")
    for broken in (*good, None):
        agent.kill()
        for name, text in good.items():
            env.write(name, text.replace("port: ", "port: x") if name == broken else text)
        agent = env.start_agent()
        wait_for("the limits are applied", lambda: "limits applied" in agent.text())
        equal("refused" in agent.text(), bool(broken), f"{broken} is refused")
        take(env, 1)
        take(env, 1, PORT + 1)
    equal((admitted(env, 4), admitted(env, 4, PORT + 1)), (2, 2), "admitted on the two ports in the end")
    equal((env.tokens("other"), env.tokens("wide")), (5, 5), "tokens of the other RateLimits")


@case
def a_wildcard_that_is_broken_at_a_restart_covers_what_is_new(env):
    env.server()
    env.write("wide.yaml", ratelimit("wide", PORT, ip="0.0.0.0", limit="3/day"))
    env.agent("wide").kill()
    env.write("wide.yaml", ratelimit("wide", PORT, ip="0.0.0.0", limit="three/day"))
    env.limit()
    equal(admitted(env, 5), 3, "admitted by the one that stays")
    equal(env.tokens("limit"), 7, "tokens of the new one")


@case
def sigterm_leaves_enforcement_on(env):
    env.server()
    agent = env.limit(limit="2/day")
    take(env, 2)
    equal(agent.terminate(), 0, "exit status after SIGTERM")
    expect(not os.path.exists(agent.control), "the control socket is left behind")
    expect_compact(env.connect().ask(get("/over", LONG)))


@case
def the_tool_reads_the_pins_when_the_agent_is_dead(env):
    env.server()
    agent = env.limit()
    take(env, 4)
    agent.kill()
    result = env.tool("get", "ratelimit-stats", "-A", "-o", "json")
    equal(result.returncode, 0, f"exit status ({result.stderr!r})")
    expect(result.stderr.strip(), "nothing says that the agent is away")
    equal(env.tokens(), 6, "tokens")


@case
def a_second_agent_is_refused(env):
    env.server()
    first = env.limit(limit="2/day")
    for control in (os.path.join(env.root, "second.sock"), first.control):
        line = one_line(env.run(env.agent_args(control, "info")), "a second agent")
        expect("another agent" in line, f"it says: {line}")
    expect(first.process.poll() is None, "the first agent is gone")
    take(env, 2)
    expect_limited(env.connect().ask(get()), limit=2, text="2 per 1 day")


@case
def detach_while_the_agent_runs_is_refused(env):
    env.server()
    env.limit(limit="1/day")
    one_line(env.detach(), "--detach beside a running agent")
    take(env, 1)
    equal(env.connect().ask(get()).status, 429, "status after it")


@case
def detach_removes_everything(env):
    server = env.server()
    agent = env.limit(limit="2/day")
    conn = env.connect()
    expect_ok(conn.ask(get("/1")))
    expect_ok(conn.ask(get("/2")))
    equal(conn.ask(get("/over")).status, 429, "status over the limit")
    half = env.connect()
    half.send_segment(get("/parted")[:10])
    agent.terminate()
    result = env.detach()
    equal(result.returncode, 0, f"exit status of --detach ({result.stderr!r})")
    expect(not os.path.exists(env.bpffs), "the pins' directory is left behind")
    for number in range(10):
        expect_ok(conn.ask(get(f"/open/{number}")), f"/open/{number}")
        expect_ok(env.connect().ask(get(f"/new/{number}")), f"/new/{number}")
    expect_ok(half.ask(get("/parted")[10:]), "/parted")
    equal(len(env.settled(server).requests()), 23, "requests that reached the server")
    equal(env.detach().returncode, 0, "exit status of a second --detach")


@case
def after_detach_a_new_agent_starts_afresh(env):
    env.server()
    agent = env.limit(limit="2/day")
    take(env, 2)
    agent.terminate()
    equal(env.detach().returncode, 0, "exit status of --detach")
    env.agent("limit")
    equal(env.tokens(), 2, "tokens of a fresh bucket")
    take(env, 2)
    equal(env.connect().ask(get()).status, 429, "status over the limit")


def failing_starts(env, files):
    """What goes wrong, and how the agent is run then; the last ones fail in the kernel's part, by a limit
    of open files that is too low for it: @files are needed."""
    args = env.agent_args(os.path.join(env.root, "failing.sock"), "info")
    taken = os.path.join(env.root, "taken")
    with open(taken, "w", encoding="utf-8"):
        pass
    yield "a source that is a file", [f"dir:{taken}" if arg.startswith("dir:") else arg for arg in args], {}
    yield "a control socket that is a file", [taken if arg.endswith(".sock") else arg for arg in args], {}
    for limit in (files - 1, files // 2, files // 4):
        yield f"{limit} open files", args, {
            "preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))}


def files_kept(agent):
    """How many files the agent needs; now and then it opens more for a moment, for network namespaces."""
    def look():
        return max(int(fd) for fd in os.listdir(f"/proc/{agent.process.pid}/fd")) + 1

    looks = [look()]
    while looks.count(min(looks)) < 10:
        time.sleep(0.01)
        looks.append(look())
    return min(looks)


@case
def a_start_that_fails_changes_nothing(env):
    env.server()
    env.write("limit.yaml", ratelimit("limit", PORT, limit="3/day"))
    agent = env.start_agent()
    wait_for("the agent has started", lambda: "agent started" in agent.text())
    files = files_kept(agent)
    agent.terminate()
    equal(env.detach().returncode, 0, "exit status of --detach")
    for what, args, options in failing_starts(env, files):
        one_line(env.run(args, **options), what)
        expect(not os.path.exists(env.bpffs), f"{what}: pins are left behind")
    env.agent("limit").kill()
    take(env, 1)
    pins = {entry.name: entry.inode() for entry in os.scandir(env.bpffs)}
    for what, args, options in failing_starts(env, files):
        one_line(env.run(args, **options), f"{what}, with pins")
        equal({entry.name: entry.inode() for entry in os.scandir(env.bpffs)}, pins, f"{what}: pins")
    equal(env.tokens(), 2, "tokens")
    take(env, 2)
    expect_compact(env.connect().ask(get("/over", LONG)))


@case
def not_root(env):
    """The binary is copied: where it was built may be closed to other users."""
    os.chmod(env.root, 0o755)
    binary = os.path.join(env.root, "kmesh-rl-agent")
    shutil.copy(env.agent_path(), binary)
    os.chmod(binary, 0o755)
    result = env.run([binary, *env.agent_args(os.path.join(env.root, "a.sock"), "info")[1:]],
                     user=NOBODY, group=NOBODY, extra_groups=[])
    expect("root" in one_line(result, "the agent as another user"), f"it says: {result.stderr!r}")


@case
def no_cgroup2(env):
    args = env.agent_args(os.path.join(env.root, "a.sock"), "info")
    at = args.index("--cgroup")
    result = env.run(args[:at] + args[at + 2:], preexec_fn=lambda: isolation.hide_mounts("cgroup2"))
    expect("cgroup" in one_line(result, "the agent without cgroup v2"), f"it says: {result.stderr!r}")
    args[at + 1] = env.root
    result = env.run(args)
    expect("cgroup" in one_line(result, "--cgroup on another file system"),
           f"it says: {result.stderr!r}")
    expect(not os.path.exists(env.bpffs), "pins are left behind")


@case
def no_bpffs(env):
    args = env.agent_args(os.path.join(env.root, "a.sock"), "info")
    elsewhere = os.path.join(env.root, "pins")
    args[args.index("--bpffs") + 1] = elsewhere
    result = env.run(args)
    line = one_line(result, "--bpffs on another file system").lower()
    expect("bpf" in line, f"it says: {line}")
    expect(not os.path.exists(elsewhere), "a directory is left behind")


@case
def no_bpffs_in_a_container(env):
    """What would be mounted there ends with the container, and limits with it."""
    args = env.agent_args(os.path.join(env.root, "a.sock"), "info")
    result = env.run(args, preexec_fn=lambda: isolation.hide_mounts("bpf"))
    line = one_line(result, "without a BPF file system, in a mount namespace of its own")
    expect("on the node" in line, f"it says: {line}")


@case
def an_agent_that_is_stopped_holds_nothing_up(env):
    """SIGSTOP is an agent that hangs: admitted requests go on, limited ones are not admitted."""
    server = env.server()
    agent = env.limit(limit="5/day")
    agent.process.send_signal(signal.SIGSTOP)
    try:
        take(env, 5)
        for _ in range(3):
            answer = env.connect().ask(get("/over", LONG))
            equal(answer.status, 429, "status over the limit")
    finally:
        agent.process.send_signal(signal.SIGCONT)
    equal(len(env.settled(server).requests()), 5, "requests that reached the server")


@case
def demo_traffic_through_an_agent_restart_never_breaks(env):
    """Requests without a pause while the agent is killed and started again: each gets an answer."""
    env.server()
    env.limit(limit="50/day")
    conn = env.connect()
    statuses = []
    for number in range(4):
        statuses += [conn.ask(get("/", LONG)).status for _ in range(20)]
        env.agents[-1].kill()
        statuses += [conn.ask(get("/", LONG)).status for _ in range(5)]
        env.agent("limit")
    equal(statuses, [200] * 50 + [429] * 50, "statuses")


@case
def usage_errors_exit_2(env):
    kubernetes = ["--source", "kubernetes"]
    for args in (["--no-such-flag"], ["--det"], ["--source"], ["--detach=1"], ["--source", "ftp:nowhere"], ["extra"],
                 [], ["--source", "dir:x", "--kubeconfig", "y"], [*kubernetes, "--namespace", "no/name"],
                 [*kubernetes, "--namespace", ""], [*kubernetes, "--namespace", "a" * 64],
                 [*kubernetes, "--watch-seconds", "0"], [*kubernetes, "--watch-seconds", "1h"],
                 [*kubernetes, "--status-seconds", "0"]):
        result = subprocess.run([env.agent_path(), *args], stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, timeout=DEADLINE_S, check=False)
        equal(result.returncode, 2, f"exit status of {args}: {result.stderr!r}")
