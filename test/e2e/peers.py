# SPDX-License-Identifier: Apache-2.0
"""Network namespaces with addresses of their own, from which the server of a case is reached, as pods reach one."""

import contextlib
import os
import shutil
import subprocess
import sys

import isolation
from client import equal, get
from harness import HERE, PORT, Skip

PEER = """
import sys
sys.path.insert(0, %r)
import isolation
isolation.new_network()
print("ready", flush=True)
sys.stdin.readline()
""" % HERE


class Peer:
    """Number @number, 0 and up: it has address, and server is where it reaches the case's own namespace."""

    def __init__(self, env, number, ipv6=False):
        if not shutil.which("ip"):
            raise Skip("ip(8) is missing")
        self.env = env
        self.server, self.address = (f"fd00:8:{number}::1", f"fd00:8:{number}::2") if ipv6 else \
            (f"10.8.{number}.1", f"10.8.{number}.2")
        bits, flags = ("64", " nodad") if ipv6 else ("24", "")
        self.process = subprocess.Popen([sys.executable, "-c", PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        env.processes.append(self.process)
        equal(self.process.stdout.readline(), b"ready\n", "what the peer says")
        pid = str(self.process.pid)
        self._ip(f"link add krl{number} type veth peer name eth0 netns {pid}", f"addr add {self.server}/{bits} dev krl{number}{flags}",
                 f"link set krl{number} up")
        with isolation.Inside(self.process.pid):
            self._ip(f"addr add {self.address}/{bits} dev eth0{flags}", "link set eth0 up")

    def _ip(self, *commands):
        for args in commands:
            equal(self.env.run(["ip", *args.split()]).stderr, "", f"what ip {args} says")

    def connect(self, **options):
        with isolation.Inside(self.process.pid):
            return self.env.connect(host=self.server, **options)

    def statuses(self, count, *headers, **options):
        """Of @count requests, each on its own connection."""
        return [self.connect(**options).ask(get("/", *headers)).status for _ in range(count)]

    def admitted(self, count, *headers, **options):
        return self.statuses(count, *headers, **options).count(200)

    def dials(self, count=1, **options):
        """Of @count connections, which stay open, how many are let out."""
        made = 0
        for _ in range(count):
            try:
                self.connect(**options)
                made += 1
            except ConnectionRefusedError:
                pass
        return made


@contextlib.contextmanager
def pods_here(env, **uids):
    """Peers in cgroups as kubelet makes them, by their names; of one without a uid in that of the case. At the end they
    are gone."""
    peers, groups = {}, []
    try:
        for number, (name, uid) in enumerate(uids.items()):
            peers[name] = Peer(env, number)
            if uid:
                groups.append(join_pod(env, peers[name], uid))
        yield peers
    finally:
        for peer in peers.values():
            peer.process.kill()
            peer.process.wait()
        for group in groups:
            os.rmdir(group)


def join_pod(env, peer, uid):
    """Put @peer into the cgroup of the pod with @uid; the caller removes it."""
    group = os.path.join(env.cgroup, f"kubepods-burstable-pod{uid.replace('-', '_')}.slice")
    os.mkdir(group)
    with open(os.path.join(group, "cgroup.procs"), "w", encoding="ascii") as procs:
        procs.write(str(peer.process.pid))
    return group
