"""Short connections: connect, one request, close."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from harness.benchmark import Bar, Benchmark, Variant
from harness.native import compiled
from harness.process import Child
from harness.repeat import TURN_S, by_turns
from harness.settings import Settings, load_core

from suite.echo import SERVERS, start_server

_THREADS = 32
_TIME_LIMIT_S = 300.0


@contextmanager
def _load(variant: Variant, settings: Settings) -> Iterator[Child]:
    with start_server(variant, settings) as server:
        words = [compiled("load/short.c"), server.read_line(), _THREADS, 0.5, TURN_S, server.pid]
        with Child([*map(str, words)], core=load_core(), timeout=_TIME_LIMIT_S) as load:
            yield load


SHORT = Benchmark(
    name="short",
    summary=f"connect, 64 bytes there and back, close; {_THREADS} at a time; CPU each",
    units={"user": "us", "system": "us", "cpu": "us", "rate": "1/s"},
    variants=SERVERS,
    repeat=by_turns(_load, turns=16),  # a small share of user time, told by ticks
    bars=(Bar("user", "coev", 1 / 3, "gevent"),),
    programs=("cc",),
)
