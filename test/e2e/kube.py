# SPDX-License-Identifier: Apache-2.0
"""A cluster for the cases: an API server, and an agent that follows it."""

import json
import os

import harness
import apiserver
from certificates import Certificates
from client import expect
from harness import wait_for

NODE = "node-a"
OTHER_NODE = "node-b"
LIMIT = "3/day"


def ratelimit(name="limit", namespace="default", limit=LIMIT, at=harness.PORT, **spec):
    """On port @at of the loopback address, where @spec names no target."""
    if not set(spec) & {"service", "services", "targetRefs", "endpoints"}:
        spec["endpoints"] = [{"ip": "127.0.0.1", "port": at}]
    if "services" not in spec:
        spec.setdefault("rules", [{"name": "all", "limit": limit}])
    return {"apiVersion": "kmesh.net/v1alpha1", "kind": "RateLimit",
            "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def service(name, port=80, target_port=harness.PORT, namespace="default", ports=None, **spec):
    ports = ports or [{"name": "http", "protocol": "TCP", "port": port, "targetPort": target_port}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
            "spec": {"clusterIP": "None", "selector": {"app": name}, "ports": ports, **spec}}


def endpoint(*addresses, node=NODE, ready=True, **more):
    return {"addresses": list(addresses), "conditions": {"ready": ready}, "nodeName": node, **more}


def endpoint_slice(of, *endpoints, port=harness.PORT, namespace="default", kind="IPv4", suffix="x7k2p", ports=None,
                   version="discovery.k8s.io/v1"):
    return {"apiVersion": version, "kind": "EndpointSlice",
            "metadata": {"name": f"{of}-{suffix}", "namespace": namespace,
                         "labels": {"kubernetes.io/service-name": of}},
            "addressType": kind, "ports": ports or [{"name": "http", "protocol": "TCP", "port": port}],
            "endpoints": list(endpoints) or [endpoint("127.0.0.1")]}


def pod(name, *addresses, namespace="default", labels=None, account="default", owner=None, phase="Running", **spec):
    """With @addresses of its own, on no node that is named. @owner: (kind, name) of its controller."""
    metadata = {"name": name, "namespace": namespace, "labels": labels or {}}
    if owner:
        metadata["ownerReferences"] = [{"apiVersion": "apps/v1", "kind": owner[0], "name": owner[1], "uid": "u",
                                        "controller": True}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata,
            "spec": {"serviceAccountName": account, "containers": [{"name": "main", "image": "none"}], **spec},
            "status": {"phase": phase, **({"podIP": addresses[0], "podIPs": [{"ip": ip} for ip in addresses]}
                                          if addresses else {})}}


def namespace(name, **labels):
    return {"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name, **labels}}}


class Cluster:
    """@options: of ApiServer."""

    def __init__(self, env, tls=True, **options):
        self.env = env
        self.certs = None
        if tls:
            self.certs = Certificates(env.root)
            options.setdefault("certs", self.certs.sign("server", "/CN=kube-apiserver"))
        self.api = apiserver.ApiServer(**options)
        for name in (NODE, OTHER_NODE):
            self.api.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
        self.token_file = os.path.join(env.root, "token")
        self.set_token(self.api.token or "")
        self.flags = ["--node-name", NODE, "--watch-seconds", "60", "--status-seconds", "1"]
        self.write_kubeconfig()

    def set_token(self, token):
        self.env.publish(self.token_file, f"{token}\n")

    def write_kubeconfig(self, user=None, cluster=None):
        self.kubeconfig = os.path.join(self.env.root, "kubeconfig")
        cluster = {"server": self.api.url, **({"certificate-authority": "ca.crt"} if self.certs else {}),
                   **(cluster or {})}
        self.env.publish(self.kubeconfig, json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "here", "user": "agent"}}],
            "clusters": [{"name": "here", "cluster": cluster}],
            "users": [{"name": "agent", "user": user if user is not None else {"tokenFile": "token"}}]}))

    def start(self, *flags):
        self.env.source = ["--source", "kubernetes", "--kubeconfig", self.kubeconfig, *self.flags, *flags]
        return self.env.start_agent()

    def agent(self, *names, flags=()):
        """An agent that enforces the RateLimits @names."""
        agent = self.start(*flags)

        def ready():
            expect(agent.process.poll() is None,
                   f"the agent exited: {agent.text().strip().splitlines()[-1:]}")
            return "agent started" in agent.text() and self.env.lists(*names)

        wait_for(f"the agent lists {', '.join(names)}", ready)
        return agent

    def says(self, agent, text):
        """Wait until the agent's log has @text."""
        wait_for(f"the agent says {text!r}", lambda: text in agent.text())
