"""An echo server of plain sockets and threads; the launcher decides what they are.

Prints its port. Usage: threads.py
"""

from __future__ import annotations

import socket
import threading


def echo(connection: socket.socket) -> None:
    """Send back what arrives until the other end closes."""
    with connection:
        while True:
            message = connection.recv(4096)
            if not message:
                break
            connection.sendall(message)


def serve() -> None:
    """A thread for each connection, for ever."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=echo, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    serve()
