"""Serving from a program, and the entry points of Paste: serve, server_runner, server_factory.

    import coev.monkey
    import coewsgi

    coewsgi.serve(application, host="0.0.0.0", port=8080)

In an ini file: ``use = egg:coev#http`` in [server:main]. Every option of
:class:`coewsgi.options.Options` may be given by its name, as a string too.
"""

import warnings
from collections.abc import Callable, Mapping
from ssl import SSLContext
from typing import Any
from wsgiref.types import WSGIApplication

from coewsgi import logs, options
from coewsgi.listener import Listener, describe, open_listener
from coewsgi.options import OptionError

#: The original's names, and those of Paste: ours.
_RENAMED = {
    "request_queue_size": "backlog",
    "response_timeout": "timeout",
    "request_timeout": "head_timeout",
    "socket_timeout": "write_timeout",
    "server_version": "server_header",
    "server_status": "stats_path",
    "ssl_pem": "certfile",
}


def translate(values: Mapping[str, Any]) -> dict[str, Any]:
    """The original's options by the names that they have here.

    :raises OptionError: ``ssl_pem = *``, which had a certificate made up.
    """
    result: dict[str, Any] = {}
    for name, value in values.items():
        if name == "ssl_pem" and value == "*":
            raise OptionError("ssl_pem = *: no certificate is made up; name a PEM file")
        if value is None:
            continue
        result[_RENAMED.get(name, name)] = value
    return result


def serve(
    application: WSGIApplication,
    host: str | None = None,
    port: int | str | None = None,
    *,
    listen: str | None = None,
    ssl_context: SSLContext | None = None,
    sockets: list[Any] | None = None,
    signals: bool = True,
    **keywords: Any,
) -> None:
    """Serve *application* until SIGTERM, SIGINT or SIGQUIT. Switches: always.

    :param host: default 127.0.0.1; may be "HOST:PORT" as in the original.
    :param port: default 8080; ignored where *host* has one.
    :param listen: addresses with blanks between, instead of both (waitress' name).
    :param ssl_context: speak TLS by it.
    :param sockets: listening sockets of the caller's, instead of addresses.
    :param signals: whether to install signal handlers, if this is the main thread.
    :param keywords: options by name (``coewsgi --help``), and the original's: ssl_pem,
        server_version, socket_timeout, request_queue_size, response_timeout,
        request_timeout, server_status. What the original had for threads has no effect.
    :raises OptionError: a value that an option cannot have.
    :raises TypeError: an unknown option.
    :raises OSError: the address cannot be listened on.
    """
    given = options.from_keywords(translate(keywords))
    if given.workers > 1 or given.reload:
        warnings.warn(
            "coewsgi.serve() is one process; several, and reloading, are the command's: "
            "coewsgi --workers N --reload",
            stacklevel=2,
        )
    if given.monkey:
        import coev.monkey  # noqa: F401 - late, but coev changes what is loaded already
    from coewsgi.worker import Worker

    logs.configure(given)
    own = sockets is None
    if sockets is None:
        listeners = [
            open_listener(address, backlog=given.backlog, mode=given.unix_mode)
            for address in _addresses(host, port, listen, "bind" in keywords, given.bind)
        ]
    else:
        listeners = [Listener(sock, describe(sock)) for sock in sockets]
    try:
        worker = Worker(application, given, listeners, context=ssl_context)
        logs.ERROR.info("serving on %s", ", ".join(item.name for item in listeners))
        worker.run(signals=signals)
    finally:
        if own:
            for listener in listeners:
                listener.close()


def _addresses(
    host: str | None,
    port: int | str | None,
    listen: str | None,
    has_bind: bool,
    bind: tuple[str, ...],
) -> tuple[str, ...]:
    if listen is not None:
        return tuple(listen.split())
    if host is None and port is None and has_bind:
        return bind
    host = "127.0.0.1" if host is None else host
    if host.startswith(("unix:", "fd:")):
        return (host,)
    if port is None and host.rpartition(":")[2].isdigit() and host.count(":") == 1:
        return (host,)
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return (f"{host}:{8080 if port is None else port}",)


def server_runner(wsgi_app: WSGIApplication, global_conf: Mapping[str, str], **kw: str) -> None:
    """Paste's server runner: all values are strings, from the ini file."""
    serve(wsgi_app, **kw)  # type: ignore[arg-type]


def server_factory(global_conf: Mapping[str, str], **kw: str) -> Callable[[WSGIApplication], None]:
    """Paste's server factory: a function that serves an application."""

    def run(wsgi_app: WSGIApplication) -> None:
        server_runner(wsgi_app, global_conf, **kw)

    return run
