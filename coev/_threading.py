"""What methods of threading and queue do once threads are coroutines.

The functions there stay the same objects: they are given the code of those here (which
therefore runs among the globals of their module), so every reference to them is
covered, as with the built-in ones. What is rewritten costs a coroutine more than all
the rest of a thread: the Condition of each Event, the hook for exceptions that each
Thread makes for itself, and, up to 3.12, a look at every other thread at each start.
"""

import queue
import sys as _sys
import threading
from threading import Lock, excepthook
from types import FunctionType, SimpleNamespace

from . import _coev
from ._rewriting import rewrite as _rewrite

if hasattr(threading, "_maintain_shutdown_locks"):
    from threading import _shutdown_locks, _shutdown_locks_lock

#: Functions with the code they had, for what ours does not deal with.
_coev_originals = SimpleNamespace()

__all__ = ["patch"]


class Event:
    """An Event without a Condition, until somebody asks for it."""

    def __init__(self):
        self._flag = False

    def _at_fork_reinit(self):
        if _coev._event_has_condition(self):
            self._cond._at_fork_reinit()

    def set(self):
        if not _coev._event_set(self):
            with self._cond:
                self._flag = True
                self._cond.notify_all()
            _coev._event_wake(self)

    def clear(self):
        if not _coev._event_clear(self):
            with self._cond:
                self._flag = False

    def wait(self, timeout=None):
        signaled = _coev._event_wait(self, timeout)
        if signaled is None:
            with self._cond:
                signaled = self._flag
                if not signaled:
                    signaled = self._cond.wait(timeout)
        return signaled


class Condition:
    """A Condition that waits and notifies in C, on the same locks."""

    def wait(self, timeout=None):
        notified = _coev._condition_wait(self, timeout)
        if notified is None:
            return _coev_originals.wait(self, timeout)
        return notified

    def notify(self, n=1):
        if not _coev._condition_notify(self, n):
            _coev_originals.notify(self, n)


class Queue:
    """A queue.Queue that puts and gets in C where nothing is unusual."""

    def put(self, item, block=True, timeout=None):
        if not _coev._queue_put(self, item):
            _coev_originals.put(self, item, block, timeout)

    def get(self, block=True, timeout=None):
        item = _coev._queue_get(self, block, timeout)
        if item is _coev._missing:
            return _coev_originals.get(self, block, timeout)
        return item


class _EventCondition:
    """``Event._cond``, made when it is asked for; from then on that Event uses it."""

    def __get__(self, event, owner=None):
        if event is None:
            raise AttributeError("type object 'Event' has no attribute '_cond'")
        _coev._event_condition_made()
        return event.__dict__.setdefault("_cond", threading.Condition(Lock()))


def _make_invoke_excepthook():
    # What it makes depends on these two only: nearly always the last one serves again.
    this = _make_invoke_excepthook
    if this.made_for != (excepthook, _sys.excepthook):
        this.made = _coev_originals._make_invoke_excepthook()
        this.made_for = excepthook, _sys.excepthook
    return this.made


def _maintain_shutdown_locks():
    # Worth a look at all of them only when half may be gone.
    this = _maintain_shutdown_locks
    if len(_shutdown_locks) > this.limit:
        _shutdown_locks.difference_update([lock for lock in _shutdown_locks if not lock.locked()])
        this.limit = 2 * len(_shutdown_locks) + 64


class Thread:
    """A Thread that takes its own lock from those to wait for at exit, up to 3.12."""

    def _stop(self):
        lock = self._tstate_lock
        if lock is not None:
            assert not lock.locked()
        self._is_stopped = True
        self._tstate_lock = None
        if not self.daemon:
            with _shutdown_locks_lock:
                _shutdown_locks.discard(lock)
                _maintain_shutdown_locks()


def _copy(function):
    copy = FunctionType(function.__code__, function.__globals__, argdefs=function.__defaults__)
    setattr(_coev_originals, function.__name__, copy)
    return copy


def patch():
    """Give functions of threading and queue the code of those here; a second time does nothing."""
    if hasattr(threading, "_coev"):
        return
    for module in threading, queue:
        module._coev, module._coev_originals = _coev, _coev_originals
    for name in ("__init__", "_at_fork_reinit", "set", "clear", "wait"):
        _rewrite(getattr(threading.Event, name), getattr(Event, name))
    threading.Event._cond = _EventCondition()

    for function, replacement in (
        (threading.Condition.wait, Condition.wait),
        (threading.Condition.notify, Condition.notify),
        (queue.Queue.put, Queue.put),
        (queue.Queue.get, Queue.get),
    ):
        _copy(function)
        _rewrite(function, replacement)

    make_hook = threading._make_invoke_excepthook
    _copy(make_hook)
    make_hook.made_for = None
    _rewrite(make_hook, _make_invoke_excepthook)

    if hasattr(threading, "_maintain_shutdown_locks"):
        threading._maintain_shutdown_locks.limit = 64
        _rewrite(threading._maintain_shutdown_locks, _maintain_shutdown_locks)
        _rewrite(threading.Thread._stop, Thread._stop)
