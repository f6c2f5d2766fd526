# SPDX-License-Identifier: Apache-2.0
"""Who the API server is to the agent, and the agent to it."""

import base64
import json
import os

import apiserver
import isolation
from client import equal, expect
from harness import case, wait_for
from kube import Cluster, ratelimit


def encoded(path):
    with open(path, "rb") as file:
        return base64.b64encode(file.read()).decode()


def cluster_of(env, **options):
    cluster = Cluster(env, **options)
    cluster.api.put(ratelimit("limit"))
    return cluster


@case
def kube_tokens_rotate(env):
    """A 401 has the token read anew; so has each request."""
    cluster = cluster_of(env)
    cluster.agent("limit")
    wait_for("a watch", lambda: cluster.api.watches)
    cluster.api.token = "second"
    cluster.set_token("second")
    cluster.api.reset()
    cluster.api.put(ratelimit("second", at=9000))
    wait_for("an edit under the second token", lambda: env.lists("second"))
    cluster.api.token = "third"
    cluster.api.reset()
    refused = len(cluster.api.requests)
    wait_for("a request under the old token", lambda: len(cluster.api.requests) > refused)
    cluster.set_token("third")
    cluster.api.put(ratelimit("third", at=9001))
    wait_for("an edit under the third token", lambda: env.lists("third"))


@case
def kube_bad_tokens(env):
    """No token, one of two lines, and none at all: said, never sent as part of a head."""
    cluster = cluster_of(env)
    cluster.set_token("secret\r\nX-Evil: 1")
    agent = cluster.start()
    cluster.says(agent, f"{cluster.token_file}: empty, or more than one word")
    equal(cluster.api.requests, [], "requests")
    os.unlink(cluster.token_file)
    cluster.says(agent, f"{cluster.token_file}: No such file or directory")
    cluster.set_token("wrong")
    cluster.says(agent, "RateLimits: 401 Unauthorized")
    cluster.set_token("secret")
    wait_for("the RateLimit", lambda: env.lists("limit"))
    expect("secret" not in agent.text(), "the token is in the log")


@case
def kube_credentials_in_the_file(env):
    """A token and the CA in the kubeconfig itself; a name for the certificate that is not the host's."""
    cluster = Cluster(env)
    cluster.api.put(ratelimit("limit"))
    cluster.write_kubeconfig({"token": "secret"}, {"certificate-authority": None,
                                                   "certificate-authority-data": encoded(cluster.certs.ca)})
    cluster.agent("limit").terminate()
    cluster.api.stop()
    named = apiserver.ApiServer(cluster.certs.sign("named", "/CN=kube-apiserver", "DNS:kubernetes.default.svc"))
    named.put(ratelimit("named"))
    cluster.api = named
    cluster.write_kubeconfig({"token": "secret"})
    cluster.says(cluster.start(), "no alternative certificate subject name matches")
    env.agents[-1].terminate()
    cluster.write_kubeconfig({"token": "secret"}, {"tls-server-name": "kubernetes.default.svc"})
    cluster.agent("named")
    equal(named.requests[0][3]["Host"], f"kubernetes.default.svc:{named.port}", "the host asked for")


@case
def kube_client_certificates(env):
    """In files and in the kubeconfig; without one, the server says no."""
    cluster = Cluster(env)
    cert, key = cluster.certs.sign("client", "/CN=agent", "DNS:agent")
    server = cluster.certs.sign("strict", "/CN=kube-apiserver")
    cluster.api = apiserver.ApiServer(server, token=None, client_ca=cluster.certs.ca)
    cluster.api.put(ratelimit("limit"))
    cluster.write_kubeconfig({})
    cluster.says(cluster.start(), "the limits in force stay")
    env.agents[-1].terminate()
    cluster.write_kubeconfig({"client-certificate": "client.crt", "client-key": key})
    cluster.agent("limit").terminate()
    cluster.write_kubeconfig({"client-certificate-data": encoded(cert), "client-key-data": encoded(key)})
    cluster.agent("limit")


@case
def kube_passwords(env):
    cluster = cluster_of(env)
    cluster.api.token = None
    cluster.write_kubeconfig({"username": "user", "password": "pass:word"})
    cluster.agent("limit")
    equal({headers["Authorization"] for _, _, _, headers in cluster.api.requests},
          {"Basic " + base64.b64encode(b"user:pass:word").decode()}, "credentials sent")


