# SPDX-License-Identifier: Apache-2.0
"""A TCP client that decides which bytes of the stream go into which segment, again and out of order as it
likes, on a TUN device of the case's own network."""

import fcntl
import os
import random
import select
import socket
import struct
import subprocess
import time

from harness import DEADLINE_S, Skip

HOST, CLIENT = "10.99.0.1", "10.99.0.2"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
FIN, SYN, PSH, ACK = 0x01, 0x02, 0x08, 0x10


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Tun:
    """The device, HOST being this network's end of it."""

    def __init__(self):
        try:
            self.fd = os.open("/dev/net/tun", os.O_RDWR)
        except FileNotFoundError:
            raise Skip("this kernel has no TUN device") from None
        fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH14x", b"krl-tun", IFF_TUN | IFF_NO_PI))
        for args in (["addr", "add", f"{HOST}/24", "dev", "krl-tun"], ["link", "set", "krl-tun", "up"]):
            subprocess.run(["ip", *args], check=True)


class Segments:
    """One connection. Positions are bytes of the client's stream."""

    def __init__(self, tun, port):
        self.tun = tun
        self.ports = (random.randrange(20000, 30000), port)
        self.start = random.getrandbits(31)
        self.next = 0           # sequence number that is expected of the server
        self.acked = 0          # position up to which the server has all
        self.received = b""
        self._packet(self.start - 1, SYN, b"")
        self._wait("SYN-ACK", lambda: self.next)
        self._packet(self.start, ACK, b"")

    def send(self, at, data):
        self._packet(self.start + at, PSH | ACK, data)

    def send_acked(self, at, data, up_to):
        self.send(at, data)
        self._wait(f"acknowledgement of {up_to} bytes", lambda: self.acked >= up_to)

    def wait_for(self, text):
        self._wait(repr(text), lambda: text in self.received)

    def _packet(self, seq, flags, data):
        source, target = socket.inet_aton(CLIENT), socket.inet_aton(HOST)
        tcp = bytearray(struct.pack("!HHIIBBHHH", *self.ports, seq & 0xFFFFFFFF, self.next, 5 << 4, flags,
                                    65000, 0, 0) + data)
        pseudo = source + target + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(tcp))
        tcp[16:18] = struct.pack("!H", checksum(bytes(pseudo + tcp)))
        ip = bytearray(struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64,
                                   socket.IPPROTO_TCP, 0, source, target))
        ip[10:12] = struct.pack("!H", checksum(bytes(ip)))
        os.write(self.tun.fd, bytes(ip + tcp))

    def _wait(self, what, done):
        until = time.monotonic() + DEADLINE_S
        while not done():
            if time.monotonic() > until:
                raise TimeoutError(f"no {what}; received {self.received!r}")
            if select.select([self.tun.fd], [], [], 0.1)[0]:
                self._take(os.read(self.tun.fd, 65536))

    def _take(self, packet):
        if packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_TCP:
            return
        tcp = packet[(packet[0] & 15) * 4:]
        port, mine, seq, ack, offset, flags = struct.unpack("!HHIIBB", tcp[:14])
        if (mine, port) != self.ports:
            return
        if flags & SYN:
            self.next = (seq + 1) & 0xFFFFFFFF
            return
        data = tcp[(offset >> 4) * 4:]
        self.acked = (ack - self.start) & 0xFFFFFFFF
        if seq == self.next and (data or flags & FIN):
            self.received += data
            self.next = (self.next + len(data) + (flags & FIN)) & 0xFFFFFFFF
            self._packet(self.start + self.acked, ACK, b"")
