"""Figures of a running server: a page for people, Prometheus' text, the original's middleware."""

from collections.abc import Iterable
from typing import Any, Protocol
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import coev

_GAUGES = {"connections", "idle", "in_flight", "buffered_bytes"}
_QUANTILES = (0.5, 0.9, 0.99)


class CountingServer(Protocol):
    """What is asked of a server."""

    def counters(self) -> dict[str, int]: ...
    def latency(self, quantile: float, /) -> float: ...


def prometheus(server: CountingServer) -> str:
    """The figures of this process in Prometheus' text format (version 0.0.4)."""
    lines = []
    for name, value in server.counters().items():
        kind = "gauge" if name in _GAUGES else "counter"
        full = f"coewsgi_{name}" + ("" if name in _GAUGES else "_total")
        lines += [f"# TYPE {full} {kind}", f"{full} {value}"]
    lines.append("# TYPE coewsgi_request_seconds summary")
    for quantile in _QUANTILES:
        lines.append(f'coewsgi_request_seconds{{quantile="{quantile}"}} {server.latency(quantile)}')
    for name, value in coev.stats().items():
        if isinstance(value, (int, float)):
            lines += [f"# TYPE coev_{name} gauge", f"coev_{name} {value}"]
    return "\n".join(lines) + "\n"


def plain(server: CountingServer | None) -> str:
    """The figures as the original printed them: ``coev.NAME=VALUE``, ``coewsgi.NAME=VALUE``."""
    lines = [f"coev.{name}={value}" for name, value in coev.stats().items()]
    if server is not None:
        lines += [f"coewsgi.{name}={value}" for name, value in server.counters().items()]
        lines += [f"coewsgi.p{int(q * 100)}={server.latency(q):.6f}" for q in _QUANTILES]
    return "\n".join(lines) + "\n"


class StatsPage:
    """Middleware: answers *path* itself, and gives everything else to *app*.

    ``path?format=prometheus``, or an Accept field that asks for OpenMetrics or version=0.0.4,
    gives Prometheus' text. The figures are of the process that answers.
    """

    def __init__(self, app: WSGIApplication, path: str) -> None:
        self._app = app
        self._path = path
        #: Set by whoever makes the server, which needs the application first.
        self.server: CountingServer | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != self._path:
            return self._app(environ, start_response)
        accept = environ.get("HTTP_ACCEPT", "")
        wanted = "prometheus" in environ.get("QUERY_STRING", "") or "version=0.0.4" in accept
        wanted = wanted or "openmetrics" in accept
        if wanted and self.server is not None:
            body = prometheus(self.server).encode()
            kind = "text/plain; version=0.0.4; charset=utf-8"
        else:
            body, kind = plain(self.server).encode(), "text/plain; charset=utf-8"
        headers = [("Content-Type", kind), ("Content-Length", str(len(body)))]
        start_response("200 OK", [*headers, ("Cache-Control", "no-store")])
        return [body]


class CoevStatsMiddleware(StatsPage):
    """The original's name and order of arguments: ``CoevStatsMiddleware(path, app)``."""

    def __init__(self, path: str, app: WSGIApplication, **_: Any) -> None:
        super().__init__(app, path)
