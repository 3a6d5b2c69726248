"""The benchmarks, in the order in which they run."""

from __future__ import annotations

from harness.benchmark import Benchmark

from suite import (
    crowd,
    echo,
    memory,
    spawn,
    steady_state,
    switch,
    system_calls,
    threads,
)

BENCHMARKS: tuple[Benchmark, ...] = (
    switch.SWITCH,
    spawn.SPAWN,
    threads.THREADS,
    *echo.ECHO,
    system_calls.SYSTEM_CALLS,
    *memory.MEMORY,
    steady_state.STEADY_STATE,
    crowd.CROWD,
)
