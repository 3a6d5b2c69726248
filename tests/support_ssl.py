"""TLS over certificates that the tests made; also for scripts that they run."""

import os
import socket
import ssl
import threading
from pathlib import Path


def certificates():
    return Path(os.environ["COEV_TEST_CERTIFICATES"])


def server_context(version=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates() / "server.pem")
    if version is not None:
        context.maximum_version = version
    return context


def client_context():
    return ssl.create_default_context(cafile=certificates() / "authority.pem")


def tcp_pair():
    """Return two connected sockets, the client's first."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        return client, listener.accept()[0]


def wrap_pair(client, server, context=None):
    """Return two connected sockets wrapped, after the handshake."""
    wrapped = []

    def accept():
        wrapped.append((context or server_context()).wrap_socket(server, server_side=True))

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    client = client_context().wrap_socket(client, server_hostname="localhost")
    thread.join()
    return client, wrapped[0]


def tls_pair(version=None):
    return wrap_pair(*tcp_pair(), server_context(version))


def full_pair():
    """Return two wrapped sockets of which the first can send no more."""
    client, server = wrap_pair(*socket.socketpair())
    client.setblocking(False)
    try:
        while True:
            socket.socket.send(client, bytes(1))  # noise: nobody will read it
    except BlockingIOError:
        client.setblocking(True)
    return client, server
