"""Time to spawn a coroutine that does nothing, let it run and see it finished.

Usage: spawn.py coev|gevent|greenlet COUNT
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from rounds import fastest_ns, report

_BATCH = 1000


def nothing() -> None:
    """Finish at once."""


def coev() -> tuple[Callable[[int], None], Callable[[int], None]]:
    """``coev.spawn(f).join()``, and a batch of spawns before the joins."""
    from coev import spawn

    def one_by_one(count: int) -> None:
        for _ in range(count):
            spawn(nothing).join()

    def batches(count: int) -> None:
        for _ in range(count // _BATCH):
            for coroutine in [spawn(nothing) for _ in range(_BATCH)]:
                coroutine.join()

    return one_by_one, batches


def gevent() -> tuple[Callable[[int], None], Callable[[int], None]]:
    """``gevent.spawn(f).join()``, and a batch for ``gevent.joinall``."""
    from gevent import joinall, spawn

    def one_by_one(count: int) -> None:
        for _ in range(count):
            spawn(nothing).join()

    def batches(count: int) -> None:
        for _ in range(count // _BATCH):
            joinall([spawn(nothing) for _ in range(_BATCH)])

    return one_by_one, batches


def greenlet() -> tuple[Callable[[int], None], Callable[[int], None]]:
    """``greenlet(f).switch()``: no scheduler, so a batch is made, then run."""
    from greenlet import greenlet

    def one_by_one(count: int) -> None:
        for _ in range(count):
            greenlet(nothing).switch()

    def batches(count: int) -> None:
        for _ in range(count // _BATCH):
            for coroutine in [greenlet(nothing) for _ in range(_BATCH)]:
                coroutine.switch()

    return one_by_one, batches


KINDS = {"coev": coev, "gevent": gevent, "greenlet": greenlet}

if __name__ == "__main__":
    one_by_one, batches = KINDS[sys.argv[1]]()
    report(
        alone=fastest_ns(one_by_one, int(sys.argv[2])),
        batch=fastest_ns(batches, int(sys.argv[2])),
    )
