"""The price of locks, alone and between two."""

from __future__ import annotations

from collections.abc import Callable

from harness.benchmark import Bar, Benchmark, Metrics, Variant
from harness.command import COEV, GEVENT, command_of
from harness.process import run_for_metrics
from harness.repeat import one_by_one
from harness.settings import Settings, measured_core

_SCRIPT = "workers/locks.py"


def _variants(kind: str) -> tuple[Variant, ...]:
    return (
        Variant("coev", ("coev",), COEV, _SCRIPT, (kind,)),
        Variant("gevent", ("gevent",), GEVENT, _SCRIPT, (kind,)),
        Variant("native", (), (), _SCRIPT, (kind,)),
    )


def _trial(count: int) -> Callable[[Variant, Settings], Metrics]:
    def trial(variant: Variant, settings: Settings) -> Metrics:
        command = command_of(variant, settings, settings.scaled(count))
        return run_for_metrics(command, core=measured_core(), timeout=120)

    return trial


LOCKS = Benchmark(
    name="locks",
    summary="acquire and release, uncontended; CPU each",
    units={"lock": "ns", "rlock": "ns"},
    variants=_variants("uncontended"),
    repeat=one_by_one(_trial(500_000)),
    bars=(Bar("lock", "coev", 1.2, "native"), Bar("rlock", "coev", 1.2, "native")),
)

HAND_OVER = Benchmark(
    name="hand-over",
    summary="two threads wake one another by turns, there and back; CPU each",
    units={"lock": "ns", "condition": "ns", "event": "ns", "queue": "ns"},
    variants=_variants("hand-over"),
    repeat=one_by_one(_trial(20_000)),
    bars=(
        *(Bar(metric, "coev", 1 / 4, "gevent") for metric in ("lock", "condition", "event")),
        Bar("queue", "coev", 1 / 3, "gevent"),
    ),
)
