"""A TLS echo server of plain sockets and threads; the launcher decides what they are.

Prints its port. Usage: tls_threads.py CERTIFICATE_AND_KEY
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading


def echo(connection: socket.socket, context: ssl.SSLContext) -> None:
    """Send back what arrives until the other end closes."""
    with context.wrap_socket(connection, server_side=True) as secure:
        while True:
            message = secure.recv(4096)
            if not message:
                break
            secure.sendall(message)


def serve(certificate: str) -> None:
    """A thread for each connection, for ever."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=echo, args=(connection, context), daemon=True).start()


if __name__ == "__main__":
    serve(sys.argv[1])
