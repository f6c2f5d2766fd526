# SPDX-License-Identifier: Apache-2.0
"""Pinned BPF maps, by bpf(2): guests have no bpftool."""

import ctypes
import errno
import os
import platform
import struct

BPF_MAP_LOOKUP_ELEM = 1
BPF_MAP_UPDATE_ELEM = 2
BPF_MAP_GET_NEXT_KEY = 4
BPF_OBJ_GET = 7
BPF_PROG_DETACH = 9
BPF_PROG_GET_NEXT_ID = 11
BPF_MAP_GET_NEXT_ID = 12
BPF_PROG_GET_FD_BY_ID = 13
BPF_OBJ_GET_INFO_BY_FD = 15
BPF_PROG_QUERY = 16
BPF_MAP_UPDATE_BATCH = 26
BPF_LINK_GET_NEXT_ID = 31
NUMBER = {"x86_64": 321, "aarch64": 280}.get(platform.machine())

_libc = ctypes.CDLL(None, use_errno=True)


def _call(command, attributes):
    result = _libc.syscall(NUMBER, command, attributes, len(attributes))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def bpf(command, attributes):
    return _call(command, ctypes.create_string_buffer(attributes, max(len(attributes), 64)))


def _open(path):
    name = ctypes.create_string_buffer(path.encode())
    return bpf(BPF_OBJ_GET, struct.pack("QII", ctypes.addressof(name), 0, 0))


def _sizes(fd):
    """Of a key, of a value, and how many rows there is room for."""
    info = ctypes.create_string_buffer(64)
    bpf(BPF_OBJ_GET_INFO_BY_FD, struct.pack("IIQ", fd, len(info), ctypes.addressof(info)))
    return struct.unpack_from("III", info, 8)


def _possible_cpus():
    with open("/sys/devices/system/cpu/possible", encoding="ascii") as ranges:
        return int(ranges.read().strip().split("-")[-1].split(",")[-1]) + 1


def set_first_words(path, word):
    """Write @word over the first eight bytes of every value, on every CPU, of the array of each CPU's own that is
    pinned at @path."""
    fd = _open(path)
    _, value_size, entries = _sizes(fd)
    size = (value_size + 7) // 8 * 8
    values = ctypes.create_string_buffer(size * _possible_cpus())
    for number in range(entries):
        key = ctypes.create_string_buffer(struct.pack("I", number), 4)
        attributes = struct.pack("I4xQQQ", fd, ctypes.addressof(key), ctypes.addressof(values), 0)
        bpf(BPF_MAP_LOOKUP_ELEM, attributes)
        for at in range(0, len(values), size):
            struct.pack_into("Q", values, at, word)
        bpf(BPF_MAP_UPDATE_ELEM, attributes)
    os.close(fd)


def write(path, offset, data):
    """Write @data at @offset of the value of the array of one row that is pinned at @path."""
    fd = _open(path)
    key = ctypes.create_string_buffer(4)
    value = ctypes.create_string_buffer(_sizes(fd)[1])
    attributes = struct.pack("I4xQQQ", fd, ctypes.addressof(key), ctypes.addressof(value), 0)
    bpf(BPF_MAP_LOOKUP_ELEM, attributes)
    value[offset:offset + len(data)] = data
    bpf(BPF_MAP_UPDATE_ELEM, attributes)
    os.close(fd)


def write_each(path, offset, data, key_size):
    """Write @data at @offset of every value of the hash that is pinned at @path."""
    found = keys(path, key_size)
    fd = _open(path)
    value = ctypes.create_string_buffer(_sizes(fd)[1])
    for each in found:
        key = ctypes.create_string_buffer(each, key_size)
        attributes = struct.pack("I4xQQQ", fd, ctypes.addressof(key), ctypes.addressof(value), 0)
        bpf(BPF_MAP_LOOKUP_ELEM, attributes)
        value[offset:offset + len(data)] = data
        bpf(BPF_MAP_UPDATE_ELEM, attributes)
    os.close(fd)


