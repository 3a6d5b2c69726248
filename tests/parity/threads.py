"""Scenarios: threading.Thread, _thread, executors, time.sleep(), sched and imports."""

import _thread
import concurrent.futures
import contextlib
import copy
import gc
import importlib
import io
import os
import pickle
import sched
import signal
import sys
import tempfile
import threading
import time
import weakref
from pathlib import Path


def _run(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    thread.join()
    return thread


def _captured(function):
    """Return what *function* writes to standard error, without addresses and numbers."""
    text = io.StringIO()
    with contextlib.redirect_stderr(text):
        function()
    return text.getvalue()


# --- Thread -----------------------------------------------------------------------------


def thread_runs_target_with_its_arguments(say):
    thread = threading.Thread(target=lambda *a, **k: say(a, k), args=(1, 2), kwargs={"x": 3})
    say(thread.start(), thread.join())


def thread_subclass_overrides_run(say):
    class Mine(threading.Thread):
        def run(self):
            say("run", self.name, threading.current_thread() is self)

    thread = Mine(name="mine")
    thread.start()
    thread.join()


def thread_is_made_of_arguments_as_its_signature_says(say):
    def try_to(make):
        try:
            thread = make()
            say(type(thread), thread.name, thread.daemon, thread._args, thread._kwargs)
        except Exception as error:
            say(repr(error))

    def target():
        pass

    class Mine(threading.Thread):
        pass

    for cls in threading.Thread, Mine:
        try_to(lambda: cls(None, target, "n", (1,), {"x": 2}, daemon=True))  # noqa: B023
        try_to(lambda: cls(name="n", target=target, daemon=False))  # noqa: B023
        try_to(lambda: cls(*(None, target), **{"name": "n"}))  # noqa: B023
        try_to(lambda: cls(None, target, name="n", unknown=1))  # noqa: B023
        try_to(lambda: cls(None, target, target=target))  # noqa: B023
        try_to(lambda: cls(1))  # noqa: B023
        try_to(lambda: cls(*range(7)))  # noqa: B023
        try_to(lambda: type.__call__(cls, name="n"))  # noqa: B023
        say(list(map(repr, map(lambda make: make(name="m").name, [cls]))))


def thread_without_its_init_says_so(say):
    class Mine(threading.Thread):
        def __init__(self):
            pass

    for use in Mine.start, Mine.join, Mine.is_alive, lambda thread: Mine.join(thread, 1):
        try:
            use(Mine())
        except Exception as error:
            say(repr(error), error.__context__)


def thread_class_that_makes_its_instances_otherwise_later_does(say):
    thread, init = threading.Thread, threading.Thread.__init__

    def named(self, *args, **kwargs):
        init(self, *args, name="changed", **kwargs)

    def new(cls, *args, **kwargs):
        say("new", cls, kwargs)
        return object.__new__(cls)

    thread.__init__ = named
    say(thread(daemon=True).name, thread().name)
    thread.__init__ = init
    say(thread(name="as before").name)
    thread.__new__ = new
    say(thread(name="n").name)
    thread.__new__ = staticmethod(lambda cls, **kwargs: 17)
    say(thread(name="n"))
    thread.__new__ = object.__new__  # which refuses arguments once it is set
    try:
        say(thread(name="n"))
    except TypeError as error:
        say(repr(error))
    del thread.__new__
    say(thread().name[:7])
    init.__defaults__ = None, None, "default", (), None
    say(thread().name)


def thread_life_is_told_by_is_alive_ident_and_repr(say):
    go = threading.Event()
    thread = threading.Thread(target=go.wait, name="t")
    say(thread.is_alive(), thread.ident, thread.native_id, thread.daemon, thread)
    thread.start()
    say(thread.is_alive(), thread.ident is not None, type(thread.native_id), thread.daemon)
    say(repr(thread).replace(str(thread.ident), "IDENT"))
    go.set()
    thread.join()
    say(thread.is_alive(), thread.ident is not None)
    say(repr(thread).replace(str(thread.ident), "IDENT"))


def thread_start_and_join_errors(say):
    thread = threading.Thread(target=int)
    say(error_of(thread.join))
    thread.start()
    say(error_of(thread.start))
    thread.join()
    thread.join()
    say(error_of(thread.start), error_of(thread.join, "x"))
    say(error_of(threading.current_thread().join))
    say(error_of(threading.Thread, group=1))
    say(error_of(threading.Thread, bogus=1))


def thread_has_its_attributes_at_each_time(say):
    def attributes(thread):
        return sorted((name, type(value).__name__) for name, value in vars(thread).items())

    def look():
        say(attributes(thread), threading.current_thread() is thread)
        say(threading._active[threading.get_ident()] is thread, len(threading._limbo))
        say(thread._ident == threading.get_ident(), thread._native_id == threading.get_native_id())

    thread = threading.Thread(target=look)
    say(attributes(thread), thread in threading._dangling)
    thread.start()
    thread.join()
    say(attributes(thread), thread in threading._dangling, thread in threading.enumerate())
    say(thread.ident in threading._active, len(threading._limbo))
    dangling = len(threading._dangling)
    del thread, look
    gc.collect()
    say(dangling - len(threading._dangling))


def thread_that_ends_while_dangling_threads_are_looked_at_is_forgotten_later(say):
    threads = [threading.Thread() for _ in range(3)]
    before = len(threading._dangling)
    for each in threading._dangling:
        del each
        threads.clear()
        break
    gc.collect()
    say(before - len(threading._dangling), len(list(threading._dangling)))


def thread_subclass_overrides_what_threading_keeps_to_itself(say):
    class Mine(threading.Thread):
        def _bootstrap(self):
            say("_bootstrap")
            super()._bootstrap()

        def _bootstrap_inner(self):
            say("_bootstrap_inner")
            super()._bootstrap_inner()

        def _set_ident(self):
            say("_set_ident")
            super()._set_ident()

        def _set_native_id(self):
            say("_set_native_id")
            super()._set_native_id()

        def _delete(self):
            say("_delete")
            super()._delete()

        def __hash__(self):
            return 7

        def __eq__(self, other):
            return self is other

    thread = Mine(target=say, args=["target"])
    thread.start()
    thread.join()
    say(thread.is_alive(), thread in threading.enumerate(), len(threading._limbo))


def thread_method_replaced_later_is_called(say):
    original = threading.Thread._set_ident

    def replaced(self):
        say("_set_ident")
        original(self)

    _run(say, "before")
    threading.Thread._set_ident = replaced
    try:
        _run(say, "meanwhile")
    finally:
        threading.Thread._set_ident = original
    _run(say, "after")


def thread_instance_has_a_run_of_its_own(say):
    thread = threading.Thread()
    thread.run = lambda: say("run")
    thread.start()
    thread.join()
    say(sorted(vars(thread)))


def thread_event_replaced_by_a_subclass_is_used(say):
    class Mine(threading.Event):
        def set(self):
            say("set")
            super().set()

    thread = threading.Thread(target=say, args=["target"])
    thread._started = Mine()
    thread.start()
    thread.join()
    say(thread._started.is_set(), thread.is_alive())


def thread_starts_with_an_event_whose_condition_is_used(say):
    thread = threading.Thread(target=say, args=["target"])
    with thread._started._cond:
        say(thread._started.is_set())
    thread.start()
    thread.join()
    say(thread.is_alive())


def thread_that_cannot_start_is_in_no_table(say):
    name = next(n for n in ("_start_joinable_thread", "_start_new_thread") if hasattr(threading, n))
    original = getattr(threading, name)

    def refuse(*args, **kwargs):
        say(len(args) > 0, len(threading._limbo))
        raise RuntimeError("no more threads")

    thread = threading.Thread()
    setattr(threading, name, refuse)
    try:
        say(error_of(thread.start), len(threading._limbo), thread.is_alive())
    finally:
        setattr(threading, name, original)
    thread.start()
    thread.join()
    say(thread.is_alive(), len(threading._limbo), len(threading._active))


def thread_starts_and_ends_while_the_table_of_threads_is_locked(say):
    def hold():
        with threading._active_limbo_lock:
            held.set()
            time.sleep(0.05)

    held = threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    thread = _run(say, "target")
    holder.join()
    say(thread.is_alive(), len(threading._limbo), len(threading._active))


def thread_traceback_names_the_functions_of_threading(say):
    def raise_error():
        raise ValueError

    def hook(args):
        frame = args.exc_traceback
        while frame:
            code = frame.tb_frame.f_code
            say(code.co_name, code.co_filename == threading.__file__, frame.tb_lineno)
            frame = frame.tb_next

    threading.excepthook, original = hook, threading.excepthook
    try:
        _run(raise_error)
    finally:
        threading.excepthook = original


def thread_names_follow_the_counter_and_the_target(say):
    class Unnamed:
        def __call__(self):
            pass

    class Oddly(Unnamed):
        __name__ = 7

    class Failing(Unnamed):
        @property
        def __name__(self):
            raise ValueError("no name")

    counter, threading._counter = threading._counter, lambda: 41
    try:
        for target in None, print, Unnamed(), Oddly(), type("\u017elu\u0165", (), {}), Unnamed:
            say(threading.Thread(target=target).name)
        say(error_of(lambda: threading.Thread(target=Failing())))
        threading._counter = lambda: 10**30
        say(threading.Thread(target=print).name)
        say(threading.Thread(target=print, name=5).name)
    finally:
        threading._counter = counter


def thread_is_a_daemon_if_its_creator_is(say):
    def make():
        say(threading.Thread().daemon, threading.Thread(daemon=False).daemon)

    for daemon in True, False, None:
        thread = threading.Thread(target=make, daemon=daemon)
        thread.start()
        thread.join()
    say(threading.Thread(daemon=1).daemon)


def many_threads_that_nobody_joins_leave_nothing(say):
    before = threading.active_count()
    for _ in range(200):
        threading.Thread(target=int).start()
    while threading.active_count() > before:
        time.sleep(0.001)
    _run(int)
    say(len(threading._active) - before, len(threading._limbo))
    say(len(getattr(threading, "_shutdown_locks", ())) < 200)


def thread_cannot_join_itself(say):
    _run(lambda: say(error_of(threading.current_thread().join)))


def many_threads_join_one(say):
    for timeouts in (None, None), (9, 9), (None, 9), (9, None), (9, 9, None, None):
        for is_daemon in False, True:
            gate = threading.Event()
            target = threading.Thread(target=gate.wait, daemon=is_daemon)
            target.start()
            seen = []

            def join(timeout, target=target, seen=seen):
                seen.append((error_of(target.join, timeout), target.is_alive()))

            joiners = [threading.Thread(target=join, args=(timeout,)) for timeout in timeouts]
            for joiner in joiners:
                joiner.start()
            time.sleep(0.01)
            gate.set()
            seen.append((error_of(target.join), target.is_alive()))
            for joiner in joiners:
                joiner.join()
            say(timeouts, seen)


def what_holds_an_event_or_a_thread_cannot_be_copied(say):
    class Holder:
        def __init__(self):
            self.done = threading.Event()

    for make in threading.Event, threading.Thread, Holder, threading.Condition:
        say(make, error_of(copy.deepcopy, make()))
        if make is not Holder:
            say(make, error_of(pickle.dumps, make()))
    say(error_of(copy.copy, threading.Event()))


def thread_join_with_timeout_returns_none_while_it_runs(say):
    go = threading.Event()
    thread = threading.Thread(target=go.wait)
    thread.start()
    for timeout in (0, 0.01, -1, 0.02):
        say(thread.join(timeout), thread.is_alive())
    say(error_of(thread.join, "soon"))
    say(error_of(thread.join, float("nan")))
    go.set()
    say(thread.join(5), thread.is_alive())


def thread_name_can_be_set_and_is_numbered(say):
    names = []
    for _ in range(2):
        thread = threading.Thread(target=lambda: names.append(threading.current_thread().name))
        thread.start()
        thread.join()
    first, second = (name.partition(" ")[0] for name in names)
    say(names[0].partition(" ")[2], int(second.split("-")[1]) - int(first.split("-")[1]))
    thread = threading.Thread(name="a")
    thread.name = "b"
    thread.setName("c") if sys.version_info < (3, 10) else None
    say(thread.name, threading.Thread(name=3).name)


def thread_daemon_is_inherited_and_fixed_at_start(say):
    found = []

    def inner():
        found.append(threading.current_thread().daemon)

    def outer():
        child = threading.Thread(target=inner)
        child.start()
        child.join()

    thread = threading.Thread(target=outer, daemon=True)
    thread.start()
    say(error_of(setattr, thread, "daemon", False))
    thread.join()
    say(found, threading.Thread().daemon, threading.main_thread().daemon)


def enumerate_and_active_count_follow_threads(say):
    go = threading.Event()
    before = threading.active_count()
    threads = [threading.Thread(target=go.wait, name=f"n{i}") for i in range(3)]
    for thread in threads:
        thread.start()
    say(threading.active_count() - before)
    say(sorted(t.name for t in threading.enumerate() if t in threads))
    go.set()
    for thread in threads:
        thread.join()
    say(threading.active_count() - before, set(threads) & set(threading.enumerate()))


def main_thread_and_current_thread(say):
    say(threading.current_thread() is threading.main_thread(), threading.main_thread().name)
    say(threading.main_thread().ident == threading.get_ident())
    say(type(threading.main_thread()).__name__, threading.main_thread().is_alive())
    _run(lambda: say(threading.current_thread() is threading.main_thread()))
    _run(lambda: say(threading.current_thread().ident == threading.get_ident()))


def idents_are_unique_among_living_threads(say):
    barrier = threading.Barrier(21)
    idents = []

    def work():
        idents.append(threading.get_ident())
        barrier.wait()

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    barrier.wait()
    for thread in threads:
        thread.join()
    say(len(set(idents) | {threading.get_ident()}), all(type(i) is int and i for i in idents))
    say(sorted(t.ident for t in threads) == sorted(idents))


def native_id_is_a_number_of_the_kernel(say):
    say(threading.get_native_id() == threading.main_thread().native_id == os.getpid())
    _run(lambda: say(type(threading.get_native_id()), threading.get_native_id() > 0))


def current_frames_has_every_thread(say):
    go = threading.Event()

    def sleeper_in_frames():
        go.wait()

    thread = threading.Thread(target=sleeper_in_frames)
    thread.start()
    time.sleep(0.02)
    frame = sys._current_frames()[thread.ident]
    names = []
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    say("sleeper_in_frames" in names, threading.get_ident() in sys._current_frames())
    go.set()
    thread.join()
    say(thread.ident in sys._current_frames())


def foreign_thread_becomes_a_dummy_thread(say):
    done = _thread.allocate_lock()
    done.acquire()

    def work():
        me = threading.current_thread()
        say(type(me).__name__, me.name.rstrip("0123456789"), me.daemon, me.is_alive())
        say(me in threading.enumerate())
        say(error_of(me.join))
        done.release()

    _thread.start_new_thread(work, ())
    done.acquire()


def dangling_threads_are_forgotten(say):
    thread = _run(int)
    say(thread in threading._dangling)
    reference = weakref.ref(thread)
    del thread
    gc.collect()
    say(reference())


def target_and_arguments_are_released_after_the_end(say):
    class Thing:
        pass

    thing = Thing()
    reference = weakref.ref(thing)
    thread = _run(lambda thing: None, thing)
    del thing
    gc.collect()
    say(reference(), thread.is_alive())


def excepthook_gets_the_exception(say):
    def hook(args):
        say(args.exc_type, args.exc_value, args.exc_traceback is not None, args.thread.name)

    old, threading.excepthook = threading.excepthook, hook
    try:
        thread = threading.Thread(target=lambda: 1 / 0, name="bad")
        thread.start()
        thread.join()
        thread = threading.Thread(target=sys.exit, name="exits")
        thread.start()
        thread.join()
    finally:
        threading.excepthook = old


def a_subclass_may_begin_in_its_own_way(say):
    class Other(threading.Thread):
        def _bootstrap_inner(self):
            said.append(f"begins, {self._started.is_set()}")
            super()._bootstrap_inner()
            said.append(f"ended, {self in threading.enumerate()}")

    said = []
    thread = Other(target=lambda: said.append(f"runs, {self_is_listed()}"))

    def self_is_listed():
        return threading.current_thread() is thread and thread in threading.enumerate()

    thread.start()
    thread.join()
    say(said, thread.is_alive(), thread.ident is None)


def the_function_that_starts_threads_may_be_another(say):
    name = next(
        each for each in ("_start_joinable_thread", "_start_new_thread") if hasattr(threading, each)
    )
    original = getattr(threading, name)

    def start(function, *args, **kwargs):
        said.append(function.__name__)
        return original(function, *args, **kwargs)

    def refuse(function, *args, **kwargs):
        raise RuntimeError("no thread today")

    said = []
    try:
        setattr(threading, name, start)
        thread = threading.Thread(target=lambda: said.append("runs"))
        thread.start()
        thread.join()
        setattr(threading, name, refuse)
        thread = threading.Thread(target=int)
        say(error_of(thread.start), thread.is_alive(), thread in threading.enumerate())
    finally:
        setattr(threading, name, original)
    thread.start()
    thread.join()
    say(said, thread.is_alive())


def excepthook_by_default_prints_a_traceback(say):
    def work():
        raise ValueError("out")

    text = _captured(lambda: _run(work))
    say(text.partition("(")[0].rstrip("0123456789 "))
    say([line for line in text.splitlines()[1:] if "threading.py" not in line and "^" not in line])
    say(threading.__excepthook__ is threading.excepthook)


def system_exit_ends_a_thread_in_silence(say):
    say(_captured(lambda: _run(sys.exit, 3)))
    say(_captured(lambda: _run(_thread.exit)))


def excepthook_that_fails_is_reported(say):
    def hook(args):
        raise KeyError("hook")

    old, threading.excepthook = threading.excepthook, hook
    try:
        text = _captured(lambda: _run(lambda: 1 / 0))
    finally:
        threading.excepthook = old
    say(text.splitlines()[0], text.splitlines()[-1])


def trace_and_profile_hooks_reach_new_threads(say):
    calls = set()

    def hooked_work():
        return 1

    def trace(frame, event, argument):
        if frame.f_code.co_name == "hooked_work":
            calls.add(event)
        return trace

    threading.settrace(trace)
    try:
        _run(hooked_work)
    finally:
        threading.settrace(None)
    say(sorted(calls), sys.gettrace())
    calls.clear()
    threading.setprofile(trace)
    try:
        _run(hooked_work)
    finally:
        threading.setprofile(None)
    say(sorted(calls), sys.getprofile())
    calls.clear()
    _run(hooked_work)
    say(calls)


def trace_and_profile_hooks_reach_running_threads(say):
    def hooked_work(number):
        return number

    def work(number):
        up.wait()
        go.wait()
        hooked_work(number)

    def hook(frame, event, argument):
        if frame.f_code.co_name == "hooked_work" and event != "line":
            calls.add((frame.f_locals["number"], event))
        return hook

    calls, go, up = set(), threading.Event(), threading.Barrier(4)
    for kind in ("trace", "profile"):
        set_in_all = getattr(threading, f"set{kind}_all_threads", None)
        if set_in_all is None:  # it came with 3.12
            say("no such function")
            continue
        calls.clear()
        go.clear()
        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        up.wait()
        set_in_all(hook)
        try:
            go.set()
            for thread in threads:
                thread.join()
        finally:
            set_in_all(None)
        _run(hooked_work, "never")
        say(kind, sorted(calls), getattr(sys, f"get{kind}")())


def timer_fires_and_can_be_cancelled(say):
    fired = []
    timer = threading.Timer(0.02, fired.append, args=("fired",))
    timer.start()
    timer.join()
    never = threading.Timer(10, fired.append, args=("never",))
    never.start()
    never.cancel()
    never.join()
    say(fired, never.finished.is_set(), timer.is_alive())


def thread_local_data_is_each_threads_own(say):
    class Mine(threading.local):
        default = 1

        def __init__(self, value):
            self.value = value

    local = Mine([0])
    local.value.append(1)

    def work():
        say(local.value, local.default, error_of(getattr, local, "other"))
        local.other = 2
        say(sorted(local.__dict__))

    _run(work)
    say(local.value, error_of(getattr, local, "other"))
    say(error_of(threading.local, 1))


def thread_local_data_is_dropped_with_its_thread(say):
    class Thing:
        pass

    local = threading.local()
    references = []

    def work():
        local.thing = Thing()
        references.append(weakref.ref(local.thing))

    for _ in range(3):
        _run(work)
    gc.collect()
    say([reference() for reference in references])


def contextvars_start_afresh_in_a_thread(say):
    import contextvars

    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("main")
    found = []

    def work():
        found.append(variable.get())
        variable.set("mine")
        time.sleep(0.01)
        found.append(variable.get())

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say(sorted(found), variable.get())


def a_thread_runs_in_a_context_of_its_own_or_in_a_given_one(say):
    import contextvars

    takes_context = sys.version_info >= (3, 14)

    def in_context(context):
        if takes_context:
            return threading.Thread(target=work, context=context)
        return threading.Thread(target=context.run, args=(work,))

    def work():
        say(variable.get())
        variable.set("a thread's")

    def context_of(thread):
        return getattr(thread, "_context", None)

    def finish(thread):
        thread.start()
        thread.join()

    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("the starter's")
    given = contextvars.copy_context()
    for _ in range(2):
        finish(in_context(given))
    say(given[variable], variable.get())

    thread = threading.Thread(target=work)
    before = context_of(thread)
    finish(thread)
    context = context_of(thread)
    say(before, isinstance(context, contextvars.Context))
    say(variable.get())
    try:
        thread.start()
    except RuntimeError as error:
        say(error, context_of(thread) is context)

    thread = in_context(given)
    threading.excepthook = lambda failed: say(type(failed.exc_value), failed.thread is thread)
    try:
        given.run(finish, thread)  # it cannot be entered twice
    finally:
        threading.excepthook = threading.__excepthook__


def exception_being_handled_is_each_threads_own(say):
    def work():
        say(sys.exc_info())

    try:
        raise KeyError
    except KeyError:
        _run(work)
        say(sys.exc_info()[0])


def handles_of_threads_behave(say):
    if not hasattr(_thread, "start_joinable_thread"):
        say("before 3.13")
        return
    say(error_of(_thread.start_joinable_thread, 3))
    say(error_of(_thread.start_joinable_thread, int, handle=3))
    say(error_of(_thread.start_joinable_thread))
    go = threading.Event()
    handle = _thread.start_joinable_thread(go.wait)
    say(type(handle).__name__, handle.is_done(), handle.ident != 0)
    say(error_of(_thread.start_joinable_thread, int, handle=handle))
    say(handle.join(0.01), handle.is_done())
    go.set()
    say(handle.join(), handle.is_done(), handle.join())
    fresh = _thread._ThreadHandle()
    say(fresh.ident, fresh.is_done(), fresh, error_of(fresh.join), error_of(fresh._set_done))
    mine = _thread._make_thread_handle(threading.get_ident())
    say(mine.ident == threading.get_ident(), mine.is_done(), error_of(mine.join))
    say(mine._set_done(), mine.is_done(), mine.join())
    say(error_of(_thread._make_thread_handle, "x"), error_of(_thread._make_thread_handle))
    say(_thread._get_main_thread_ident() == threading.main_thread().ident)


# --- _thread ------------------------------------------------------------------------------


def start_new_thread_argument_errors(say):
    for arguments in (
        (),
        (int,),
        (3, ()),
        (int, []),
        (int, (), 3),
        (int, (), None),
        (int, (), {}, 4),
    ):
        say(error_of(_thread.start_new_thread, *arguments))


def start_new_thread_takes_no_names(say):
    for start in _thread.start_new_thread, _thread.start_new:
        try:
            start(function=print, args=())
        except TypeError as error:
            say(repr(error))
        try:
            start(*(print,), **{"args": ()})
        except TypeError as error:
            say(repr(error))


def start_new_thread_returns_the_ident(say):
    done = _thread.allocate_lock()
    done.acquire()
    found = []

    def work(*args, **kwargs):
        found.append((_thread.get_ident(), args, kwargs))
        done.release()

    ident = _thread.start_new_thread(work, (1,), {"a": 2})
    done.acquire()
    say(found[0][0] == ident, found[0][1:], type(ident))


def exceptions_of_bare_threads_are_unraisable(say):
    seen = []
    old, sys.unraisablehook = sys.unraisablehook, lambda args: seen.append(args)
    done = _thread.allocate_lock()

    def work(error):
        try:
            raise error
        finally:
            done.release()

    try:
        for error in (ValueError("v"), SystemExit(1)):
            done.acquire()
            _thread.start_new_thread(work, (error,))
            with done:
                time.sleep(0.02)
    finally:
        sys.unraisablehook = old
    for args in seen:
        name = getattr(args.object, "__name__", args.object)
        say(args.exc_type, args.exc_value, args.err_msg, name)
    say(len(seen))


def thread_exit_raises_system_exit(say):
    say(error_of(_thread.exit), error_of(_thread.exit_thread))
    say(_thread.error)


def count_follows_threads(say):
    before = _thread._count()
    go = threading.Event()
    threads = [threading.Thread(target=go.wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    say(_thread._count() - before)
    go.set()
    for thread in threads:
        thread.join()
    time.sleep(0.02)
    say(_thread._count() - before)


def stack_size_is_kept_and_checked(say):
    say(_thread.stack_size())
    for size in (-1, 1, 4096, 32 * 1024, 262144, 1 << 20, "x", 1.5, 0):
        say(size, error_of(threading.stack_size, size), _thread.stack_size())
    say(error_of(_thread.stack_size, 1, 2))
    threading.stack_size(512 * 1024)
    _run(lambda: say("runs"))
    threading.stack_size(0)


def interrupt_main_reaches_the_main_thread(say):
    say(error_of(_thread.interrupt_main, "x"), error_of(_thread.interrupt_main, 12345))
    thread = threading.Timer(0.02, _thread.interrupt_main)
    thread.start()
    try:
        for _ in range(500):
            time.sleep(0.01)
        say("not interrupted")
    except KeyboardInterrupt:
        say("KeyboardInterrupt")
    thread.join()
    seen = []
    old = signal.signal(signal.SIGUSR1, lambda *args: seen.append(args[0]))
    _run(_thread.interrupt_main, signal.SIGUSR1)
    time.sleep(0.01)
    say(seen)
    signal.signal(signal.SIGUSR1, old)


def signal_handlers_run_in_the_main_thread(say):
    seen = []

    def handler(number, frame):
        seen.append(threading.current_thread() is threading.main_thread())

    old = signal.signal(signal.SIGUSR1, handler)
    _run(lambda: (os.kill(os.getpid(), signal.SIGUSR1), time.sleep(0.01)))
    time.sleep(0.01)
    say(seen)
    _run(lambda: say(error_of(signal.signal, signal.SIGUSR1, old)))
    _run(lambda: say(error_of(signal.set_wakeup_fd, -1)))
    say(signal.set_wakeup_fd(-1))
    signal.signal(signal.SIGUSR1, old)


def pthread_kill_takes_a_threads_ident(say):
    seen = []
    old = signal.signal(signal.SIGUSR1, lambda *args: seen.append(args[0]))
    go = threading.Event()
    thread = threading.Thread(target=go.wait)
    thread.start()
    say(signal.pthread_kill(thread.ident, 0))
    signal.pthread_kill(thread.ident, signal.SIGUSR1)
    time.sleep(0.02)
    say(seen)
    go.set()
    thread.join()
    signal.signal(signal.SIGUSR1, old)


def async_exceptions_reach_a_thread(say):
    import ctypes

    class Async(Exception):
        pass

    running = threading.Event()
    caught = []

    def work():
        try:
            while True:
                running.set()
                time.sleep(0.005)
        except Async:
            caught.append("Async")

    thread = threading.Thread(target=work)
    thread.start()
    running.wait()
    set_async = ctypes.pythonapi.PyThreadState_SetAsyncExc
    say(set_async(ctypes.c_ulong(thread.ident), ctypes.py_object(Async)))
    say(set_async(ctypes.c_ulong(2**63), ctypes.py_object(Async)))
    thread.join(10)
    say(caught)


def recursion_ends_in_a_recursion_error(say):
    def deep():
        return deep()

    _run(lambda: say(error_of(deep).partition(":")[0]))


# --- time.sleep() ---------------------------------------------------------------------------


def sleep_argument_errors(say):
    for value in (-1, -0.001, "x", None, float("nan"), float("inf"), 1e300, 10**400, [], 1j):
        say(value if value != 10**400 else "huge", error_of(time.sleep, value))
    say(error_of(time.sleep), error_of(time.sleep, 0, 0))
    say(time.sleep(0), time.sleep(0.0), time.sleep(False))


def sleep_takes_every_kind_of_number(say):
    from decimal import Decimal
    from fractions import Fraction

    class Index:
        def __index__(self):
            return 0

    for value in (Index(), Decimal("0.01"), Fraction(1, 100), -0.0):
        say(error_of(time.sleep, value))


def sleep_lasts_as_long_as_asked(say):
    start = time.monotonic()
    time.sleep(0.05)
    say(time.monotonic() - start >= 0.05)


def sleep_goes_on_after_a_signal(say):
    seen = []
    old = signal.signal(signal.SIGALRM, lambda *args: seen.append("handled"))
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    start = time.monotonic()
    time.sleep(0.1)
    say(seen, time.monotonic() - start >= 0.1)
    signal.signal(signal.SIGALRM, old)


def sleep_ends_with_the_exception_of_a_handler(say):
    def handler(number, frame):
        raise RuntimeError("from the handler")

    old = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    say(error_of(time.sleep, 10))
    signal.signal(signal.SIGALRM, old)


def sleeping_threads_wake_in_order(say):
    order = []

    def work(number):
        time.sleep(0.04 * number)
        order.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in (3, 1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say(order)


# --- concurrent.futures -----------------------------------------------------------------------


def executor_runs_maps_and_reports(say):
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        say(list(pool.map(lambda x: x * 2, range(10))))
        say(error_of(pool.submit(lambda: 1 / 0).result))
        say(pool.submit(sum, [1, 2]).result(5))
        future = pool.submit(time.sleep, 0.05)
        say(error_of(future.result, 0.001), future.done())
        done, waiting = concurrent.futures.wait([future], timeout=5)
        say(len(done), len(waiting))
        futures = [pool.submit(pow, 2, n) for n in range(5)]
        say(sorted(f.result() for f in concurrent.futures.as_completed(futures, timeout=5)))
    say(error_of(pool.submit, int))


def executor_names_limits_and_initializes_its_threads(say):
    names = set()
    ready = []
    pool = concurrent.futures.ThreadPoolExecutor(
        2, thread_name_prefix="pool", initializer=ready.append, initargs=(1,)
    )

    def work():
        names.add(threading.current_thread().name)
        time.sleep(0.01)

    for future in [pool.submit(work) for _ in range(6)]:
        future.result()
    pool.shutdown()
    say(sorted(names), ready)


def executor_cancels_what_has_not_started(say):
    pool = concurrent.futures.ThreadPoolExecutor(1)
    go = threading.Event()
    running = pool.submit(go.wait)
    time.sleep(0.02)
    queued = pool.submit(int)
    say(running.cancel(), queued.cancel(), queued.cancelled(), error_of(queued.result))
    last = pool.submit(int)
    pool.shutdown(wait=False, cancel_futures=True)
    go.set()
    say(running.result(), last.cancelled())
    pool.shutdown()


def executor_with_a_broken_initializer(say):
    import logging

    logging.disable()
    pool = concurrent.futures.ThreadPoolExecutor(1, initializer=lambda: 1 / 0)
    say(error_of(pool.submit(int).result))
    say(error_of(pool.submit, int))
    pool.shutdown()
    logging.disable(logging.NOTSET)


def executors_nest(say):
    def outer(number):
        with concurrent.futures.ThreadPoolExecutor(2) as inner:
            return sum(inner.map(lambda x: x + number, range(3)))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        say(list(pool.map(outer, range(4))))


# --- sched and imports ------------------------------------------------------------------


def schedulers_run_events_in_order(say):
    done = []
    scheduler = sched.scheduler(time.monotonic)
    began = time.monotonic()
    scheduler.enterabs(began + 0.04, 1, done.append, ("third",))
    scheduler.enterabs(began + 0.03, 2, done.append, ("second",))
    scheduler.enterabs(began + 0.03, 1, done.append, ("more urgent",))
    cancelled = scheduler.enter(10, 1, done.append, ("never",))
    scheduler.enter(0, 1, scheduler.enterabs, (began + 0.02, 1, done.append, ("first",)))
    thread = threading.Thread(target=scheduler.run)
    thread.start()
    scheduler.cancel(cancelled)
    thread.join()
    say(done, scheduler.empty())
    scheduler.enterabs(began + 0.05, 1, lambda: 1 / 0)
    scheduler.enterabs(began + 0.06, 1, done.append, ("after an error",))
    say(error_of(scheduler.run), len(scheduler.queue))
    say(scheduler.run(), done[-1], scheduler.run(blocking=False))


@contextlib.contextmanager
def _modules(**sources):
    """Make modules of *sources* that can be imported, and forget them at the end."""
    with tempfile.TemporaryDirectory() as folder:
        for name, source in sources.items():
            Path(folder, name + ".py").write_text(source)
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.path.remove(folder)
            for name in sources:
                sys.modules.pop(name, None)


def _import_in_threads(*names):
    results = [None] * len(names)

    def load(number):
        try:
            results[number] = importlib.import_module(names[number]).value
        except Exception as error:
            results[number] = f"{type(error).__name__}: {error}"

    threads = [threading.Thread(target=load, args=(n,)) for n in range(len(names))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def a_module_is_imported_by_one_thread_and_the_others_wait(say):
    slow = "import time\ntime.sleep(0.05)\nvalue = object()\n"
    with _modules(slow_module=slow, other_module="value = 'not held up'"):
        *same, other = _import_in_threads(*["slow_module"] * 5, "other_module")
        say(len(set(map(id, same))), other)
    with _modules(failing_module="import time\ntime.sleep(0.02)\n1 / 0"):
        say(_import_in_threads(*["failing_module"] * 3))


def modules_that_import_each_other_do_not_lock_up_two_threads(say):
    sources = {
        name: f"import time\nvalue = {name!r}\ntime.sleep(0.03)\nimport {other}\n"
        for name, other in [("module_one", "module_two"), ("module_two", "module_one")]
    }
    with _modules(**sources):
        say(_import_in_threads("module_one", "module_two"))


def a_module_that_starts_a_thread_which_imports_another_waits_for_it(say):
    inner = "import time\ntime.sleep(0.02)\nvalue = 5"
    outer = """
import importlib, threading
found = []
thread = threading.Thread(target=lambda: found.append(importlib.import_module("inner_one").value))
thread.start()
thread.join()
value = found
"""
    with _modules(outer_one=outer, inner_one=inner):
        say(_import_in_threads("outer_one", "outer_one"))
