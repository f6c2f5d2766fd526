# SPDX-License-Identifier: Apache-2.0
"""Clients with kernel TLS, which begins after a handshake on the plain socket: it is not judged, and not disturbed."""

import errno
import os
import socket
import struct

import bpfmap
from client import equal, get
from documents import ratelimit
from harness import Skip, case, wait_for
from test_send import OUT, senders

TCP_ULP, SOL_TLS, TLS_TX = 31, 282, 1
HELLO = b"\x16\x03\x01\x00\x05hello"
# struct tls12_crypto_info_aes_gcm_128 (linux/tls.h): version 1.2, the cipher, iv, key, salt, first record.
AES_GCM_128 = struct.pack("HH", 0x0303, 51) + b"iviviviv" + b"k" * 16 + b"salt" + bytes(8)


def turn_on(conn):
    try:
        conn.sock.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
        conn.sock.setsockopt(SOL_TLS, TLS_TX, AES_GCM_128)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOPROTOOPT):
            raise
        raise Skip("this kernel has no TLS") from error


def records(server):
    """Lengths of the records of application data that @server got behind HELLO."""
    data, found = server.raw().encode("latin-1")[len(HELLO):], []
    while len(data) >= 5 and data[:3] == b"\x17\x03\x03":
        length, = struct.unpack("!H", data[3:5])
        found.append(length)
        data = data[5 + length:]
    equal(data, b"", "what is behind the records")
    return found


def record_of(data):
    """The length of the record that has @data, with its number and its tag."""
    return len(data) + 8 + 16


@case
def it_may_begin_on_a_socket_that_is_judged(env):
    server = env.server(raw=True)
    env.limit(spec=OUT, limit="1/day")
    conn = env.connect()
    conn.send(HELLO)
    wait_for("TLS is counted", lambda: env.reasons()["tls"] == 1)
    wait_for("the handshake is at the server", lambda: server.raw())
    turn_on(conn)
    pieces = [get(), get(), b"x" * 10000]
    for piece in pieces:
        conn.send(piece)
    wait_for("all records at the server", lambda: len(records(server)) == len(pieces))
    os.unlink(os.path.join(env.config, "limit.yaml"))
    wait_for("the socket let go", lambda: not senders(env))
    conn.send(get())
    pieces.append(get())
    wait_for("one more record", lambda: len(records(server)) == len(pieces))
    equal(records(server), [record_of(piece) for piece in pieces], "records at the server")


@case
def a_socket_that_has_it_already_is_not_taken_in(env):
    server = env.server(raw=True)
    conn = env.connect()
    conn.send(HELLO)
    wait_for("the handshake is at the server", lambda: server.raw())
    turn_on(conn)
    env.agent()
    env.write("limit.yaml", ratelimit("limit", 8080, limit="1/day", spec=OUT))
    wait_for("it is counted", lambda: env.reasons().get("not_enrolled") == 1)
    for _ in range(3):
        conn.send(get())
    wait_for("three records", lambda: records(server) == [record_of(get())] * 3)
    equal(bpfmap.keys(os.path.join(env.bpffs, "krl_senders")), [], "sockets taken in")
