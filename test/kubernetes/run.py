# SPDX-License-Identifier: Apache-2.0
"""The end-to-end cases against a real API server, of a cluster or alone, with kubectl: what they need there is made, in
namespaces of its own and with the rights of deploy/, and taken away again, whatever happens.

    run.py --kubeconfig FILE [--kubectl PROGRAM] [--build build] [--helm PROGRAM] [--restart COMMAND] [--only PART,...]
           [--results FILE]

--restart: a shell command that ends the API server and has it start again. Without it the case of that is skipped.
"""

import argparse
import contextlib
import json
import os
import re
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
DEADLINE_S = 60
# Where nothing has been done with a new namespace for so long, there are no controllers.
CONTROLLERS_S = 10
DEFINITION = "customresourcedefinition/ratelimits.kmesh.net"
POLICY = "validatingadmissionpolicy/ratelimits.kmesh.net"
MINE = ["ratelimits.kmesh.net", "endpointslices", "services", "events", "pods"]


class Unusable(Exception):
    """There is nothing to run the cases against; the text says why."""


class Kubectl:
    def __init__(self, program, kubeconfig, cache):
        self.command = [program, f"--kubeconfig={kubeconfig}", f"--cache-dir={cache}"]

    def __call__(self, *args, given=None):
        """Its standard output; Unusable with its complaint."""
        done = subprocess.run([*self.command, *args], input=given, stdin=subprocess.DEVNULL if given is None else None,
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unusable(f"kubectl {' '.join(args[:3])}: {done.stderr.strip()}")
        return done.stdout

    def json(self, *args):
        return json.loads(self(*args, "-o", "json"))

    def has(self, *what):
        try:
            return bool(self("get", *what, "--ignore-not-found", "-o", "name").strip())
        except Unusable:
            return False


def wait_for(what, probe, deadline_s=DEADLINE_S):
    until = time.monotonic() + deadline_s
    while not probe():
        if time.monotonic() > until:
            raise Unusable(f"waited in vain: {what}")
        time.sleep(0.2)


class Cluster:
    """What the cases need in the cluster. @leave: an ExitStack, which takes it away."""

    def __init__(self, kubectl, root, leave):
        self.kubectl, self.root, self.leave = kubectl, root, leave
        self.name = f"krl-e2e-{secrets.token_hex(3)}"
        self.namespaces = [self.name, f"{self.name}-other"]

    def file(self, name, text):
        path = os.path.join(self.root, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def proxy(self):
        """The API server with the rights of the kubeconfig, whatever they come from, on a socket in the file system, which
        is reached from every network namespace."""
        path = os.path.join(self.root, "admin.sock")
        process = subprocess.Popen([*self.kubectl.command, "proxy", f"--unix-socket={path}"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.leave.callback(process.wait)
        self.leave.callback(process.terminate)
        wait_for("kubectl proxy listens", lambda: os.path.exists(path))
        return path

    def restarts(self, command):
        """A socket in the file system: whoever connects has @command run here, outside of the case's namespaces, and is
        told what it complains about."""
        path = os.path.join(self.root, "restart.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()

        def serve():
            while True:
                asked, _ = listener.accept()
                with asked, tempfile.TemporaryFile("w+") as said:
                    done = subprocess.run(command, shell=True, stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False)
                    said.seek(0)
                    asked.sendall((f"exit status {done.returncode}: {said.read()}" if done.returncode else "").encode())
        threading.Thread(target=serve, daemon=True).start()
        return path

    def server(self):
        """Where it is, and whose certificate it has, for agents."""
        config = json.loads(self.kubectl("config", "view", "--minify", "--raw", "--flatten", "-o", "json"))
        cluster = config["clusters"][0]["cluster"]
        if cluster.get("proxy-url"):
            raise Unusable("an API server behind proxy-url is out of reach of these cases")
        return {key: cluster[key] for key in ("server", "certificate-authority-data", "insecure-skip-tls-verify",
                                              "tls-server-name") if cluster.get(key)}

    def install(self):
        """The definition and the policy, unless they are there: then they are as they are, and stay."""
        for resource, source in ((DEFINITION, ["-k", f"{TOP}/crds"]), (POLICY, ["-f", f"{TOP}/deploy/admission.yaml"])):
            if resource == POLICY and not self.has_policies():
                continue
            if self.kubectl.has(resource):
                continue
            self.leave.callback(self.kubectl, "delete", "--ignore-not-found", *source)
            # What an old API server's schema does not know yet, such as rules in CEL, it leaves out.
            self.kubectl("apply", "--validate=false", *source)
        wait_for("RateLimits can be listed", self.can_list)

    def can_list(self):
        try:
            return self.kubectl("get", "--raw", f"/apis/kmesh.net/v1alpha1/namespaces/{self.name}/ratelimits")
        except Unusable:
            return False

    def has_policies(self):
        known = json.loads(self.kubectl("get", "--raw", "/apis/admissionregistration.k8s.io/v1"))
        return any(resource["name"] == "validatingadmissionpolicies" for resource in known["resources"])

    def make_namespaces(self):
        for namespace in self.namespaces:
            self.leave.callback(self.end_namespace, namespace)
            self.kubectl("create", "namespace", namespace)

    def end_namespace(self, namespace):
        self.kubectl("delete", "namespace", namespace, "--wait=false")
        if not self.is_bare():
            wait_for(f"{namespace} is gone", lambda: not self.kubectl.has("namespace", namespace), 120)
            return
        # Without controllers nobody else empties it and says so.
        for kind in MINE:
            if kind != MINE[0] or self.kubectl.has(DEFINITION):
                # A pod has no kubelet that would end it.
                self.kubectl("delete", kind, "--all", "-n", namespace, "--force", "--grace-period=0")
        found = self.kubectl.json("get", "namespace", namespace)
        found["spec"]["finalizers"] = []
        self.kubectl("replace", "--raw", f"/api/v1/namespaces/{namespace}/finalize",
                     "-f", self.file("namespace.json", json.dumps(found)))

    def is_bare(self):
        """Whether it is an API server alone, without the controllers of a cluster, one of which gives each namespace a
        service account."""
        if not hasattr(self, "bare"):
            with contextlib.suppress(Unusable):
                wait_for("a service account", lambda: self.kubectl.has("serviceaccount", "default", "-n", self.name),
                         CONTROLLERS_S)
            self.bare = not self.kubectl.has("serviceaccount", "default", "-n", self.name)
        return self.bare

    def account(self):
        """The service account of deploy/, with its rights, by another name: in a cluster that has kmesh-rl, that stays."""
        with open(f"{TOP}/deploy/base/rbac.yaml", encoding="utf-8") as file:
            rbac = file.read().replace("kmesh-rl-agent", self.name).replace("namespace: kmesh-rl", f"namespace: {self.name}")
        path = self.file("rbac.yaml", rbac)
        self.leave.callback(self.kubectl, "delete", "--ignore-not-found", "-f", path)
        self.kubectl("apply", "-f", path)
        return self.name

    def make(self, helm, restart):
        """What test/kubernetes/cluster.py works with."""
        version = self.kubectl.json("version")["serverVersion"]["gitVersion"]
        self.make_namespaces()
        definition_was_there = self.kubectl.has(DEFINITION)
        self.install()
        return {"namespaces": self.namespaces, "account": self.account(), "kubectl": self.kubectl.command,
                "admin": self.proxy(), "server": self.server(),
                "restart": self.restarts(restart) if restart else None, "helm": helm,
                "version": [int(part) for part in re.match(r"v(\d+)\.(\d+)", version).groups()],
                "git_version": version, "bare": self.is_bare(), "owned": not definition_was_there,
                "policies": self.has_policies()}


class Ended(Exception):
    pass


def end(number, _):
    raise Ended(number)


def run(options, kubectl, root):
    with contextlib.ExitStack() as leave:
        cluster = Cluster(kubectl, root, leave).make(options.helm, options.restart)
        print(f"API server {cluster['git_version']}, {'alone' if cluster['bare'] else 'with controllers'}, by kubectl "
              f"{kubectl.json('version', '--client')['clientVersion']['gitVersion']}", flush=True)
        command = [sys.executable, os.path.join(TOP, "test/e2e/run.py"), "--suites", HERE, "--build", options.build,
                   "--jobs", "1", *(["--results", options.results] if options.results else []),
                   *(["--only", options.only] if options.only else [])]
        with subprocess.Popen(command, env={**os.environ, "KRL_CLUSTER": json.dumps(cluster)}) as cases:
            try:
                return cases.wait()
            finally:
                cases.terminate()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--kubectl", default="kubectl")
    parser.add_argument("--build", default="build")
    parser.add_argument("--helm")
    parser.add_argument("--restart")
    parser.add_argument("--only")
    parser.add_argument("--results")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    try:
        with tempfile.TemporaryDirectory(prefix="krl-kubernetes-") as root:
            kubectl = Kubectl(shlex.split(options.kubectl)[0], os.path.abspath(options.kubeconfig), os.path.join(root, "cache"))
            return run(options, kubectl, root)
    except (Unusable, OSError) as error:
        print(f"e2e-kubernetes: {error}", file=sys.stderr)
        return 1
    except Ended as ended:
        return 128 + ended.args[0]


if __name__ == "__main__":
    sys.exit(main())
