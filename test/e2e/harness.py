# SPDX-License-Identifier: Apache-2.0
"""What a case works with: Env starts agents and servers, makes connections, waits for conditions, and
takes all of it away again. A case is a function marked with @case that gets an Env."""

import functools
import json
import os
import signal
import socket
import subprocess
import sys
import time

from client import Conn, Failure, equal, expect, expect_ok, get
from documents import ratelimit
from process import Program

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(os.path.dirname(HERE), "fake"))
SCALE = float(os.environ.get("KRL_TIMEOUT_SCALE", "1"))
DEADLINE_S = 20 * SCALE

PORT = 8080

CASES = []


class Skip(Exception):
    """The case cannot run here; the text says what is missing."""


def case(function=None, alone=False):
    """Marks a case. No other runs beside one that is @alone: it loads the machine, or measures it."""
    if function is None:
        return functools.partial(case, alone=alone)
    function.alone = alone
    CASES.append(function)
    return function


def case_of_each(table):
    """Marks a function of an Env and a value as a case for each value of @table, by its name; a list has names alone."""
    def mark(function):
        for name, value in (table if isinstance(table, dict) else dict(zip(table, table))).items():
            one = functools.partial(_call, function, value)
            one.__name__ = f"{function.__name__}_{name.replace(' ', '_')}"
            case(one)
        return function
    return mark


def _call(function, value, env):
    function(env, value)


def need_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError as error:
        raise Skip(f"no IPv6: {error}") from error


def wait_for(what, probe):
    """The first true result of @probe; Failure when it stays false."""
    until = time.monotonic() + DEADLINE_S
    while True:
        result = probe()
        if result:
            return result
        if time.monotonic() > until:
            raise Failure(f"waited in vain: {what}")
        time.sleep(0.01 * SCALE)


def each(table, check):
    """Run the generator @check on every entry: up to its yield on all of them, then to its end, so that
    the connections end side by side. One Failure that names all the entries that fail, or those up to
    the first that lasts for a whole deadline."""
    failures = []
    runs = [(name, check(name, request)) for name, request in table.items()]
    for _ in range(2):
        for name, run in list(runs):
            try:
                next(run, None)
            except (Failure, OSError) as error:
                failures.append(f"[{name}] {error}")
                if isinstance(error, TimeoutError):
                    runs.clear()
                    break
                runs.remove((name, run))
    expect(not failures, f"{len(failures)} of {len(table)}: " + "; ".join(failures))


class Server:
    """A running server of servers.py, replies.py or model_server.py."""

    def __init__(self, process, record, port):
        self.process = process
        self.record = open(record, "rb")
        self.partial = b""
        self.kinds = {}
        self.port = port

    @property
    def pid(self):
        return self.process.pid

    def command(self, word):
        self.process.stdin.write(word.encode() + b"\n")
        self.process.stdin.flush()

    def events(self, kind):
        """What is on record by now of @kind, in order."""
        *lines, self.partial = (self.partial + self.record.read()).split(b"\n")
        for line in lines:
            event = json.loads(line)
            self.kinds.setdefault(event["event"], []).append(event)
        return list(self.kinds.get(kind, []))

    def requests(self):
        return [(event["method"], event["target"]) for event in self.events("request")]

    def bytes(self):
        return sum(event["bytes"] for event in self.events("data"))

    def raw(self):
        """What the connections brought, one after another (needs raw=True)."""
        conns = {}
        for event in self.events("data"):
            conns.setdefault(event["conn"], []).append(event["data"])
        return "\n".join("".join(pieces) for pieces in conns.values())

    def settled(self, conns):
        """Once the server has closed @conns connections, whose clients are gone, all that it will ever
        get of them is on record."""
        wait_for(f"the server closes its {conns} connections",
                 lambda: len(self.events("closed")) >= conns)
        return self


class Agent:
    def __init__(self, process, log, control):
        self.process = process
        self.log = log
        self.control = control

    def text(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def kill(self):
        self.process.kill()
        self.process.wait(DEADLINE_S)

    def terminate(self):
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)


