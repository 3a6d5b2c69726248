"""A coroutine that ticks every 10 ms beside a program, and tells how long it had to wait.

Import it after ``coev.monkey``. What counts is the time that the OS thread slept between
two ticks: not when it computed, not when it stood in the kernel's run queue behind other
processes, and not when the machine itself stood behind others of its host, for none of
that says that the program blocked anyone. Nor does it count what follows closely on
reading from a disk (as imports do, and the kernel reads in advance), or on the start of a
process: vfork() stops its caller, who has the GIL also natively, until the child has had a
processor. So a busy machine changes nothing. The figures stand in a file that outlives
even a killed process.
"""

import atexit
import mmap
import os
import resource
import struct
import sys
import threading
import time

import coev

INTERVAL = 0.01
EXCUSED_NS = 250_000_000  # how long a disk may take for what was asked of it
TICK_NS = 10**9 // os.sysconf("SC_CLK_TCK")  # the kernel's unit in /proc/stat
FIGURES = struct.Struct("qq")  # ticks, nanoseconds slept between two of them at the most


def _slept():
    """Return a clock of nanoseconds that runs while this OS thread sleeps."""
    ran, queued, _ = os.pread(_schedstat, 100, 0).split()
    stolen = int(os.pread(_stat, 200, 0).split()[8]) * TICK_NS  # of all processors
    return time.monotonic_ns() - int(ran) - int(queued) - stolen


def _excuses():
    """Return how often this OS thread has read from a disk or started a process."""
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    return usage.ru_inblock + usage.ru_majflt + _started


def _count_processes(event, arguments):
    global _started
    if event == "subprocess.Popen":
        _started += 1


def _tick():
    threading.current_thread().pydev_do_not_trace = True  # debugpy must not stop the measure
    while True:
        coev.sleep(INTERVAL)
        _note(1)


def _note(tick=0):
    global _last, _last_excuses, _last_time, _counts_from
    now, excuses, moment = _slept(), _excuses(), time.monotonic_ns()
    if excuses != _last_excuses:
        _counts_from = moment + EXCUSED_NS
    ticks, longest = FIGURES.unpack_from(_file)
    if _last_time >= _counts_from:
        longest = max(longest, now - _last)
    FIGURES.pack_into(_file, 0, ticks + tick, longest)
    _last, _last_excuses, _last_time = now, excuses, moment


def read(path):
    """Return the figures in the file at *path*."""
    return FIGURES.unpack(path.read_bytes())


def _start(folder):
    """Tick from now on to the end of the process."""
    global _file, _schedstat, _stat, _started, _last, _last_excuses, _last_time, _counts_from
    path = os.path.join(folder, str(os.getpid()))
    _schedstat = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
    _stat = os.open("/proc/stat", os.O_RDONLY)
    with open(path, "wb+") as file:
        file.truncate(FIGURES.size)
        _file = mmap.mmap(file.fileno(), FIGURES.size)
    _started = 0
    sys.addaudithook(_count_processes)
    _last, _last_excuses, _last_time, _counts_from = _slept(), 0, time.monotonic_ns(), 0
    atexit.register(_note)
    coev.spawn(_tick)


if "TICKER_FOLDER" in os.environ:
    _start(os.environ["TICKER_FOLDER"])
