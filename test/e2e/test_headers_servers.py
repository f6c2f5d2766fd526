# SPDX-License-Identifier: Apache-2.0
"""`responseHeaders: Always` with servers as they are found: what they write keeps its bytes and its segments, also
where it is not understood."""

import os
import re
import shutil
import socket
import subprocess
import threading

import isolation
from client import equal, expect, expect_limited, expect_ok, get, post
from harness import PORT, Skip, case, each, wait_for
from told import LIMIT, Replies, Told, always, final, nothing_more, read_stream, with_fields

KIB, MIB = 1 << 10, 1 << 20
TEXT = b"hello, world\n"
TCP_INFO_DATA_SEGS_IN = 152     # struct tcp_info, tcpi_data_segs_in
PLAIN, OPEN = PORT, PORT + 1    # behind the limit, and not

NOT_UNDERSTOOD = {
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 13\n\nhello,\r\nworld",
    "bare LF in the fields": b"HTTP/1.1 200 OK\r\nServer: test\nContent-Length: 13\r\n\r\nhello,\r\nworld",
    "folded field": b"HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 13\r\n\r\nhello,\r\nworld",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\nContent-Length: 13\r\n\r\nhello,\r\nworld",
    "control character": b"HTTP/1.1 200 O\x01K\r\nContent-Length: 13\r\n\r\nhello,\r\nworld",
    "garbage": b"\x00\xff\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    "text": b"hello\r\nHTTP/1.1 200 OK\r\n\r\n",
    "another version": b"HTTP/1.2 200 OK\r\nContent-Length: 13\r\n\r\nhello,\r\nworld",
    "an empty line first": b"\r\n" + final(TEXT),
}
LINES_THAT_WERE = {"bare LF in the fields", "folded field", "two lengths"}


@case
def answers_that_are_not_understood(env):
    """They pass as they are, but for fields behind a status line that was one, and so do those that follow."""
    replies = Replies(env)
    targets = {name: f"/{number}" for number, name in enumerate(NOT_UNDERSTOOD)}
    for name, answer in NOT_UNDERSTOOD.items():
        replies.add(targets[name], ("send", answer))
    replies.add("/bytes", ("bytes", NOT_UNDERSTOOD["bare LF"]))
    replies.add("/plain", ("send", final(TEXT)))
    replies.start()
    counted = 0

    def check(name, answer):
        nonlocal counted
        conn = env.connect()
        replies.ask(conn, "/plain", final(TEXT))
        conn.send_segment(get(targets.get(name, "/bytes")))
        told = replies.told()
        read_stream(conn, with_fields(answer, told) if name in LINES_THAT_WERE else [answer])
        yield
        for target, follows in (("/plain", final(TEXT)), (targets.get(name, "/bytes"), answer)):
            conn.send_segment(get(target))
            replies.told()
            read_stream(conn, [follows])
        nothing_more(env, conn)
        counted += 1

    each({**NOT_UNDERSTOOD, "a byte a write": NOT_UNDERSTOOD["bare LF"]}, check)
    equal(env.reasons().get("reply_unread"), counted, "answers that were counted")


@case
def what_nobody_asked_for(env):
    """An answer more than there were requests, at once or later."""
    replies = Replies(env)
    plain, late = final(TEXT), final(TEXT, status="408 Request Timeout")
    replies.add("/", ("send", plain))
    replies.add("/at-once", ("send", plain + late))
    replies.add("/then", ("send", plain), ("send", late))
    replies.start()
    conn = env.connect()
    for target in ("/at-once", "/then"):
        replies.ask(conn, target, plain)
        read_stream(conn, [late])
        replies.ask(conn, "/", plain)
    nothing_more(env, conn)
    equal(env.reasons().get("reply_unread", 0), 0, "answers that were not understood")


def told_by(env, kind):
    """Fields stand first; whatever the server sends is behind them."""
    server = env.server(kind)
    env.write("limit.yaml", always(limit="40/day"))
    env.agent("limit")
    conn = env.connect()
    left = 40
    for number in range(8):
        for request in (get(f"/{number}"), post(f"/{number}", b"x" * 5000)):
            conn.send_segment(request)
            read_stream(conn, [b"HTTP/1.1 200 OK\r\n"])
            left -= 1
            Told(left, 40).read(conn)
            conn.buffer[:0] = b"HTTP/1.1 200 OK\r\n"
            answer = conn.response()
            equal(answer.body.decode().split()[1], f"/{number}", "whose answer it is")
    answers = [env.connect().ask(get("/own")) for _ in range(left)]
    equal([answer.field("X-RateLimit-Remaining") for answer in answers], [str(n) for n in reversed(range(left))],
          "what is left")
    equal(len(env.settled(server).requests()), 40, "requests that reached the server")