def pinned(directory):
    """What is pinned in @directory, and the programs of the links: (the command that walks over such, id) of each."""
    found = set()
    for name in os.listdir(directory):
        if os.path.isdir(os.path.join(directory, name)):
            continue
        fd = _open(os.path.join(directory, name))
        info = ctypes.create_string_buffer(64)
        bpf(BPF_OBJ_GET_INFO_BY_FD, struct.pack("IIQ", fd, len(info), ctypes.addressof(info)))
        os.close(fd)
        _, number, program = struct.unpack_from("III", info)
        if name.startswith("link_"):
            found |= {(BPF_LINK_GET_NEXT_ID, number), (BPF_PROG_GET_NEXT_ID, program)}
        elif name == "krl_reset":
            found.add((BPF_PROG_GET_NEXT_ID, number))
        else:
            found.add((BPF_MAP_GET_NEXT_ID, number))
    return found


def alive(things):
    """Those of @things, as pinned() has them, that the kernel still has. None is opened, which would keep it: to open and close
    a map of programs while the kernel empties it loses a reference (kernel/bpf/arraymap.c, prog_array_map_clear)."""
    left = set()
    for command, number in things:
        attributes = ctypes.create_string_buffer(struct.pack("I", number - 1), 64)
        try:
            _call(command, attributes)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            continue
        if struct.unpack_from("II", attributes)[1] == number:
            left.add((command, number))
    return left


def detach_programs(path, kind):
    """Take the program of @kind (enum bpf_attach_type) off the map of sockets that is pinned at @path."""
    fd = _open(path)
    ids = ctypes.create_string_buffer(4)
    bpf(BPF_PROG_QUERY, struct.pack("IIIIQI", fd, kind, 0, 0, ctypes.addressof(ids), 1))
    program = bpf(BPF_PROG_GET_FD_BY_ID, ids.raw)
    bpf(BPF_PROG_DETACH, struct.pack("III", fd, program, kind))
    os.close(program)
    os.close(fd)


def fill(path, batch=65536):
    """Fill the hash that is pinned at @path with rows that are nobody's: a number in the first word of the key, all else
    zero."""
    fd = _open(path)
    key_size, value_size, entries = _sizes(fd)
    values = ctypes.create_string_buffer(batch * value_size)
    try:
        for start in range(0, entries, batch):
            rows = ctypes.create_string_buffer(b"".join(struct.pack("Q", 1 << 63 | number).ljust(key_size, b"\0")
                                                        for number in range(start, start + batch)), batch * key_size)
            bpf(BPF_MAP_UPDATE_BATCH, struct.pack("QQQQIIQQ", 0, 0, ctypes.addressof(rows), ctypes.addressof(values), batch,
                                                  fd, 0, 0))
    except OSError as error:
        if error.errno != errno.E2BIG:
            raise
    finally:
        os.close(fd)


def keys(path, size=8, most=None):
    """All keys, @size bytes each, of the map that is pinned at @path, or @most of them."""
    fd = _open(path)
    key, found = None, []
    try:
        while len(found) != most:
            following = ctypes.create_string_buffer(size)
            bpf(BPF_MAP_GET_NEXT_KEY, struct.pack("I4xQQ", fd, ctypes.addressof(key) if key else 0,
                                                   ctypes.addressof(following)))
            found.append(following.raw)
            key = following
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
    finally:
        os.close(fd)
    return found


def values(path):
    """All values of the hash that is pinned at @path."""
    fd = _open(path)
    key_size, value_size, _ = _sizes(fd)
    found = []
    for key in keys(path, key_size):
        row, value = ctypes.create_string_buffer(key, key_size), ctypes.create_string_buffer(value_size)
        try:
            bpf(BPF_MAP_LOOKUP_ELEM, struct.pack("I4xQQQ", fd, ctypes.addressof(row), ctypes.addressof(value), 0))
            found.append(value.raw)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
    os.close(fd)
    return found
