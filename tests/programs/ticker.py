"""A coroutine that ticks every 10 ms beside a program, and tells how long it had to wait.

Import it after ``coev.monkey``. What counts is the time that the OS thread slept between
two ticks: not when it computed, and not when it stood in the kernel's run queue behind
other processes, for neither says that the program blocked anyone. So a busy machine
changes nothing. The figures stand in a file that outlives even a killed process.
"""

import atexit
import mmap
import os
import struct
import threading
import time

import coev

INTERVAL = 0.01
FIGURES = struct.Struct("qq")  # ticks, nanoseconds slept between two of them at the most


def _slept():
    """Return a clock of nanoseconds that runs while this OS thread sleeps."""
    ran, queued, _ = os.pread(_schedstat, 100, 0).split()
    return time.monotonic_ns() - int(ran) - int(queued)


def _tick():
    while True:
        coev.sleep(INTERVAL)
        _note(1)


def _note(tick=0):
    global _last
    now = _slept()
    ticks, longest = FIGURES.unpack_from(_file)
    FIGURES.pack_into(_file, 0, ticks + tick, max(longest, now - _last))
    _last = now


def read(path):
    """Return the figures in the file at *path*."""
    return FIGURES.unpack(path.read_bytes())


def _start(folder):
    """Tick from now on to the end of the process."""
    global _file, _schedstat, _last
    path = os.path.join(folder, str(os.getpid()))
    _schedstat = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
    with open(path, "wb+") as file:
        file.truncate(FIGURES.size)
        _file = mmap.mmap(file.fileno(), FIGURES.size)
    _last = _slept()
    atexit.register(_note)
    coev.spawn(_tick)


if "TICKER_FOLDER" in os.environ:
    _start(os.environ["TICKER_FOLDER"])
