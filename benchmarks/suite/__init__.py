"""The benchmarks, in the order in which they run."""

from __future__ import annotations

from harness.benchmark import Benchmark

from suite import (
    crowd,
    echo,
    importing,
    locks,
    memcached,
    memory,
    short,
    spawn,
    steady_state,
    switch,
    system_calls,
    threads,
    timers,
    tls,
)

BENCHMARKS: tuple[Benchmark, ...] = (
    switch.SWITCH,
    spawn.SPAWN,
    threads.THREADS,
    locks.LOCKS,
    locks.HAND_OVER,
    *echo.ECHO,
    system_calls.SYSTEM_CALLS,
    tls.TLS,
    short.SHORT,
    timers.TIMERS,
    *memory.MEMORY,
    *steady_state.STEADY_STATE,
    crowd.CROWD,
    importing.IMPORTING,
    memcached.MEMCACHED,
)
