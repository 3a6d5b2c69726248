"""The price of a `threading.Thread`."""

from __future__ import annotations

from harness.benchmark import Bar, Benchmark, Metrics, Variant
from harness.command import COEV, EVENTLET, GEVENT, command_of
from harness.process import run_for_metrics
from harness.repeat import one_by_one
from harness.settings import Settings, measured_core

_SCRIPT = "workers/threads.py"


def _trial(variant: Variant, settings: Settings) -> Metrics:
    command = command_of(variant, settings, settings.scaled(3_000))
    return run_for_metrics(command, core=measured_core(), timeout=120)


THREADS = Benchmark(
    name="threads",
    summary="Thread.start and join: CPU one by one, CPU 100 at a time, wall time",
    units={"alone": "us", "batch": "us", "wall": "us"},
    variants=(
        Variant("coev", ("coev",), COEV, _SCRIPT),
        Variant("gevent", ("gevent",), GEVENT, _SCRIPT),
        Variant("eventlet", ("eventlet",), EVENTLET, _SCRIPT),
        Variant("native", (), (), _SCRIPT),
    ),
    repeat=one_by_one(_trial),
    bars=(Bar("alone", "coev", 1 / 20, "native"), Bar("batch", "coev", 1 / 20, "native")),
)
