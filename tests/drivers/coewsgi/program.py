"""A server in a process of its own: program.py APPLICATION OPTIONS(JSON).

Prints its port. A line "counters" on standard input is answered with them; the end of the
input, or SIGTERM, drains.
"""

import coev.monkey  # noqa: I001, F401
import json
import signal
import socket
import ssl
import sys
import threading

import applications
from coewsgi._coewsgi import Server

HOOKS = ("access_log", "forwarded", "trusted_peer", "upgrade")


def main():
    options = json.loads(sys.argv[2])
    grace = options.pop("grace", 5)
    certificate = options.pop("certificate", None)
    start = {"proxy_protocol": options.pop("proxy_protocol", False)}
    path = options.pop("unix", None)
    backlog = options.pop("backlog", 128)
    for hook in HOOKS:
        if hook in options:
            options[hook] = getattr(applications, options[hook])
    server = Server(getattr(applications, sys.argv[1]), **options)
    if path:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(backlog)
    else:
        listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        start["tls"] = lambda sock: context.wrap_socket(
            sock, server_side=True, do_handshake_on_connect=False
        )
        start["tls_environ"] = lambda sock: {"test.cipher": sock.cipher()[0]}
        start["environ"] = {"wsgi.url_scheme": "https"}
    server.start(listener, **start)
    signal.signal(signal.SIGTERM, lambda *_: server.drain(grace))

    def listen_to_test():
        for line in sys.stdin:
            if line == "counters\n":
                print(json.dumps(server.counters()), flush=True)
        server.drain(grace)

    threading.Thread(target=listen_to_test, daemon=True).start()
    print(json.dumps(listener.getsockname()), flush=True)
    server.join()
    listener.close()
    print("ended", json.dumps(server.counters()), flush=True)


main()
