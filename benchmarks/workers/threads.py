"""Time to start a thread that does nothing, and to join it.

Plain threading code: the launcher (``-m coev``) decides what a thread is.

Usage: threads.py COUNT
"""

from __future__ import annotations

import sys
import threading
import time

from rounds import fastest_ns, report

_BATCH = 100


def nothing() -> None:
    """Finish at once."""


def one_by_one(count: int) -> None:
    """Never more than one thread besides main."""
    for _ in range(count):
        thread = threading.Thread(target=nothing)
        thread.start()
        thread.join()


def batches(count: int) -> None:
    """A hundred are started before the first is joined."""
    for _ in range(count // _BATCH):
        threads = [threading.Thread(target=nothing) for _ in range(_BATCH)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    count = int(sys.argv[1])
    alone, batch = fastest_ns(one_by_one, count), fastest_ns(batches, count)
    began = time.perf_counter_ns()
    one_by_one(count)
    wall = (time.perf_counter_ns() - began) / count
    report(alone=alone / 1000, batch=batch / 1000, wall=wall / 1000)
