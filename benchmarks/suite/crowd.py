"""A hundred thousand at once."""

from __future__ import annotations

from harness.benchmark import Bar, Benchmark, Metrics, Variant
from harness.command import COEV, GEVENT, command_of
from harness.process import run_for_metrics
from harness.repeat import one_by_one
from harness.settings import Settings, measured_core

_SCRIPT = "workers/crowd.py"
_COUNT = 100_000


def _trial(variant: Variant, settings: Settings) -> Metrics:
    command = command_of(variant, settings, _COUNT)
    metrics = run_for_metrics(command, core=measured_core(), timeout=300)
    switches = [name for name in ("beside", "switch") if name in metrics]
    return {**metrics, **{f"{name}/few": metrics[name] / metrics["few"] for name in switches}}


CROWD = Benchmark(
    name="crowd",
    summary=f"{_COUNT:,} parked on a semaphore at once; lost never woke; a switch among few (100), "
    "among few beside those parked, among all",
    units={
        "parked": "1",
        "lost": "1",
        "create": "us",
        "wake": "us",
        "resident": "KiB",
        "maps": "lines",
        "few": "ns",
        "beside": "ns",
        "switch": "ns",
        "beside/few": "1",
        "switch/few": "1",
    },
    variants=(
        Variant("coev.spawn", ("coev",), COEV, _SCRIPT, ("coev",)),
        Variant("coev threads", ("coev",), COEV, _SCRIPT, ("daemons",)),
        Variant("gevent.spawn", ("gevent",), GEVENT, _SCRIPT, ("gevent",)),
        # Changes as many lines of pages as far apart as a switch does, fetched ahead alike.
        Variant("C pages", (), (), "workers/pages.c", ("1540", "17", "8"), is_limit=True),
    ),
    repeat=one_by_one(_trial),
    bars=(
        Bar("lost", "coev.spawn", 0),
        Bar("lost", "coev threads", 0),
        Bar("create", "coev.spawn", 20),
        Bar("maps", "coev.spawn", 100),
        Bar("maps", "coev threads", 100),
        Bar("beside/few", "coev.spawn", 2),
    ),
)
