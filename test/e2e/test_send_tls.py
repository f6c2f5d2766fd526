# SPDX-License-Identifier: Apache-2.0
"""Clients with kernel TLS, which begins after a handshake on the plain socket: it is not judged, and not disturbed."""

import errno
import fcntl
import os
import socket
import struct
import termios

import bpfmap
from client import equal, expect, get
from documents import ratelimit
from harness import PORT, Skip, case, wait_for
from test_send import OUT, senders

TCP_ULP, SOL_TLS, TLS_TX, TLS_RX = 31, 282, 1, 2
HELLO = b"\x16\x03\x01\x00\x05hello"
# struct tls12_crypto_info_aes_gcm_128 (linux/tls.h): version 1.2, the cipher, iv, key, salt, first record.
AES_GCM_128 = struct.pack("HH", 0x0303, 51) + b"iviviviv" + b"k" * 16 + b"salt" + bytes(8)


def turn_on(sock, direction=TLS_TX):
    """False where the kernel refuses it, as newer ones do on a socket of a socket map."""
    try:
        sock.setsockopt(socket.IPPROTO_TCP, TCP_ULP, b"tls")
        sock.setsockopt(SOL_TLS, direction, AES_GCM_128)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return False
        if error.errno not in (errno.ENOENT, errno.ENOPROTOOPT):
            raise
        raise Skip("this kernel has no TLS") from error
    return True


def records(server):
    """Lengths of the records of application data that @server got behind HELLO."""
    data, found = server.raw().encode("latin-1")[len(HELLO):], []
    while len(data) >= 5 and data[:3] == b"\x17\x03\x03":
        length, = struct.unpack("!H", data[3:5])
        found.append(length)
        data = data[5 + length:]
    equal(data, b"", "what is behind the records")
    return found


def encrypted(data):
    """A record of the length that one with @data has."""
    return b"\x17\x03\x03" + struct.pack("!H", record_of(data)) + bytes(record_of(data))


def record_of(data):
    """The length of the record that has @data, with its number and its tag."""
    return len(data) + 8 + 16


def unsent(sock):
    """Bytes that @sock has written and the other end has not acknowledged."""
    return struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0" * 4))[0]


@case
def it_may_begin_on_a_socket_that_is_judged(env):
    """Or it is refused, and the client goes on with what it has encrypted itself."""
    server = env.server(raw=True)
    env.limit(spec=OUT, limit="1/day")
    conn = env.connect()
    conn.send(HELLO)
    wait_for("TLS is counted", lambda: env.reasons()["tls"] == 1)
    wait_for("the handshake is at the server", lambda: server.raw())
    if turn_on(conn.sock):
        as_record = bytes
    else:
        as_record = encrypted
    pieces = [get(), get(), b"x" * 10000]
    for piece in pieces:
        conn.send(as_record(piece))
    wait_for("all records at the server", lambda: len(records(server)) == len(pieces))
    os.unlink(os.path.join(env.config, "limit.yaml"))
    wait_for("the socket let go", lambda: not senders(env))
    conn.send(as_record(get()))
    pieces.append(get())
    wait_for("one more record", lambda: len(records(server)) == len(pieces))
    equal(records(server), [record_of(piece) for piece in pieces], "records at the server")


@case
def a_socket_that_has_it_already_is_not_taken_in(env):
    server = env.server(raw=True)
    conn = env.connect()
    conn.send(HELLO)
    wait_for("the handshake is at the server", lambda: server.raw())
    expect(turn_on(conn.sock), "the kernel refuses TLS on a socket of nobody's")
    env.agent()
    env.write("limit.yaml", ratelimit("limit", PORT, limit="1/day", spec=OUT))
    wait_for("it is counted", lambda: env.reasons().get("not_enrolled") == 1)
    for _ in range(3):
        conn.send(get())
    wait_for("three records", lambda: records(server) == [record_of(get())] * 3)
    equal(bpfmap.keys(os.path.join(env.bpffs, "krl_senders")), [], "sockets taken in")


@case
def what_came_before_it_was_turned_on_is_read(env):
    """The server's first record is there when the client is done with the handshake."""
    env.limit(spec=OUT, limit="1/day")
    with socket.create_server(("127.0.0.1", PORT)) as listener:
        conn = env.connect()
        server = listener.accept()[0]
    with server:
        conn.send(HELLO)
        equal(server.recv(100), HELLO, "the handshake at the server")
        server.send(HELLO)
        expect(turn_on(server), "the kernel refuses TLS on a socket of nobody's")
        server.send(b"first")
        wait_for("the record to arrive", lambda: not unsent(server))
        equal(conn.sock.recv(len(HELLO)), HELLO, "the handshake at the client")
        decrypts = turn_on(conn.sock, TLS_RX)
        for word in (b"first", b"second"):
            if word == b"second":
                server.send(word)
            if decrypts:
                equal(conn.sock.recv(100), word, "what the record says")
            else:
                equal(len(conn.read(5 + record_of(word))), 5 + record_of(word), "bytes of the record")
