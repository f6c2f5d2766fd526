# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 to an API server that offers it: nghttpx in front of the usual one."""

import os
import shutil
import signal
import subprocess

import apiserver
from certificates import Certificates
from client import equal, expect
from harness import Skip, admitted, case, wait_for
from kube import Cluster, endpoint_slice, ratelimit, service

PORT = 6443


class Front:
    """TLS and HTTP/2 for clients, plain HTTP/1.1 to @api."""

    def __init__(self, env, cluster):
        program = shutil.which("nghttpx")
        if not program:
            raise Skip("nghttpx is not installed")
        self.log = os.path.join(env.root, "access.log")
        cert, key = cluster.certs.sign("front", "/CN=kube-apiserver")
        self.args = [program, "--conf=/dev/null", f"--frontend=127.0.0.1,{PORT}",
                     f"--backend=127.0.0.1,{cluster.api.port};;no-tls", f"--accesslog-file={self.log}",
                     "--accesslog-format=$remote_port $alpn $status $request", "--single-process",
                     "--backend-read-timeout=1h", "--no-ocsp", key, cert]
        self.env = env
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        self.env.processes.append(self.process)

    def end(self):
        """It, and the process that it has for its key, which becomes ours."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as file:
            others = [int(pid) for pid in file.read().split()]
        self.process.kill()
        self.process.wait()
        for pid in others:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def lines(self):
        """Of requests that are over: port of the client, protocol, status, request."""
        if not os.path.exists(self.log):
            return []
        with open(self.log, encoding="utf-8") as file:
            return [line.split(maxsplit=3) for line in file]


def following(env, watch_s=60):
    cluster = Cluster(env, tls=False)
    cluster.flags[cluster.flags.index("--watch-seconds") + 1] = str(watch_s)
    cluster.certs = Certificates(env.root)
    front = Front(env, cluster)
    cluster.write_kubeconfig(cluster={"server": f"https://127.0.0.1:{PORT}"})
    cluster.api.put(service("web"))
    cluster.api.put(endpoint_slice("web"))
    cluster.api.put(ratelimit("limit", service="web"))
    cluster.agent("limit")
    wait_for("three watches", lambda: cluster.api.watches == 3)
    return cluster, front


@case
def kube_over_http2(env):
    """All that is asked goes over one connection, watches beside each other."""
    cluster, front = following(env)
    wait_for("its endpoint", lambda: env.item()["endpoints"] == 1)
    env.server()
    equal(admitted(env, 5), 3, "requests admitted")
    cluster.api.put(ratelimit("limit", service="web", limit="7/day"))
    wait_for("the edit", lambda: env.item()["maxTokens"] == 7)
    equal({(alpn, status) for _, alpn, status, _ in front.lines()} - {("h2", "201")}, {("h2", "200")},
          "protocols and answers, but for the Events that are made")
    equal(len({port for port, *_ in front.lines()}), 1, "connections")
    front.end()


@case
def kube_http2_goes_away(env):
    """The proxy is killed, and another one is there."""
    cluster, front = following(env)
    front.end()
    cluster.api.put(ratelimit("limit", service="web", limit="7/day"))
    front.start()
    wait_for("the edit", lambda: env.item()["maxTokens"] == 7)
    wait_for("three watches", lambda: cluster.api.watches >= 3)
    front.end()


def ports_to(port):
    """Local ports of open connections to @port."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        rows = [line.split() for line in list(file)[1:]]
    return {int(row[1].split(":")[1], 16) for row in rows if row[3] == "01" and int(row[2].split(":")[1], 16) == port}


@case
def kube_http2_half_open(env):
    """A connection of which nothing arrives any more is given up when the watches on it should have ended, and the next
    requests do not go over it."""
    cluster, front = following(env, watch_s=2)
    dead = ports_to(PORT)
    equal(len(dead), 1, "connections")
    port = dead.pop()
    drop = (f"add table inet t; add chain inet t c {{ type filter hook input priority 0; }}; "
            f"add rule inet t c tcp sport {port} tcp dport {PORT} drop; "
            f"add rule inet t c tcp sport {PORT} tcp dport {port} drop")
    equal(env.run(["nft", drop]).returncode, 0, "exit status of nft")
    cluster.api.put(ratelimit("limit", service="web", limit="7/day"))
    wait_for("the edit", lambda: env.item()["maxTokens"] == 7)
    equal(cluster.api.count("list", "ratelimits"), 1, "lists")
    expect("the limits in force stay" not in env.agent_logs(), "the dead connection was tried again")
    front.end()
