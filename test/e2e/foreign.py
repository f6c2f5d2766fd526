# SPDX-License-Identifier: Apache-2.0
"""BPF programs of somebody else on the cgroup of a case, by bpf(2): one that sends connections elsewhere, as a load
balancer on sockets does, and one that refuses them."""

import ctypes
import os
import socket
import struct

import bpfmap

BPF_PROG_LOAD = 5
BPF_LINK_CREATE = 28
BPF_PROG_TYPE_CGROUP_SOCK_ADDR = 18
BPF_CGROUP_INET4_CONNECT = 10

# Of struct bpf_sock_addr.
USER_IP4 = 4
USER_PORT = 24


def _instruction(code, registers=0, offset=0, value=0):
    return struct.pack("<BBhi", code, registers, offset, value)


def _set(offset, value):
    return _instruction(0xb7, 2, 0, value) + _instruction(0x63, 1 | 2 << 4, offset)


def _attach(cgroup, program):
    code, licence = ctypes.create_string_buffer(program), ctypes.create_string_buffer(b"GPL")
    fd = bpfmap.bpf(BPF_PROG_LOAD, struct.pack(
        "IIQQIIQII16sII", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, len(program) // 8, ctypes.addressof(code),
        ctypes.addressof(licence), 0, 0, 0, 0, 0, b"foreign", 0, BPF_CGROUP_INET4_CONNECT))
    directory = os.open(cgroup, os.O_RDONLY)
    try:
        return bpfmap.bpf(BPF_LINK_CREATE, struct.pack("IIII", fd, directory, BPF_CGROUP_INET4_CONNECT, 0))
    finally:
        os.close(directory)
        os.close(fd)


def _returning(value):
    return _instruction(0xb7, 0, 0, value) + _instruction(0x95)


def rewriting(cgroup, host, port):
    """Every connection over IPv4 goes to @host:@port, while the file descriptor that this returns is open."""
    address, = struct.unpack("<i", socket.inet_aton(host))
    return _attach(cgroup, _set(USER_IP4, address) + _set(USER_PORT, socket.htons(port)) + _returning(1))


def refusing(cgroup):
    """Every connection over IPv4 fails with EPERM, while the file descriptor that this returns is open."""
    return _attach(cgroup, _returning(0))
