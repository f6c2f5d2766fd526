# SPDX-License-Identifier: Apache-2.0
"""The keys of a pinned BPF map, by bpf(2): guests have no bpftool."""

import ctypes
import errno
import os
import platform
import struct

BPF_MAP_GET_NEXT_KEY = 4
BPF_OBJ_GET = 7
NUMBER = {"x86_64": 321, "aarch64": 280}.get(platform.machine())

_libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attributes):
    attributes = ctypes.create_string_buffer(attributes, max(len(attributes), 32))
    result = _libc.syscall(NUMBER, command, attributes, len(attributes))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def keys(path, size=8):
    """All keys, @size bytes each, of the map that is pinned at @path."""
    name = ctypes.create_string_buffer(path.encode())
    fd = bpf(BPF_OBJ_GET, struct.pack("QII", ctypes.addressof(name), 0, 0))
    key, found = None, []
    try:
        while True:
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
