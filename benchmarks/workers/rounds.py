"""Times a piece of work inside a measured process."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

_ROUNDS = 7


def fastest_ns(work: Callable[[int], None], count: int) -> float:
    """CPU time of *work(count)* in ns for each of *count*.

    The fastest of several rounds after one to warm up: a round can be disturbed
    from outside, by an interrupt or a cold cache, but never sped up.
    """
    work(count)
    best = float("inf")
    for _ in range(_ROUNDS):
        began = time.process_time_ns()
        work(count)
        best = min(best, time.process_time_ns() - began)
    return best / count


def report(**metrics: float) -> None:
    """Hand the metrics to the harness."""
    print(json.dumps(metrics), flush=True)
