"""Resident memory of a thread or coroutine that is blocked in ``recv``.

Sockets are made before the first reading, so they are not counted; what the kernel
keeps for them is never part of the resident size.

Usage: parked_memory.py threads|coev|gevent COUNT
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable

from resident import settled_rss_kib, status_kib
from rounds import report

Start = Callable[[Callable[[], None]], Callable[[], object]]


def start_thread(work: Callable[[], None]) -> Callable[[], object]:
    """A thread: what that is, the launcher decides."""
    thread = threading.Thread(target=work)
    thread.start()
    return thread.join


def start_daemon(work: Callable[[], None]) -> Callable[[], object]:
    """A daemon thread: starting it does not look at every other thread.

    Up to CPython 3.12 each start of another one walks through the locks of all.
    """
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread.join


def start_coev(work: Callable[[], None]) -> Callable[[], object]:
    """A bare coroutine."""
    import coev

    join: Callable[[], object] = coev.spawn(work).join
    return join


def start_gevent(work: Callable[[], None]) -> Callable[[], object]:
    """A Greenlet; the sockets are gevent's by the launcher."""
    import gevent

    join: Callable[[], object] = gevent.spawn(work).join
    return join


STARTS: dict[str, Start] = {
    "threads": start_thread,
    "daemons": start_daemon,
    "coev": start_coev,
    "gevent": start_gevent,
}


def main(kind: str, count: int) -> None:
    """Park *count*, read the sizes, let all go on and finish."""
    pairs = [socket.socketpair() for _ in range(count)]
    received = []

    def receive(end: socket.socket) -> Callable[[], None]:
        return lambda: received.append(end.recv(1))

    bodies = [receive(ours) for ours, _ in pairs]
    joins = [STARTS[kind](lambda: None)]  # imports, first stack: not a coroutine's own
    joins.pop()()
    rss, tables = settled_rss_kib(), status_kib("VmPTE")
    for body in bodies:
        joins.append(STARTS[kind](body))
    resident = (settled_rss_kib() - rss) / count
    page_tables = (status_kib("VmPTE") - tables) / count
    for _, theirs in pairs:
        theirs.send(b"x")
    for join in joins:
        join()
    if received != [b"x"] * count:
        raise SystemExit("not every one received its byte")
    report(resident=resident, page_tables=page_tables)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
