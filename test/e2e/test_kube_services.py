# SPDX-License-Identifier: Apache-2.0
"""Services of every kind, and what their endpoints are on a node."""

from client import equal, get
from harness import PORT, admitted, case, need_ipv6, wait_for
from kube import NODE, OTHER_NODE, Cluster, endpoint, endpoint_slice, pod, ratelimit, service
from peers import pods_here

OTHER = 9000
CLUSTER_IP = "10.96.0.10"
CLIENT = "0a1b2c3d-0000-4000-8000-000000000000"


def statuses(env, count, port=PORT, host="127.0.0.1"):
    return [env.connect(port, host).ask(get()).status for _ in range(count)]


def wait_endpoints(env, count):
    wait_for(f"{count} endpoints", lambda: env.lists("limit") and env.item()["endpoints"] == count)


@case
def kube_headless_or_not(env):
    """What is served are the endpoints, with and without an address of the service itself: the port is its number in the
    Service."""
    cluster = Cluster(env)
    cluster.api.put(service("web", clusterIP=CLUSTER_IP, clusterIPs=[CLUSTER_IP]))
    cluster.api.put(endpoint_slice("web"))
    cluster.api.put(ratelimit("limit", service="web", port=80))
    cluster.agent("limit")
    env.server()
    wait_endpoints(env, 1)
    equal(admitted(env, 2), 2, "requests admitted with an address of the service")
    cluster.api.put(service("web", clusterIP="None", clusterIPs=["None"]))
    cluster.api.put(ratelimit("limit", service="web", port=80, limit="4/day"))
    wait_for("the edit", lambda: env.item()["maxTokens"] == 4)
    equal([admitted(env, 4), env.item()["endpoints"]], [1, 1], "requests admitted without one, of four, and endpoints")


@case
def kube_dialled_headless_or_not(env):
    """What the pods here dial: the endpoints on all nodes, and the addresses of the service, if it has any."""
    cluster = Cluster(env)
    with pods_here(env, client=CLIENT) as peers:
        client = pod("client", nodeName=NODE)
        client["metadata"]["uid"] = CLIENT
        cluster.api.put(client)
        cluster.api.put(service("web"))
        cluster.api.put(endpoint_slice("web", endpoint("127.0.0.1"),
                                       endpoint(peers["client"].server, node=OTHER_NODE)))
        cluster.api.put(ratelimit("limit", service="web", direction="Outbound"))
        agent = cluster.agent("limit")
        cluster.says(agent, f"pod {CLIENT}")
        env.server(host="0.0.0.0")
        wait_endpoints(env, 2)
        equal(peers["client"].admitted(5), 3, "requests admitted to the one on another node")
        cluster.api.put(service("web", clusterIP=CLUSTER_IP, clusterIPs=[CLUSTER_IP, "2001:db8::10"]))
        wait_endpoints(env, 4)


@case
def kube_host_network(env):
    """A pod on the host's network has the address of its node, and listens on all of them: it is limited where the slice
    says, and another one on another port is not."""
    cluster = Cluster(env)
    cluster.api.put(service("web"))
    cluster.api.put(endpoint_slice("web"))
    cluster.api.put(ratelimit("limit", service="web"))
    cluster.agent("limit")
    env.server(host="0.0.0.0")
    env.server(host="0.0.0.0", port=OTHER)
    wait_endpoints(env, 1)
    equal(statuses(env, 5), [200] * 3 + [429] * 2, "answers of the service")
    equal(statuses(env, 5, OTHER), [200] * 5, "answers of another process on the same address")
    equal(statuses(env, 5, host="127.0.0.2"), [200] * 5, "answers at an address that is not in the slice")