class Env:
    def __init__(self, build, bpffs, cgroup, root):
        self.build = os.path.abspath(build)
        self.bpffs = bpffs
        self.cgroup = cgroup
        self.root = root
        self.config = os.path.join(self.root, "config")
        os.mkdir(self.config)
        self.clock = os.path.join(self.root, "clock")
        self.source = ["--source", f"dir:{self.config}"]
        self.count = 0
        self.processes = []
        self.agents = []
        self.servers = []
        self.conns = []
        self.before_agent = None    # called in its process, before it is the agent
        self.metrics = ["--metrics", "off"]

    # --- the agent and the command line tool ------------------------------------------------------

    def publish(self, path, text):
        """A file, appearing at once and whole."""
        fresh = os.path.join(self.root, "fresh")
        with open(fresh, "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(fresh, path)

    def write(self, name, text):
        """A document of the agent's directory."""
        self.publish(os.path.join(self.config, name), text)

    def set_clock(self, time):
        """By this time, as RFC 3339 writes it, schedules are judged; set before the first agent starts."""
        self.publish(self.clock, time)

    def agent_path(self):
        return os.path.join(self.build, "kmesh-rl-agent")

    def agent_args(self, control, level="debug"):
        clock = ["--clock", self.clock] if os.path.exists(self.clock) else []
        return [self.agent_path(), *self.source, "--bpffs", self.bpffs, "--cgroup", self.cgroup,
                "--control-socket", control, "--log-level", level, *self.metrics, *clock]

    def start_agent(self):
        """Start the agent; it may not be ready yet."""
        self.count += 1
        log = os.path.join(self.root, f"agent{self.count}.log")
        control = os.path.join(self.root, f"agent{self.count}.sock")
        with open(log, "wb") as out:
            process = subprocess.Popen(self.agent_args(control), stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=out, preexec_fn=self.before_agent)
        agent = Agent(process, log, control)
        self.processes.append(process)
        self.agents.append(agent)
        return agent

    def agent(self, *names):
        """Start the agent and wait until it enforces the RateLimits @names."""
        agent = self.start_agent()

        def ready():
            expect(agent.process.poll() is None,
                   f"the agent exited: {agent.text().strip().splitlines()[-1:]}")
            return "agent started" in agent.text() and self.lists(*names)

        wait_for(f"the agent lists {', '.join(names)}", ready)
        return agent

    def limit(self, *ports, **settings):
        """The usual case: one RateLimit on @ports with @settings of ratelimit(), and an agent that enforces it."""
        self.write("limit.yaml", ratelimit("limit", *ports or (PORT,), **settings))
        return self.agent("limit")

    def pins(self):
        return os.listdir(self.bpffs) if os.path.exists(self.bpffs) else []

    def detach(self):
        return self.run([self.agent_path(), "--detach", "--bpffs", self.bpffs, "--cgroup", self.cgroup],
                        preexec_fn=self.before_agent)

    def run(self, args, **options):
        """Run a program to its end: exit status, standard output and error."""
        return subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=DEADLINE_S, check=False, **options)

    def tool(self, *args):
        """kmesh-rl, against the last agent's socket."""
        control = self.agents[-1].control if self.agents else os.path.join(self.root, "none.sock")
        return self.run([os.path.join(self.build, "kmesh-rl"), "--bpffs", self.bpffs,
                         "--control-socket", control, *args])

    def _statistics(self, *args):
        result = self.tool("get", "ratelimit-stats", "-A", "-o", "json", *args)
        return json.loads(result.stdout) if result.returncode == 0 else {}

    def stats(self):
        """The items of `get ratelimit-stats`; an empty list while the tool finds nothing."""
        return self._statistics().get("items", [])

    def reasons(self, *args):
        """The counters by reason, none while the tool, with @args, finds nothing."""
        return self._statistics(*args).get("reasons", {})

    def buckets(self, *args):
        """What `get ratelimit-buckets` shows of the buckets: items and their total."""
        result = self.tool("get", "ratelimit-buckets", "-A", "-o", "json", *args)
        equal(result.returncode, 0, f"exit status of get ratelimit-buckets ({result.stderr.strip()})")
        return json.loads(result.stdout)

    def lists(self, *names):
        return set(names) <= {item["name"] for item in self.stats()}

    def item(self, name="limit", rule=None):
        items = [item for item in self.stats()
                 if item["name"] == name and rule in (None, item["rule"])]
        equal(len(items), 1, f"rows of RateLimit {name}, rule {rule or 'any'}, in the statistics")
        return items[0]

    def tokens(self, name="limit", rule=None):
        return self.item(name, rule)["availableTokens"]

    # --- servers and clients ----------------------------------------------------------------------

    def server(self, kind="epoll", port=PORT, host="127.0.0.1", program="servers", **options):
        """Start a server; an option is its flag, as raw=True for --raw, or what --option is to be."""
        self.count += 1
        record = os.path.join(self.root, f"server{self.count}.record")
        args = [kind] if kind else []
        args += ["--port", str(port), "--host", host, "--record", record]
        for name, wanted in options.items():
            if wanted:
                args.append(f"--{name.replace('_', '-')}" + (f"={wanted}" if wanted is not True else ""))
        open(record, "wb").close()
        process = Program(program, args)
        self.processes.append(process)
        expect(process.stdout.readline() == b"ready\n", f"the {kind or program} server did not start")
        server = Server(process, record, port)
        self.servers.append(server)
        return server

    def connect(self, port=PORT, host="127.0.0.1", **options):
        """@options: of Conn."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        conn = Conn(family, (host, port), DEADLINE_S, **options)
        self.conns.append(conn)
        return conn

    def accepted(self, server):
        """A connection that @server has accepted: what is sent from now on is judged as it arrives,
        while segments that wait for accept() may be merged and are then judged as one."""
        before = len(server.events("accept"))
        conn = self.connect(server.port)
        wait_for("the server accepts", lambda: len(server.events("accept")) > before)
        return conn

    def close_conns(self):
        """Close every client connection; returns how many there were."""
        count = len(self.conns)
        for conn in self.conns:
            conn.close()
        self.conns.clear()
        return count

    def settled(self, server):
        """@server, after all its clients are gone and all they sent is on record."""
        self.close_conns()
        return server.settled(len(server.events("accept")))

    # --- the end ----------------------------------------------------------------------------------

    def close(self):
        """Stop and remove everything. Failure when the agent leaves something behind."""
        self.close_conns()
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            process.wait(DEADLINE_S)
        if not os.path.exists(self.bpffs):
            return
        detached = self.detach()
        equal(detached.returncode, 0, f"exit status of --detach ({detached.stderr.strip()})")
        expect(not os.path.exists(self.bpffs), "--detach left pins behind")

    def agent_logs(self):
        return "".join(agent.text() for agent in self.agents)


def take(env, count, port=PORT):
    for _ in range(count):
        expect_ok(env.connect(port).ask(get()))


def admitted(env, tries, port=PORT):
    """How many of @tries requests, each on its own connection, were answered 200."""
    statuses = [env.connect(port).ask(get()).status for _ in range(tries)]
    expect(set(statuses) <= {200, 429}, f"statuses {statuses}")
    return statuses.count(200)


def admitted_of(env, count, request, **options):
    """How many of @count of these, on one connection with @options, are admitted."""
    conn = env.connect(**options)
    statuses = [conn.ask(request).status for _ in range(count)]
    conn.close()
    return statuses.count(200)
