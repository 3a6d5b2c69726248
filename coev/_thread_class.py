"""What methods of ``threading.Thread`` do once threads are coroutines.

They run among the globals of threading, as all of _threading.py does, take threading's
steps in its order, and leave every attribute as it would be. What needs the lock of one
of its tables is done in C if that lock is free, and so is what need not be Python.
"""

__all__ = ["HandleThread", "LockThread"]


class LockThread:
    """A Thread up to 3.12, whose end releases a lock; it takes that from those to wait for."""

    def __init__(self, group=None, target=None, name=None, args=(), kwargs=None, *, daemon=None):
        assert group is None, "group argument must be None for now"
        self._target = target
        self._name = str(name) if name else _coev._thread_name(_counter, target)
        self._args = args
        self._kwargs = {} if kwargs is None else kwargs
        self._daemonic = _coev._thread_daemon(daemon, _active)
        self._ident = None
        self._native_id = None
        self._tstate_lock = None
        self._started = Event()
        self._is_stopped = False
        self._initialized = True
        self._stderr = _sys.stderr
        self._invoke_excepthook = _coev._thread_hook(excepthook, _sys.excepthook)
        if _dangling._pending_removals:
            _dangling.add(self)
        else:
            _coev._thread_dangles(self, _dangling.data)

    def start(self):
        if not self._initialized or not _coev._thread_announce(
            self, self._started, _active_limbo_lock, _limbo
        ):
            return _coev_originals.start(self)
        try:
            _start_new_thread(self._bootstrap, ())
        except Exception:
            with _active_limbo_lock:
                del _limbo[self]
            raise
        _coev._thread_await(self._started) or self._started.wait()

    def _bootstrap_inner(self):
        if not _coev._thread_is_stock(self):
            return _coev_originals._bootstrap_inner(self)
        try:
            self._ident = ident = get_ident()
            self._tstate_lock = lock = _coev._thread_lock(_set_sentinel)
            if not self._daemonic and not _coev._thread_keep_lock(
                lock, _shutdown_locks_lock, _shutdown_locks
            ):
                with _shutdown_locks_lock:
                    _maintain_shutdown_locks()
                    _shutdown_locks.add(lock)
            self._native_id = get_native_id()
            if not _coev._thread_enter(
                self, ident, self._started, _active_limbo_lock, _active, _limbo
            ):
                self._started.set()
                with _active_limbo_lock:
                    _active[ident] = self
                    del _limbo[self]

            if _trace_hook:
                _sys.settrace(_trace_hook)
            if _profile_hook:
                _sys.setprofile(_profile_hook)

            try:
                self.run()
            except:  # noqa: E722
                self._invoke_excepthook(self)
        finally:
            _coev._thread_leave(self, _active_limbo_lock, _active) or self._delete()

    def join(self, timeout=None):
        if (
            timeout is None
            and self._initialized
            and _coev._thread_has_released(
                self, self._tstate_lock, _shutdown_locks_lock, _shutdown_locks
            )
        ):
            self._is_stopped = True
            self._tstate_lock = None
        else:
            _coev_originals.join(self, timeout)

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


class HandleThread:
    """A Thread of 3.13, which has a handle."""

    def __init__(self, group=None, target=None, name=None, args=(), kwargs=None, *, daemon=None):
        assert group is None, "group argument must be None for now"
        self._target = target
        self._name = str(name) if name else _coev._thread_name(_counter, target)
        self._args = args
        self._kwargs = {} if kwargs is None else kwargs
        self._daemonic = _coev._thread_daemon(daemon, _active)
        self._ident = None
        self._native_id = None
        self._handle = _ThreadHandle()
        self._started = Event()
        self._initialized = True
        self._stderr = _sys.stderr
        self._invoke_excepthook = _coev._thread_hook(excepthook, _sys.excepthook)
        if _dangling._pending_removals:
            _dangling.add(self)
        else:
            _coev._thread_dangles(self, _dangling.data)

    def start(self):
        if not self._initialized or not _coev._thread_announce(
            self, self._started, _active_limbo_lock, _limbo
        ):
            return _coev_originals.start(self)
        try:
            _start_joinable_thread(self._bootstrap, handle=self._handle, daemon=self._daemonic)
        except Exception:
            with _active_limbo_lock:
                del _limbo[self]
            raise
        _coev._thread_await(self._started) or self._started.wait()

    def _bootstrap_inner(self):
        if not _coev._thread_is_stock(self):
            return _coev_originals._bootstrap_inner(self)
        try:
            self._ident = ident = get_ident()
            self._native_id = get_native_id()
            if not _coev._thread_enter(
                self, ident, self._started, _active_limbo_lock, _active, _limbo
            ):
                self._started.set()
                with _active_limbo_lock:
                    _active[ident] = self
                    del _limbo[self]

            if _trace_hook:
                _sys.settrace(_trace_hook)
            if _profile_hook:
                _sys.setprofile(_profile_hook)

            try:
                self.run()
            except:  # noqa: E722
                self._invoke_excepthook(self)
        finally:
            _coev._thread_leave(self, _active_limbo_lock, _active) or self._delete()

    def join(self, timeout=None):
        if (
            timeout is not None
            or not self._initialized
            or not _coev._thread_has_ended(self._handle)
        ):
            _coev_originals.join(self, timeout)
