"""coev.Lock, RLock, Semaphore, Event and Condition. How each can end is in
test_blocking_operations."""

import random
import threading
import weakref

import pytest
from run_script import STRESS_SECONDS

import coev

pytestmark = pytest.mark.usefixtures("virtual_time", "nothing_left")

ACQUIRABLE = [coev.Lock, coev.RLock, coev.Condition, coev.Semaphore]
acquirable = pytest.mark.parametrize("kind", ACQUIRABLE, ids=lambda kind: kind.__name__)


@acquirable
def test_holder_keeps_others_out(kind):
    lock = kind()
    inside = []

    def work():
        with lock:
            inside.append(1)
            assert len(inside) == 1
            coev.yield_now()
            inside.pop()

    for c in [coev.spawn(work) for _ in range(20)]:
        c.result()


@acquirable
def test_lock_is_handed_to_the_longest_waiter(kind):
    lock = kind()
    order = []

    def work(n):
        with lock:
            order.append(n)

    lock.acquire()
    workers = [coev.spawn(work, n) for n in range(10)]
    coev.yield_now()
    lock.release()
    with lock:  # whoever has just released it is the last in the queue
        order.append("releaser")
    for w in workers:
        w.join()
    assert order == [*range(10), "releaser"]


@pytest.mark.parametrize("kind", [coev.Lock, coev.RLock])
def test_lock_is_free_for_whoever_looks_right_after_its_release(kind):
    lock = kind()
    order = []

    def work(n):
        with lock:
            order.append(n)

    lock.acquire()
    workers = [coev.spawn(work, n) for n in range(3)]
    coev.yield_now()
    lock.release()
    assert not lock.locked()
    with pytest.raises(RuntimeError):
        lock.release()
    assert lock.acquire(blocking=False)  # also before those who wait
    coev.yield_now()
    assert order == []
    lock.release()
    for w in workers:
        w.join()
    assert order == [0, 1, 2]  # who was woken for nothing has kept its place
    assert not lock.locked()


@acquirable
def test_acquire_without_blocking_only_tries(kind):
    lock = kind()
    assert lock.acquire(False)
    assert coev.spawn(lock.acquire, blocking=False).result() is False
    assert coev.spawn(lock.acquire, False).result() is False
    lock.release()


@acquirable
def test_timeout_without_blocking_is_refused(kind):
    with pytest.raises(ValueError, match="blocking"):
        kind().acquire(False, 1)


@acquirable
def test_free_lock_is_taken_without_a_switch(kind):
    lock = kind()
    switches = coev.stats()["switches"]
    for _ in range(100):
        with lock:
            pass
    assert coev.stats()["switches"] == switches


@acquirable
def test_release_does_not_switch(kind):
    lock = kind()
    lock.acquire()
    c = coev.spawn(lock.acquire)
    coev.yield_now()
    switches = coev.stats()["switches"]
    lock.release()
    assert coev.stats()["switches"] == switches
    c.join()


@pytest.mark.parametrize("kind", [coev.Lock, coev.RLock, coev.Condition])
def test_release_of_a_free_lock_is_refused(kind):
    with pytest.raises(RuntimeError, match="release"):
        kind().release()


@acquirable
def test_weak_references_are_possible(kind):
    lock = kind()
    gone = weakref.ref(lock)
    del lock
    assert gone() is None


@acquirable
def test_exception_in_a_with_block_releases(kind):
    lock = kind()
    with pytest.raises(KeyError), lock:
        raise KeyError
    assert coev.spawn(lock.acquire, timeout=0).result()


def test_lock_may_be_released_by_another_coroutine():
    lock = coev.Lock()
    lock.acquire()
    coev.spawn(lock.release)
    assert lock.acquire(timeout=1)
    assert lock.locked()


def test_waiter_that_is_killed_does_not_get_the_lock():
    lock = coev.Lock()
    lock.acquire()
    first = coev.spawn(lock.acquire)
    second = coev.spawn(lock.acquire)
    coev.yield_now()
    first.kill()
    lock.release()
    assert second.result() is True
    first.join()


def test_recursive_lock_belongs_to_its_coroutine():
    lock = coev.RLock()
    with lock, lock:
        error = coev.spawn(lock.release).exception()
        assert isinstance(error, RuntimeError)
        assert coev.spawn(lock.acquire, timeout=1).result() is False
    assert not lock.locked()


