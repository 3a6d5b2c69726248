"""The price and the precision of sleeping."""

from __future__ import annotations

from harness.benchmark import Bar, Benchmark, Metrics, Variant
from harness.command import COEV, GEVENT, command_of
from harness.process import run_for_metrics
from harness.repeat import one_by_one
from harness.settings import Settings, measured_core

_SCRIPT = "workers/timers.py"
_COUNT = 100_000


def _trial(variant: Variant, settings: Settings) -> Metrics:
    command = command_of(variant, settings, settings.scaled(_COUNT))
    return run_for_metrics(command, core=measured_core(), timeout=120)


TIMERS = Benchmark(
    name="timers",
    summary=f"{_COUNT:,} sleep until random deadlines within 2 s; CPU each, and how late",
    units={"cpu": "us", "early": "1", "p50": "ms", "p99": "ms"},
    variants=(
        Variant("C nanosleep", script="workers/timers.c", is_limit=True),
        Variant("coev", ("coev",), COEV, _SCRIPT, ("coev",)),
        Variant("gevent", ("gevent",), GEVENT, _SCRIPT, ("gevent",)),
    ),
    repeat=one_by_one(_trial),
    programs=("cc",),
    bars=(
        Bar("cpu", "coev", 1 / 3, "gevent"),
        Bar("early", "coev", 0),
        Bar("p99", "coev", 2),
    ),
)
