"""Many coroutines, all parked at once, then let go.

If no more can be started, that must be a RuntimeError, and those that were must still
wake and finish.

Usage: crowd.py daemons|coev|gevent COUNT
"""

from __future__ import annotations

import sys
import threading
import time

from parked_memory import STARTS
from resident import status_kib
from rounds import report


def main(kind: str, count: int) -> None:
    """Start until *count* or refused; wake all; count who came back."""
    start, arrived, returned = STARTS[kind], 0, 0
    gate = threading.Semaphore(0)

    def wait() -> None:
        nonlocal arrived, returned
        arrived += 1
        gate.acquire()
        returned += 1

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
    for _ in joins:
        gate.release()
    for join in joins:
        join()
    woken = time.perf_counter()
    report(
        parked=parked,
        lost=parked - returned,
        create=1e6 * (created - began) / max(1, parked),
        wake=1e6 * (woken - created) / max(1, parked),
        resident=resident,
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
