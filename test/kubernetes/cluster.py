# SPDX-License-Identifier: Apache-2.0
"""A real API server for the cases: kubectl, an agent with the rights of deploy/, and the way between them. run.py made
what they need there."""

import base64
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.parse

import forward
import harness
import isolation
import kube
from client import equal, expect, get
from harness import Skip, wait_for

MADE = json.loads(os.environ.get("KRL_CLUSTER", "{}"))
# Cases are loaded before the first of them has a network of its own.
OUTSIDE = forward.outside()
NAMESPACE, OTHER = MADE.get("namespaces", ["", ""])
NODE = f"{NAMESPACE}-node"
VERSION = tuple(MADE.get("version", (0, 0)))
DISCOVERY = "discovery.k8s.io/v1" if VERSION >= (1, 21) else "discovery.k8s.io/v1beta1"
# EndpointSlices may not have loopback addresses (kubernetes, pkg/apis/core/validation, ValidateNonSpecialIP); these are
# for documentation (RFC 5737, RFC 3849), and lead nowhere but to the case's own network.
HERE, THERE, ELSEWHERE, HERE6 = "192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"
PORT = harness.PORT
DEFINITION = os.path.join(os.path.dirname(harness.HERE), "../crds/kmesh.net_ratelimits.yaml")
GROUP = "/apis/kmesh.net/v1alpha1"


def ratelimit(name="limit", namespace=NAMESPACE, limit="3/day", at=PORT, **spec):
    """On port @at of HERE, where @spec names no target."""
    if not set(spec) & {"service", "services", "endpoints"}:
        spec["endpoints"] = [{"ip": HERE, "port": at}]
    return kube.ratelimit(name, namespace, limit, **spec)


def service(name, namespace=NAMESPACE, **more):
    """Without a selector, so that no controller makes slices for it, and without an address of its own."""
    made = kube.service(name, namespace=namespace, **more)
    del made["spec"]["selector"]
    return made


def endpoint(*addresses, node=NODE, **more):
    made = kube.endpoint(*addresses, node=node, **more)
    if node is None:
        del made["nodeName"]
    if DISCOVERY.endswith("v1beta1") and "nodeName" in made:
        # discovery.k8s.io/v1beta1: the node is among the labels of topology.
        made["topology"] = {"kubernetes.io/hostname": made.pop("nodeName")}
    return made


def endpoint_slice(of, *endpoints, namespace=NAMESPACE, **more):
    return kube.endpoint_slice(of, *(endpoints or [endpoint(HERE)]), namespace=namespace, version=DISCOVERY, **more)


# Objects may be nested deeper than Python's own bound.
sys.setrecursionlimit(20000)


def is_of_its_build(refusal):
    """Of a server before 1.23 that was built with Go 1.18 or newer, an empty string is null (go-openapi/validate, type.go)."""
    return VERSION < (1, 23) and 'in body must be of type string: "null"' in refusal


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.fields = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def lines(self):
        """Of a watch."""
        return [json.loads(line) for line in self.body.splitlines()]


