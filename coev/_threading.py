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
from ._thread_class import ContextThread, HandleThread, LockThread

if hasattr(threading, "_maintain_shutdown_locks"):
    from threading import _shutdown_locks

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

    def __getstate__(self):
        # Made now: its lock is why an Event can be neither pickled nor copied.
        vars(self).setdefault("_cond", self._cond)
        return object.__getstate__(self)

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
    return _coev._thread_hook(excepthook, _sys.excepthook)


def _maintain_shutdown_locks():
    # Worth a look at all of them only when half may be gone.
    this = _maintain_shutdown_locks
    if len(_shutdown_locks) > this.limit:
        _shutdown_locks.difference_update([lock for lock in _shutdown_locks if not lock.locked()])
        this.limit = 2 * len(_shutdown_locks) + 64


def _copy(function):
    copy = FunctionType(function.__code__, function.__globals__, argdefs=function.__defaults__)
    setattr(_coev_originals, function.__name__, copy)
    return copy


def _is_own(function):
    """Whether *function* is threading's, and nobody's wrapper of it."""
    return getattr(function, "__globals__", None) is vars(threading) and not function.__closure__


def _rewrite_thread(thread, replacement):
    """Rewrite ``Thread``, unless it is another one than ours is made after."""
    methods = "_bootstrap", "_delete", "_set_ident", "_set_native_id"
    if replacement is LockThread:
        methods += "_set_tstate_lock", "_stop", "_wait_for_tstate_lock"
    rewritten = "__init__", "start", "join", "_bootstrap_inner"
    if (
        thread.__init__.__kwdefaults__ != replacement.__init__.__kwdefaults__
        or not all(_is_own(getattr(thread, name)) for name in methods + rewritten)
        or not _is_own(thread.daemon.fget)
    ):
        return
    _coev._thread_adopt(
        threading, (*methods, "_bootstrap_inner", "daemon"), ("__init__", "is_set", "set", "wait")
    )
    for name in rewritten:
        function = getattr(thread, name)
        original = _copy(function).__code__
        _rewrite(function, getattr(replacement, name))
        if name == "_bootstrap_inner":
            function.__code__ = _aligned(function.__code__, original)


def _replacement_for(attributes):
    """The class after a Thread whose ``__init__`` gives it these."""
    if "_os_thread_handle" in attributes:
        return ContextThread
    return HandleThread if "_handle" in attributes else LockThread


def _aligned(code, original):
    """*code*, with the call of ``run()`` in the line where *original* has it.

    That line is in every traceback, and debuggers look for it.
    """
    line, ours = (  # in both it is the fourth from the end
        sorted({line for _, _, line in each.co_lines() if line})[-4] for each in (original, code)
    )
    return code.replace(
        co_filename=original.co_filename, co_firstlineno=code.co_firstlineno + line - ours
    )


def patch():
    """Give functions of threading and queue the code of those here; a second time does nothing."""
    if hasattr(threading, "_coev"):
        return
    for module in threading, queue:
        module._coev, module._coev_originals = _coev, _coev_originals
    for name in ("__init__", "_at_fork_reinit", "set", "clear", "wait"):
        _rewrite(getattr(threading.Event, name), getattr(Event, name))
    threading.Event._cond = _EventCondition()
    threading.Event.__getstate__ = Event.__getstate__

    for function, replacement in (
        (threading.Condition.wait, Condition.wait),
        (threading.Condition.notify, Condition.notify),
        (queue.Queue.put, Queue.put),
        (queue.Queue.get, Queue.get),
    ):
        _copy(function)
        _rewrite(function, replacement)

    _coev._thread_adopt(threading, (), ())
    _copy(threading._make_invoke_excepthook)
    _rewrite(threading._make_invoke_excepthook, _make_invoke_excepthook)

    if hasattr(threading, "_maintain_shutdown_locks"):
        threading._maintain_shutdown_locks.limit = 64
        _rewrite(threading._maintain_shutdown_locks, _maintain_shutdown_locks)
        for name in ("_stop", "_wait_for_tstate_lock"):
            _rewrite(getattr(threading.Thread, name), getattr(LockThread, name))
    _rewrite_thread(threading.Thread, _replacement_for(threading.Thread.__init__.__code__.co_names))
