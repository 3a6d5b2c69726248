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
