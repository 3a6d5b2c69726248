"""The price of a switch."""

from __future__ import annotations

from harness.benchmark import Bar, Benchmark, Metrics, Variant
from harness.command import command_of
from harness.process import run_for_metrics
from harness.repeat import one_by_one
from harness.settings import Settings, measured_core

_SCRIPT = "workers/switch.py"


def _trial(variant: Variant, settings: Settings) -> Metrics:
    command = command_of(variant, settings, settings.scaled(400_000))
    return run_for_metrics(command, core=measured_core(), timeout=120)


SWITCH = Benchmark(
    name="switch",
    summary="two coroutines switch to one another in a Python loop; CPU per switch",
    units={"time": "ns"},
    variants=(
        Variant("coev.switch", ("coev",), (), _SCRIPT, ("coev-switch",)),
        Variant("coev.yield_now", ("coev",), (), _SCRIPT, ("coev-yield",)),
        Variant("greenlet", ("greenlet",), (), _SCRIPT, ("greenlet-switch",)),
    ),
    repeat=one_by_one(_trial),
    bars=(
        Bar("time", "coev.switch", 1 / 3, "greenlet"),
        Bar("time", "coev.yield_now", 1 / 3, "greenlet"),
    ),
)
