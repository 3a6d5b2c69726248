"""Scenarios of locks on files."""

import errno
import fcntl
import os
import signal
import struct
import tempfile
import threading
import time

SETLKW, OFD_SETLKW = fcntl.F_SETLKW, 38


def _record(kind):
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, 0, 0, 0)


def _open():
    handle, path = tempfile.mkstemp()
    other = os.open(path, os.O_RDWR)
    os.unlink(path)
    return handle, other


def _hold_elsewhere(handle, lock, unlock, seconds=0.15):
    """Have another process lock for some time; return when it has the lock."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        lock(handle)
        os.write(writer, b"x")
        time.sleep(seconds)
        unlock(handle)
        os._exit(0)
    os.close(writer)
    os.read(reader, 1)
    os.close(reader)
    return pid


# How to lock by each function, without and with waiting, and how to unlock.
WAYS = {
    "lockf": (
        lambda fd: fcntl.lockf(fd, fcntl.LOCK_EX),
        lambda fd: fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB),
        lambda fd: fcntl.lockf(fd, fcntl.LOCK_UN),
    ),
    "lockf of some bytes": (
        lambda fd: fcntl.lockf(fd, fcntl.LOCK_EX, 10, 5, os.SEEK_SET),
        lambda fd: fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 5, os.SEEK_SET),
        lambda fd: fcntl.lockf(fd, fcntl.LOCK_UN, 10, 5, os.SEEK_SET),
    ),
    "F_SETLKW": (
        lambda fd: len(fcntl.fcntl(fd, SETLKW, _record(fcntl.F_WRLCK))),
        lambda fd: len(fcntl.fcntl(fd, fcntl.F_SETLK, _record(fcntl.F_WRLCK))),
        lambda fd: len(fcntl.fcntl(fd, fcntl.F_SETLK, _record(fcntl.F_UNLCK))),
    ),
    "os.lockf": (
        lambda fd: os.lockf(fd, os.F_LOCK, 0),
        lambda fd: os.lockf(fd, os.F_TLOCK, 0),
        lambda fd: os.lockf(fd, os.F_ULOCK, 0),
    ),
}


def locks_of_a_process_are_waited_for(say):
    for name, (lock, try_lock, unlock) in WAYS.items():
        handle, other = _open()
        pid = _hold_elsewhere(other, lock, unlock)
        began = time.monotonic()
        say(name, error_of(try_lock, handle))
        say(lock(handle), time.monotonic() - began > 0.1)
        say(unlock(handle))
        os.waitpid(pid, 0)
        os.close(handle)
        os.close(other)


def locks_of_an_open_file_are_waited_for(say):
    ways = {
        "flock": (lambda fd: fcntl.flock(fd, fcntl.LOCK_EX), fcntl.LOCK_UN),
        "shared": (lambda fd: fcntl.flock(fd, fcntl.LOCK_SH), fcntl.LOCK_UN),
    }
    for name, (lock, unlock) in ways.items():
        handle, other = _open()
        fcntl.flock(other, fcntl.LOCK_EX)
        thread = threading.Timer(0.1, fcntl.flock, (other, unlock))
        thread.start()
        began = time.monotonic()
        say(name, error_of(fcntl.flock, handle, fcntl.LOCK_SH | fcntl.LOCK_NB))
        say(lock(handle), time.monotonic() - began > 0.05)
        thread.join()
        os.close(handle)
        os.close(other)
    handle, other = _open()
    fcntl.fcntl(other, OFD_SETLKW, _record(fcntl.F_WRLCK))
    thread = threading.Timer(0.1, os.close, (other,))
    thread.start()
    began = time.monotonic()
    say(len(fcntl.fcntl(handle, OFD_SETLKW, _record(fcntl.F_WRLCK))))
    say(time.monotonic() - began > 0.05)
    thread.join()
    os.close(handle)


def threads_do_not_exclude_each_other_by_locks_of_the_process(say):
    handle, other = _open()
    fcntl.lockf(handle, fcntl.LOCK_EX)
    thread = threading.Thread(target=lambda: say(fcntl.lockf(other, fcntl.LOCK_EX)))
    thread.start()
    thread.join()
    os.close(handle)
    os.close(other)


def many_take_turns(say):
    handle, other = _open()
    inside = []

    def work():
        mine = os.open(f"/proc/self/fd/{handle}", os.O_RDWR)
        for _ in range(3):
            fcntl.flock(mine, fcntl.LOCK_EX)
            inside.append(1)
            say(len(inside))
            time.sleep(0.001)
            inside.pop()
            fcntl.flock(mine, fcntl.LOCK_UN)
        os.close(mine)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.close(handle)
    os.close(other)


def other_commands_and_wrong_arguments(say):
    handle, other = _open()
    say(fcntl.fcntl(handle, fcntl.F_GETFD), fcntl.flock(handle, fcntl.LOCK_UN))
    say(error_of(fcntl.flock))
    say(error_of(fcntl.flock, handle, "x"))
    say(error_of(fcntl.flock, "x", fcntl.LOCK_EX))
    say(error_of(fcntl.flock, handle, 2**40))
    say(error_of(fcntl.lockf, handle, 99))
    say(error_of(fcntl.lockf, handle, fcntl.LOCK_EX, 1, 2, 3, 4))
    say(error_of(fcntl.fcntl, handle, SETLKW, b"short"))
    say(error_of(os.lockf, handle, os.F_LOCK))
    os.close(handle)
    say(error_of(fcntl.flock, handle, fcntl.LOCK_EX))
    say(error_of(fcntl.lockf, handle, fcntl.LOCK_EX))
    os.close(other)
    say(errno.EBADF)


def a_signal_handler_runs_and_the_wait_goes_on(say):
    handled = []
    previous = signal.signal(signal.SIGALRM, lambda *_: handled.append(1))
    handle, other = _open()
    fcntl.flock(other, fcntl.LOCK_EX)
    thread = threading.Timer(0.15, fcntl.flock, (other, fcntl.LOCK_UN))
    thread.start()
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    say(fcntl.flock(handle, fcntl.LOCK_EX), len(handled))
    thread.join()
    signal.signal(signal.SIGALRM, previous)
    os.close(handle)
    os.close(other)
