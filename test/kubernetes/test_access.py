# SPDX-License-Identifier: Apache-2.0
"""Who the agent is to a real API server: the service account of deploy/ and its rights, tokens, certificates."""

import base64
import json

from client import equal, expect
from cluster import GROUP, MADE, NAMESPACE, Cluster, ratelimit
from harness import Skip, case, wait_for

MAY = [("list", "kmesh.net", "ratelimits"), ("watch", "kmesh.net", "ratelimits"), ("list", "", "services"),
       ("watch", "", "services"), ("list", "discovery.k8s.io", "endpointslices"),
       ("watch", "discovery.k8s.io", "endpointslices"), ("list", "", "pods"), ("watch", "", "pods"), ("list", "", "namespaces"),
       ("watch", "", "namespaces"), ("get", "", "nodes"), ("patch", "kmesh.net", "ratelimits/status"),
       ("create", "", "events"), ("patch", "", "events")]
MAY_NOT = [("get", "", "secrets"), ("list", "", "secrets"), ("list", "", "nodes"), ("get", "", "configmaps"),
           ("patch", "kmesh.net", "ratelimits"), ("update", "kmesh.net", "ratelimits"), ("delete", "kmesh.net", "ratelimits"),
           ("create", "kmesh.net", "ratelimits"), ("update", "kmesh.net", "ratelimits/status"), ("create", "", "pods"),
           ("patch", "", "services"), ("delete", "", "events"), ("escalate", "rbac.authorization.k8s.io", "clusterroles"),
           ("create", "", "serviceaccounts/token")]


def may(cluster, verb, group, resource):
    """Whether the service account may, in all namespaces."""
    resource, _, subresource = resource.partition("/")
    answer = cluster.admin("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
            "user": f"system:serviceaccount:{NAMESPACE}:{MADE['account']}",
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated"],
            "resourceAttributes": {"verb": verb, "group": group, "resource": resource, "subresource": subresource}}})
    equal(answer.status, 201, "status of a SubjectAccessReview")
    return answer.json["status"]["allowed"]


@case
def rights_as_shipped(env):
    cluster = Cluster(env)
    if may(cluster, "get", "example.com", "anything"):
        raise Skip("the server allows everything: it was not started with --authorization-mode=RBAC")
    equal([asked for asked in MAY if not may(cluster, *asked)], [], "what it may not, and needs")
    equal([asked for asked in MAY_NOT if may(cluster, *asked)], [], "what it may, and does not need")
    equal(cluster.claims()["sub"], f"system:serviceaccount:{NAMESPACE}:{MADE['account']}", "whose the agent's token is")


@case
def without_rights(env):
    """A service account without any: said, and over as soon as it has them."""
    cluster = Cluster(env)
    cluster.kubectl("create", "serviceaccount", "nobody")
    try:
        cluster.set_token(cluster.new_token("nobody"))
        cluster.apply(ratelimit())
        agent = cluster.start()
        cluster.says(agent, "RateLimits: 403 ")
        cluster.set_token(cluster.new_token(MADE["account"]))
        wait_for("the RateLimit", lambda: env.lists("limit"))
    finally:
        cluster.kubectl("delete", "serviceaccount", "nobody")


@case
def tokens_rotate(env):
    """One that is not valid any more is read anew, with each request."""
    cluster = Cluster(env)
    cluster.apply(ratelimit())
    agent = cluster.agent("limit")
    good = cluster.new_token(MADE["account"])
    head, claims, signature = good.split(".")
    cluster.set_token(f"{head}.{claims}.{signature[::-1]}")
    cluster.forward.cut()
    cluster.says(agent, "401 Unauthorized")
    cluster.set_token(good)
    cluster.apply(ratelimit("second", at=9000))
    wait_for("an edit under the new token", lambda: env.lists("limit", "second"))
    expect(good not in agent.text(), "the token is in the log")


@case
def other_certificates(env):
    """The server's certificate is for it alone: by another name, or from another CA, nothing is asked of it."""
    cluster = Cluster(env)
    if not cluster.tls or cluster.server.get("insecure-skip-tls-verify"):
        raise Skip("the kubeconfig has no TLS, or does not have it verified")
    cluster.apply(ratelimit())
    with open(cluster.kubeconfig, encoding="utf-8") as file:
        config = json.load(file)
    named = config["clusters"][0]["cluster"]
    right = dict(named)
    for change, complaint in (({"tls-server-name": "not.this.example"}, "no alternative certificate subject name matches"),
                              ({"certificate-authority-data": base64.b64encode(other_ca(env)).decode()},
                               "certificate")):
        named.clear()
        named.update({**right, **change})
        env.publish(cluster.kubeconfig, json.dumps(config))
        agent = cluster.start()
        cluster.says(agent, complaint)
        agent.terminate()
    equal(env.stats(), [], "RateLimits in force")


def other_ca(env):
    path = f"{env.root}/other.crt"
    equal(env.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                   "-subj", "/CN=other", "-keyout", f"{env.root}/other.key", "-out", path]).returncode, 0, "exit status of openssl")
    with open(path, "rb") as file:
        return file.read()


@case
def client_certificate(env):
    """Where the kubeconfig has one, the agent may be who it is of."""
    cluster = Cluster(env)
    user = json.loads(cluster.kubectl("config", "view", "--minify", "--raw", "--flatten", "-o", "json"))["users"][0]["user"]
    if not user.get("client-certificate-data"):
        raise Skip("the kubeconfig has no client certificate")
    cluster.set_user({key: user[key] for key in ("client-certificate-data", "client-key-data")})
    cluster.apply(ratelimit())
    agent = cluster.agent("limit")
    cluster.wait_condition("Programmed", "True", "Programmed")
    expect("not written" not in agent.text(), agent.text())


@case
def kubectl_describes_who(env):
    """The Event is of the agent, by its service account; the object is the user's own."""
    cluster = Cluster(env)
    cluster.apply(ratelimit())
    cluster.agent("limit")
    wait_for("the Event", lambda: cluster.events("Programmed"))
    event, = cluster.events("Programmed")
    equal([event["reportingComponent"], event["involvedObject"]["uid"]],
          ["kmesh-rl-agent", cluster.object()["metadata"]["uid"]], "the Event")
    newer = cluster.admin("GET", f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events").json["items"]
    equal([(found["reason"], found["regarding"]["name"], found["deprecatedCount"]) for found in newer],
          [("Programmed", "limit", 1)], "as events.k8s.io has it")
    equal(cluster.admin("GET", f"{GROUP}/namespaces/{NAMESPACE}/ratelimits").json["items"][0]["metadata"]["generation"], 1,
          "the generation, of which the status is no part")
