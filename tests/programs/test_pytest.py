"""pytest with xdist and timeout, on threads that are coroutines."""

import pytest
from run_script import describe

TESTS = """
import queue
import threading
import time
import pytest


@pytest.mark.parametrize("number", range(20))
def test_thread(number):
    items = queue.Queue()
    thread = threading.Thread(target=lambda: (time.sleep(0.05), items.put(number)))
    thread.start()
    assert items.get(timeout=10) == number
    thread.join()


def test_output(capfd):
    print("said")
    assert capfd.readouterr().out == "said\\n"


def test_fails():
    assert 1 == 2, "on purpose"


def test_unhandled():
    with pytest.warns(pytest.PytestUnhandledThreadExceptionWarning):
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
        import gc; gc.collect()
        raise_warning()

def raise_warning():
    import warnings
    warnings.warn(pytest.PytestUnhandledThreadExceptionWarning("seen"))
"""

HANGS = """
import threading
import time

def test_hangs():
    threading.Thread(target=time.sleep, args=(100,), daemon=True, name="sleeper").start()
    {wait}
"""

# A worker of xdist is started by execnet, which knows nothing of -m coev.
EVERYWHERE = "import coev.monkey, ticker\n"

COROUTINES = """
import coev
import threading

def test_threads_are_coroutines():
    found = []
    thread = threading.Thread(target=lambda: found.append(coev.current() is not coev.main()))
    thread.start()
    thread.join()
    assert found == [True]
"""


def run(runner, *options, timeout=60):
    return runner.finish(runner.start_module("pytest", "-p", "no:cacheprovider", *options), timeout)


def test_pytest_runs_tests_with_threads(runner):
    runner.write("test_it.py", TESTS)
    done = run(runner)
    assert done.returncode == 1 and "1 failed, 22 passed" in done.stdout, describe(done)
    runner.check_ticks()


def test_xdist_distributes_from_coroutines(runner):
    runner.write("test_it.py", TESTS)
    done = run(runner, "-n", "2")
    assert done.returncode == 1 and "1 failed, 22 passed" in done.stdout, describe(done)
    runner.check_ticks()


def test_workers_of_xdist_run_on_coroutines_too(runner):
    runner.write("sitecustomize.py", EVERYWHERE)
    runner.write("test_it.py", TESTS)
    runner.write("test_coroutines.py", COROUTINES)
    done = run(runner, "-n", "2", "--timeout", "30")
    assert done.returncode == 1 and "1 failed, 23 passed" in done.stdout, describe(done)
    runner.check_ticks(processes=3)


@pytest.mark.parametrize(
    "wait", ["threading.Event().wait()", "time.sleep(100)", "while True: pass"]
)
@pytest.mark.parametrize("method", ["signal", "thread"])
def test_timeouts_end_a_test_that_hangs(runner, method, wait):
    runner.write("test_it.py", HANGS.format(wait=wait))
    done = run(runner, "--timeout", "1", "--timeout-method", method)
    assert done.returncode == 1, describe(done)
    if method == "signal":
        assert "Failed: Timeout" in done.stdout and "1 failed" in done.stdout, describe(done)
    else:
        assert "Timeout" in done.stdout and "sleeper" in done.stdout, describe(done)
    runner.check_ticks()
