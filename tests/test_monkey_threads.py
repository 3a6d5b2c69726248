"""Threads that are coroutines behave as threads: threading, _thread, executors, time.sleep()."""

import _thread
import sys

import pytest
from run_script import check_script
from support_monkey import assert_clean_end, assert_same, scenarios


@pytest.mark.parametrize("scenario", scenarios("threads"))
def test_threads_behave_as_natively(scenario):
    assert_same("threads", scenario)


def test_processes_of_the_scenarios_end_well():
    assert_clean_end("threads")


def test_the_end_of_the_program_waits_for_threads_that_join_one_another():
    check_script(
        """
        import coev.monkey
        import threading, time

        def wait_for(thread):
            thread.join()
            time.sleep(0.05)
            print("joined")

        last = threading.Thread(target=time.sleep, args=(0.05,))
        last.start()
        for _ in range(3):
            threading.Thread(target=wait_for, args=(last,)).start()
        threading.Thread(target=wait_for, args=(threading.main_thread(),)).start()
        """,
        expect="joined\n" * 3 + "joined",
    )


def test_a_join_that_is_given_up_does_not_end_the_thread():
    check_script(
        """
        import coev.monkey
        import coev, threading

        gate = threading.Event()
        thread = threading.Thread(target=gate.wait)
        thread.start()
        joiners = [coev.spawn(thread.join), coev.spawn(thread.join, 9), coev.spawn(thread.join)]
        coev.yield_now()
        joiners[0].kill()
        joiners[1].kill()
        coev.yield_now()
        try:
            with coev.timeout(0.01):
                thread.join()
        except TimeoutError:
            print("timed out")
        print(thread.is_alive(), joiners[0].done, joiners[2].done)
        gate.set()
        joiners[2].join()
        print(thread.is_alive())
        """,
        expect="timed out\nTrue True False\nFalse",
    )


@pytest.mark.skipif(not hasattr(_thread, "_get_name"), reason="from Python 3.14")
def test_a_thread_keeps_its_name_to_itself():
    check_script(
        """
        import coev.monkey
        import _thread, coev, threading

        def run():
            print(_thread._get_name(), coev.current().name)
            threading.current_thread().name = "name-that-is-cut-off"
            print(_thread._get_name())

        before = _thread._get_name()
        thread = threading.Thread(target=run, name="first")
        thread.start()
        thread.join()
        assert _thread._get_name() == before
        """,
        expect="first first\nname-that-is-cu",
    )


@pytest.mark.skipif(sys.version_info < (3, 14), reason="from Python 3.14")
@pytest.mark.parametrize(("inherits", "sees"), [("1", "starter's"), ("0", "unset")])
def test_a_thread_inherits_the_context_of_its_starter_where_python_is_told_so(inherits, sees):
    check_script(
        """
        import coev.monkey
        import contextvars, threading

        variable = contextvars.ContextVar("variable", default="unset")
        variable.set("starter's")
        thread = threading.Thread(target=lambda: print(variable.get()))
        thread.start()
        thread.join()
        """,
        flags=("-X", f"thread_inherit_context={inherits}"),
        expect=sees,
    )


def test_a_new_thread_runs_until_it_waits_and_then_its_starter_goes_on():
    check_script(
        """
        import coev.monkey
        import coev, threading, time

        def run():
            order.append("new")
            time.sleep(0.01)
            order.append("new again")

        order = []
        coev.spawn(order.append, "who was ready before")
        thread = threading.Thread(target=run)
        thread.start()
        order.append("its starter")
        thread.join()
        print(", ".join(order))
        """,
        expect="new, its starter, who was ready before, new again",
    )


def test_who_starts_threads_without_end_lets_the_others_run():
    check_script(
        """
        import coev.monkey
        import coev, threading, time

        def stop_soon():
            time.sleep(0.02)
            stop.append(True)

        stop = []
        coev.spawn(stop_soon)
        while not stop:
            threading.Thread(target=int).start()
        print("stopped")
        """,
        expect="stopped",
    )


def check_interrupted_start(daemon, then, says, *, expect):
    """An exception waits for the starter where it would let the new thread run.

    Then *then* is done before the thread is joined, and what *says* tells is printed.
    """
    check_script(
        f"""
        import coev.monkey
        import coev, threading

        class Interruption(Exception):
            pass

        ran = []
        thread = threading.Thread(target=ran.append, args=(1,), daemon={daemon})
        coev.current()._postpone(Interruption())
        try:
            thread.start()
        except Interruption:
            print("interrupted", ran)
        assert thread.is_alive() and thread in threading.enumerate()
        [own] = [each for each in coev.coroutines() if each.ident == thread.ident]
        {then}
        thread.join()
        assert not thread.is_alive() and thread not in threading.enumerate()
        print({says})
        """,
        expect=expect,
    )


@pytest.mark.parametrize("daemon", [False, True])
def test_a_thread_whose_start_is_interrupted_runs(daemon):
    check_interrupted_start(daemon, "", "ran", expect="interrupted []\n[1]")


@pytest.mark.parametrize("daemon", [False, True])
def test_a_thread_that_is_killed_before_it_runs_is_gone(daemon):
    check_interrupted_start(
        daemon,
        "own.kill()",
        "ran, threading.active_count(), own.started",
        expect="interrupted []\n[] 1 False",
    )


SIGNALLED_SLEEP = """
    import coev.monkey
    import ctypes, signal, sys, threading, time

    class Injected(Exception):
        pass

    def run():
        started.set()
        try:
            time.sleep(0.2)
        except Injected:
            print("raised")

    handled = []
    signal.signal(signal.SIGUSR1, lambda number, frame: handled.append(number))
    started = threading.Event()
    thread = threading.Thread(target=run)
    before = time.monotonic()
    thread.start()
    started.wait()
    if sys.argv[1] == "exception":
        exception = ctypes.py_object(Injected)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), exception)
    signal.pthread_kill(thread.ident, signal.SIGUSR1)
    thread.join()
    assert handled == [signal.SIGUSR1]
    print("slept" if time.monotonic() - before > 0.19 else "woken")
"""


@pytest.mark.realtime
def test_a_thread_that_a_signal_wakes_sleeps_on():
    check_script(SIGNALLED_SLEEP, "nothing", expect="slept")


@pytest.mark.realtime
@pytest.mark.skipif(sys.version_info < (3, 15), reason="from Python 3.15")
def test_a_thread_that_a_signal_wakes_raises_what_another_one_has_set():
    check_script(SIGNALLED_SLEEP, "exception", expect="raised\nwoken")
