# SPDX-License-Identifier: Apache-2.0
"""nginx, as a server and as a proxy."""

import os
import shutil
import subprocess

from client import expect
from harness import Skip, wait_for

CONF = """\
daemon off;
master_process off;
worker_processes 1;
pid {root}/nginx.pid;
error_log {root}/nginx.error.log;
events {{}}
http {{
    client_body_temp_path {root}/body;
    client_max_body_size 0;
    log_format requests '$request_method $request_uri $status';
    access_log {root}/nginx.log requests;
    keepalive_requests 100000;
{http}}}
"""

# One that names its client in the usual headers, over connections that stay open.
PROXY = """\
    upstream behind_{port} {{ server 127.0.0.1:{backend}; keepalive 1; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://behind_{port};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Real-IP $remote_addr;
        }}
    }}
"""


def proxies(*ports):
    """Blocks of `http` for proxies on all of @ports but the last, each in front of the one that follows."""
    return "".join(PROXY.format(port=port, backend=backend) for port, backend in zip(ports, ports[1:]))


def start_nginx(env, http, port):
    """Start nginx with the blocks @http of its `http`, and wait until it listens on @port. Returns the file that
    it logs requests to."""
    binary = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))
    if not binary:
        raise Skip("nginx is not installed")
    conf = os.path.join(env.root, "nginx.conf")
    with open(conf, "w", encoding="utf-8") as file:
        file.write(CONF.format(root=env.root, http=http))
    errors = os.path.join(env.root, "nginx.error.log")
    with open(os.path.join(env.root, "nginx.out"), "wb") as out:
        process = subprocess.Popen([binary, "-c", conf, "-e", errors], stdin=subprocess.DEVNULL,
                                   stdout=out, stderr=out)
    env.processes.append(process)

    def listens():
        expect(process.poll() is None, "nginx did not start")
        try:
            env.connect(port).close()
        except ConnectionRefusedError:
            return False
        return True

    wait_for("nginx listens", listens)
    return os.path.join(env.root, "nginx.log")
