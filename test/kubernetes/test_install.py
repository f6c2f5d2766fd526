# SPDX-License-Identifier: Apache-2.0
"""What deploy/ and the chart make, given to a real API server, which keeps none of it."""

import os
import re
import subprocess

from client import Failure, equal, expect
from cluster import MADE, NAMESPACE, VERSION, Cluster, is_of_its_build
from harness import HERE as E2E, Skip, case, case_of_each

DEPLOY = os.path.join(os.path.dirname(os.path.dirname(E2E)), "deploy")
# The kustomizations need a kustomize that takes directories among its resources: that of kubectl 1.21.
OLDEST_KUBECTL = (1, 21)
# ValidatingAdmissionPolicy v1 and a container's appArmorProfile.
ALL_KNOWN = VERSION >= (1, 30)


def kubectl_version(cluster):
    found = re.search(r'"gitVersion": "v([0-9]+)\.([0-9]+)', cluster.kubectl("version", "--client", "-o", "json"))
    return int(found[1]), int(found[2])


def rendered(cluster, name):
    if kubectl_version(cluster) < OLDEST_KUBECTL:
        raise Skip(f"the kustomize of kubectl {'.'.join(map(str, kubectl_version(cluster)))} is too old")
    return cluster.kubectl("kustomize", os.path.join(DEPLOY, name))


def here(text):
    """@text, in the namespace of this run: the one that it names does not have to be there."""
    return re.sub(r"^(\s*namespace:) \"?kmesh-rl\"?$", rf"\1 {NAMESPACE}", text, flags=re.M)


def accepted(cluster, text, *flags):
    """Everything of @text is taken, on the client's side and by the server; the kinds of it."""
    for where in ("client", "server"):
        said = cluster.kubectl("apply", f"--dry-run={where}", *flags, "-f", "-", given=here(text), namespace=None)
        lines = said.splitlines()
        expect(lines and all(line.endswith(f"({'dry run' if where == 'client' else 'server dry run'})") for line in lines), said)
        kinds = {line.split("/")[0] for line in lines}
    return kinds


# As docs/kubernetes-install.md has it: an older server does not know each field of a definition.
LENIENT = [] if VERSION >= (1, 25) else ["--validate=false"]


@case
def deploy(env):
    cluster = Cluster(env)
    text = rendered(cluster, "" if ALL_KNOWN else "before-1.30")
    kinds = accepted(cluster, text, *LENIENT)
    expect({"daemonset.apps", "clusterrole.rbac.authorization.k8s.io"} <= kinds, f"{kinds}")


@case
def deploy_for_older_servers(env):
    cluster = Cluster(env)
    accepted(cluster, rendered(cluster, "before-1.30"), *LENIENT)


@case
def detach(env):
    cluster = Cluster(env)
    accepted(cluster, rendered(cluster, "detach"), *([] if ALL_KNOWN else ["--validate=false"]))


@case_of_each({"defaults": [], "of one namespace": ["--set=watchNamespace=default"]})
def chart(env, flags):
    cluster = Cluster(env)
    if not MADE["helm"]:
        raise Skip("no helm")
    version = [] if VERSION >= (1, 30) else [f"--kube-version={'.'.join(map(str, VERSION))}.0"]
    done = subprocess.run([MADE["helm"], "template", "kmesh-rl", os.path.join(DEPLOY, "chart/kmesh-rl"), "--include-crds",
                           "--namespace=kmesh-rl", *version, *flags], capture_output=True, text=True, check=False)
    equal(done.returncode, 0, f"exit status of helm ({done.stderr.strip()})")
    accepted(cluster, done.stdout, *LENIENT)


@case
def examples(env):
    """Each document of deploy/examples, in this run's namespace."""
    cluster = Cluster(env)
    for directory, _, names in sorted(os.walk(os.path.join(DEPLOY, "examples"))):
        for name in sorted(names):
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                text = re.sub(r"(metadata: \{[^}]*namespace:|^  namespace:) [a-z0-9-]+", rf"\1 {NAMESPACE}", file.read(), flags=re.M)
            # Which addresses Services may have is the cluster's affair.
            text = re.sub(r"\bclusterIP: [0-9.]+,?", "", text)
            # Of a directory: a cluster makes its slices itself, and has none with loopback addresses.
            if "EndpointSlice" in text:
                continue
            try:
                cluster.kubectl("apply", "--dry-run=server", "-f", "-", given=text)
            except Failure as failure:
                expect(is_of_its_build(str(failure)), f"{name}: {failure}")
