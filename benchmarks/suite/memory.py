"""The memory of a parked coroutine."""

from __future__ import annotations

from harness.benchmark import Bar, Benchmark, Metrics, Variant
from harness.command import COEV, EVENTLET, GEVENT, command_of
from harness.descriptors import allow_descriptors
from harness.process import run_for_metrics
from harness.repeat import one_by_one
from harness.settings import Settings, measured_core

_SCRIPT = "workers/parked_memory.py"


def _memory(count: int, *, only_when_full: bool) -> Benchmark:
    def trial(variant: Variant, settings: Settings) -> Metrics:
        allow_descriptors(2 * count)
        command = command_of(variant, settings, count)
        return run_for_metrics(command, core=measured_core(), timeout=300)

    return Benchmark(
        name=f"memory-{count}",
        summary=f"{count:,} blocked in recv on a socketpair; resident memory of each",
        units={"resident": "KiB", "page_tables": "KiB"},
        variants=(
            Variant("coev threads", ("coev",), COEV, _SCRIPT, ("threads",)),
            Variant("coev.spawn", ("coev",), COEV, _SCRIPT, ("coev",)),
            Variant("gevent.spawn", ("gevent",), GEVENT, _SCRIPT, ("gevent",)),
            Variant("gevent threads", ("gevent",), GEVENT, _SCRIPT, ("threads",)),
            Variant("eventlet threads", ("eventlet",), EVENTLET, _SCRIPT, ("threads",)),
            Variant("native threads", (), (), _SCRIPT, ("threads",)),
        ),
        repeat=one_by_one(trial),
        bars=(
            Bar("resident", "coev threads", 6),
            Bar("resident", "coev.spawn", 6),
        ),
        only_when_full=only_when_full,
    )


MEMORY = (
    _memory(2_000, only_when_full=False),
    # As many pairs as a limit of 20,000 open files admits.
    _memory(9_900, only_when_full=True),
)
