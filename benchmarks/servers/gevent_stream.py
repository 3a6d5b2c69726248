"""An echo server on gevent's StreamServer. Prints its port."""

from __future__ import annotations

from gevent.server import StreamServer
from gevent.socket import IPPROTO_TCP, TCP_NODELAY, socket


def echo(connection: socket, address: object) -> None:
    """Send back what arrives until the other end closes."""
    connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    while True:
        message = connection.recv(4096)
        if not message:
            break
        connection.sendall(message)


if __name__ == "__main__":
    server = StreamServer(("127.0.0.1", 0), echo, backlog=4096)
    server.start()
    print(server.server_port, flush=True)
    server.serve_forever()
