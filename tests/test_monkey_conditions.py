"""threading.Condition: wait() and notify() in C, on the objects of threading."""

import pytest
from run_script import check_script

PARITY = [
    "threading.Condition()",
    "threading.Condition(threading.Lock())",
    "threading.Condition(threading.RLock())",
    "type('Own', (threading.Condition,), {})()",
    "threading.Condition(Borrowed())",
]


def check(body, *args):
    check_script(
        """
import coev.monkey
import coev, os, queue, signal, sys, threading, time


class Borrowed:
    def __init__(self):
        lock = threading.Lock()
        self.acquire, self.release, self.locked = lock.acquire, lock.release, lock.locked
        self.__class__.__enter__ = lambda self: self.acquire()
        self.__class__.__exit__ = lambda self, *error: self.release()
"""
        + body,
        *args,
        expect="ok",
    )


@pytest.mark.parametrize("made", PARITY)
def test_notify_wakes_the_longest_waiters(made):
    check(f"""
condition, woken = {made}, []
def wait(i):
    with condition:
        woken.append((i, condition.wait(20)))
threads = [threading.Thread(target=wait, args=(i,)) for i in range(5)]
for thread in threads:
    thread.start()
while len(condition._waiters) < 5:  # one may have been preempted before it waits
    time.sleep(0.001)
with condition:
    assert len(condition._waiters) == 5
    condition.notify(2)
    assert len(condition._waiters) == 3
for thread in threads[:2]:
    thread.join()
assert woken == [(0, True), (1, True)], woken
with condition:
    condition.notify_all()
for thread in threads:
    thread.join()
assert woken == [(i, True) for i in range(5)], woken
print("ok")
""")


@pytest.mark.parametrize("made", PARITY)
def test_wait_ends_at_its_timeout_and_holds_the_lock(made):
    check(f"""
condition = {made}
with condition:
    for timeout in 0.03, 0, -1, 0.0:
        assert condition.wait(timeout) is False
        assert condition._is_owned() and not condition._waiters
    assert condition.wait_for(lambda: False, 0.02) is False
print("ok")
""")


@pytest.mark.parametrize("made", PARITY)
def test_exception_thrown_into_a_waiter_takes_it_off(made):
    check(f"""
condition = {made}
def wait():
    with condition:
        try:
            condition.wait()
        finally:
            assert condition._is_owned()
waiter = coev.spawn(wait)
coev.yield_now()
waiter.throw(KeyError)
try:
    waiter.result()
except KeyError:
    pass
assert not condition._waiters
with condition:
    condition.notify()
print("ok")
""")


@pytest.mark.parametrize("made", PARITY)
def test_who_does_not_hold_the_lock_may_not_wait_nor_notify(made):
    check(f"""
condition, refused = {made}, []
for call in condition.wait, condition.notify, condition.notify_all:
    try:
        call()
    except RuntimeError as error:
        refused.append(str(error))
assert refused == [
    "cannot wait on un-acquired lock",
    "cannot notify on un-acquired lock",
    "cannot notify on un-acquired lock",
], refused
print("ok")
""")


def test_lock_taken_twice_is_given_up_whole_and_taken_back_as_often():
    check("""
condition = threading.Condition()
def notify():
    with condition:
        condition.notify()
with condition, condition:
    threading.Thread(target=notify).start()
    assert condition.wait(20)
    assert condition._is_owned()
    condition.release()
    assert condition._is_owned()
    condition.acquire()
assert not condition._is_owned()
print("ok")
""")


def test_handler_that_raises_ends_the_wait_with_the_lock_held():
    check("""
condition = threading.Condition()
def handler(number, frame):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.02)
with condition:
    try:
        condition.wait(20)
    except KeyboardInterrupt:
        assert condition._is_owned() and not condition._waiters
print("ok")
""")


@pytest.mark.parametrize("timeout, error", [("'1'", TypeError), ("1e30", OverflowError)])
def test_wait_refuses_what_it_always_refused(timeout, error):
    check(f"""
condition = threading.Condition()
with condition:
    try:
        condition.wait({timeout})
    except {error.__name__}:
        assert not condition._waiters or {error is TypeError}
        print("ok")
""")


def test_waiters_of_a_subclass_with_a_lock_of_its_own_are_its_own():
    check("""
class Own(threading.Condition):
    def _release_save(self):
        calls.append("release")
        return super()._release_save() if hasattr(super(), "_release_save") else None
    def wait(self, timeout=None):
        calls.append("wait")
        return super().wait(timeout)
calls = []
condition = Own(threading.Lock())
with condition:
    assert condition.wait(0.01) is False
assert calls[0] == "wait"
print("ok")
""")
