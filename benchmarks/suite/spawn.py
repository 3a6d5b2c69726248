"""The price of a coroutine's whole life."""

from __future__ import annotations

from harness.benchmark import Bar, Benchmark, Metrics, Variant
from harness.command import command_of
from harness.process import run_for_metrics
from harness.repeat import one_by_one
from harness.settings import Settings, measured_core

_SCRIPT = "workers/spawn.py"


def _trial(variant: Variant, settings: Settings) -> Metrics:
    command = command_of(variant, settings, settings.scaled(20_000))
    return run_for_metrics(command, core=measured_core(), timeout=120)


SPAWN = Benchmark(
    name="spawn",
    summary="spawn, run and finish: one by one, and 1,000 at a time; CPU each",
    units={"alone": "ns", "batch": "ns"},
    variants=(
        Variant("coev", ("coev",), (), _SCRIPT, ("coev",)),
        Variant("gevent", ("gevent",), (), _SCRIPT, ("gevent",)),
        Variant("greenlet", ("greenlet",), (), _SCRIPT, ("greenlet",)),
    ),
    repeat=one_by_one(_trial),
    bars=(
        Bar("alone", "coev", 1 / 20, "gevent"),
        Bar("batch", "coev", 1 / 20, "gevent"),
    ),
)
