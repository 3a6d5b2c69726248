"""``import coev.monkey`` as the last import: what was made before is cooperative afterwards."""

import functools
import re
from pathlib import Path

import pytest
from run_script import describe, run_script

PROGRAM = Path(__file__).with_name("support_late.py").read_text()
CASES = re.findall(r"^@case\ndef (\w+)", PROGRAM, re.MULTILINE)

#: Those with threads that run already when the patch comes, and their names.
NATIVE = {
    "executor_with_idle_workers": "early_0, early_1",
    "executor_that_is_left_with_idle_workers": "left_0",
    "queue_listener_with_a_native_thread": "Thread-",
}
WAITS_IN_A_LOCK = pytest.mark.xfail(
    strict=True, reason="a native thread that waits in a lock already is not woken by a coroutine"
)


def run(*names, timeout=30):
    return run_script(f"import support_late\nsupport_late.main({names})", timeout=timeout)


@functools.cache
def outcomes():
    done = run(*(name for name in CASES if name not in NATIVE))
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    return said, done


@pytest.mark.parametrize("name", [name for name in CASES if name not in NATIVE])
def test_what_was_made_before_suspends_only_the_coroutine(name):
    said, done = outcomes()
    assert said.get(name) == "ok", describe(done)


def test_the_program_ends_well_and_is_not_warned():
    _, done = outcomes()
    assert done.returncode == 0 and not done.stderr, describe(done)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=WAITS_IN_A_LOCK if "listener" in name else ()) for name in NATIVE],
)
def test_native_threads_from_before_are_named_and_go_on(name):
    done = run(name, timeout=10)
    assert done.returncode == 0 and done.stdout == f"{name} ok\n", describe(done)
    warnings = [line for line in done.stderr.splitlines() if "RuntimeWarning" in line]
    assert len(warnings) == 1, describe(done)
    assert f"running already and stay so: {NATIVE[name]}" in warnings[0], describe(done)


def test_locks_that_are_held_beside_native_threads_are_named():
    done = run_script("""
        import threading

        class Account:
            def __init__(self):
                self.lock = threading.RLock()

        table = threading.Lock()
        account, free = Account(), threading.Lock()
        go, held = threading.Event(), threading.Event()

        def work():
            with table, account.lock:
                held.set()
                go.wait(0.3)

        thread = threading.Thread(target=work, name="worker")
        thread.start()
        held.wait()
        import coev.monkey
        thread.join()
    """)
    warning = next(line for line in done.stderr.splitlines() if "RuntimeWarning" in line)
    assert "stay so: worker;" in warning, describe(done)
    held = warning.partition("(held are: ")[2].partition(").")[0].split(", ")
    names = [name.partition(" <")[0] for name in held]
    assert done.returncode == 0 and names == ["Account.lock", "__main__.table"], describe(done)
