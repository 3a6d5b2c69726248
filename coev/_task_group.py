"""Structured concurrency: a block that ends when all its coroutines have."""

from ._coev import CoroutineExit, Lock, current, spawn, timeout

# Under coev.monkey another coroutine may run between any two instructions here.


class TaskGroup:
    """A ``with`` block whose end waits for every coroutine spawned in it.

    The first failure, of a coroutine or of the block itself, kills the other
    coroutines and ends the block's wait; all failures come out together as an
    ``ExceptionGroup`` (``BaseExceptionGroup`` where one of them is no ``Exception``),
    as with ``asyncio.TaskGroup``. A coroutine that ends by being killed is no failure.

    What stops the block from outside (``kill()``, a ``timeout`` scope around it, any
    other exception that is no ``Exception``) kills the coroutines, too, and comes out
    as it is. If there were failures by then, their group comes out first, and the
    block's coroutine is stopped again where it waits next. The first
    ``KeyboardInterrupt`` or ``SystemExit`` of a coroutine comes out before all else.

    Switches: the end of the block does, until all have ended.
    """

    def __init__(self):
        self._owner = None
        self._ended = False
        self._alive = set()
        self._errors = []
        self._stops = []  # what came from outside to end the block
        self._exit = None  # the first KeyboardInterrupt or SystemExit of a coroutine
        self._cancelling = _Cancelled()  # thrown into the block once one has failed
        self._block_cancelled = Lock()  # by whoever gets it
        self._killing = False

    def __enter__(self):
        if self._owner is not None:
            raise RuntimeError("a TaskGroup can be entered only once")
        self._owner = current()
        return self

    def spawn(self, fn, /, *args, **kwargs):
        """Start ``fn(*args, **kwargs)`` in the group and return its Coroutine.

        Switches: never.

        :raises RuntimeError: the group was not entered, is ending because of a
            failure, or has ended.
        """
        if self._owner is None:
            raise RuntimeError("spawn() needs the group's with block")
        if self._killing or self._ended:
            raise RuntimeError("the TaskGroup is ending")
        coroutine = spawn(self._run, fn, args, kwargs)
        self._alive.add(coroutine)
        if self._killing or self._ended:
            coroutine.kill()  # it missed the others' end
        if self._ended:
            raise RuntimeError("the TaskGroup is ending")
        return coroutine

    def _run(self, fn, args, kwargs):
        self._alive.add(current())  # an exception may have kept spawn() from it
        try:
            result = fn(*args, **kwargs)
        except CoroutineExit:
            self._alive.discard(current())
            raise
        except BaseException as error:
            # It stays in the set: the end of the block takes its exception.
            self._fail(error)
            raise
        self._alive.discard(current())
        return result

    def _fail(self, error):
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            self._exit = self._exit or error
        else:
            self._errors.append(error)
        self._kill_all()
        if not self._ended and self._block_cancelled.acquire(False):
            self._owner.throw(self._cancelling)

    def _kill_all(self):
        if self._killing:
            return
        self._killing = True
        me = current()
        for coroutine in list(self._alive):
            if coroutine is not me:
                coroutine.kill()

    def __exit__(self, exc_type, exc, tb):
        try:
            # Signal handlers that raise do so between any two instructions.
            error = exc
            while not self._ended:
                try:
                    if error is not None:
                        self._block_raised(error)
                        error = None
                    self._settle()
                    self._ended = True
                except BaseException as another:
                    error = another
            if self._block_cancelled.locked():
                self._owner._withdraw(self._cancelling)
            outcome = self._outcome()
            for stop in self._stops:
                if stop is not outcome:
                    self._owner._postpone(stop)
            if outcome is None or outcome is exc:
                return False
            raise outcome
        finally:
            # Tracebacks lead back here.
            self._owner, self._cancelling, self._exit = _NOBODY, None, None
            self._stops, self._errors = [], []
            exc = error = outcome = stop = None

    def _settle(self):
        while alive := list(self._alive):  # in one step: others come and go meanwhile
            try:
                alive[0].exception()
            except BaseException as error:
                self._block_raised(error)
            else:
                self._alive.discard(alive[0])

    def _block_raised(self, error):
        if error is self._cancelling:
            return
        known = self._stops if self._came_from_outside(error) else self._errors
        if not any(error is each for each in known):
            known.append(error)
        self._kill_all()

    @staticmethod
    def _came_from_outside(error):
        if isinstance(error, TimeoutError):
            scope = getattr(error, "scope", None)
            return isinstance(scope, timeout) and scope.active
        return not isinstance(error, Exception)

    def _outcome(self):
        if self._exit is not None:
            return self._exit
        if self._errors:
            group = BaseExceptionGroup("errors in a TaskGroup", self._errors)
            group.__suppress_context__ = True  # it is among the errors
            return group
        return self._stops[0] if self._stops else None


class _Cancelled(CoroutineExit):
    """Thrown into the block when one of its coroutines has failed."""


_NOBODY = object()
