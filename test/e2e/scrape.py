# SPDX-License-Identifier: Apache-2.0
"""What an agent tells at /metrics, as a client of HTTP and as Prometheus reads it."""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.parse

from client import equal, expect
from harness import DEADLINE_S, SCALE, Skip, wait_for

HOST, PORT = "127.0.0.1", 9464
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
# As Prometheus 2.42 asks (scrape/scrape.go).
PROMETHEUS = (f"{OPEN_METRICS},application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")

_SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$')
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')
_ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}


def parse(text):
    """A list of (name, labels, value)."""
    samples = []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = _SAMPLE.match(line)
        expect(match, f"a line that is no sample: {line!r}")
        labels = {name: re.sub(r'\\.', lambda escape: _ESCAPES[escape.group()], value)
                  for name, value in _LABEL.findall(match[2] or "")}
        samples.append((match[1], labels, float(match[3])))
    return samples


class Scraper:
    """Has the agents of @env listen, by more of their @flags."""

    def __init__(self, env, *flags, address=f"{HOST}:{PORT}"):
        self.env = env
        env.metrics = ["--metrics", address, *flags]

    def get(self, path="/metrics", accept=None, host=HOST, method="GET", source=None):
        """Status, headers, and the body as text."""
        conn = http.client.HTTPConnection(host, PORT, timeout=DEADLINE_S, source_address=source and (source, 0))
        try:
            conn.request(method, path, headers={"Accept": accept} if accept else {})
            response = conn.getresponse()
            return response.status, response.headers, response.read().decode()
        finally:
            conn.close()

    def status(self, path, **options):
        return self.get(path, **options)[0]

    def text(self, accept=None):
        status, _, body = self.get(accept=accept)
        equal(status, 200, f"status of /metrics ({body[:200]})")
        return body

    def samples(self, name, /, **labels):
        """Those of @name that have @labels, as pairs of all their labels and the value."""
        return [(has, value) for called, has, value in parse(self.text())
                if called == name and labels.items() <= has.items()]

    def value(self, name, /, **labels):
        samples = self.samples(name, **labels)
        equal(len(samples), 1, f"samples of {name} with {labels}")
        return samples[0][1]

    def by(self, label, name, /, **labels):
        """The values of @name by one of its labels."""
        samples = self.samples(name, **labels)
        values = {has.get(label): value for has, value in samples}
        equal(len(values), len(samples), f"values of {label} in {name}, each once")
        return values

    def until(self, name, wanted, /, **labels):
        """Waits until a sample has a value that @wanted takes."""
        def is_so():
            samples = self.samples(name, **labels)
            return len(samples) == 1 and wanted(samples[0][1])
        wait_for(f"{name} with {labels} is as wanted", is_so)


def promtool(*args, text=None, cwd=None):
    """What promtool says, and its exit status."""
    if not shutil.which("promtool"):
        raise Skip("promtool, of Debian's prometheus, is not installed")
    done = subprocess.run(["promtool", *args], input=text, capture_output=True, text=True, timeout=DEADLINE_S,
                          check=False, cwd=cwd)
    return done.returncode, done.stdout + done.stderr


class Prometheus:
    """Debian's, with a configuration and a database of its own; scrapes the agent all the time."""

    PORT = 9090

    def __init__(self, env, rules=()):
        if not shutil.which("prometheus"):
            raise Skip("Debian's prometheus is not installed")
        root = os.path.join(env.root, "prometheus")
        os.mkdir(root)
        with open(os.path.join(root, "prometheus.yml"), "w", encoding="utf-8") as file:
            json.dump({"global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
                       "rule_files": list(rules),
                       "scrape_configs": [{"job_name": "kmesh-rl", "static_configs": [{"targets": [f"{HOST}:{PORT}"]}]}]},
                      file)
        with open(os.path.join(root, "log"), "wb") as log:
            process = subprocess.Popen(
                ["prometheus", f"--config.file={root}/prometheus.yml", f"--storage.tsdb.path={root}/data",
                 f"--web.listen-address={HOST}:{self.PORT}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        env.processes.append(process)
        self.log = os.path.join(root, "log")
        wait_for("prometheus is ready", lambda: self._get("/-/ready") is not None)

    def _get(self, path):
        conn = http.client.HTTPConnection(HOST, self.PORT, timeout=DEADLINE_S)
        try:
            conn.request("GET", path)
            response = conn.getresponse()
            body = response.read()
            return body if response.status == 200 else None
        except OSError:
            return None
        finally:
            conn.close()

    def target(self):
        """What it says of the agent as a target, once it was scraped."""
        def scraped():
            targets = json.loads(self._get("/api/v1/targets"))["data"]["activeTargets"]
            return targets and targets[0]["lastScrape"][:4] != "0001" and targets[0]
        return wait_for("prometheus scrapes", scraped)

    def query(self, query):
        """A list of (labels, value)."""
        body = self._get("/api/v1/query?" + urllib.parse.urlencode({"query": query}))
        expect(body is not None, f"prometheus takes the query {query}")
        return [(row["metric"], float(row["value"][1])) for row in json.loads(body)["data"]["result"]]

    def until(self, query):
        """What it says, once that is something."""
        return wait_for(f"prometheus has data for {query}", lambda: self.query(query))


class Slow:
    """A client that sends @text and then reads nothing, and writes nothing."""

    def __init__(self, text=b"", host=HOST, source=None, room=None):
        self.sock = socket.socket()
        if room:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        if source:
            self.sock.bind((source, 0))
        self.sock.settimeout(DEADLINE_S)
        self.sock.connect((host, PORT))
        self.sock.sendall(text)

    def close(self):
        self.sock.close()

    def is_closed(self):
        """Has the agent closed it?"""
        self.sock.setblocking(False)
        try:
            while self.sock.recv(65536):
                pass
            return True
        except BlockingIOError:
            return False
        except OSError:
            return True


def seconds(function):
    began = time.monotonic()
    function()
    return (time.monotonic() - began) / SCALE
