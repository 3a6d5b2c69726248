"""Cycles of spawn, lock, local, sleep, receive and send, and what the heap gained.

One cycle: main holds a lock and starts a thread or coroutine, which waits for the
lock, keeps a value of its own, sleeps, waits for a byte, sends it back and ends. The
two calls of ``getsid`` mark the measured phase for whoever traces the system calls.

Usage: steady_state.py threads|coev|gevent CYCLES
"""

from __future__ import annotations

import ctypes
import gc
import os
import socket
import sys
import threading
import time
from collections.abc import Callable

from parked_memory import STARTS
from resident import status_kib
from rounds import report

_WARM_UP = 50_000  # cycles; some tables get their size only when a rare thing happens
_SEVERAL = 10


class Heap:
    """The counters of ``heap_count.c``, which must have been preloaded."""

    _DOMAINS = ("raw", "mem", "obj", "c")  # of CPython's allocators, and of malloc
    _ALLOCATIONS, _BLOCKS, _BYTES = range(3)

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._keep, self._change = library.keep_heap, library.heap_change
        self._change.restype = ctypes.c_long
        library.count_python()

    def keep(self, moment: int) -> None:
        """Keep the counters as moment 0 or 1."""
        gc.collect()
        self._keep(moment)

    def changes(self, cycles: int) -> dict[str, float]:
        """What grew between the moments, and allocations of each cycle."""
        results: dict[str, float] = {}
        for number, domain in enumerate(self._DOMAINS):
            results[f"{domain}_blocks"] = self._change(number, self._BLOCKS)
            results[f"{domain}_each"] = self._change(number, self._ALLOCATIONS) / cycles
        results["c_bytes"] = self._change(len(self._DOMAINS) - 1, self._BYTES)
        return results


def cycles_of(kind: str) -> Callable[[int], None]:
    """A function that runs so many cycles."""
    start = STARTS[kind]
    ours, theirs = socket.socketpair()
    lock = threading.Lock()
    own = threading.local()

    def answer() -> None:
        with lock:
            own.value = [lock]
            time.sleep(0)
            ours.send(ours.recv(1))

    def run(count: int) -> None:
        for _ in range(count):
            with lock:
                join = start(answer)
                time.sleep(0)
            theirs.send(b"x")
            theirs.recv(1)
            join()

    return run


def main(kind: str, count: int) -> None:
    """Warm up, mark, run, mark, compare."""
    heap, run = Heap(), cycles_of(kind)
    # Several at a time, once: the set of locks that threading waits for at exit leaves its
    # own object for the heap, which it would do at any later moment, and stays there.
    for join in [STARTS[kind](lambda: None) for _ in range(_SEVERAL)]:
        join()
    for _ in range(3):
        run(max(_WARM_UP, count // 10))
        heap.keep(0)
    resident = status_kib("VmRSS")
    heap.keep(0)
    os.getsid(0)
    run(count)
    os.getsid(0)
    heap.keep(1)
    report(**heap.changes(count), resident=status_kib("VmRSS") - resident)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
