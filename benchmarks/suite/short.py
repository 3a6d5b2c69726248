"""Short connections: connect, one request, close."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from harness.benchmark import Bar, Benchmark, Variant
from harness.load import start_load, start_server
from harness.process import Child
from harness.repeat import TURN_S, by_turns
from harness.settings import Settings

from suite.echo import SERVERS

_THREADS = 32


@contextmanager
def _load(variant: Variant, settings: Settings) -> Iterator[Child]:
    with (
        start_server(variant, settings) as server,
        start_load(server, "load/short.c", _THREADS, 0.5, TURN_S) as client,
    ):
        yield client


SHORT = Benchmark(
    name="short",
    summary=f"connect, 64 bytes there and back, close; {_THREADS} at a time; CPU each",
    units={"user": "us", "system": "us", "cpu": "us", "rate": "1/s"},
    variants=SERVERS,
    repeat=by_turns(_load, turns=16),  # a small share of user time, told by ticks
    bars=(Bar("user", "coev", 1 / 3, "gevent"),),
    programs=("cc",),
)
