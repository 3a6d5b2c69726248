"""Many that sleep until deadlines of their own.

Usage: timers.py coev|gevent COUNT
"""

from __future__ import annotations

import random
import sys
import threading
import time

from parked_memory import STARTS
from rounds import report

_LONGEST_S = 2.0
_LEAD_S = 60e-6  # for each, between their common start and the first deadline


def main(kind: str, count: int) -> None:
    """Start all, let all sleep and wake; CPU of each, and how late they woke."""
    start, clock, gate = STARTS[kind], time.monotonic, threading.Semaphore(0)
    rng = random.Random(1)
    first = 0.0
    late: list[float] = []

    def sleep(offset: float) -> None:
        gate.acquire()
        deadline = first + offset
        time.sleep(deadline - clock())
        late.append(clock() - deadline)

    offsets = [rng.random() * _LONGEST_S for _ in range(count)]
    joins = [start(lambda offset=offset: sleep(offset)) for offset in offsets]
    time.sleep(0.01)
    cpu = time.process_time_ns()
    first = clock() + count * _LEAD_S
    gate.release(count)
    for join in joins:
        join()
    cpu = time.process_time_ns() - cpu
    late.sort()
    report(
        cpu=cpu / count / 1000,
        early=sum(each < 0 for each in late),
        p50=1e3 * late[count // 2],
        p99=1e3 * late[count * 99 // 100],
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
