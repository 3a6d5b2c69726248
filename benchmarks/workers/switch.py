"""Time of one switch between two coroutines, from a Python loop.

Usage: switch.py coev-switch|coev-yield|greenlet-switch COUNT
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from rounds import fastest_ns, report


def coev_switch() -> Callable[[int], None]:
    """Each names the other: ``coev.switch(target)``."""
    import coev

    switch, main = coev.switch, coev.main()

    def answer() -> None:
        while True:
            switch(main)

    partner = coev.spawn(answer)

    def rounds(count: int) -> None:
        for _ in range(count // 2):
            switch(partner)

    return rounds


def coev_yield() -> Callable[[int], None]:
    """Each lets whoever is next in the run queue go on: ``coev.yield_now()``."""
    import coev

    yield_now = coev.yield_now

    def answer() -> None:
        while True:
            yield_now()

    coev.spawn(answer)

    def rounds(count: int) -> None:
        for _ in range(count // 2):
            yield_now()

    return rounds


def greenlet_switch() -> Callable[[int], None]:
    """Each names the other: ``greenlet.switch()``."""
    import greenlet

    switch_to_main = greenlet.getcurrent().switch

    def answer() -> None:
        while True:
            switch_to_main()

    switch_to_partner = greenlet.greenlet(answer).switch

    def rounds(count: int) -> None:
        for _ in range(count // 2):
            switch_to_partner()

    return rounds


KINDS = {
    "coev-switch": coev_switch,
    "coev-yield": coev_yield,
    "greenlet-switch": greenlet_switch,
}

if __name__ == "__main__":
    report(time=fastest_ns(KINDS[sys.argv[1]](), int(sys.argv[2])))
