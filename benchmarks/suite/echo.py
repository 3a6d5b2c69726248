"""Echo servers under load, each request's CPU time taken apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from harness.benchmark import Bar, Benchmark, Variant
from harness.command import COEV, EVENTLET, GEVENT
from harness.descriptors import allow_descriptors
from harness.load import start_load, start_server
from harness.process import Child
from harness.repeat import TURN_S, by_turns
from harness.settings import Settings

_THREADS = "servers/threads.py"
_ASYNCIO = "servers/asyncio_echo.py"

SERVERS = (
    Variant("coev", ("coev",), COEV, _THREADS),
    Variant("gevent", ("gevent",), (), "servers/gevent_stream.py"),
    Variant("gevent patched", ("gevent",), GEVENT, _THREADS),
    Variant("eventlet", ("eventlet",), (), "servers/eventlet_serve.py"),
    Variant("eventlet patched", ("eventlet",), EVENTLET, _THREADS),
    Variant("trio", ("trio",), (), "servers/trio_tcp.py"),
    Variant("asyncio streams", (), (), _ASYNCIO, ("asyncio", "streams")),
    Variant("uvloop streams", ("uvloop",), (), _ASYNCIO, ("uvloop", "streams")),
    Variant("uvloop protocol", ("uvloop",), (), _ASYNCIO, ("uvloop", "protocol")),
    Variant("native threads", (), (), _THREADS),
    Variant("C libev", (), (), "servers/libev.c"),
)


def start_echo_load(server: Child, connections: int, warm_up_s: float, requests: int = 0) -> Child:
    """Keep a message under way on each connection; see ``load/echo.c``."""
    return start_load(server, "load/echo.c", connections, warm_up_s, TURN_S, requests)


#: By the number of connections: at most so many times what the peer takes.
_BARS = {
    100: (
        Bar("user", "coev", 1 / 5, "gevent"),
        Bar("user", "coev", 1.0, "uvloop protocol"),
        Bar("user", "coev", 1 / 3, "uvloop streams"),
        Bar("cpu", "coev", 1.15, "C libev"),
    ),
    1_000: (Bar("user", "coev", 1 / 5, "gevent"),),
    8_000: (Bar("user", "coev", 1 / 5, "gevent"), Bar("cpu", "coev", 1.5, "C libev")),
}


def _echo(connections: int, *, only_when_full: bool) -> Benchmark:
    @contextmanager
    def load(variant: Variant, settings: Settings) -> Iterator[Child]:
        allow_descriptors(connections)
        warm_up_s = 0.5 + connections / 2000  # a round trip of each, and more
        with (
            start_server(variant, settings) as server,
            start_echo_load(server, connections, warm_up_s) as client,
        ):
            yield client

    return Benchmark(
        name=f"echo-{connections}",
        summary=f"64-byte echo, {connections:,} connections; the server's CPU each",
        units={
            "user": "us",
            "system": "us",
            "cpu": "us",
            "rate": "1/s",
            "p50": "us",
            "p99": "us",
        },
        variants=SERVERS,
        repeat=by_turns(load),
        bars=_BARS[connections],
        programs=("cc",),
        only_when_full=only_when_full,
    )


ECHO = (
    _echo(100, only_when_full=False),
    _echo(1_000, only_when_full=True),
    _echo(8_000, only_when_full=True),
)
