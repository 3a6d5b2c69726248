"""The bridge between coroutines and asyncio.

``wait(awaitable)`` waits in a coroutine for what an event loop does: an async
function, a task, a future. ``await run(fn)`` lets an async function wait for a
coroutine. Each may be used inside the other, to any depth.

Importing it makes ``select``, ``poll`` and ``epoll`` suspend only the coroutine that
calls them, as ``coev.monkey`` does among much else: so a loop that waits lets the
others run, and every coroutine can have a loop of its own.
"""

import asyncio as _asyncio
import contextvars as _contextvars
import inspect as _inspect
import os as _os
import weakref as _weakref

from . import _coev
from ._coev import CoroutineExit as _CoroutineExit
from ._coev import Event as _Event
from ._coev import Lock as _Lock
from ._coev import current as _current
from ._coev import main as _main
from ._coev import spawn as _spawn
from ._coev import timeout as _timeout

__all__ = ["run", "wait"]

_coev._patch_select()

# How often wait() looks whether the loop can still answer.
_LOOK_SECONDS = 1.0

# Inside run(): the loop that awaits it.
_awaiting_loop = _contextvars.ContextVar("coev.aio.awaiting_loop", default=None)


# --- a coroutine waits for an awaitable -----------------------------------------------------


def wait(awaitable, timeout=None, loop=None):
    """Run *awaitable* on an event loop, wait for its end and return its result.

    The loop is that of *awaitable*, if it is a future or a task; else, inside
    ``run()``, the one that awaits it; else one that coev keeps for each OS thread, in
    a coroutine of its own. The awaitable runs in a copy of the caller's context.

    When the wait is interrupted (*timeout*, ``kill()``, ``throw()``, a ``timeout``
    scope, a signal handler that raises) the task is cancelled, each time, and its end
    waited for. If it ends with a result or an error all the same, that comes out, and
    what interrupted strikes where the coroutine waits next.

    Switches: always.

    :param awaitable: a coroutine object, a future, a task or any other awaitable.
    :param timeout: seconds; ``None`` waits without limit.
    :param loop: one that is running in another coroutine or in another OS thread.
    :raises TimeoutError: it did not end in time and was cancelled.
    :raises asyncio.CancelledError: somebody else cancelled it.
    :raises RuntimeError: this very coroutine runs an event loop, which could not go on
        meanwhile; or *loop* is not running, or was closed.
    """
    if _asyncio._get_running_loop() is not None:
        raise RuntimeError(
            "coev.aio.wait() would dead-lock the event loop that this coroutine runs: use await"
        )
    if not _inspect.isawaitable(awaitable):
        raise TypeError(f"coev.aio.wait() takes an awaitable, not {type(awaitable).__name__}")
    scope = _timeout(timeout)
    errand = _Errand(awaitable, _loop_for(awaitable, loop))
    stops = []  # what interrupted the wait
    try:
        try:
            with scope:
                errand.wait()
        except BaseException as error:
            stops.append(error)
        while stops and not errand.is_over:
            try:
                errand.cancel()
                errand.wait()
            except BaseException as error:
                stops.append(error)
        outcome = stops.pop(0) if stops and not errand.has_outcome else None
        for stop in stops:
            if getattr(stop, "scope", None) is not scope:
                _current()._postpone(stop)
        if outcome is not None:
            raise outcome
        return errand.result()
    finally:
        stops = stop = outcome = None  # their tracebacks lead back here


class _Errand:
    """What a loop does for one wait()."""

    def __init__(self, awaitable, loop):
        self._loop = loop
        self._task = None
        self._refusal = None  # why there is no task
        self._ended = _Event()
        context = _contextvars.copy_context()
        loop.call_soon_threadsafe(self._start, awaitable, context=context)

    def _start(self, awaitable):
        try:
            self._task = _asyncio.ensure_future(awaitable, loop=self._loop)
        except BaseException as error:
            self._refusal = error
            self._ended.set()
        else:
            self._task.add_done_callback(self._end)

    def _end(self, _):
        self._ended.set()

    @property
    def is_over(self):
        return self._ended.is_set() or self._loop.is_closed()

    def wait(self):
        while not self._ended.wait(_LOOK_SECONDS) and not self._loop.is_closed():
            pass

    def cancel(self):
        try:
            self._loop.call_soon_threadsafe(self._cancel)
        except RuntimeError:  # the loop was closed
            pass

    def _cancel(self):
        if self._task is not None:
            self._task.cancel()

    @property
    def has_outcome(self):
        """Whether it ended otherwise than by being cancelled."""
        if self._task is None:
            return self._refusal is not None
        return self._task.done() and not self._task.cancelled()

    def result(self):
        if not self._ended.is_set():
            raise RuntimeError("the event loop was closed before the awaitable was done")
        if self._task is None:
            raise self._refusal
        return self._task.result()


