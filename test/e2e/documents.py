# SPDX-License-Identifier: Apache-2.0
"""The YAML documents that the cases give to the agent."""

# The limit of most cases: an interval so long that nothing is refilled while a case runs.
LIMIT = "10/day"


def ratelimit(name, *ports, limit=LIMIT, ip="127.0.0.1", rules=None, spec=()):
    """A RateLimit on @ip and each of @ports; @rules replaces the one rule with @limit, @spec is more lines of
    its spec."""
    rules = rules or [f"{{name: all, limit: {limit}}}"]
    return "\n".join([
        "apiVersion: kmesh.net/v1alpha1",
        "kind: RateLimit",
        f"metadata: {{name: {name}, namespace: default}}",
        "spec:",
        *(f"  {line}" for line in spec),
        "  endpoints:",
        *(f"    - {{ip: \"{ip}\", port: {port}}}" for port in ports),
        "  rules:",
        *(f"    - {rule}" for rule in rules),
        ""])


def bucket_rule(max_tokens, tokens_per_fill, fill_interval, name="all"):
    return (f"{{name: {name}, maxTokens: {max_tokens}, tokensPerFill: {tokens_per_fill}, "
            f"fillInterval: {fill_interval}}}")


def service_ratelimit(name, service, namespace="default", limit=LIMIT):
    return f"""\
apiVersion: kmesh.net/v1alpha1
kind: RateLimit
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  service: {service}
  rules:
    - {{name: all, limit: {limit}}}
"""


def service(name, port, target_port, namespace="default"):
    return f"""\
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{app: {name}}}
  ports:
    - {{name: http, protocol: TCP, port: {port}, targetPort: {target_port}}}
"""


def endpoint_slice(service_name, port, addresses=("127.0.0.1",), namespace="default", kind="IPv4", suffix="x7k2p"):
    listed = ", ".join(f'"{address}"' for address in addresses)
    return f"""\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {service_name}-{suffix}
  namespace: {namespace}
  labels: {{kubernetes.io/service-name: {service_name}}}
addressType: {kind}
ports:
  - {{name: http, protocol: TCP, port: {port}}}
endpoints:
  - addresses: [{listed}]
    conditions: {{ready: true}}
"""


def several(*documents):
    return "---\n".join(documents)