@case
def epoll_server(env):
    told_by(env, "epoll")


@case
def blocking_server(env):
    told_by(env, "blocking")


@case
def http_server(env):
    told_by(env, "http")


def data_segments(conn):
    info = conn.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return int.from_bytes(info[TCP_INFO_DATA_SEGS_IN:TCP_INFO_DATA_SEGS_IN + 4], "little")


def segments_are_the_same(env, sizes, count, mtu=None):
    """As many segments as from the same server without fields."""
    if mtu:
        isolation.loopback_mtu(mtu)
    replies = Replies(env)
    answers = {f"/{size}": final(os.urandom(size), "Server: test", "Content-Type: text/plain") for size in sizes}
    for target, answer in answers.items():
        replies.add(target, ("send", replies.file(answer)))
    replies.start()
    env.server("nonblocking", port=OPEN, program="replies",
               script=os.path.join(env.root, "script.json"))
    for target, answer in answers.items():
        conn, other = env.connect(), env.connect(OPEN)
        for _ in range(count):
            replies.ask(conn, target, answer)
            other.send_segment(get(target))
            read_stream(other, [answer])
        equal(data_segments(conn), data_segments(other), f"segments of {count} answers {target}")
        nothing_more(env, conn)


@case
def one_segment_stays_one(env):
    segments_are_the_same(env, (0, 13, 1000, 4096, 16384, 33000), 40)


@case
def packets_of_a_network(env):
    """And no more of them where an answer has several. (The fields fit into the last one.)"""
    segments_are_the_same(env, (0, 13, 1000, 9000), 40, mtu=1500)


NGINX_CONF = """\
daemon off;
master_process off;
worker_processes 1;
pid {root}/nginx.pid;
error_log {root}/nginx.error.log;
events {{}}
http {{
    client_body_temp_path {root}/body;
    proxy_temp_path {root}/proxy;
    access_log off;
    keepalive_requests 100000;
    server {{
        listen 127.0.0.1:{plain};
        listen 127.0.0.1:{open};
        root {root}/files;
        location / {{ sendfile on; tcp_nopush on; }}
        location /pushed/ {{ sendfile on; tcp_nopush off; alias {root}/files/; }}
        location /copied/ {{ sendfile off; alias {root}/files/; }}
        location /packed/ {{ gzip on; gzip_types *; gzip_min_length 1; alias {root}/files/; }}
        location /said {{ return 200 "said\\n"; }}
        location /proxied/ {{ proxy_pass http://127.0.0.1:{backend}/; proxy_http_version 1.1; }}
    }}
}}
"""


