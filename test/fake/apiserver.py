# SPDX-License-Identifier: Apache-2.0
"""An API server of the tests' own: what Kubernetes documents of list and watch, and nothing of its own habits. Where a
behaviour is from is named beside it: "concepts" is kubernetes.io, Reference, Kubernetes API, "Kubernetes API Concepts";
"apiserver" is k8s.io/apiserver of kubernetes/kubernetes; "meta/v1" is k8s.io/apimachinery/pkg/apis/meta/v1/types.go."""

import base64
import collections
import copy
import http.server
import json
import re
import socket
import ssl
import struct
import threading
import time
import urllib.parse

import apply
import one
import partial
import writes

PATH = re.compile(r"/(?:api|apis/(?P<group>[^/]+))/(?P<version>v[^/]+)(?:/namespaces/(?P<ns>[^/]+))?/(?P<plural>[a-z]+)"
                  r"(?:/(?P<name>[^/]+))?(?P<sub>/status)?")

Fault = collections.namedtuple("Fault", "verb plural act times")


def status(code, reason, message, **more):
    """meta/v1, Status: what every error is told as."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": reason, "code": code, **more}


def expired(code=410):
    """apiserver, pkg/storage/cacher and pkg/storage/etcd3: NewResourceExpired()."""
    return status(code, "Expired", "too old resource version: 1 (2)")


def known_token(token):
    """Whether it may once have been a page's. apiserver, pkg/storage/continue.go: what cannot be read is 400, what is too old
    410."""
    try:
        return base64.b64decode(token, validate=True).count(b"/") == 2
    except ValueError:
        return False


class Kind:
    def __init__(self, group_version, kind, plural):
        self.group_version, self.kind, self.plural = group_version, kind, plural
        self.objects = {}


class ApiServer:
    """Serves in threads of this process. put() and delete() are what kubectl would do. fault() has the next requests
    of a verb go wrong."""

    KINDS = {"RateLimit": ("kmesh.net/v1alpha1", "ratelimits"), "Service": ("v1", "services"),
             "EndpointSlice": ("discovery.k8s.io/v1", "endpointslices"), "Event": ("v1", "events"),
             "Pod": ("v1", "pods"), "Namespace": ("v1", "namespaces"), "Node": ("v1", "nodes")}
    CLUSTER_SCOPED = {"Namespace", "Node"}

    def __init__(self, certs=None, token="secret", port=0, slices="discovery.k8s.io/v1", client_ca=None):
        self.lock = threading.Condition()
        self.version = 100
        self.oldest = 0         # of the events that are kept
        self.events = []        # (version, plural, type, object)
        self.token = token
        self.kinds = {}
        for kind, (group_version, plural) in self.KINDS.items():
            group_version = slices if kind == "EndpointSlice" else group_version
            self.kinds[plural] = Kind(group_version, kind, plural)
        self.requests = []      # (verb, plural, path, headers)
        self.faults = []
        self.pages = {}         # of lists that are under way, by their token
        self.connections = []
        self.managed = {}       # apply.Managed by (namespace, name), of RateLimits
        self.open = []          # watches: (plural, lines to be sent as they are)
        self.context = None
        if certs:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certs)
            if client_ca:
                self.context.load_verify_locations(client_ca)
                self.context.verify_mode = ssl.CERT_REQUIRED
        self.port = port
        self.server = None
        self.start()

    # --- what a test does -------------------------------------------------------------------------

    def start(self):
        outer = self

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 64

            def finish_request(self, request, client_address):
                if outer.context:
                    request = outer.context.wrap_socket(request, server_side=True)
                with outer.lock:
                    outer.connections.append(request)
                Handler(request, client_address, self)

            def handle_error(self, request, client_address):
                pass

        Server.api = self
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        """As if the process had ended: connections are reset, nobody listens."""
        self.server.shutdown()
        self.server.server_close()
        self.reset()

    def reset(self):
        """Reset every connection."""
        with self.lock:
            sockets, self.connections = self.connections, []
        for sock in sockets:
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            try:
                sock.close()
            except OSError:
                pass

    @property
    def url(self):
        return f"http{'s' if self.context else ''}://127.0.0.1:{self.port}"

    def put(self, object):
        """Create, or replace what is there."""
        kind = next(kind for kind in self.kinds.values() if kind.kind == object["kind"])
        stored = copy.deepcopy(object)
        metadata = stored["metadata"]
        if kind.kind not in self.CLUSTER_SCOPED:
            metadata.setdefault("namespace", "default")
        key = metadata.get("namespace"), metadata["name"]
        with self.lock:
            before = kind.objects.get(key)
            self.version += 1
            metadata["resourceVersion"] = str(self.version)
            # meta/v1, ObjectMeta; managedFields are what makes objects large.
            metadata.setdefault("uid", before["metadata"]["uid"] if before else f"uid-{self.version}")
            metadata.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
            # CRD, "Status subresource": generation counts changes of all but metadata and status, and what is put
            # beside the subresource says nothing of the status.
            # apiserver, pkg/registry/rest, BeforeDelete(): that it is to go as soon as finalizers let it counts too.
            was = before or {"metadata": {}}
            # Services have none (kubernetes, pkg/registry/core/service/strategy.go).
            if kind.kind != "Service":
                metadata["generation"] = was["metadata"].get("generation", 0) + (
                    was.get("spec") != stored.get("spec") or
                    was["metadata"].get("deletionTimestamp") != metadata.get("deletionTimestamp"))
            metadata["managedFields"] = [{"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {}}}]
            if kind.kind == "RateLimit":
                stored.pop("status", None)
                self.show_status(stored, self.managed.setdefault(key, apply.Managed()))
            kind.objects[key] = stored
            self.events.append((self.version, kind.plural, "MODIFIED" if before else "ADDED", stored))
            self.lock.notify_all()

    def show_status(self, object, managed):
        if managed.leaves:
            object["status"] = managed.status
        object["metadata"]["managedFields"] = [
            entry for entry in object["metadata"]["managedFields"] if entry.get("subresource") != "status"
        ] + managed.managed_fields()

    def apply_status(self, name, namespace, manager, status, force=False):
        """What is there then. KeyError, apply.Conflict, apply.Invalid."""
        key = namespace, name
        with self.lock:
            kind = self.kinds["ratelimits"]
            object = copy.deepcopy(kind.objects[key])
            if self.managed[key].apply(manager, status, force):
                self.version += 1
                object["metadata"]["resourceVersion"] = str(self.version)
                self.show_status(object, self.managed[key])
                kind.objects[key] = object
                self.events.append((self.version, kind.plural, "MODIFIED", object))
                self.lock.notify_all()
            return object

    def status(self, name="limit", namespace="default"):
        """Of a RateLimit; {} without one."""
        with self.lock:
            return self.kinds["ratelimits"].objects[namespace, name].get("status", {})

    def happened(self, name="limit", namespace="default"):
        """The Events on a RateLimit, as kubectl describe finds them: by what is involved."""
        with self.lock:
            return [event for (of, _), event in self.kinds["events"].objects.items()
                    if of == namespace and event["involvedObject"]["name"] == name]

    def delete(self, kind_name, name, namespace="default"):
        kind = next(kind for kind in self.kinds.values() if kind.kind == kind_name)
        if kind_name in self.CLUSTER_SCOPED:
            namespace = None
        with self.lock:
            gone = copy.deepcopy(kind.objects.pop((namespace, name)))
            if kind.kind == "RateLimit":
                self.managed.pop((namespace, name), None)
            self.version += 1
            # concepts: the last state, with the version of the deletion.
            gone["metadata"]["resourceVersion"] = str(self.version)
            self.events.append((self.version, kind.plural, "DELETED", gone))
            self.lock.notify_all()

    def compact(self):
        """Forget all events up to now: what watches from before is 410."""
        with self.lock:
            self.version += 1
            self.oldest = self.version
            self.events.clear()
            self.pages.clear()

    def emit(self, plural, line):
        """These bytes into the watches of @plural that are open."""
        with self.lock:
            for watched, lines in self.open:
                if watched == plural:
                    lines.append(line)
            self.lock.notify_all()

    @property
    def watches(self):
        return len(self.open)

    def fault(self, verb, plural, act, times=1):
        """The next @times requests of @verb ("list", "watch", "create" or "patch") for @plural (None: any) are answered by @act, which
        gets the Handler; True: the request goes on as usual."""
        with self.lock:
            self.faults.append([verb, plural, act, times])

    def count(self, verb, plural):
        with self.lock:
            return sum(entry[:2] == (verb, plural) for entry in self.requests)

    # --- what a request does ----------------------------------------------------------------------

    def take_fault(self, verb, plural):
        with self.lock:
            for fault in self.faults:
                if fault[0] == verb and fault[1] in (None, plural) and fault[3]:
                    fault[3] -= 1
                    return fault[2]
        return None


class Handler(writes.Writes, one.One, http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Answers in one piece are not to wait for acknowledgements.
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    @property
    def api(self):
        return self.server.api

    def answer(self, code, object, **fields):
        body = object if isinstance(object, bytes) else json.dumps(object).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def begin_stream(self):
        """concepts: a watch is a stream of JSON documents in the body of one answer; without a length, chunked."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def event(self, kind, object):
        self.chunk(json.dumps({"type": kind, "object": object}).encode() + b"\n")

    def do_POST(self):
        self.ask("create")

    def do_PATCH(self):
        self.ask("patch")

    def do_GET(self):
        self.ask()

    def ask(self, verb=None):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        self.body = body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        match = PATH.fullmatch(url.path)
        asked = "watch" if query.get("watch") in ("1", "true") else "get" if match and match["name"] else "list"
        verb = verb or asked
        plural = match["plural"] if match else ""
        api = self.api
        with api.lock:
            resource = plural + (match["sub"] or "" if match else "")
            api.requests.append((verb, resource, self.path, dict(self.headers)))
        act = api.take_fault(verb, resource)
        if act and not act(self):
            return
        # apiserver, pkg/endpoints/filters, WithAuthentication.
        if api.token is not None and self.headers.get("Authorization") != f"Bearer {api.token}":
            self.answer(401, status(401, "Unauthorized", "Unauthorized"))
            return
        kind = api.kinds.get(plural)
        group = (match["group"] + "/" if match and match["group"] else "") + (match["version"] if match else "")
        if not kind or kind.group_version != group:
            self.send_response(404)
            body = b"404 page not found\n"
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        elif verb == "watch":
            self.watch(kind, match["ns"], query)
        elif verb == "get":
            self.get(kind, match["ns"], match["name"])
        elif verb == "create":
            self.create(kind, match["ns"], json.loads(body))
        elif verb == "patch" and match["sub"]:
            self.patch_status(match["ns"], match["name"], query, json.loads(body))
        elif verb == "patch":
            self.merge(kind, match["ns"], match["name"], json.loads(body))
        else:
            self.list(kind, match["ns"], query)

    def refuse(self, code, reason, message):
        self.answer(code, status(code, reason, message))

    def list(self, kind, namespace, query):
        """concepts, "Retrieving large results sets in chunks": a page has metadata.continue as long as there is more;
        all pages are of one version; a token that is too old is 410."""
        api = self.api
        limit = int(query.get("limit", 0))
        with api.lock:
            if "continue" in query:
                page = api.pages.get(query["continue"])
                if not page and not known_token(query["continue"]):
                    self.refuse(400, "BadRequest", "continue key is not valid")
                    return
            else:
                page = api.version, [kind.objects[key] for key in sorted(kind.objects, key=str)
                                     if namespace in (None, key[0]) and partial.selects(query, kind.objects[key])]
            if page is None:
                found = status(410, "Expired", "The provided continue parameter is too old to display a consistent "
                                               "list result.")
            else:
                version, objects = page
                metadata = {"resourceVersion": str(version)}
                if limit and len(objects) > limit:
                    token = base64.b64encode(f"{kind.plural}/{version}/{len(api.requests)}".encode()).decode()
                    metadata["continue"] = token
                    metadata["remainingItemCount"] = len(objects) - limit
                    api.pages[token] = version, objects[limit:]
                    objects = objects[:limit]
                # Items of built-in lists do not say their kind, those of custom resources do (apiserver,
                # apiextensions-apiserver: unstructured lists).
                if kind.kind != "RateLimit":
                    objects = [{key: value for key, value in object.items() if key not in ("kind", "apiVersion")}
                               for object in objects]
                found = {"kind": f"{kind.kind}List", "apiVersion": kind.group_version, "metadata": metadata,
                         "items": objects}
                if partial.is_asked(self.headers, "PartialObjectMetadataList"):
                    found.update(kind="PartialObjectMetadataList", apiVersion="meta.k8s.io/v1",
                                 items=[partial.metadata_of(object) for object in objects])
        self.answer(found.get("code", 200), found)

    def watch(self, kind, namespace, query):
        api = self.api
        since = int(query.get("resourceVersion", 0))
        until = time.monotonic() + int(query.get("timeoutSeconds", 1800))
        lines = []
        entry = kind.plural, lines
        with api.lock:
            api.open.append(entry)
            old = since < api.oldest
        try:
            self.begin_stream()
            if old:
                # concepts, "Efficient detection of changes": 410 Gone; for a watch it comes as an event (apiserver,
                # pkg/storage/cacher, newErrWatcher).
                self.event("ERROR", expired())
            else:
                self.follow(kind, namespace, since, until, lines, query)
            # apiserver, pkg/endpoints/handlers/watch.go: at timeoutSeconds the stream ends as a whole answer does.
            self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()
        finally:
            with api.lock:
                api.open = [other for other in api.open if other is not entry]

    def follow(self, kind, namespace, since, until, lines, query):
        api = self.api
        at = 0
        bookmark = time.monotonic() + 1
        metadata_alone = partial.is_asked(self.headers, "PartialObjectMetadata")
        while time.monotonic() < until:
            with api.lock:
                at = min(at, len(api.events))
                fresh, raw = api.events[at:], lines[:]
                at = len(api.events)
                lines.clear()
                if not fresh and not raw:
                    api.lock.wait(min(0.2, max(0.01, until - time.monotonic())))
                version = api.version
            for line in raw:
                self.chunk(line)
            for number, plural, change, object in fresh:
                if plural != kind.plural:
                    continue
                if number > since and namespace in (None, object["metadata"].get("namespace")) and \
                        partial.selects(query, object):
                    self.event(change, partial.metadata_of(object) if metadata_alone else object)
            if query.get("allowWatchBookmarks") == "true" and not fresh and time.monotonic() > bookmark:
                # concepts, "Watch bookmarks": kind, apiVersion and metadata.resourceVersion alone.
                bookmark = time.monotonic() + 1
                self.event("BOOKMARK", {"kind": kind.kind, "apiVersion": kind.group_version,
                                        "metadata": {"resourceVersion": str(version)}})


# --- acts for fault() -----------------------------------------------------------------------------

def refuse(code, reason, message, **fields):
    def act(handler):
        handler.answer(code, status(code, reason, message), **fields)
    return act


def too_many(seconds):
    """apiserver, pkg/server/filters/priority-and-fairness.go and maxinflight.go: text, and Retry-After."""
    def act(handler):
        body = b"Too many requests, please try again later.\n"
        handler.send_response(429)
        handler.send_header("Content-Type", "text/plain; charset=utf-8")
        handler.send_header("Retry-After", str(seconds))
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
    return act


def gone(handler):
    handler.answer(410, expired())


def error_event(object):
    def act(handler):
        handler.begin_stream()
        handler.event("ERROR", object)
        handler.wfile.write(b"0\r\n\r\n")
    return act