def test_finalizer_of_a_local_does_not_pass_for_main():
    """A coroutine that is ending still is itself to a recursive lock."""
    lock = coev.RLock()
    storage = threading.local()
    results = []

    class Local:
        def __del__(self):
            results.append(lock.acquire(blocking=False))

    def set_local():
        storage.value = Local()

    with lock:
        coev.spawn(set_local).join()
    assert results == [False]


# --- Semaphore ----------------------------------------------------------------------------


def test_semaphore_lets_as_many_in_as_it_has_permits():
    semaphore = coev.Semaphore(3)
    inside, most = [0], [0]

    def work():
        with semaphore:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            coev.sleep(1)
            inside[0] -= 1

    for c in [coev.spawn(work) for _ in range(10)]:
        c.join()
    assert most == [3]
    assert semaphore.value == 3


def test_semaphore_releases_several_at_once():
    semaphore = coev.Semaphore(0)
    waiters = [coev.spawn(semaphore.acquire) for _ in range(3)]
    coev.yield_now()
    semaphore.release(5)
    assert all(w.result() for w in waiters)
    assert semaphore.value == 2


@pytest.mark.parametrize("n", [0, -1])
def test_semaphore_releases_at_least_one(n):
    with pytest.raises(ValueError, match="one or more"):
        coev.Semaphore().release(n)


def test_semaphore_needs_a_value_of_at_least_zero():
    with pytest.raises(ValueError, match=">= 0"):
        coev.Semaphore(-1)
    assert coev.Semaphore(value=0).value == 0


# --- Event --------------------------------------------------------------------------------


def test_event_wakes_all_and_stays_set():
    event = coev.Event()
    waiters = [coev.spawn(event.wait) for _ in range(5)]
    coev.yield_now()
    assert not event.is_set()
    event.set()
    assert [w.result() for w in waiters] == [True] * 5
    assert event.wait(0)
    event.clear()
    assert event.wait(0) is False


def test_event_set_and_cleared_at_once_still_wakes_the_waiters():
    event = coev.Event()
    waiters = [coev.spawn(event.wait) for _ in range(5)]
    coev.yield_now()
    event.set()
    event.clear()
    assert [w.result() for w in waiters] == [True] * 5


def test_event_is_set_by_another_os_thread():
    event = coev.Event()
    c = coev.spawn(event.wait)
    coev.yield_now()
    thread = threading.Thread(target=event.set)
    thread.start()
    assert c.result() is True
    thread.join()


# --- Condition ----------------------------------------------------------------------------


def test_condition_notifies_the_longest_waiters():
    condition = coev.Condition()
    woken = []

    def wait(n):
        with condition:
            condition.wait()
            woken.append(n)

    waiters = [coev.spawn(wait, n) for n in range(5)]
    coev.yield_now()
    with condition:
        condition.notify(2)
    coev.sleep(1)
    assert woken == [0, 1]
    with condition:
        condition.notify_all()
    for w in waiters:
        w.join()
    assert woken == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("method", ["wait", "notify", "notify_all"])
def test_condition_must_be_held(method):
    with pytest.raises(RuntimeError, match="un-acquired"):
        getattr(coev.Condition(), method)()


def test_condition_gives_the_lock_up_whole_and_takes_it_back():
    condition = coev.Condition()

    def nested():
        with condition, condition, condition:
            condition.wait()
            assert coev.spawn(condition.acquire, timeout=0).result() is False
        return coev.spawn(condition.acquire, timeout=0).result()

    c = coev.spawn(nested)
    coev.yield_now()
    with condition:
        condition.notify()
    assert c.result() is True


def test_condition_waiter_that_is_killed_holds_the_lock_while_it_leaves():
    condition = coev.Condition()
    held = []

    def wait():
        with condition:
            try:
                condition.wait()
            finally:
                held.append(coev.spawn(condition.acquire, timeout=0).result())

    c = coev.spawn(wait)
    coev.yield_now()
    with condition:
        c.kill()
        coev.sleep(1)
        assert not c.done  # it cannot leave without the lock
    c.join()
    assert held == [False]


