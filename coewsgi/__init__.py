"""coewsgi: a strict and fast WSGI server, one coroutine for each connection.

    coewsgi --bind 0.0.0.0:8000 --workers 2 mysite.wsgi:application

or from a program, :func:`serve`. What a request is (HTTP/1.1 by RFC 9112 and 9110, WSGI by
PEP 3333) is decided in ``coewsgi._coewsgi``; here are options, processes, logs and TLS.
"""

from coewsgi._coewsgi import BadRequest, ClientDisconnected, RequestTimeout, Server
from coewsgi.httpserver import serve, server_factory, server_runner
from coewsgi.stats import CoevStatsMiddleware

__version__ = "0.1.0"

__all__ = [
    "BadRequest",
    "ClientDisconnected",
    "CoevStatsMiddleware",
    "RequestTimeout",
    "Server",
    "serve",
    "server_factory",
    "server_runner",
]
