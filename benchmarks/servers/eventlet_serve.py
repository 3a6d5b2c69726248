"""An echo server on eventlet.serve. Prints its port."""

from __future__ import annotations

import eventlet
from eventlet.green.socket import IPPROTO_TCP, TCP_NODELAY, socket


def echo(connection: socket, address: object) -> None:
    """Send back what arrives until the other end closes."""
    connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    while True:
        message = connection.recv(4096)
        if not message:
            break
        connection.sendall(message)


if __name__ == "__main__":
    listener = eventlet.listen(("127.0.0.1", 0), backlog=4096)
    print(listener.getsockname()[1], flush=True)
    eventlet.serve(listener, echo, concurrency=20_000)
