"""Structured concurrency: a block that ends when all its coroutines have."""

from ._coev import CoroutineExit, current, spawn

try:
    ExceptionGroup
except NameError:  # pragma: no cover
    raise ImportError("coev needs CPython 3.11 or newer") from None


class TaskGroup:
    """A ``with`` block whose end waits for every coroutine spawned in it.

    The first failure, of a coroutine or of the block itself, kills the others; all
    failures come out together as an ``ExceptionGroup`` (``BaseExceptionGroup``
    where one of them is no ``Exception``), as with ``asyncio.TaskGroup``. A
    coroutine that ends by being killed is no failure.

    Switches: the end of the block does, until all have ended.
    """

    def __init__(self):
        self._owner = None
        self._alive = set()
        self._errors = []
        self._cancelling = False

    def __enter__(self):
        if self._owner is not None:
            raise RuntimeError("a TaskGroup can be entered only once")
        self._owner = current()
        return self

    def spawn(self, fn, /, *args, **kwargs):
        """Start ``fn(*args, **kwargs)`` in the group and return its Coroutine.

        Switches: never.

        :raises RuntimeError: the group was not entered, or is ending.
        """
        if self._owner is None:
            raise RuntimeError("spawn() needs the group's with block")
        if self._cancelling or self._owner is _ENDED:
            raise RuntimeError("the TaskGroup is ending")
        coroutine = spawn(self._run, fn, args, kwargs)
        self._alive.add(coroutine)
        return coroutine

    def _run(self, fn, args, kwargs):
        try:
            return fn(*args, **kwargs)
        except CoroutineExit:
            raise
        except BaseException as error:
            self._fail(error)
            raise

    def _fail(self, error):
        self._errors.append(error)
        self._cancel(wake_owner=True)

    def _cancel(self, wake_owner):
        if self._cancelling:
            return
        self._cancelling = True
        me = current()
        for coroutine in self._alive:
            if coroutine is not me:
                coroutine.kill()
        if wake_owner and self._owner is not _ENDED and self._owner is not me:
            self._owner.throw(_Cancelled(self))

    def __exit__(self, exc_type, exc, tb):
        interrupted = self._settle(exc)
        self._owner = _ENDED
        if interrupted is not None:
            raise interrupted
        if not self._errors:
            return False
        errors, self._errors = self._errors, []
        raise BaseExceptionGroup("errors in a TaskGroup", errors) from None

    def _settle(self, exc):
        """Join all; return an exception that must be raised instead of a group."""
        interrupted = None
        if exc is not None and not self._is_mine(exc):
            if isinstance(exc, Exception):
                self._errors.append(exc)
            else:
                interrupted = exc
            self._cancel(wake_owner=False)
        while self._alive:
            coroutine = next(iter(self._alive))
            try:
                coroutine.exception()
                self._alive.discard(coroutine)
            except BaseException as error:
                if not self._is_mine(error):
                    interrupted = error
                    self._cancel(wake_owner=False)
        return interrupted

    def _is_mine(self, error):
        return isinstance(error, _Cancelled) and error.group is self


class _Cancelled(CoroutineExit):
    """Thrown into the block when one of its coroutines has failed."""

    def __init__(self, group):
        super().__init__()
        self.group = group


_ENDED = object()
