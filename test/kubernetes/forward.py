# SPDX-License-Identifier: Apache-2.0
"""The way from a case's network to an API server outside of it: bytes as they are, in both directions. It can be cut, held
still and opened again, as networks are."""

import contextlib
import os
import select
import socket
import struct
import threading

import isolation


class Forward:
    """Connections to self.port of the loopback address in this network namespace go to @host and @port in that of the
    file descriptor @outside."""

    def __init__(self, outside, host, port):
        self.outside, self.host, self.to = outside, host, port
        self.lock = threading.Lock()
        self.pairs = []
        self.held = []
        self.taken = 0          # connections, ever
        self.listener = None
        self.flows = threading.Event()
        self.flows.set()
        self.port = 0
        self.open()

    def open(self):
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def close(self):
        """As if the machine of the API server were there, and it were not."""
        # close() alone leaves the thread in accept().
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    def cut(self):
        """Reset every connection."""
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for sock in pair:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()

    @property
    def count(self):
        with self.lock:
            return len(self.pairs)

    def _accept(self, listener):
        # This thread's sockets are of the other network from now on.
        isolation.setns(self.outside)
        while True:
            try:
                inner, _ = listener.accept()
            except OSError:
                return
            self.taken += 1
            # Those that are there stand still for good: later ones are the network after it.
            threading.Thread(target=self._serve, args=(inner, self.flows), daemon=True).start()

    def hold(self):
        """The connections that there are carry nothing any more, and nobody says so; new ones do."""
        self.flows.clear()
        self.flows = threading.Event()
        self.flows.set()

    def _serve(self, inner, flows):
        try:
            outer = socket.create_connection((self.host, self.to), timeout=10)
        except OSError:
            inner.close()
            return
        outer.settimeout(None)
        for sock in (inner, outer):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair = inner, outer
        with self.lock:
            self.pairs.append(pair)
        with contextlib.suppress(OSError, ValueError):
            self._pump(inner, outer, flows)
        with self.lock:
            self.pairs = [other for other in self.pairs if other is not pair]
            if not flows.is_set():
                self.held.append(pair)
                return
        inner.close()
        outer.close()

    def _pump(self, inner, outer, flows):
        other = {inner: outer, outer: inner}
        while True:
            for sock in select.select([inner, outer], [], [])[0]:
                data = sock.recv(65536)
                if not data or not flows.is_set():
                    return
                other[sock].sendall(data)


def outside():
    """The network namespace of this thread, as a file descriptor."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)