def test_condition_wait_for_returns_the_value_of_the_predicate():
    condition = coev.Condition()
    box = []

    def fill():
        with condition:
            box.append("value")
            condition.notify()

    coev.spawn(fill)
    with condition:
        assert condition.wait_for(lambda: box and box[0]) == "value"
        assert condition.wait_for(lambda: 0, timeout=1) == 0


def test_condition_wait_for_passes_the_predicates_error_on():
    condition = coev.Condition()
    with condition, pytest.raises(ZeroDivisionError):
        condition.wait_for(lambda: 1 / 0)
    assert coev.spawn(condition.acquire, timeout=0).result()


def test_notification_is_not_lost_to_a_stale_interrupt():
    """An interrupt nobody is interested in any more must not cost the place in the queue."""
    condition = coev.Condition()

    def wait():
        error = KeyError()
        with condition:
            coev.current()._postpone(error)
            coev.current()._withdraw(error)
            return condition.wait()

    def notify():
        with condition:
            condition.notify()

    c = coev.spawn(wait)
    coev.spawn(notify)
    assert c.result(5) is True


# --- stress -------------------------------------------------------------------------------


class Stress:
    """Coroutines on shared locks, queues, semaphores and conditions, killed at random."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lock = coev.Lock()
        self.rlock = coev.RLock()
        self.semaphore = coev.Semaphore(3)
        self.condition = coev.Condition()
        self.event = coev.Event()
        self.queue = coev.Queue(4)
        self.channel = coev.Channel()
        self.inside = {"lock": 0, "rlock": 0, "semaphore": 0}
        self.tokens = 0
        self.put = self.got = self.sent = self.received = 0

    def critical(self, name, most):
        self.inside[name] += 1
        try:
            assert self.inside[name] <= most
            if self.random.random() < 0.5:
                coev.yield_now()
        finally:
            self.inside[name] -= 1

    def step(self):
        choice = self.random.randrange(8)
        if choice == 0:
            with self.lock:
                self.critical("lock", 1)
        elif choice == 1:
            with self.rlock, self.rlock:
                self.critical("rlock", 1)
        elif choice == 2:
            with self.semaphore:
                self.critical("semaphore", 3)
        elif choice == 3:
            self.queue.put(1)
            self.put += 1
        elif choice == 4:
            self.queue.get()
            self.got += 1
        elif choice == 5:
            self.channel.send(1)
            self.sent += 1
        elif choice == 6:
            self.channel.receive()
            self.received += 1
        else:
            with self.condition:
                if self.tokens == 0 and self.random.random() < 0.5:
                    self.condition.wait_for(lambda: self.tokens > 0)
                    self.tokens -= 1
                else:
                    self.tokens += 1
                    self.condition.notify()

    def work(self):
        for _ in range(20):
            try:
                if self.random.random() < 0.5:
                    with coev.timeout(self.random.random() * 0.01):
                        self.step()
                else:
                    self.step()
            except TimeoutError:
                pass

    def run(self, count):
        workers = [coev.spawn(self.work) for _ in range(count)]
        alive = list(workers)
        while alive:
            coev.sleep(0.001)
            for _ in range(min(len(alive), 5)):
                self.random.choice(alive).kill()
            alive = [c for c in alive if not c.done]
        errors = [c.exception() for c in workers]
        assert [e for e in errors if e and not isinstance(e, coev.CoroutineExit)] == []

    def check(self):
        assert self.inside == {"lock": 0, "rlock": 0, "semaphore": 0}
        assert self.lock.acquire(blocking=False)
        assert self.rlock.acquire(blocking=False)
        assert self.condition.acquire(blocking=False)
        assert self.semaphore.value == 3
        # A kill may come between an operation and its count, but only there: none waits.
        assert self.put == self.got + self.queue.qsize()
        assert self.sent == self.received
        with pytest.raises(TimeoutError):
            self.channel.receive(0)


@pytest.mark.slow
def test_random_kills_and_timeouts_lose_nothing_and_hold_nothing_twice():
    deadline = threading.Event()
    timer = threading.Timer(STRESS_SECONDS, deadline.set)
    timer.start()
    seed = 0
    while not deadline.is_set():
        stress = Stress(seed)
        stress.run(1000)
        stress.check()
        seed += 1
    timer.join()
