# SPDX-License-Identifier: Apache-2.0
"""What the container image holds, and the agent in it, confined and mounted to as the DaemonSet has it."""

import errno
import http.client
import os
import re
import subprocess

import capabilities
import isolation
from client import equal, expect, expect_compact, get
from documents import ratelimit
from harness import DEADLINE_S, HERE, PORT, Agent, Skip, admitted, case, wait_for

TOP = os.path.dirname(os.path.dirname(HERE))
SCRIPT = os.path.join(TOP, "tools", "dev", "image-root.sh")
PROGRAMS = {"usr/bin/kmesh-rl-agent", "usr/bin/kmesh-rl"}
OTHERS = re.compile(r"lib(64)?/([\w-]+/)?[\w.+-]+\.so(\.[\d.]+)?$|usr/lib/([\w-]+/)?[\w.+-]+\.so[\d.]*$|"
                    r"etc/ssl/certs/ca-certificates\.crt$|usr/share/zoneinfo/")


class Container:
    """The image's root, read-only but for what the DaemonSet mounts."""

    def __init__(self, env):
        self.env = env
        self.root = os.path.join(env.root, "image")
        self.capabilities = capabilities.of_the_daemonset()
        if not os.path.exists(SCRIPT):
            raise Skip("tools/dev/image-root.sh is not here")
        made = env.run([SCRIPT, env.build, self.root])
        equal((made.returncode, made.stderr), (0, ""), "exit status and what image-root.sh says")

    def path(self, name):
        return os.path.join(self.root, name)

    def files(self):
        return {os.path.relpath(os.path.join(directory, name), self.root)
                for directory, _, names in os.walk(self.root) for name in names}

    def mount(self):
        for name in ("proc", "sys", "config"):
            os.mkdir(self.path(name))
        isolation.bind(self.root, self.root, read_only=True)
        isolation.bind("/proc", self.path("proc"))
        isolation.bind("/sys", self.path("sys"), read_only=True)
        isolation.bind(isolation.BPFFS, self.path("sys/fs/bpf"))
        isolation.bind(self.env.cgroup, self.path("host/cgroup"), read_only=True)
        isolation.bind(self.env.config, self.path("config"), read_only=True)
        run = os.path.join(self.env.root, "run")
        os.mkdir(run)
        isolation.bind(run, self.path("run/kmesh-rl"))

    def enter(self):
        os.chroot(self.root)
        os.chdir("/")
        capabilities.keep_only(self.capabilities)

    def run(self, *args):
        return self.env.run(args, preexec_fn=self.enter)

    def probes(self):
        """Whether each of the DaemonSet's says yes: the command that it runs, and what it asks over HTTP."""
        with open(capabilities.MANIFEST, encoding="utf-8") as manifest:
            text = manifest.read()
        commands = [words.split(", ") for words in re.findall(r"command: \[(.*)\]", text)]
        asked = re.findall(r"httpGet: {host: (\S+), port: (\d+), path: (\S+)}", text)
        return [not self.run(*command, "--bpffs", self.env.bpffs, "--control-socket", "/run/kmesh-rl/agent.sock").returncode
                for command in commands] + [answers(host, int(port), path) for host, port, path in asked]

    def agent(self):
        log = os.path.join(self.env.root, "contained.log")
        with open(log, "wb") as out:
            process = subprocess.Popen(["/usr/bin/kmesh-rl-agent", "--source=dir:/config", "--cgroup=/host/cgroup",
                                        f"--bpffs={self.env.bpffs}"], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                       preexec_fn=self.enter, env={})
        agent = Agent(process, log, self.path("run/kmesh-rl/agent.sock"))
        self.env.processes.append(process)
        self.env.agents.append(agent)
        return agent


def answers(host, port, path):
    conn = http.client.HTTPConnection(host, port, timeout=DEADLINE_S)
    try:
        conn.request("GET", path)
        return conn.getresponse().status == 200
    except ConnectionRefusedError:
        return False
    finally:
        conn.close()


@case
def it_holds_two_programs_and_what_they_need(env):
    files = Container(env).files()
    equal(PROGRAMS - files, set(), "programs that are missing")
    equal({name for name in files - PROGRAMS if not OTHERS.match(name)}, set(), "files of other kinds")
    expect("etc/ssl/certs/ca-certificates.crt" in files and "usr/share/zoneinfo/Europe/Berlin" in files,
           "certificates or time zones are missing")


@case
def without_a_library_it_does_not_start(env):
    container = Container(env)
    [library] = [name for name in container.files() if "libjansson.so" in name]
    container.mount()
    equal(container.run("/usr/bin/kmesh-rl-agent", "--version").returncode, 0, "exit status with all libraries")
    isolation.bind("/dev/null", container.path(library))
    expect(container.run("/usr/bin/kmesh-rl-agent", "--version").returncode != 0, "the agent starts without a library")


@case
def the_agent_limits_from_within(env):
    container = Container(env)
    container.mount()
    env.server()
    env.write("limit.yaml", ratelimit("limit", PORT, rules=[
        "{name: all, limit: 10/day}", "{name: berlin, limit: 1000/day, schedule: {timeZone: Europe/Berlin}}"]))
    agent = container.agent()
    wait_for("the limit in force", lambda: env.lists("limit"))
    equal(admitted(env, 12), 10, "requests that are admitted")
    equal(capabilities.effective(agent.process.pid), capabilities.mask(container.capabilities), "capabilities")
    equal(container.probes(), [True] * 3, "what the probes say")
    try:
        open(container.path("etc/passwd"), "w", encoding="ascii").close()
    except OSError as error:
        equal(error.errno, errno.EROFS, "what the root says to a write")
    else:
        expect(False, "the root can be written to")
    equal(agent.terminate(), 0, "exit status of the agent")
    expect_compact(env.connect().ask(get("/without-an-agent", "X-Long: " + "a" * 64)))
    equal(container.probes(), [False] * 3, "what the probes say without an agent")
