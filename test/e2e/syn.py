# SPDX-License-Identifier: Apache-2.0
"""TCP segments as nobody's stack sends them: for raw sockets."""

import ctypes
import socket
import struct

SO_ATTACH_FILTER = 26
SYN, RST, ACK, FIN, PSH = 2, 4, 16, 1, 8


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def segment(source, target, source_port, target_port, flags=SYN, seq=1, ack=0):
    """An IPv4 or IPv6 packet, without data."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    addresses = socket.inet_pton(family, source) + socket.inet_pton(family, target)
    tcp = struct.pack("!HHIIBBHHH", source_port, target_port, seq, ack, 5 << 4, flags, 65535, 0, 0)
    # The pseudo header of IPv6 (RFC 8200, 8.1) has wider fields, and the same sum.
    total = checksum(addresses + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(tcp)) + tcp)
    tcp = tcp[:16] + struct.pack("!H", total) + tcp[18:]
    if family == socket.AF_INET6:
        return struct.pack("!IHBB", 6 << 28, len(tcp), socket.IPPROTO_TCP, 64) + addresses + tcp
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, socket.IPPROTO_TCP, 0) + addresses + tcp


def silence(address, port):
    """What comes to @port of @address, which is this machine's, is dropped, so that no RST answers a SYN-ACK. The
    socket that does it, until it is closed."""
    sock = socket.socket()
    nothing = struct.pack("HBBI", 6, 0, 0, 0)   # BPF_RET, 0 bytes
    buffer = ctypes.create_string_buffer(nothing)
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HxxxxxxP", 1, ctypes.addressof(buffer)))
    sock.bind((address, port))
    sock.listen(1)
    return sock


def send(target, *packets):
    with socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for packet in packets:
            raw.sendto(packet, (target, 0))
