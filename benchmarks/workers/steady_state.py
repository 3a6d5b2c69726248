"""Cycles of spawn, lock, local, sleep, receive and send, and what the heap gained.

One cycle: main holds a lock and starts a thread or coroutine, which waits for the
lock, keeps a value of its own, sleeps, waits for a byte, sends it back and ends. The two calls of ``getsid`` mark the
measured phase for whoever traces the system calls.

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


class Mallinfo2(ctypes.Structure):
    """glibc's count of its heap, ``struct mallinfo2``."""

    _fields_ = [
        ("arena", ctypes.c_size_t),  # in the main heap
        ("_free_counts", ctypes.c_size_t * 3),
        ("hblkhd", ctypes.c_size_t),  # in mappings of their own
        ("_free_sizes", ctypes.c_size_t * 2),
        ("uordblks", ctypes.c_size_t),  # in use, of the main heap
        ("_rest", ctypes.c_size_t * 2),
    ]


def heap_reader() -> Callable[[], tuple[int, int, int, int]]:
    """A function that reads: blocks of CPython's, bytes of malloc's, and KiB."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Mallinfo2

    def read() -> tuple[int, int, int, int]:
        gc.collect()
        info = mallinfo2()
        in_use, mapped = info.uordblks + info.hblkhd, info.arena + info.hblkhd
        return sys.getallocatedblocks(), in_use, mapped, status_kib("VmRSS")

    return read


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
    run, read = cycles_of(kind), heap_reader()
    for _ in range(3):
        run(count // 10)
        before = read()
    os.getsid(0)
    run(count)
    os.getsid(0)
    after = read()
    blocks, in_use, mapped, resident = (b - a for a, b in zip(before, after))
    report(blocks=blocks, in_use=in_use, mapped=mapped, resident=resident)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
