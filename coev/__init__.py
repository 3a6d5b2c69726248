"""Threads as coroutines: blocking Python that holds ten thousand connections.

``import coev.monkey`` at the start of a program makes its threads coroutines of
one OS thread. This module is the direct interface: spawn, switch, wait, locks,
queues, timeouts. A *coroutine* here has a stack of its own and blocks wherever
it likes; an ``async def`` is called an *async function*.

Every docstring says whether a call *switches*: lets other coroutines run before
it returns.
"""

import atexit as _atexit
import sysconfig as _sysconfig
import threading as _threading  # before the first coroutine: it ties itself to its importer

if _sysconfig.get_config_var("Py_GIL_DISABLED"):
    raise ImportError("coev does not support the free-threaded build of CPython")

if _threading.current_thread() is not _threading.main_thread():
    raise ImportError("coev must be imported from the main thread first")

from . import _coev

# A subinterpreter gets a copy of a module that the main one has loaded already.
if not _coev._in_main_interpreter():
    raise ImportError("coev does not support subinterpreters")

from ._coev import (
    READABLE,
    WRITABLE,
    BufferedSocket,
    Channel,
    ChannelClosed,
    Condition,
    Coroutine,
    CoroutineExit,
    Event,
    Lock,
    Queue,
    RLock,
    Semaphore,
    coroutines,
    current,
    main,
    offload,
    offload_threads,
    pool_ceiling,
    sleep,
    spawn,
    stats,
    switch,
    timeout,
    wait,
    wait_readable,
    wait_writable,
    yield_now,
)
from ._coev import _shut_down as _shut_down
from ._paths import get_include
from ._task_group import TaskGroup

__version__ = "0.1.0"

#: Coroutine-local data: CPython keeps it per thread state, so per coroutine.
local = _threading.local

__all__ = [
    "READABLE",
    "WRITABLE",
    "BufferedSocket",
    "Channel",
    "ChannelClosed",
    "Condition",
    "Coroutine",
    "CoroutineExit",
    "Event",
    "Lock",
    "Queue",
    "RLock",
    "Semaphore",
    "TaskGroup",
    "coroutines",
    "current",
    "get_include",
    "local",
    "main",
    "offload",
    "offload_threads",
    "pool_ceiling",
    "sleep",
    "spawn",
    "stats",
    "switch",
    "timeout",
    "wait",
    "wait_readable",
    "wait_writable",
    "yield_now",
]

# How long coroutines may take to clean up when the interpreter ends.
_EXIT_SECONDS = 5.0

# Registered early, so that it runs late: other handlers may want their coroutines.
_atexit.register(_shut_down, _EXIT_SECONDS)
