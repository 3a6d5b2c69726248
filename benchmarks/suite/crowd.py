"""A hundred thousand at once."""

from __future__ import annotations

from harness.benchmark import Bar, Benchmark, Metrics, Variant
from harness.command import COEV, GEVENT, command_of
from harness.process import run_for_metrics
from harness.settings import Settings, measured_core

_SCRIPT = "workers/crowd.py"
_COUNT = 100_000


def _trial(variant: Variant, settings: Settings) -> Metrics:
    command = command_of(variant, settings, _COUNT)
    metrics = run_for_metrics(command, core=measured_core(), timeout=300)
    return {**metrics, "switch/few": metrics["switch"] / metrics["few"]}


CROWD = Benchmark(
    name="crowd",
    summary=f"{_COUNT:,} parked on a semaphore at once; lost never woke; few: 100 give way",
    units={
        "parked": "1",
        "lost": "1",
        "create": "us",
        "wake": "us",
        "resident": "KiB",
        "maps": "lines",
        "few": "ns",
        "switch": "ns",
        "switch/few": "1",
    },
    variants=(
        Variant("coev.spawn", ("coev",), COEV, _SCRIPT, ("coev",)),
        Variant("coev threads", ("coev",), COEV, _SCRIPT, ("daemons",)),
        Variant("gevent.spawn", ("gevent",), GEVENT, _SCRIPT, ("gevent",)),
    ),
    trial=_trial,
    bars=(
        Bar("lost", "coev.spawn", 0),
        Bar("lost", "coev threads", 0),
        Bar("create", "coev.spawn", 20),
        Bar("maps", "coev.spawn", 100),
        Bar("switch/few", "coev.spawn", 2),
    ),
)