def start_nginx(env):
    binary = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))
    if not binary:
        raise Skip("nginx is not installed")
    files = os.path.join(env.root, "files")
    os.mkdir(files)
    os.chmod(env.root, 0o755)
    for name, size in (("none", 0), ("small", KIB), ("page", 20000), ("large", MIB)):
        with open(os.path.join(files, name), "wb") as file:
            file.write(os.urandom(size // 2) + b"x" * (size - size // 2))
    conf = os.path.join(env.root, "nginx.conf")
    with open(conf, "w", encoding="utf-8") as file:
        file.write(NGINX_CONF.format(root=env.root, plain=PLAIN, open=OPEN, backend=PORT + 2))
    with open(os.path.join(env.root, "nginx.out"), "wb") as out:
        process = subprocess.Popen([binary, "-c", conf, "-e", os.path.join(env.root, "nginx.error.log")],
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    env.processes.append(process)

    def listens():
        expect(process.poll() is None, "nginx did not start")
        try:
            env.connect(OPEN).close()
        except ConnectionRefusedError:
            return False
        return True

    wait_for("nginx listens", listens)


def whole(conn, request):
    """The bytes of the answer to @request, by length or in chunks."""
    conn.send_segment(request)
    while (end := conn.buffer.find(b"\r\n\r\n")) < 0:
        conn.more_than(len(conn.buffer))
    head = conn.read(end + 4)
    if request.startswith(b"HEAD ") or head.startswith(b"HTTP/1.1 304"):
        return head, b""
    length = re.search(rb"Content-Length: ([0-9]+)\r\n", head)
    if length:
        return head, conn.read(int(length[1]))
    expect(b"Transfer-Encoding: chunked\r\n" in head, f"neither a length nor chunks: {head!r}")
    body = b""
    while size := int(conn.line(), 16):
        body += conn.read(size)
        equal(conn.line(), "", "the end of a chunk")
    equal(conn.line(), "", "the end of the chunks")
    return head, body


def without_fields(head):
    """@head as the server wrote it, on whatever day; and the fields."""
    head = re.sub(rb"Date: [^\r]*\r\n", b"", head)
    fields = re.findall(rb"^(?:X-RateLimit-[A-Za-z]+: [0-9]+\r\n)+", head.partition(b"\r\n")[2])
    return head.replace(fields[0], b"", 1) if fields else head, fields[0] if fields else b""


@case
def nginx(env):
    """Beside the same nginx on a port without a limit."""
    start_nginx(env)
    env.server(port=PORT + 2)
    env.write("limit.yaml", always(limit=f"{LIMIT}/day"))
    env.agent("limit")
    requests = [get(f"{place}/{name}") for place in ("", "/pushed", "/copied", "/packed")
                for name in ("none", "small", "page", "large")]
    requests += [get("/small", method="HEAD"), get("/large", "Range: bytes=1000-70000"), get("/said"),
                 get("/missing"), get("/packed/large", "Accept-Encoding: gzip"), get("/proxied/a"),
                 get("/large", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"),
                 get("/large", "Range: bytes=0-9,20-29")]
    conn, other = env.connect(), env.connect(OPEN)
    left = LIMIT
    for request in 2 * requests:
        (head, body), (plain, wanted) = whole(conn, request), whole(other, request)
        boundary = re.compile(rb"boundary=([0-9]+)")
        if boundary.search(plain):
            body = body.replace(boundary.search(head)[1], boundary.search(plain)[1])
            head = boundary.sub(boundary.search(plain)[0], head)
        bare, fields = without_fields(head)
        left -= 1
        told = b"X-RateLimit-Limit: %d\r\nX-RateLimit-Remaining: %d\r\nX-RateLimit-Reset: " % (LIMIT, left)
        expect(fields.startswith(told), f"fields of the answer to {request!r}: {head!r}")
        equal(bare, without_fields(plain)[0], f"head of the answer to {request!r}")
        expect(body == wanted, f"{len(body)} bytes of {len(wanted)} of the answer to {request!r} differ")
    nothing_more(env, conn)
    equal({name: env.reasons().get(name, 0) for name in ("headers_lost", "reply_unread")},
          {"headers_lost": 0, "reply_unread": 0}, "what was not followed")


@case
def nginx_under_parallel_clients(env):
    start_nginx(env)
    env.write("limit.yaml", always(limit="400/day"))
    env.agent("limit")
    with open(os.path.join(env.root, "files", "page"), "rb") as file:
        page = file.read()
    left, failures = [], []

    def client(conn):
        for number in range(80):
            head, body = whole(conn, get("/page"))
            if head.startswith(b"HTTP/1.1 200 "):
                left.append(int(re.search(rb"X-RateLimit-Remaining: ([0-9]+)\r\n", head)[1]))
                if body != page:
                    failures.append(number)
            elif not head.startswith(b"HTTP/1.1 429 ") or head.count(b"X-RateLimit-Limit") != 1:
                failures.append(head)

    threads = [threading.Thread(target=client, args=(env.connect(),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(failures, [], "answers that are not whole")
    equal(len(left), 400, "admitted requests")
    expect(min(left) == 0 and max(left) == 399, f"from {max(left)} to {min(left)} left")


@case
def a_flood_of_refusals_between_answers(env):
    """The kernel's answers and the server's on the same connections, at the rate where the agent carries them."""
    server = env.server()
    env.write("limit.yaml", always(rules=[
        "{name: over, limit: 1/day, clientSelectors: [{path: {type: PathPrefix, value: /over}}]}",
        "{name: all, limit: 100000/day}"]))
    env.agent("limit")
    conns = [env.connect() for _ in range(16)]
    conns[0].ask(get("/over"))
    for round_ in range(60):
        for conn in conns:
            conn.send(get("/over"))
        for conn in conns:
            expect_limited(conn.response(), limit=1, text="1 per 1 day")
        if round_ % 6:
            continue
        for conn in conns:
            conn.send(get("/all"))
        for conn in conns:
            answer = conn.response()
            expect_ok(answer, "/all")
            equal([name for name, _ in answer.fields[:3]],
                  ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"], "first fields")
            equal(answer.field("X-RateLimit-Limit"), "100000", "X-RateLimit-Limit")
    equal(len(server.requests()), 1 + 16 * 10, "requests that reached the server")
