"""A TLS echo server on gevent's StreamServer. Prints its port.

Usage: tls_gevent.py CERTIFICATE_AND_KEY
"""

from __future__ import annotations

import sys

from gevent.server import StreamServer
from gevent.socket import IPPROTO_TCP, TCP_NODELAY
from gevent.ssl import PROTOCOL_TLS_SERVER, SSLContext, SSLSocket


def echo(connection: SSLSocket, address: object) -> None:
    """Send back what arrives until the other end closes."""
    connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    while True:
        message = connection.recv(4096)
        if not message:
            break
        connection.sendall(message)


if __name__ == "__main__":
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1])
    server = StreamServer(("127.0.0.1", 0), echo, backlog=4096, ssl_context=context)
    server.start()
    print(server.server_port, flush=True)
    server.serve_forever()
