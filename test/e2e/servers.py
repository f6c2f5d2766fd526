# SPDX-License-Identifier: Apache-2.0
"""The servers behind the limiter, one process each:

    servers.py KIND --port N --record FILE [options]

KIND epoll reads on readiness with non-blocking sockets, blocking has a thread per connection that
calls recv() and retries nothing, http is Python's ThreadingHTTPServer. What arrives is appended to
FILE, a JSON object a line, before it is answered. Standard output says "ready" once connections are
taken; standard input takes commands, and its end is the end of the server:

    accept   begin to accept (with --hold-accept)
    release  answer the requests for /gated, which wait until then
    rest     read nothing, until
    go-on    which reads again (these two: epoll alone)
"""

import argparse
import ctypes
import errno
import fcntl
import http.server
import os
import selectors
import signal
import socket
import struct
import sys
import termios
import threading

import isolation
from session import Recorder, Session

RECV_BYTES = 65536
IPPROTO_MPTCP = 262

# As servers on epoll do: socket.accept() would leave the connection blocking for a moment.
_libc = ctypes.CDLL(None)


class EpollServer:
    def __init__(self, listener, recorder, options):
        self.listener = listener
        self.recorder = recorder
        self.fionread = options.fionread
        self.poller = selectors.DefaultSelector()
        self.sessions = {}
        self.released = False
        self.count = 0
        listener.setblocking(False)
        if not options.hold_accept:
            self._start_accepting()
        os.set_blocking(sys.stdin.fileno(), False)
        self.poller.register(sys.stdin.fileno(), selectors.EVENT_READ, self._commands)

    def run(self):
        while True:
            for key, mask in self.poller.select():
                if not isinstance(key.data, Session):
                    key.data()
                elif mask & selectors.EVENT_READ:
                    self._read(key.fileobj, key.data)
                else:
                    self._flush(key.fileobj, key.data)

    def _start_accepting(self):
        self.poller.register(self.listener, selectors.EVENT_READ, self._accept)

    def _commands(self):
        words = os.read(sys.stdin.fileno(), 4096).split()
        if not words:
            sys.exit(0)
        for word in words:
            self._command(word)

    def _command(self, word):
        if word == b"accept":
            self._start_accepting()
        elif word == b"release":
            self.released = True
            for sock, session in list(self.sessions.items()):
                session.release()
                self._flush(sock, session)
        elif word == b"rest":
            for sock in self.sessions:
                self.poller.unregister(sock)
            self.recorder.note("rests", 0)
        elif word == b"go-on":
            for sock, session in self.sessions.items():
                self.poller.register(sock, selectors.EVENT_READ, session)

    def _accept(self):
        fd = _libc.accept4(self.listener.fileno(), None, None, os.O_NONBLOCK | os.O_CLOEXEC)
        if fd < 0:
            return
        sock = socket.socket(fileno=fd)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.count += 1
        session = Session(self.recorder, self.count)
        session.released = self.released
        self.recorder.note("accept", session.conn)
        self.sessions[sock] = session
        self.poller.register(sock, selectors.EVENT_READ, session)

    def _close(self, sock, session, why):
        self.poller.unregister(sock)
        del self.sessions[sock]
        sock.close()
        self.recorder.note("closed", session.conn, why=why)

    def _receive(self, sock, session):
        if not self.fionread:
            return sock.recv(RECV_BYTES)
        waiting = struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, b"\0" * 4))[0]
        if waiting:
            return sock.recv(waiting)
        data = sock.recv(RECV_BYTES)
        if data:
            self.recorder.note("fionread", session.conn, said=0, found=len(data))
        return data

    def _read(self, sock, session):
        try:
            data = self._receive(sock, session)
        except BlockingIOError:
            return
        except OSError as error:
            self._close(sock, session, errno.errorcode.get(error.errno, str(error)))
            return
        if not data:
            self._close(sock, session, "eof")
            return
        session.received(data)
        self._flush(sock, session)

    def _flush(self, sock, session):
        try:
            while session.out:
                del session.out[:sock.send(session.out)]
        except BlockingIOError:
            self.poller.modify(sock, selectors.EVENT_READ | selectors.EVENT_WRITE, session)
            return
        except OSError as error:
            self._close(sock, session, errno.errorcode.get(error.errno, str(error)))
            return
        if session.close:
            self._close(sock, session, "answered")
            return
        self.poller.modify(sock, selectors.EVENT_READ, session)


def serve_blocking(sock, session):
    why = "eof"
    try:
        while not session.close:
            data = sock.recv(RECV_BYTES)
            if not data:
                break
            session.received(data)
            sock.sendall(session.out)
            session.out.clear()
        else:
            why = "answered"
    except OSError as error:
        why = errno.errorcode.get(error.errno, str(error))
    sock.close()
    session.recorder.note("closed", session.conn, why=why)


def run_blocking(listener, recorder):
    count = 0
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        count += 1
        recorder.note("accept", count)
        session = Session(recorder, count)
        threading.Thread(target=serve_blocking, args=(sock, session), daemon=True).start()


class HttpHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    recorder = None

    def _serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.recorder.request(self.client_address[1], self.command, self.path, body)
        answer = f"{self.command} {self.path} {len(body)}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_GET = do_HEAD = do_POST = _serve

    def setup(self):
        super().setup()
        self.recorder.note("accept", self.client_address[1])

    def finish(self):
        super().finish()
        self.recorder.note("closed", self.client_address[1], why="finished")

    def log_message(self, *args):
        pass


def run_http(listener, recorder):
    HttpHandler.recorder = recorder
    server = http.server.ThreadingHTTPServer(listener.getsockname()[:2], HttpHandler, False)
    server.socket.close()
    server.socket = listener
    server.daemon_threads = True
    server.handle_error = lambda *connection: None  # the record says how a connection ended
    server.serve_forever()


def exit_with_input():
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


def listen(options):
    v6 = ":" in options.host
    protocol = IPPROTO_MPTCP if options.multipath else 0
    listener = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_STREAM, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if v6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not options.dual)
    if options.defer_accept:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
    listener.bind((options.host, options.port))
    listener.listen(256)
    return listener


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["epoll", "blocking", "http"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--record", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--dual", action="store_true", help="an IPv6 listener that takes IPv4 too")
    parser.add_argument("--defer-accept", action="store_true")
    parser.add_argument("--hold-accept", action="store_true")
    parser.add_argument("--fionread", action="store_true", help="ask how much there is, then recv")
    parser.add_argument("--raw", action="store_true", help="record the bytes themselves too")
    parser.add_argument("--multipath", action="store_true", help="listen with Multipath TCP, as Go does")
    parser.add_argument("--new-network", action="store_true", help="in a network namespace of its own")
    parser.add_argument("--user", type=int, help="give up root for this user")
    options = parser.parse_args()

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if options.new_network:
        isolation.new_network()
    recorder = Recorder(options.record, options.raw)
    if options.user:
        os.setresgid(options.user, options.user, options.user)
        os.setresuid(options.user, options.user, options.user)
    listener = listen(options)
    print("ready", flush=True)
    if options.kind == "epoll":
        EpollServer(listener, recorder, options).run()
    threading.Thread(target=exit_with_input, daemon=True).start()
    if options.kind == "blocking":
        run_blocking(listener, recorder)
    run_http(listener, recorder)


if __name__ == "__main__":
    main()
