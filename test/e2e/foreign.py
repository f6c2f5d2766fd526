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
BPF_PROG_TYPE_SOCK_OPS = 13
BPF_CGROUP_SOCK_OPS = 3
BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB = 5
BPF_SOCK_OPS_RTT_CB_FLAG = 8
BPF_FUNC_SOCK_OPS_CB_FLAGS_SET = 59

BPF_MAP_CREATE = 0
BPF_MAP_UPDATE_ELEM = 2
BPF_PROG_ATTACH = 8
BPF_MAP_TYPE_SOCKHASH = 18
BPF_PROG_TYPE_SK_SKB = 14
BPF_SK_SKB_VERDICT = 38
BPF_PROG_TYPE_SK_LOOKUP = 30
BPF_SK_LOOKUP = 36

# Of struct bpf_sock_addr.
USER_IP4 = 4
USER_PORT = 24


def _instruction(code, registers=0, offset=0, value=0):
    return struct.pack("<BBhi", code, registers, offset, value)


def _set(offset, value):
    return _instruction(0xb7, 2, 0, value) + _instruction(0x63, 1 | 2 << 4, offset)


def _load(program, kind, place):
    code, licence = ctypes.create_string_buffer(program), ctypes.create_string_buffer(b"GPL")
    return bpfmap.bpf(BPF_PROG_LOAD, struct.pack(
        "IIQQIIQII16sII", kind, len(program) // 8, ctypes.addressof(code),
        ctypes.addressof(licence), 0, 0, 0, 0, 0, b"foreign", 0, place))


def _attach(cgroup, program, kind=BPF_PROG_TYPE_CGROUP_SOCK_ADDR, place=BPF_CGROUP_INET4_CONNECT):
    fd = _load(program, kind, place)
    directory = os.open(cgroup, os.O_RDONLY)
    try:
        return bpfmap.bpf(BPF_LINK_CREATE, struct.pack("IIII", fd, directory, place, 0))
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


def asking(cgroup):
    """Who asks to be told of round trips on accepted sockets, and with that forgets what others have asked for."""
    program = (_instruction(0x61, 2 | 1 << 4) +                                       # r2 = ops->op
               _instruction(0x55, 2, 2, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB) +        # another one: skip two
               _instruction(0xb7, 2, 0, BPF_SOCK_OPS_RTT_CB_FLAG) +
               _instruction(0x85, 0, 0, BPF_FUNC_SOCK_OPS_CB_FLAGS_SET) +
               _returning(1))
    return _attach(cgroup, program, BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS)


def looking():
    """A program of sk_lookup in the network namespace of the caller, while the file descriptor that this returns is open."""
    program = _load(_returning(1), BPF_PROG_TYPE_SK_LOOKUP, BPF_SK_LOOKUP)
    netns = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        return bpfmap.bpf(BPF_LINK_CREATE, struct.pack("IIII", program, netns, BPF_SK_LOOKUP, 0))
    finally:
        os.close(netns)
        os.close(program)


def holding(sock):
    """A map of sockets with a verdict, which @sock is in, while the file descriptor that this returns is open."""
    held = bpfmap.bpf(BPF_MAP_CREATE, struct.pack("IIIIIII16s", BPF_MAP_TYPE_SOCKHASH, 4, 4, 8, 0, 0, 0, b"foreign_socks"))
    program = _load(_returning(1), BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_VERDICT)
    bpfmap.bpf(BPF_PROG_ATTACH, struct.pack("IIII", held, program, BPF_SK_SKB_VERDICT, 0))
    os.close(program)
    key, value = (ctypes.create_string_buffer(struct.pack("I", word), 4) for word in (0, sock.fileno()))
    bpfmap.bpf(BPF_MAP_UPDATE_ELEM, struct.pack("I4xQQQ", held, ctypes.addressof(key), ctypes.addressof(value), 0))
    return held