@case
def kube_port_names_of_pods(env):
    """A targetPort by name is another number in other pods: a slice for each number, with the name of the port."""
    cluster = Cluster(env)
    cluster.api.put(service("web", target_port="serve"))
    cluster.api.put(endpoint_slice("web", endpoint("127.0.0.1"), suffix="old"))
    cluster.api.put(endpoint_slice("web", endpoint("127.0.0.2"), suffix="new", port=OTHER))
    cluster.api.put(ratelimit("limit", service="web", port="http"))
    cluster.agent("limit")
    env.server()
    env.server(host="127.0.0.2", port=OTHER)
    wait_endpoints(env, 2)
    equal(statuses(env, 5), [200] * 3 + [429] * 2, "answers of the old pod")
    equal(statuses(env, 5, OTHER, "127.0.0.2"), [200] * 3 + [429] * 2, "answers of the new one")


@case
def kube_one_endpoint_told_twice(env):
    """Two ports of a Service that are one of the pods, and an address that is in two slices for a while (kubernetes.io,
    "EndpointSlices", Duplicate endpoints), are one endpoint with one bucket."""
    cluster = Cluster(env)
    ports = [{"name": "http", "port": PORT, "protocol": "TCP"}, {"name": "alias", "port": PORT, "protocol": "TCP"}]
    cluster.api.put(service("web", ports=[{"name": "http", "port": 80, "targetPort": PORT},
                                          {"name": "alias", "port": 8000, "targetPort": PORT}]))
    cluster.api.put(endpoint_slice("web", ports=ports, suffix="a"))
    cluster.api.put(endpoint_slice("web", ports=ports, suffix="b"))
    cluster.api.put(ratelimit("limit", service="web"))
    cluster.agent("limit")
    env.server()
    wait_endpoints(env, 1)
    equal(admitted(env, 2), 2, "requests admitted")
    cluster.api.delete("EndpointSlice", "web-a")
    cluster.api.put(ratelimit("limit", service="web", limit="4/day"))
    wait_for("the edit", lambda: env.item()["maxTokens"] == 4)
    equal(admitted(env, 4), 1, "requests admitted of four, after one of the slices is gone")


@case
def kube_dual_stack(env):
    """A slice for each family: each endpoint is limited on its own, and one whose family goes is no more."""
    need_ipv6()
    cluster = Cluster(env)
    cluster.api.put(service("web", ipFamilyPolicy="PreferDualStack", ipFamilies=["IPv4", "IPv6"]))
    cluster.api.put(endpoint_slice("web", suffix="v4"))
    cluster.api.put(endpoint_slice("web", endpoint("::1"), suffix="v6", kind="IPv6"))
    cluster.api.put(ratelimit("limit", service="web", port=80))
    cluster.agent("limit")
    env.server()
    env.server(host="::1")
    wait_endpoints(env, 2)
    equal(statuses(env, 5), [200] * 3 + [429] * 2, "answers over IPv4")
    equal(statuses(env, 5, host="::1"), [200] * 3 + [429] * 2, "answers over IPv6")
    cluster.api.delete("EndpointSlice", "web-v6")
    wait_endpoints(env, 1)
    equal(statuses(env, 2, host="::1"), [200] * 2, "answers over IPv6 once its slice is gone")
    equal(statuses(env, 2), [429] * 2, "answers over IPv4")


@case
def kube_other_protocols(env):
    """A UDP port of the same number, and a slice of names, say nothing of TCP."""
    cluster = Cluster(env)
    cluster.api.put(service("web", ports=[{"name": "dns", "protocol": "UDP", "port": 80, "targetPort": OTHER},
                                          {"name": "http", "protocol": "TCP", "port": 80, "targetPort": PORT}]))
    cluster.api.put(endpoint_slice("web", ports=[{"name": "dns", "protocol": "UDP", "port": OTHER},
                                                 {"name": "http", "protocol": "TCP", "port": PORT}]))
    cluster.api.put(endpoint_slice("web", endpoint("web.example.com"), suffix="fqdn", kind="FQDN"))
    cluster.api.put(ratelimit("limit", service="web", port=80))
    cluster.agent("limit")
    env.server()
    env.server(port=OTHER)
    wait_endpoints(env, 1)
    equal(statuses(env, 5), [200] * 3 + [429] * 2, "answers on the TCP port")
    equal(statuses(env, 5, OTHER), [200] * 5, "answers at the number of the UDP port")
