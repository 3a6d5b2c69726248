"""Whether a warm program still asks for memory."""

from __future__ import annotations

from harness import strace
from harness.benchmark import Bar, Benchmark, Metrics, Variant
from harness.command import COEV, GEVENT, command_of
from harness.settings import Settings, measured_core

_SCRIPT = "workers/steady_state.py"
_CYCLES = 100_000
_MEMORY_CALLS = ("mmap", "munmap", "mremap", "brk", "madvise")
_MARK = "getsid"
# Some blocks of CPython's come and go; one for every thousandth cycle is a leak.
_LIMITS = {"calls": 0, "mapped": 0, "blocks": _CYCLES / 1000}


def _trial(variant: Variant, settings: Settings) -> Metrics:
    command = command_of(variant, settings, settings.scaled(_CYCLES))
    calls, metrics = strace.calls_between_marks(command, _MEMORY_CALLS, _MARK, core=measured_core())
    return {"calls": sum(calls.values()), **metrics}


STEADY_STATE = Benchmark(
    name="steady-state",
    summary=f"growth over {_CYCLES:,} cycles of spawn, lock, receive and send",
    units={
        "calls": "mmap, brk, ...",
        "blocks": "CPython's",
        "in_use": "malloc's B",
        "mapped": "malloc's B",
        "resident": "KiB",
    },
    variants=(
        Variant("coev threads", ("coev",), COEV, _SCRIPT, ("threads",)),
        Variant("coev.spawn", ("coev",), COEV, _SCRIPT, ("coev",)),
        Variant("gevent.spawn", ("gevent",), GEVENT, _SCRIPT, ("gevent",)),
        Variant("gevent threads", ("gevent",), GEVENT, _SCRIPT, ("threads",)),
    ),
    trial=_trial,
    bars=tuple(
        Bar(metric, subject, limit)
        for subject in ("coev threads", "coev.spawn")
        for metric, limit in _LIMITS.items()
    ),
    programs=("strace",),
)
