# SPDX-License-Identifier: Apache-2.0
"""A pod: a network of its own, a listener, and once it is told to, as many clients as the listener has room for.

    pod.py PORT        says "ready", and for each line on standard input how many of three clients are let in, up to the
                       first that is not
"""

import socket
import sys

import isolation


def main():
    where = ("127.0.0.1", int(sys.argv[1]))
    isolation.new_network()
    with socket.create_server(where, backlog=16):
        print("ready", flush=True)
        clients = []
        while sys.stdin.readline():
            before = len(clients)
            for _ in range(3):
                clients.append(socket.socket())
                if clients[-1].connect_ex(where):
                    clients.pop().close()
                    break
            print(len(clients) - before, flush=True)


if __name__ == "__main__":
    main()