class AdminConnection(http.client.HTTPConnection):
    """Through the kubectl proxy of run.py, with all rights that the kubeconfig gives."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(MADE["admin"])


class Cluster(kube.Cluster):
    """The agent in it has the rights of deploy/, and a token for that from the server."""

    def __init__(self, env, account=None):
        # Nothing of the class that starts the fake is wanted here.
        self.env = env
        self.server = MADE["server"]
        url = urllib.parse.urlsplit(self.server["server"])
        self.tls = url.scheme == "https"
        self.forward = forward.Forward(OUTSIDE, url.hostname, url.port or (443 if self.tls else 80))
        self.token_file = os.path.join(env.root, "token")
        self.set_token(self.new_token(account or MADE["account"]))
        self.flags = ["--node-name", NODE, "--watch-seconds", "60", "--status-seconds", "1", "--namespace", NAMESPACE]
        self.set_user({"tokenFile": "token"})
        for address in (HERE, THERE, ELSEWHERE):
            equal(env.run(["ip", "address", "add", f"{address}/32", "dev", "lo"]).returncode, 0, "exit status of ip")
        self.clear()

    def set_user(self, user):
        """Who the next agent is."""
        url = urllib.parse.urlsplit(self.server["server"])
        cluster = {**self.server, "server": f"{url.scheme}://127.0.0.1:{self.forward.port}{url.path.rstrip('/')}"}
        if self.tls and not cluster.get("insecure-skip-tls-verify"):
            cluster.setdefault("tls-server-name", url.hostname)
        self.kubeconfig = os.path.join(self.env.root, "kubeconfig")
        self.env.publish(self.kubeconfig, json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "agent",
            "contexts": [{"name": "agent", "context": {"cluster": "here", "user": "agent"}}],
            "clusters": [{"name": "here", "cluster": cluster}], "users": [{"name": "agent", "user": user}]}))

    # --- what somebody does in the cluster --------------------------------------------------------

    def kubectl(self, *args, given=None, fails=False, namespace=NAMESPACE):
        """What it says on standard output; with @fails, on standard error."""
        command = [*MADE["kubectl"], *([f"--namespace={namespace}"] if namespace else []), *args]
        done = subprocess.run(command, input=given, stdin=subprocess.DEVNULL if given is None else None, text=True,
                              capture_output=True, check=False, timeout=3 * harness.DEADLINE_S,
                              preexec_fn=lambda: isolation.setns(OUTSIDE))
        expect((done.returncode != 0) == fails, f"kubectl {' '.join(args)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stderr if fails else done.stdout

    def apply(self, *objects, fails=False, flags=()):
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        return self.kubectl("apply", "-f", "-", *flags, given=text, fails=fails, namespace=None)

    def delete(self, kind, name, namespace=NAMESPACE):
        self.kubectl("delete", kind, name, namespace=namespace)

    def clear(self):
        for namespace in (NAMESPACE, OTHER):
            for path in (f"{GROUP}/namespaces/{namespace}/ratelimits", f"/apis/{DISCOVERY}/namespaces/{namespace}/endpointslices",
                         *(f"/api/v1/namespaces/{namespace}/{kind}" for kind in ("services", "events", "pods"))):
                for item in self.admin("GET", path).json["items"]:
                    # Nobody but a kubelet ends a pod, where there is one.
                    self.admin("DELETE", f"{path}/{item['metadata']['name']}?gracePeriodSeconds=0")

    def admin(self, method, path, body=None, kind="application/json", patience_s=harness.DEADLINE_S):
        """One request, as it is."""
        connection = AdminConnection("localhost", timeout=patience_s)
        text = json.dumps(body) if isinstance(body, (dict, list)) else body
        try:
            connection.request(method, path, text, {"Content-Type": kind, "Accept": "application/json"} if text else {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def ask_as(self, token, method, path):
        """One request on the agent's way, by whoever has @token."""
        url = urllib.parse.urlsplit(self.server["server"])
        connection = http.client.HTTPConnection("127.0.0.1", self.forward.port, timeout=harness.DEADLINE_S)
        if self.tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = http.client.HTTPSConnection("127.0.0.1", self.forward.port, timeout=harness.DEADLINE_S, context=context)
        try:
            connection.request(method, url.path.rstrip("/") + path, headers={"Authorization": f"Bearer {token}"})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def new_token(self, account, seconds=3600):
        """Of the TokenRequest API."""
        answer = self.admin("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{account}/token", {
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": seconds}})
        equal(answer.status, 201, f"status of a TokenRequest ({answer.body[:300]})")
        return answer.json["status"]["token"]

    def claims(self):
        """Of the agent's token."""
        with open(self.token_file, encoding="ascii") as file:
            part = file.read().split(".")[1]
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))

    def define(self):
        """Install the definition, and wait until its objects can be listed."""
        # What an old API server's schema does not know yet, such as rules in CEL, it leaves out.
        self.kubectl("apply", "--validate=false", "-f", DEFINITION, namespace=None)
        self.answers()

    def undefine(self):
        """Every RateLimit goes with it."""
        self.kubectl("delete", "-f", DEFINITION, namespace=None)

    # --- what there is to see ---------------------------------------------------------------------

    def object(self, name="limit"):
        answer = self.admin("GET", f"{GROUP}/namespaces/{NAMESPACE}/ratelimits/{name}")
        equal(answer.status, 200, f"status of reading {name}")
        return answer.json

    def status(self, name="limit"):
        return self.object(name).get("status", {})

    def condition(self, kind, name="limit"):
        return next((found for found in self.status(name).get("conditions", []) if found["type"] == kind), {})

    def node(self, node=NODE, name="limit"):
        return next((found for found in self.status(name).get("nodes", []) if found["node"] == node), {})

    def wait_condition(self, kind, status, reason, name="limit"):
        wait_for(f"{kind} is {status} by {reason}",
                 lambda: [self.condition(kind, name).get(key) for key in ("status", "reason")] == [status, reason])
        return self.condition(kind, name)

    def events(self, reason, name="limit"):
        """The Events on a RateLimit, as kubectl describe finds them: by what is involved."""
        found = self.admin("GET", f"/api/v1/namespaces/{NAMESPACE}/events?fieldSelector="
                                  f"involvedObject.kind=RateLimit,involvedObject.name={name}").json
        return [event for event in found["items"] if event["reason"] == reason]

    def settled(self, name="limit"):
        """Nothing has been written for longer than the agents would wait with it."""
        seen = [None, 0]

        def rests():
            version = self.object(name)["metadata"]["resourceVersion"]
            if version != seen[0]:
                seen[:] = version, time.monotonic()
            return time.monotonic() - seen[1] > 2.5
        wait_for("nothing is written any more", rests)

    # --- traffic ----------------------------------------------------------------------------------

    def admitted(self, tries, host=HERE, port=PORT):
        """How many of @tries requests, each on its own connection, were answered 200."""
        statuses = [self.env.connect(port, host).ask(get()).status for _ in range(tries)]
        expect(set(statuses) <= {200, 429}, f"statuses {statuses}")
        return statuses.count(200)

    def serve(self, host=HERE, port=PORT):
        return self.env.server(host=host, port=port)

    # --- what goes wrong --------------------------------------------------------------------------

    def restart(self):
        """The API server ends, and is there again. Until back() the agent does not reach it."""
        if not MADE["restart"]:
            raise Skip("the command that has the API server start again is not given: RESTART")
        self.forward.close()
        with socket.socket(socket.AF_UNIX) as asked:
            asked.connect(MADE["restart"])
            said = asked.makefile().read()
        equal(said, "", "what the command of RESTART complains about")

    def answers(self):
        """Wait until it answers those who are not the agent."""
        def answered():
            try:
                return self.admin("GET", f"{GROUP}/namespaces/{NAMESPACE}/ratelimits").status == 200
            except OSError:
                return False
        wait_for("the API server answers", answered)

    def back(self):
        self.forward.open()

