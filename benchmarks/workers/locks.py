"""Time of an uncontended acquire and release, and of handing over between two threads.

Plain threading code: the launcher decides what a thread is. One round of a hand-over is
there and back.

Usage: locks.py uncontended|hand-over COUNT
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable

from rounds import fastest_ns, report

Work = Callable[[int], None]


def uncontended(lock: threading.Lock | threading.RLock) -> Work:
    """Nobody else wants it."""
    acquire, release = lock.acquire, lock.release

    def work(count: int) -> None:
        for _ in range(count):
            acquire()
            release()

    return work


def _with_partner(partner: Work, main: Work) -> Work:
    def work(count: int) -> None:
        thread = threading.Thread(target=partner, args=(count,))
        thread.start()
        main(count)
        thread.join()

    return work


def lock() -> Work:
    """Each releases what the other waits for."""
    ours, theirs = threading.Lock(), threading.Lock()
    ours.acquire()
    theirs.acquire()

    def partner(count: int) -> None:
        for _ in range(count):
            theirs.acquire()
            ours.release()

    def main(count: int) -> None:
        for _ in range(count):
            theirs.release()
            ours.acquire()

    return _with_partner(partner, main)


def condition() -> Work:
    """They take turns under one Condition."""
    shared = threading.Condition()
    turn = 0

    def side(mine: int) -> Work:
        def work(count: int) -> None:
            nonlocal turn
            for _ in range(count):
                with shared:
                    while turn != mine:
                        shared.wait()
                    turn = 1 - mine
                    shared.notify()

        return work

    return _with_partner(side(1), side(0))


def event() -> Work:
    """Each sets an Event that the other waits for and clears."""
    ours, theirs = threading.Event(), threading.Event()

    def partner(count: int) -> None:
        for _ in range(count):
            theirs.wait()
            theirs.clear()
            ours.set()

    def main(count: int) -> None:
        for _ in range(count):
            theirs.set()
            ours.wait()
            ours.clear()

    return _with_partner(partner, main)


def queues() -> Work:
    """A question through one Queue, the answer through another."""
    questions: queue.Queue[int] = queue.Queue()
    answers: queue.Queue[int] = queue.Queue()

    def partner(count: int) -> None:
        for _ in range(count):
            answers.put(questions.get())

    def main(count: int) -> None:
        for number in range(count):
            questions.put(number)
            answers.get()

    return _with_partner(partner, main)


if __name__ == "__main__":
    count = int(sys.argv[2])
    if sys.argv[1] == "uncontended":
        report(
            lock=fastest_ns(uncontended(threading.Lock()), count),
            rlock=fastest_ns(uncontended(threading.RLock()), count),
        )
    else:
        time.sleep(0)
        kinds = {"lock": lock, "condition": condition, "event": event, "queue": queues}
        report(**{name: fastest_ns(make(), count) for name, make in kinds.items()})