def _loop_for(awaitable, loop):
    bound = awaitable.get_loop() if _asyncio.isfuture(awaitable) else None
    if loop is None:
        loop = bound
    elif bound is not None and bound is not loop:
        raise ValueError("the future belongs to another event loop")
    if loop is None:
        loop = _awaiting_loop.get()
        return loop if loop is not None and loop.is_running() else _loop_of_our_own()
    if not loop.is_running():
        raise RuntimeError("the event loop is not running")
    return loop


# The main coroutine of an OS thread: the loop that coev keeps there.
_loops = _weakref.WeakKeyDictionary()
_loops_lock = _Lock()


def _loop_of_our_own():
    with _loops_lock:
        loop = _loops.get(_main())
        if loop is None or loop.is_closed():
            # Not what the policy says: a loop in C has waits of its own.
            loop = _asyncio.SelectorEventLoop()
            try:
                _spawn(_serve, loop).name = "coev.aio"
            except BaseException:
                loop.close()
                raise
            _loops[_main()] = loop
        return loop


def _serve(loop):
    """Run *loop* until the coroutine is killed, which the end of the interpreter does."""
    with _asyncio.Runner(loop_factory=lambda: loop):
        while True:
            try:
                loop.run_forever()
            except _CoroutineExit:
                return
            except (SystemExit, KeyboardInterrupt):
                pass  # of a task, which has it too: for who waits for the task


def _forget_loops():
    global _loops, _loops_lock
    _loops, _loops_lock = _weakref.WeakKeyDictionary(), _Lock()


# The coroutines that run them exist in the parent only.
_os.register_at_fork(after_in_child=_forget_loops)


# --- an async function waits for a coroutine ------------------------------------------------


async def run(fn, /, *args, **kwargs):
    """Run ``fn(*args, **kwargs)`` as a coroutine and return its result: *fn* may block.

    It runs in a copy of the caller's context. When the task that awaits it is
    cancelled the coroutine is killed and its end waited for; if it has a result by
    then, that is returned, and the task is cancelled where it waits next.

    Switches: as every ``await``.

    :raises asyncio.CancelledError: also if somebody else killed the coroutine.
    """
    task = _asyncio.current_task()
    cancelled_before = task.cancelling()
    call = _Call(_asyncio.get_running_loop(), fn, args, kwargs)
    stop = None
    try:
        stop = await call.end()
        if call.error is None:
            if stop is not None:
                call.loop.call_soon(_cancel_again, task, cancelled_before, *stop.args)
            return call.result
        if isinstance(call.error, _CoroutineExit):
            raise stop or _asyncio.CancelledError("the coroutine was killed")
        raise call.error
    finally:
        call = stop = None  # their tracebacks lead back here


class _Call:
    """One function that runs as a coroutine, for a loop."""

    def __init__(self, loop, fn, args, kwargs):
        self.loop = loop
        self.result = None
        self.error = None
        self._ended = False
        self._waiter = None
        context = _contextvars.copy_context()
        context.run(_awaiting_loop.set, loop)
        self._coroutine = _spawn(self._run, context, fn, args, kwargs)

    def _run(self, context, fn, args, kwargs):
        try:
            self.result = context.run(fn, *args, **kwargs)
        except BaseException as error:
            self.error = error
        try:
            self.loop.call_soon_threadsafe(self._end)
        except RuntimeError:  # the loop was closed: nobody waits
            if self.error is not None:
                raise self.error from None

    def _end(self):
        self._ended = True
        if not self._waiter.done():
            self._waiter.set_result(None)

    async def end(self):
        """Wait for it; return the CancelledError that came meanwhile, or None."""
        stop = None
        while not self._ended:
            self._waiter = self.loop.create_future()
            try:
                await self._waiter
            except BaseException as error:
                self._coroutine.kill()
                # One that has not started ends without a word.
                if not isinstance(error, _asyncio.CancelledError) or not self._coroutine.started:
                    raise
                stop = error
        return stop


def _cancel_again(task, cancelled_before, *message):
    """Cancel *task*, unless whoever did has withdrawn it or the task has ended."""
    if not task.done() and task.cancelling() > cancelled_before:
        task.uncancel()
        task.cancel(*message)