@case
def kube_certificates(env):
    """Of an unknown CA, expired, for another name: nothing is asked of such a server, but where the kubeconfig says
    so."""
    cluster = cluster_of(env)
    cluster.certs.other_ca("strange")
    wrong = {"strange": (cluster.certs.sign("a", "/CN=x", ca="strange"), "unable to get local issuer certificate"),
             "expired": (cluster.certs.sign("b", "/CN=x", days="-1"), "certificate has expired"),
             "other": (cluster.certs.sign("c", "/CN=x", "DNS:example.com"), "no alternative certificate subject name")}
    cluster.api.stop()
    for certs, complaint in wrong.values():
        cluster.api = apiserver.ApiServer(certs)
        cluster.api.put(ratelimit("limit"))
        cluster.write_kubeconfig()
        agent = cluster.start()
        cluster.says(agent, complaint)
        agent.terminate()
        equal(cluster.api.requests, [], "requests")
    cluster.write_kubeconfig(cluster={"certificate-authority": None, "insecure-skip-tls-verify": True})
    cluster.agent("limit")


@case
def kube_in_a_pod(env):
    """What a pod is given: two variables, and the files of its service account."""
    cluster = cluster_of(env)
    isolation.mount_tmpfs("/run")
    account = "/var/run/secrets/kubernetes.io/serviceaccount"
    os.makedirs(account)
    for name, text in (("token", "secret"), ("ca.crt", open(cluster.certs.ca, encoding="ascii").read()),
                       ("namespace", "kmesh-system")):
        with open(f"{account}/{name}", "w", encoding="ascii") as file:
            file.write(text)
    env.source = ["--source", "kubernetes"]
    os.environ.update(KUBERNETES_SERVICE_HOST="127.0.0.1", KUBERNETES_SERVICE_PORT=str(cluster.api.port))
    env.agent("limit")
    cluster.api.token = "rotated"
    with open(f"{account}/token.new", "w", encoding="ascii") as file:
        file.write("rotated")
    os.rename(f"{account}/token.new", f"{account}/token")
    cluster.api.reset()
    cluster.api.put(ratelimit("second", at=9000))
    wait_for("an edit under the new token", lambda: env.lists("second"))
    env.agents[-1].terminate()
    cluster.api.put(ratelimit("own", "kmesh-system", at=9001))
    env.source = ["--source", "kubernetes", "--namespace", "."]
    env.agent("own")
    wait_for("what is of its own namespace", lambda: [item["name"] for item in env.stats()] == ["own"])


@case
def kube_refused_starts(env):
    """One line that says what is missing, and nothing left behind."""
    cluster = cluster_of(env, tls=False)
    config = cluster.kubeconfig

    def refused(text, *flags):
        agent = cluster.start(*flags)
        equal(agent.process.wait(10), 1, "exit status")
        equal(agent.text().strip().splitlines(), [f"kmesh-rl-agent: {text}"], "what is said")

    exec_plugin = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "aws"}}
    cluster.write_kubeconfig(exec_plugin)
    refused(f"{config}:1:{column_of(config, exec_plugin['exec'])}: exec: no program is run for credentials: give a "
            "token, a tokenFile or a client certificate")
    env.publish(config, "{}")
    refused(f"{config}:1:1: current-context is missing")
    env.publish(config, "current-context: a\ncontexts: []\n")
    refused(f'{config}:1:18: current-context: there is no context "a"')
    env.publish(config, "a: [")
    refused(f"{config}:2:1: YAML: did not find expected node content")
    cluster.write_kubeconfig()
    refused("--namespace .: the current context does not say which", "--namespace", ".")
    os.unlink(config)
    refused(f"reading {config}: No such file or directory")
    env.source = ["--source", "kubernetes"]
    agent = env.start_agent()
    equal(agent.process.wait(10), 1, "exit status")
    expect("so this is no pod: give --kubeconfig FILE" in agent.text(), agent.text())
    equal(env.pins(), [], "pins")


def column_of(path, value):
    with open(path, encoding="utf-8") as file:
        return file.read().index(json.dumps(value)) + 1
