"""Short connections: connect, one request, close."""

from __future__ import annotations

from harness.benchmark import Bar, Benchmark, Metrics, Variant
from harness.native import compiled
from harness.process import Child
from harness.settings import Settings, load_core

from suite.echo import SERVERS, start_server

_THREADS = 32


def _trial(variant: Variant, settings: Settings) -> Metrics:
    measure_s = 1.0 if settings.quick else 8.0  # a small share of user time by ticks
    with start_server(variant, settings) as server:
        words = [compiled("load/short.c"), server.read_line(), _THREADS, 0.5, measure_s, server.pid]
        with Child([*map(str, words)], core=load_core(), timeout=60) as load:
            metrics = load.read_metrics()
            load.finish()
            return metrics


SHORT = Benchmark(
    name="short",
    summary=f"connect, 64 bytes there and back, close; {_THREADS} at a time; CPU each",
    units={"user": "us", "system": "us", "cpu": "us", "rate": "1/s"},
    variants=SERVERS,
    trial=_trial,
    bars=(Bar("user", "coev", 1 / 3, "gevent"),),
    programs=("cc",),
)
