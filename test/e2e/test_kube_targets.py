# SPDX-License-Identifier: Apache-2.0
"""Which services a RateLimit of an API server is for: targetRefs, and ports by name."""

import documents
from client import equal
from harness import PORT, admitted, case, take, wait_for
from kube import Cluster, endpoint_slice, ratelimit, service

OTHER = 9000
TWO_PORTS = [{"name": "api", "port": 80, "targetPort": "http-api"}, {"name": "admin", "port": 81, "targetPort": OTHER}]


def ref(name, section=None, kind="Service", group=""):
    return {"group": group, "kind": kind, "name": name, **({"sectionName": section} if section else {})}


def put_web(api):
    """A service with two ports, each of them served."""
    api.put(service("web", ports=TWO_PORTS))
    api.put(endpoint_slice("web", ports=[{"name": "api", "port": PORT, "protocol": "TCP"},
                                         {"name": "admin", "port": OTHER, "protocol": "TCP"}]))


def services_of(env, name="limit"):
    return sorted(item["service"] for item in env.stats() if item["name"] == name)


@case
def kube_target_refs(env):
    """Each Service has the rules, and buckets of its own; one that is taken out is not limited any more, and those that
    stay keep what was counted."""
    cluster = Cluster(env)
    for name, port in (("web", PORT), ("api", OTHER)):
        cluster.api.put(service(name, target_port=port))
        cluster.api.put(endpoint_slice(name, port=port))
    cluster.api.put(ratelimit("limit", targetRefs=[ref("web"), ref("api")]))
    cluster.agent("limit")
    env.server()
    env.server(port=OTHER)
    wait_for("both services", lambda: services_of(env) == ["api", "web"])
    equal(admitted(env, 5), 3, "requests admitted by the one service")
    equal(admitted(env, 2, OTHER), 2, "... and by the other")
    cluster.api.put(ratelimit("limit", targetRefs=[ref("api")]))
    wait_for("one service", lambda: services_of(env) == ["api"])
    equal(admitted(env, 4), 4, "requests admitted by the one that is not referred to")
    equal(admitted(env, 5, OTHER), 1, "... by the other, which had two already")


@case
def kube_target_ref_in_place_of_service(env):
    """A reference to a service is the same target as its name."""
    cluster = Cluster(env)
    put_web(cluster.api)
    cluster.api.put(ratelimit("limit", service="web", port="api"))
    cluster.agent("limit")
    env.server()
    take(env, 2)
    cluster.api.put(ratelimit("limit", targetRefs=[ref("web", "api")], limit="4/day"))
    wait_for("the edit", lambda: env.item()["maxTokens"] == 4)
    equal(admitted(env, 5), 1, "requests admitted of four, since two were before and no token came with the edit")


@case
def kube_section_is_a_port(env):
    """By the name that the port has in the Service, though the pods call it otherwise; the other port is not limited."""
    cluster = Cluster(env)
    put_web(cluster.api)
    cluster.api.put(ratelimit("limit", targetRefs=[ref("web", "api")]))
    cluster.agent("limit")
    env.server()
    env.server(port=OTHER)
    equal([env.item()["service"], env.item()["endpoints"]], ["web:api", 1], "service and endpoints")
    equal(admitted(env, 5), 3, "requests admitted on the port")
    equal(admitted(env, 5, OTHER), 5, "requests admitted on the other port")


@case
def kube_port_by_name(env):
    """service and services have ports by name as well as by number."""
    cluster = Cluster(env)
    put_web(cluster.api)
    cluster.api.put(ratelimit("limit", services=[
        {"name": "web", "port": "api", "rules": [{"name": "all", "limit": "2/day"}]},
        {"name": "web", "port": 81, "rules": [{"name": "all", "limit": "4/day"}]}]))
    cluster.agent("limit")
    env.server()
    env.server(port=OTHER)
    wait_for("both ports", lambda: [item["endpoints"] for item in env.stats()] == [1, 1])
    equal(services_of(env), ["web:81", "web:api"], "services")
    equal(admitted(env, 5), 2, "requests admitted on the port that is named")
    equal(admitted(env, 5, OTHER), 4, "requests admitted on the port that is numbered")


@case
def kube_port_comes_later(env):
    """A port that the Service does not have is said, in the log and the status, and limited when it is there."""
    cluster = Cluster(env)
    cluster.api.put(service("web"))
    cluster.api.put(endpoint_slice("web"))
    cluster.api.put(ratelimit("limit", targetRefs=[ref("web", "admin")]))
    agent = cluster.agent()
    env.server(port=OTHER)
    cluster.says(agent, "RateLimit default/limit waits: service web has no port admin")

    def programmed():
        return next((found for found in cluster.api.status().get("conditions", []) if found["type"] == "Programmed"), {})
    wait_for("the status", lambda: programmed().get("reason") == "ServiceNotFound")
    equal(programmed()["message"], "service web has no port admin", "message")
    put_web(cluster.api)
    wait_for("its endpoint", lambda: env.lists("limit") and env.item()["endpoints"] == 1)
    equal(admitted(env, 5, OTHER), 3, "requests admitted")
    wait_for("the status", lambda: programmed().get("reason") == "Programmed")


@case
def kube_route_is_refused(env):
    """With what to write in its place; what was in force stays."""
    cluster = Cluster(env)
    cluster.api.put(service("web"))
    cluster.api.put(endpoint_slice("web"))
    cluster.api.put(ratelimit("limit", targetRefs=[ref("web")]))
    agent = cluster.agent("limit")
    env.server()
    cluster.api.put(ratelimit("limit", targetRefs=[ref("web", kind="HTTPRoute", group="gateway.networking.k8s.io")]))
    cluster.says(agent, "RateLimit default/limit: spec.targetRefs[0].kind: HTTPRoute has no endpoints: refer to the "
                        "Services in its backendRefs")
    equal(admitted(env, 5), 3, "requests admitted")
    wait_for("the status", lambda: "Invalid" in {found["reason"] for found in cluster.api.status().get("conditions", [])})
    equal(cluster.api.status()["service"], "web", "what is said to be protected")


@case
def references_in_a_directory(env):
    """Service and EndpointSlice as documents beside the RateLimit."""
    limit = documents.service_ratelimit("limit", "web", limit="3/day").replace(
        "  service: web\n", '  targetRefs: [{group: "", kind: Service, name: web, sectionName: http}]\n')
    env.write("web.yaml", documents.several(limit, documents.service("web", 80, PORT),
                                            documents.endpoint_slice("web", PORT)))
    env.agent("limit")
    env.server()
    equal([env.item()["service"], env.item()["endpoints"]], ["web:http", 1], "service and endpoints")
    equal(admitted(env, 5), 3, "requests admitted")
