"""Make threads mean coroutines: import this first, change nothing else.

Importing it changes what blocks underneath: the functions of ``_thread``, the
methods of its locks, of ``queue.SimpleQueue``, of ``socket.socket`` and of TLS, the
resolver, ``select`` and what polls, ``os.read`` and what reads and writes files on
pipes and terminals, and ``time.sleep``. No class and no function is exchanged for
another one, so whatever was imported, subclassed, bound or created before works the
same as what comes later. Importing it again does nothing.

A thread that runs already stays a thread of the operating system; it may use
the same locks, events and queues.
"""

import gc as _gc
import sys as _sys
import threading as _threading
import warnings as _warnings

from . import _coev
from ._socket_class import patch as _rewrite_sockets
from ._threading import patch as _rewrite_threading

_LOCK_TYPES = type(_threading.Lock()), type(_threading.RLock())

if not _coev._on_main_os_thread():
    raise ImportError(
        "coev.monkey must be imported from the main thread, before other threads start"
    )


def _held_locks():
    """Give the locks that are held now, but for those that only end a thread or a wait."""
    own = [getattr(thread, "_tstate_lock", None) for thread in _threading.enumerate()]
    for frame in _sys._current_frames().values():
        while frame is not None:
            if frame.f_code is _threading.Condition.wait.__code__:
                own.append(frame.f_locals.get("waiter"))
            frame = frame.f_back
    for each in _gc.get_objects():
        if type(each) in _LOCK_TYPES and repr(each).startswith("<locked"):
            if not any(each is lock for lock in own):
                yield each


def _describe(lock):
    """Name *lock* by what has it as an attribute or as a global name, if anything does."""
    for owner in _gc.get_referrers(lock):
        is_namespace = type(owner) is dict
        names = owner if is_namespace else getattr(owner, "__dict__", {})
        for name, value in list(names.items()):
            if value is lock:
                kind = names.get("__name__", "") if is_namespace else type(owner).__qualname__
                return f"{kind}.{name} {lock!r}"
    return repr(lock)


def _warn_of_native_threads():
    threads = [t for t in _threading.enumerate() if t is not _threading.main_thread()]
    if threads:
        held = ", ".join(sorted(map(_describe, _held_locks())))
        _warnings.warn(
            "threads of the operating system are running already and stay so: "
            + ", ".join(sorted(thread.name for thread in threads))
            + "; a lock that one of them waits for now cannot be handed to it"
            + (f" (held are: {held})" if held else "")
            + ". Import coev.monkey first.",
            RuntimeWarning,
            stacklevel=3,
        )


def _watch_native_threads():
    """Let join() of a thread that runs already see its end, up to 3.12."""
    for thread in _threading.enumerate():
        if thread is not _threading.main_thread() and thread._tstate_lock is not None:
            _coev._watch_release(thread._tstate_lock)


def _convert_handles():
    """From 3.13 on a Thread has a handle: give those not started one of ours."""
    _threading._ThreadHandle = _coev._ThreadHandle
    _sys.modules["_thread"]._ThreadHandle = _coev._ThreadHandle
    attribute = "_handle" if hasattr(_threading.main_thread(), "_handle") else "_os_thread_handle"
    for thread in list(_threading._dangling):
        if thread is _threading.main_thread():
            setattr(thread, attribute, _coev._make_thread_handle(thread.ident))
        elif not thread._started.is_set():
            setattr(thread, attribute, _coev._ThreadHandle())


def _patch():
    _warn_of_native_threads()
    _coev._patch()
    _rewrite_threading()
    _rewrite_sockets()
    if hasattr(_threading, "_ThreadHandle"):
        _convert_handles()
    else:
        _watch_native_threads()


_patch()
