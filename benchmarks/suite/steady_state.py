"""Whether a warm program still asks for memory."""

from __future__ import annotations

from harness import strace
from harness.benchmark import Bar, Benchmark, Metrics, Variant
from harness.command import COEV, GEVENT, command_of
from harness.native import compiled
from harness.repeat import one_by_one
from harness.settings import Settings, measured_core

_SCRIPT = "workers/steady_state.py"
_MEMORY_CALLS = ("mmap", "munmap", "mremap", "brk", "madvise")
_MARK = "getsid"
_DOMAINS = ("c", "raw", "mem", "obj")  # malloc, and the allocators of CPython


def _steady_state(cycles: int, *, only_when_full: bool) -> Benchmark:
    def trial(variant: Variant, settings: Settings) -> Metrics:
        command = command_of(variant, settings, settings.scaled(cycles))
        counted = ["env", "LD_PRELOAD=" + compiled("workers/heap_count.c"), *command]
        calls, metrics = strace.calls_between_marks(
            counted, _MEMORY_CALLS, _MARK, core=measured_core()
        )
        return {"calls": sum(calls.values()), **metrics}

    blocks = {f"{domain}_blocks": "live" for domain in _DOMAINS}
    allocations = {f"{domain}_each": "1" for domain in _DOMAINS}
    return Benchmark(
        name=f"steady-state-{cycles}",
        summary=f"growth over {cycles:,} cycles of spawn, lock, local, sleep, receive and send",
        units={
            "calls": "mmap, brk, ...",
            **blocks,
            "c_bytes": "B",
            **allocations,
            "resident": "KiB",
        },
        variants=(
            Variant("coev threads", ("coev",), COEV, _SCRIPT, ("threads",)),
            Variant("coev.spawn", ("coev",), COEV, _SCRIPT, ("coev",)),
            Variant("gevent.spawn", ("gevent",), GEVENT, _SCRIPT, ("gevent",)),
            Variant("gevent threads", ("gevent",), GEVENT, _SCRIPT, ("threads",)),
        ),
        repeat=one_by_one(trial),
        bars=tuple(
            Bar(metric, subject, 0)
            for subject in ("coev threads", "coev.spawn")
            for metric in ("calls", *blocks, "c_bytes")
        ),
        programs=("strace", "cc"),
        only_when_full=only_when_full,
    )


STEADY_STATE = (
    _steady_state(100_000, only_when_full=False),
    _steady_state(1_000_000, only_when_full=True),
)
