"""What methods of ``threading.Thread`` do once threads are coroutines.

They run among the globals of threading, as all of _threading.py does, take threading's
steps in its order, and leave every attribute as it would be. What needs the lock of one
of its tables is done in C if that lock is free, and so is what need not be Python.
"""

__all__ = ["ContextThread", "HandleThread", "LockThread"]


class _StartedThread:
    """A Thread whose start() has done what it would do first itself, if nothing is unusual."""

    def _bootstrap_inner(self):
        try:
            has_begun = self._started._flag
        except AttributeError:
            has_begun = False
        if not has_begun:
            return _coev_originals._bootstrap_inner(self)
        try:
            if _trace_hook:
                _sys.settrace(_trace_hook)
            if _profile_hook:
                _sys.setprofile(_profile_hook)

            try:
                self.run()
            except:  # noqa: E722
                self._invoke_excepthook(self)
        finally:
            _coev._thread_leave(self, self._ident, _active_limbo_lock, _active) or self._delete()


class LockThread(_StartedThread):
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
        started = _coev._thread_event(Event)
        if started is None:
            started = Event()
        else:
            started._flag = False
        self._started = started
        self._is_stopped = False
        self._initialized = True
        self._stderr = _sys.stderr
        self._invoke_excepthook = _coev._thread_hook(excepthook, _sys.excepthook)
        _coev._thread_dangles(
            self, _dangling.data, _dangling._pending_removals, _dangling._iterating
        ) or _dangling.add(self)

    def start(self):
        try:
            started = self._started
            is_new = not started._flag
        except AttributeError:  # its __init__() was not called
            is_new = False
        if not is_new or not _coev._thread_start(
            self,
            started,
            _start_new_thread,
            get_ident,
            get_native_id,
            _active_limbo_lock,
            _active,
            self._daemonic,
            _shutdown_locks_lock,
            _shutdown_locks,
        ):
            _coev_originals.start(self)

    def join(self, timeout=None):
        try:
            lock = self._tstate_lock
        except AttributeError:
            lock = None
        if timeout is None and _coev._thread_has_released(
            self, lock, _shutdown_locks_lock, _shutdown_locks
        ):
            self._is_stopped = True
            self._tstate_lock = None
        else:
            _coev_originals.join(self, timeout)

    def _wait_for_tstate_lock(self, block=True, timeout=-1):
        # In one step, or an exception in between would look like the end of the thread.
        lock = self._tstate_lock
        if lock is not None and _coev._thread_await_release(lock, block, timeout):
            self._stop()

    def _stop(self):
        # Whether the lock is free now says nothing: others may join the thread, too.
        lock = self._tstate_lock
        self._is_stopped = True
        self._tstate_lock = None
        if not self.daemon:
            with _shutdown_locks_lock:
                _shutdown_locks.discard(lock)
                _maintain_shutdown_locks()


class HandleThread(_StartedThread):
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
        started = _coev._thread_event(Event)
        if started is None:
            started = Event()
        else:
            started._flag = False
        self._started = started
        self._initialized = True
        self._stderr = _sys.stderr
        self._invoke_excepthook = _coev._thread_hook(excepthook, _sys.excepthook)
        _coev._thread_dangles(
            self, _dangling.data, _dangling._pending_removals, _dangling._iterating
        ) or _dangling.add(self)

    def start(self):
        try:
            started = self._started
            is_new = not started._flag
        except AttributeError:  # its __init__() was not called
            is_new = False
        if not is_new or not _coev._thread_start(
            self,
            started,
            _start_joinable_thread,
            get_ident,
            get_native_id,
            _active_limbo_lock,
            _active,
            self._daemonic,
            self._handle,
        ):
            _coev_originals.start(self)

    def join(self, timeout=None):
        try:
            handle = self._handle
        except AttributeError:
            handle = None
        if timeout is not None or not _coev._thread_has_ended(handle):
            _coev_originals.join(self, timeout)


class ContextThread(_StartedThread):
    """A Thread from 3.14 on, which runs in a context and tells the system its name."""

    def __init__(
        self,
        group=None,
        target=None,
        name=None,
        args=(),
        kwargs=None,
        *,
        daemon=None,
        context=None,
    ):
        assert group is None, "group argument must be None for now"
        self._target = target
        self._name = str(name) if name else _coev._thread_name(_counter, target)
        self._args = args
        self._kwargs = {} if kwargs is None else kwargs
        self._daemonic = _coev._thread_daemon(daemon, _active)
        self._context = context
        self._ident = None
        self._native_id = None
        self._os_thread_handle = _ThreadHandle()
        started = _coev._thread_event(Event)
        if started is None:
            started = Event()
        else:
            started._flag = False
        self._started = started
        self._initialized = True
        self._stderr = _sys.stderr
        self._invoke_excepthook = _coev._thread_hook(excepthook, _sys.excepthook)
        _coev._thread_dangles(self, _dangling.data) or _dangling.add(self)

    def start(self):
        try:
            started = self._started
            is_new = not started._flag
            if is_new and self._context is None:
                self._context = (
                    _contextvars.copy_context()
                    if _sys.flags.thread_inherit_context
                    else _contextvars.Context()
                )
        except AttributeError:  # its __init__() was not called
            is_new = False
        if not is_new or not _coev._thread_start(
            self,
            started,
            _start_joinable_thread,
            get_ident,
            get_native_id,
            _active_limbo_lock,
            _active,
            self._daemonic,
            self._os_thread_handle,
        ):
            _coev_originals.start(self)

    def _bootstrap_inner(self):
        try:
            has_begun = self._started._flag
        except AttributeError:
            has_begun = False
        if not has_begun:
            return _coev_originals._bootstrap_inner(self)
        try:
            self._set_os_name()
            if _trace_hook:
                _sys.settrace(_trace_hook)
            if _profile_hook:
                _sys.setprofile(_profile_hook)

            try:
                self._context.run(self.run)
            except:  # noqa: E722
                self._invoke_excepthook(self)
        finally:
            _coev._thread_leave(self, self._ident, _active_limbo_lock, _active) or self._delete()

    def join(self, timeout=None):
        try:
            handle = self._os_thread_handle
        except AttributeError:
            handle = None
        if timeout is not None or not _coev._thread_has_ended(handle):
            _coev_originals.join(self, timeout)
