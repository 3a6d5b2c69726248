"""threading.Event, and what else of threading has been given other code."""

import pytest
from run_script import check_script


def check(body):
    check_script(
        "import coev.monkey\nimport coev, io, os, signal, sys, threading, time\n" + body,
        expect="ok",
    )


def test_set_wakes_all_waiters_in_order():
    check("""
event, woken = threading.Event(), []
threads = [threading.Thread(target=lambda i=i: woken.append((i, event.wait()))) for i in range(5)]
for thread in threads:
    thread.start()
assert woken == [] and not event.is_set()
event.set()
for thread in threads:
    thread.join()
assert woken == [(i, True) for i in range(5)], woken
assert event.wait(0) is True
event.clear()
assert not event.is_set()
print("ok")
""")


def test_set_and_clear_at_once_still_wakes():
    check("""
event, woken = threading.Event(), []
thread = threading.Thread(target=lambda: woken.append(event.wait(5)))
thread.start()
event.set()
event.clear()
thread.join()
assert woken == [True]
print("ok")
""")


def test_wait_ends_at_its_timeout():
    check("""
event = threading.Event()
began = time.monotonic()
assert event.wait(0.05) is False
assert time.monotonic() - began >= 0.05
for timeout in 0, 0.0, -1, -1.0, -0.5:
    assert event.wait(timeout) is False
print("ok")
""")


@pytest.mark.parametrize(
    "timeout, error",
    [("'1'", "TypeError"), ("1e30", "OverflowError"), ("10**400", "OverflowError")],
)
def test_wait_refuses_what_it_always_refused(timeout, error):
    check(f"""
event = threading.Event()
try:
    event.wait({timeout})
except {error}:
    print("ok")
""")


def test_methods_bound_before_the_import_meet_those_after():
    check_script(
        """
import threading
event = threading.Event()
set, wait, clear = event.set, event.wait, threading.Event.clear
import coev.monkey
woken = []
first = threading.Thread(target=lambda: woken.append(wait()))
second = threading.Thread(target=lambda: woken.append(event.wait()))
first.start()
second.start()
set()
first.join()
second.join()
clear(event)
assert woken == [True, True] and not event.is_set()
print("ok")
""",
        expect="ok",
    )


def test_condition_of_an_event_works_once_it_is_asked_for():
    check("""
event, woken = threading.Event(), []
def wait():
    woken.append(event.wait())
early = threading.Thread(target=wait)
early.start()
assert not hasattr(threading.Event, "_cond")
assert event._cond is event._cond
late = threading.Thread(target=wait)
late.start()
with event._cond:
    setter = threading.Thread(target=event.set)
    setter.start()
    time.sleep(0.01)
    assert not event.is_set()
for thread in early, late, setter:
    thread.join()
assert woken == [True, True]
event.clear()
assert event.wait(0.01) is False
print("ok")
""")


def test_set_by_a_signal_handler_ends_the_wait_it_interrupted():
    check("""
event = threading.Event()
def handler(number, frame):
    event.set()
    event.clear()
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.02)
assert event.wait(20) is True
print("ok")
""")


def test_exception_thrown_into_a_waiter_leaves_nothing_behind():
    check("""
event = threading.Event()
waiter = coev.spawn(event.wait)
coev.yield_now()
waiter.throw(KeyError)
try:
    waiter.result()
except KeyError:
    pass
event.set()
with coev.timeout(5):
    assert event.wait()
print("ok")
""")


def test_child_of_a_fork_does_not_wake_the_parents_waiters():
    check("""
event = threading.Event()
thread = threading.Thread(target=event.wait)
thread.start()
pid = os.fork()
if pid == 0:
    event.set()
    event.clear()
    other = threading.Thread(target=lambda: event.wait() and os._exit(7))
    other.start()
    event.set()
    other.join()
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
assert not event.is_set() and thread.is_alive()
event.set()
thread.join()
print("ok")
""")


def test_event_wakes_waiters_of_other_os_threads():
    check("""
event, woken = threading.Event(), []
coev.offload(lambda: None)
ready = []
def wait():
    ready.append(1)
    woken.append(event.wait(20))
worker = coev.spawn(coev.offload, wait)
while not ready:
    time.sleep(0.001)
time.sleep(0.01)
event.set()
worker.join()
assert woken == [True]
print("ok")
""")


def test_hooks_for_exceptions_are_those_of_the_threads_creation_and_of_now():
    check("""
seen = []
def boom():
    1 / 0
def run():
    thread = threading.Thread(target=boom)
    thread.start()
    thread.join()
threading.excepthook = lambda args: seen.append(("first", args.thread.name[:6]))
run()
threading.excepthook = lambda args: seen.append(("second", args.exc_type.__name__))
run()
threading.excepthook = lambda args: 1 / 0
sys.stderr = io.StringIO()  # told of the failing hook
sys.excepthook = lambda *error: seen.append(("sys", error[0].__name__))
run()
sys.stderr = sys.__stderr__
assert seen == [
    ("first", "Thread"), ("second", "ZeroDivisionError"), ("sys", "ZeroDivisionError")
], seen
print("ok")
""")


def test_threads_that_ended_are_not_kept_for_the_exit():
    check("""
locks = getattr(threading, "_shutdown_locks", None)
for i in range(300):
    threading.Thread(target=int).start()
if locks is not None:
    assert len(locks) < 200, len(locks)
    go = threading.Event()
    thread = threading.Thread(target=go.wait)
    thread.start()
    lock = thread._tstate_lock
    assert lock in locks
    go.set()
    thread.join()
    assert lock not in locks
print("ok")
""")


def test_program_waits_for_its_threads_at_the_end():
    check_script(
        """
import coev.monkey, threading, time
def late():
    time.sleep(0.05)
    print("ok")
for i in range(100):
    threading.Thread(target=int).start()
threading.Thread(target=late).start()
""",
        expect="ok",
    )
