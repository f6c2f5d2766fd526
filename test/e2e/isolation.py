# SPDX-License-Identifier: Apache-2.0
"""What keeps a case away from the machine and from the cases beside it: its own network namespace, its own
PID namespace, its own cgroup v2 directory, its own directory on the BPF file system. Needs root; uses no
other program."""

import ctypes
import errno
import fcntl
import os
import socket
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_RDONLY = 1
MS_REMOUNT = 1 << 5
MS_BIND = 1 << 12
MS_PRIVATE_REC = (1 << 18) | (1 << 14)
MNT_DETACH = 2

SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
SIOCSIFMTU = 0x8922
IFF_UP = 1

BPFFS = "/sys/fs/bpf"

_libc = ctypes.CDLL(None, use_errno=True)


def _call(function, *args):
    if function(*args):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def unshare(flags):
    _call(_libc.unshare, flags)


def setns(fd, kind=CLONE_NEWNET):
    """Only the calling thread moves; a socket stays in the namespace it was made in."""
    _call(_libc.setns, fd, kind)


def fork():
    """os.fork(), but the child is the first process of a PID namespace of its own: with its end all that it
    started is killed (pid_namespaces(7))."""
    own = os.open("/proc/self/ns/pid", os.O_RDONLY)
    unshare(CLONE_NEWPID)
    pid = os.fork()
    if pid:
        setns(own, CLONE_NEWPID)
    os.close(own)
    return pid


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(sock, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def loopback_mtu(size):
    """Packets of a network, instead of the 64 KiB of the loopback device."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFMTU, struct.pack("16si12x", b"lo", size))


def new_network():
    """Move this process into a fresh network namespace whose loopback is up."""
    unshare(CLONE_NEWNET)
    loopback_up()


class Inside:
    """`with Inside(pid):` makes sockets in the network namespace of process @pid."""

    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        self.own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        other = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
        try:
            setns(other)
        finally:
            os.close(other)

    def __exit__(self, *exc):
        setns(self.own)
        os.close(self.own)


def mounts(kind):
    """Mount points of file systems of @kind, in order of mounting."""
    with open("/proc/mounts", encoding="utf-8") as table:
        rows = [line.split() for line in table]
    return [row[1] for row in rows if row[2] == kind]


def _mount(what, point, kind, flags):
    _call(_libc.mount, what, point, kind, ctypes.c_ulong(flags), None)


def new_mounts():
    """What this process mounts and unmounts from now on changes nothing for others."""
    unshare(CLONE_NEWNS)
    _mount(b"none", b"/", None, MS_PRIVATE_REC)


def bind(source, target, read_only=False):
    """@source is at @target too, in the mount namespace of this case."""
    _mount(source.encode(), target.encode(), None, MS_BIND)
    if read_only:
        _mount(b"none", target.encode(), None, MS_BIND | MS_REMOUNT | MS_RDONLY)


def own_proc():
    """/proc shows this process the PID namespace it is in, and no other. The agent looks there for network
    namespaces, and would take in the connections of other cases that have its endpoint's address and port."""
    new_mounts()
    _mount(b"proc", b"/proc", b"proc", 0)


def mount_bpffs():
    """If it is missing; in the mount namespace of one case it would end with the case, pins and all."""
    if BPFFS not in mounts("bpf"):
        _mount(b"bpf", BPFFS.encode(), b"bpf", 0)


def mount_tmpfs(point):
    """An empty file system over what is there, for this case."""
    _mount(b"tmpfs", point.encode(), b"tmpfs", 0)


def hide_mounts(kind):
    """In a mount namespace of its own, this process sees no file system of @kind any more."""
    new_mounts()
    for point in reversed(mounts(kind)):
        _call(_libc.umount2, point.encode(), MNT_DETACH)


class Cgroup:
    """A child of the first cgroup v2 mount."""

    def __init__(self, name):
        points = mounts("cgroup2")
        if not points:
            raise RuntimeError("no cgroup v2 file system is mounted")
        self.path = os.path.join(points[0], name)

    def make(self):
        os.mkdir(self.path)

    def join(self):
        with open(os.path.join(self.path, "cgroup.procs"), "w", encoding="ascii") as procs:
            procs.write("0")

    def pids(self):
        try:
            with open(os.path.join(self.path, "cgroup.procs"), encoding="ascii") as procs:
                return [int(line) for line in procs]
        except FileNotFoundError:
            return []

    def kill(self):
        try:
            with open(os.path.join(self.path, "cgroup.kill"), "w", encoding="ascii") as kill:
                kill.write("1")
        except FileNotFoundError:
            pass

    def remove(self):
        """With those that a case left in it. False while a process of it is not gone yet."""
        try:
            for directory, _, _ in os.walk(self.path, topdown=False):
                os.rmdir(directory)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return False
        return True


def remove_pins(directory):
    """Remove @directory and the pins in it; returns the names that were there."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    for name in names:
        os.unlink(os.path.join(directory, name))
    os.rmdir(directory)
    return names or ["(the empty directory)"]
