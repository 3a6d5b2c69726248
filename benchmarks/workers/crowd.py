"""Many coroutines, all parked at once, then let go.

If no more can be started, that must be a RuntimeError, and those that were must still
wake and finish. Also some give way by turns: a hundred alone, a hundred beside all that
are parked, and as many as there were.

Usage: crowd.py daemons|coev|gevent COUNT
"""

from __future__ import annotations

import sys
import threading
import time

from parked_memory import STARTS, Start
from resident import status_kib
from rounds import report

_FEW = 100
_SWITCHES = 200_000
_ROUNDS = 8


def map_lines() -> int:
    """How many mappings the process has."""
    with open("/proc/self/maps") as lines:
        return sum(1 for _ in lines)


def switch_ns(start: Start, count: int) -> float:
    """CPU time of a switch where *count* give way by turns, and this one with them.

    Of the fastest round: the others show the machine's other guests.
    """
    turns, gate = max(1, _SWITCHES // count // _ROUNDS), threading.Semaphore(0)

    def give_way() -> None:
        gate.acquire()
        for _ in range(_ROUNDS * turns + 1):
            time.sleep(0)

    joins = [start(give_way) for _ in range(count)]
    time.sleep(0)  # all have come to the gate
    for _ in joins:
        gate.release()
    time.sleep(0)  # and through it
    fastest = float("inf")
    for _ in range(_ROUNDS):
        began = time.process_time_ns()
        for _ in range(turns):
            time.sleep(0)
        fastest = min(fastest, time.process_time_ns() - began)
    for join in joins:
        join()
    return fastest / (count + 1) / turns


def main(kind: str, count: int) -> None:
    """Start until *count* or refused; wake all; count who came back."""
    sys.setswitchinterval(3600)  # nobody is sent away while others are still being started
    start, arrived, returned = STARTS[kind], 0, 0
    gate = threading.Semaphore(0)

    def wait() -> None:
        nonlocal arrived, returned
        arrived += 1
        gate.acquire()
        returned += 1

    few = switch_ns(start, _FEW)
    maps = map_lines()
    before_kib, began = status_kib("VmRSS"), time.perf_counter()
    joins = []
    try:
        for _ in range(count):
            joins.append(start(wait))
    except RuntimeError:
        pass
    parked = len(joins)
    while arrived < parked:
        time.sleep(0)
    created = time.perf_counter()
    resident = (status_kib("VmRSS") - before_kib) / max(1, parked)
    maps = map_lines() - maps
    beside = switch_ns(start, _FEW)
    let_go = time.perf_counter()
    for _ in joins:
        gate.release()
    for join in joins:
        join()
    woken = time.perf_counter()
    report(
        parked=parked,
        lost=parked - returned,
        create=1e6 * (created - began) / max(1, parked),
        wake=1e6 * (woken - let_go) / max(1, parked),
        resident=resident,
        maps=maps,
        few=few,
        beside=beside,
        switch=switch_ns(start, parked),
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
