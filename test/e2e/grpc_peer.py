# SPDX-License-Identifier: Apache-2.0
"""A gRPC server, and clients of it, whose messages are plain bytes:

    grpc_peer.py server PORT           says "ready"; its method /test/Echo answers with what it got, /test/Wait after a
                                       line on standard input, /test/Sum with the length of all that a stream brought
    grpc_peer.py calls PORT COUNT      one call after another; a line each: OK, or the name of the status
    grpc_peer.py retry COUNT PORT...   so many calls, to be retried while a server is unavailable; with several, each the next
                                       one's turn
    grpc_peer.py wait PORT             a call of /test/Wait underway, then calls of /test/Echo until one is refused, and a
                                       line on standard output; then the first one's status
"""

import json
import sys
import threading
from concurrent import futures

import grpc


def raw(data):
    return data


class Handler(grpc.GenericRpcHandler):
    def __init__(self):
        self.gate = threading.Event()

    def _wait(self, message, context):
        self.gate.wait()
        return message

    def service(self, details):
        if details.method == "/test/Wait":
            return grpc.unary_unary_rpc_method_handler(self._wait, raw, raw)
        if details.method == "/test/Sum":
            return grpc.stream_unary_rpc_method_handler(
                lambda messages, context: str(sum(len(message) for message in messages)).encode(), raw, raw)
        return grpc.unary_unary_rpc_method_handler(lambda message, context: message, raw, raw)


def serve(port):
    handler = Handler()
    server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[handler])
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    print("ready", flush=True)
    while sys.stdin.readline():
        handler.gate.set()


def channel(*ports, **config):
    options = [("grpc.enable_http_proxy", 0)]
    if config:
        options.append(("grpc.service_config", json.dumps(config)))
    return grpc.insecure_channel("ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports), options=options)


def call(opened, method="/test/Echo"):
    try:
        answer = opened.unary_unary(method, raw, raw)(b"message", timeout=60)
        return "OK" if answer == b"message" else f"answer {answer!r}"
    except grpc.RpcError as error:
        return error.code().name


def calls(port, count):
    opened = channel(port)
    for _ in range(int(count)):
        print(call(opened), flush=True)


def retry(count, *ports):
    policy = {"maxAttempts": 5, "initialBackoff": "0.5s", "maxBackoff": "5s", "backoffMultiplier": 2,
              "retryableStatusCodes": ["UNAVAILABLE"]}
    opened = channel(*ports, loadBalancingConfig=[{"round_robin": {}}], methodConfig=[{"name": [{}], "retryPolicy": policy}])
    print(*(call(opened) for _ in range(int(count))))


def wait(port):
    opened = channel(port)
    waiting = opened.unary_unary("/test/Wait", raw, raw).future(b"message", timeout=60)
    while (status := call(opened)) == "OK":
        pass
    print(status, flush=True)
    print("OK" if waiting.result() == b"message" else "another answer", flush=True)


if __name__ == "__main__":
    {"server": serve, "calls": calls, "retry": retry, "wait": wait}[sys.argv[1]](*sys.argv[2:])
