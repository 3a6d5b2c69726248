"""Locks on files: as natively, and only the coroutine waits."""

import pytest
from run_script import check_script
from support_monkey import assert_clean_end, assert_same, scenarios

PREPARE = """
import coev.monkey
import coev, fcntl, os, struct, tempfile, threading, time

handle, path = tempfile.mkstemp()
held = os.open(path, os.O_RDWR)
os.unlink(path)
fcntl.flock(held, fcntl.LOCK_EX)
"""


@pytest.mark.parametrize("scenario", scenarios("file_locks"))
def test_files_are_locked_as_natively(scenario):
    assert_same("file_locks", scenario)


def test_processes_of_the_scenarios_end_well():
    assert_clean_end("file_locks")


def test_others_run_while_one_waits():
    check_script(
        PREPARE
        + """
waiting = threading.Thread(target=fcntl.flock, args=(handle, fcntl.LOCK_EX))
waiting.start()
latest = 0
for _ in range(20):
    began = time.monotonic()
    time.sleep(0.01)
    latest = max(latest, time.monotonic() - began)
assert latest < 0.05, latest
assert waiting.is_alive()
fcntl.flock(held, fcntl.LOCK_UN)
began = time.monotonic()
waiting.join()
assert time.monotonic() - began < 0.05
"""
    )


def test_given_up_wait_takes_no_lock():
    check_script(
        PREPARE
        + """
waiting = coev.spawn(fcntl.flock, handle, fcntl.LOCK_EX)
time.sleep(0.05)
waiting.kill()
waiting.join()
try:
    with coev.timeout(0.05):
        fcntl.flock(handle, fcntl.LOCK_EX)
except TimeoutError:
    pass
else:
    raise AssertionError("the lock was held")
fcntl.flock(held, fcntl.LOCK_UN)
time.sleep(0.05)
fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
"""
    )


def test_file_closed_meanwhile_is_reported():
    check_script(
        PREPARE
        + """
threading.Timer(0.05, os.close, (handle,)).start()
try:
    fcntl.flock(handle, fcntl.LOCK_EX)
except OSError as error:
    print(error.errno)
""",
        expect="9",
    )
