"""Scenarios: locks, conditions, events, semaphores, barriers and queues."""

import _thread
import pickle
import queue
import sys
import threading
import time
import weakref

ACQUIRE_ARGUMENTS = (
    ((), {}),
    ((True,), {}),
    ((False,), {}),
    ((True, 0.01), {}),
    ((), {"timeout": 0.01}),
    ((), {"blocking": False}),
    ((1, -1), {}),
    ((False, -1), {}),
    ((False, 1), {}),
    ((False, 0), {}),
    ((True, -2), {}),
    ((True, -0.5), {}),
    ((True, float("nan")), {}),
    ((True, threading.TIMEOUT_MAX * 2), {}),
    ((True, 1e300), {}),
    ((True, "x"), {}),
    ((True, None), {}),
    (("x",), {}),
    (([],), {}),
    ((True, 1, 2), {}),
    ((), {"bogus": 1}),
    ((True,), {"blocking": True}),
)


class _BadBool:
    def __bool__(self):
        raise KeyError("bool")


def _in_thread(function, *args):
    result = []
    thread = threading.Thread(target=lambda: result.append(function(*args)))
    thread.start()
    thread.join()
    return result[0] if result else None


def _wait_all(threads):
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# --- Lock ---------------------------------------------------------------------------------


def lock_acquire_arguments(say):
    for args, kwargs in ACQUIRE_ARGUMENTS:
        lock = threading.Lock()
        say(args, kwargs, error_of(lock.acquire, *args, **kwargs), lock.locked())


def held_lock_acquire_arguments(say):
    lock = threading.Lock()
    lock.acquire()
    for args, kwargs in ACQUIRE_ARGUMENTS[2:6] + ACQUIRE_ARGUMENTS[7:]:
        if args[:1] in (("x",),) or args == (True,):
            continue
        say(args, kwargs, error_of(lock.acquire, *args, **kwargs), lock.locked())
    say(error_of(lock.acquire, _BadBool()), lock.locked())


def lock_types_names_and_repr(say):
    lock = threading.Lock()
    say(type(lock), type(lock) is _thread.LockType, _thread.LockType.__name__)
    say(lock, lock.__class__.__module__)
    with lock:
        say(lock)
    say(sorted(name for name in dir(lock) if not name.startswith("__")))
    say(error_of(_thread.LockType) if sys.version_info < (3, 13) else "instantiable")
    say(error_of(pickle.dumps, lock))
    say(weakref.ref(lock)() is lock, hash(lock) == hash(lock))
    say(threading.TIMEOUT_MAX, _thread.TIMEOUT_MAX == threading.TIMEOUT_MAX)


def lock_release_errors(say):
    lock = threading.Lock()
    say(error_of(lock.release), error_of(lock.release, 1), error_of(lock.__exit__))
    say(error_of(lock.release_lock), lock.acquire_lock(), lock.locked_lock(), lock.release_lock())
    with lock as value:
        say(value)
    say(error_of(lock.__exit__, None, None, None))


def lock_may_be_released_by_another_thread(say):
    lock = threading.Lock()
    lock.acquire()
    threading.Timer(0.02, lock.release).start()
    say(lock.acquire(), lock.locked(), _in_thread(lock.release), lock.locked())


def lock_timeout_is_kept(say):
    lock = threading.Lock()
    lock.acquire()
    for timeout in (0, 0.03):
        start = time.monotonic()
        say(lock.acquire(timeout=timeout), time.monotonic() - start >= timeout)
    threading.Timer(0.02, lock.release).start()
    say(lock.acquire(timeout=10))


def lock_is_free_for_whoever_looks_right_after_its_release(say):
    # From 3.14 on CPython may hand a lock to who has waited for long.
    for kind in (threading.Lock, threading.RLock) if sys.version_info < (3, 14) else ():
        lock = kind()
        order = []

        def work(lock=lock, order=order):
            with lock:
                order.append("waiter")

        lock.acquire()
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.05)
        lock.release()
        say("locked" not in repr(lock).split(), error_of(lock.release))
        for thread in threads:
            thread.join()
        say(order, "locked" not in repr(lock).split())
    say("done")


def lock_is_reinitialized_after_fork(say):
    lock = threading.Lock()
    lock.acquire()
    say(lock._at_fork_reinit(), lock.locked(), lock.acquire(False))


def lock_excludes(say):
    lock = threading.Lock()
    inside = []
    worst = []

    def work():
        for _ in range(20):
            with lock:
                inside.append(1)
                worst.append(len(inside))
                time.sleep(0.0002)
                inside.pop()

    _wait_all([threading.Thread(target=work) for _ in range(5)])
    say(max(worst), len(worst))


# --- RLock --------------------------------------------------------------------------------


def rlock_acquire_arguments(say):
    for args, kwargs in ACQUIRE_ARGUMENTS:
        lock = threading.RLock()
        say(args, kwargs, error_of(lock.acquire, *args, **kwargs), lock._is_owned())


def rlock_held_by_another_thread_acquire_arguments(say):
    lock = threading.RLock()
    done = threading.Event()
    held = threading.Event()

    def holder():
        with lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=holder)
    thread.start()
    held.wait()
    for args, kwargs in ACQUIRE_ARGUMENTS[2:6] + ACQUIRE_ARGUMENTS[7:]:
        if args[:1] in (("x",),) or args == (True,):
            continue
        say(args, kwargs, error_of(lock.acquire, *args, **kwargs), lock._is_owned())
    say(error_of(lock.release))
    done.set()
    thread.join()
    say(lock.acquire(False))


def rlock_repr_and_counts(say):
    lock = threading.RLock()

    def shown():
        return repr(lock).replace(f"owner={threading.get_ident()}", "owner=ME")

    say(type(lock), shown(), lock._is_owned())
    lock.acquire()
    say(shown(), lock._is_owned())
    lock.acquire()
    say(shown(), getattr(lock, "_recursion_count", int)(), _in_thread(lock._is_owned))
    say(_in_thread(getattr(lock, "_recursion_count", int)))
    lock.release()
    lock.release()
    say(shown(), lock._is_owned(), sorted(n for n in dir(lock) if not n.startswith("__")))


def rlock_release_errors(say):
    lock = threading.RLock()
    say(error_of(lock.release), error_of(lock.__exit__, None, None, None))
    say(error_of(lock._release_save), error_of(lock.release, 1))
    lock.acquire()
    say(_in_thread(error_of, lock.release), _in_thread(lambda: lock.acquire(False)))
    lock.release()
    say(_in_thread(lambda: lock.acquire(False)))
    say(error_of(lock._acquire_restore), error_of(lock._acquire_restore, 3))
    say(error_of(lock._acquire_restore, ("x", 1)))


def rlock_state_is_saved_and_restored(say):
    lock = threading.RLock()
    for _ in range(3):
        lock.acquire()
    state = lock._release_save()
    say(state[0] if sys.version_info < (3, 14) else 3, state[1] == threading.get_ident())
    say(lock._is_owned(), _in_thread(lambda: (lock.acquire(False), lock.release())))
    lock._acquire_restore(state)
    say(lock._is_owned(), [error_of(lock.release) for _ in range(4)])


def rlock_is_reinitialized_after_fork(say):
    lock = threading.RLock()
    lock.acquire()
    lock.acquire()
    say(lock._at_fork_reinit(), lock._is_owned(), error_of(lock.release), lock.acquire(False))


def rlock_excludes_and_recurs(say):
    lock = threading.RLock()
    inside = []
    worst = []

    def work():
        for _ in range(10):
            with lock, lock:
                inside.append(1)
                with lock:
                    time.sleep(0.0002)
                worst.append(len(inside))
                inside.pop()

    _wait_all([threading.Thread(target=work) for _ in range(5)])
    say(max(worst), len(worst))


def rlock_subclass_and_weak_reference(say):
    class Mine(_thread.RLock):
        pass

    lock = Mine()
    with lock:
        say(lock._is_owned(), weakref.ref(lock)() is lock)
    say(type(threading._PyRLock()), threading._PyRLock().acquire())


# --- Condition ------------------------------------------------------------------------------


def condition_wakes_waiters_in_order(say):
    condition = threading.Condition()
    order = []
    ready = []

    def work(number):
        with condition:
            ready.append(number)
            condition.wait()
            order.append(number)

    threads = []
    for number in range(4):
        threads.append(threading.Thread(target=work, args=(number,)))
        threads[-1].start()
        while len(ready) <= number:
            time.sleep(0.001)
    with condition:
        condition.notify(2)
    for thread in threads[:2]:
        thread.join()
    say(sorted(order))
    with condition:
        condition.notify_all()
    for thread in threads:
        thread.join()
    say(sorted(order))


def condition_waits_with_timeouts(say):
    condition = threading.Condition()
    with condition:
        for timeout in (0, 0.01, -1):
            say(condition.wait(timeout), condition._is_owned())
        say(condition.wait_for(lambda: False, timeout=0.02), condition.wait_for(lambda: 7))
    threading.Timer(0.02, lambda: condition.__enter__() and (condition.notify(), 0)).start()
    plain = threading.Condition(threading.Lock())
    with plain:
        say(plain.wait(0.01), error_of(plain.wait, "x"))


def condition_errors(say):
    condition = threading.Condition()
    say(error_of(condition.wait), error_of(condition.notify), error_of(condition.notify_all))
    say(error_of(condition.release), condition)
    with condition:
        say(error_of(condition.notify, 0), _in_thread(error_of, condition.notify))


def condition_gives_a_recursive_lock_up_whole(say):
    condition = threading.Condition()

    def notify():
        with condition:
            condition.notify()

    with condition, condition:
        threading.Timer(0.01, notify).start()
        say(condition.wait(5), condition._is_owned())
        condition.release()
        say(condition._is_owned())
        condition.acquire()


# --- Event, semaphores, barriers ----------------------------------------------------------------


def event_sets_clears_and_times_out(say):
    event = threading.Event()
    say(event.wait(0), event.wait(0.01), event.is_set(), event)
    threading.Timer(0.02, event.set).start()
    say(event.wait(), event.wait(10), event)
    event.clear()
    say(event.wait(0.001), error_of(event.wait, "x"))
    woken = []
    threads = [threading.Thread(target=lambda: (event.wait(), woken.append(1))) for _ in range(10)]
    for thread in threads:
        thread.start()
    event.set()
    for thread in threads:
        thread.join()
    say(len(woken))


def semaphore_counts(say):
    semaphore = threading.Semaphore(2)
    say(semaphore.acquire(), semaphore.acquire(blocking=False), semaphore.acquire(False))
    say(semaphore.acquire(timeout=0.01), error_of(semaphore.acquire, False, 1))
    threading.Timer(0.02, semaphore.release, args=(2,)).start()
    say(semaphore.acquire(), semaphore.acquire(), semaphore)
    say(error_of(semaphore.release, 0), error_of(threading.Semaphore, -1))
    with threading.Semaphore() as value:
        say(value)
    bounded = threading.BoundedSemaphore(1)
    say(error_of(bounded.release), bounded.acquire(), bounded.release(), bounded)


def semaphore_limits(say):
    semaphore = threading.Semaphore(3)
    inside = []
    worst = []

    def work():
        with semaphore:
            inside.append(1)
            time.sleep(0.003)
            worst.append(len(inside))
            inside.pop()

    _wait_all([threading.Thread(target=work) for _ in range(12)])
    say(max(worst), len(worst))


def barrier_meets_breaks_and_resets(say):
    ran = []
    barrier = threading.Barrier(3, action=lambda: ran.append(1))
    numbers = []
    for _ in range(2):
        _wait_all([threading.Thread(target=lambda: numbers.append(barrier.wait())) for _ in "abc"])
    say(sorted(numbers), ran, barrier.parties, barrier.n_waiting, barrier.broken)
    say(error_of(barrier.wait, 0.01), barrier.broken, error_of(barrier.wait))
    barrier.reset()
    say(barrier.broken)
    threading.Timer(0.02, barrier.abort).start()
    say(error_of(barrier.wait), barrier)
    bad = threading.Barrier(1, action=lambda: 1 / 0)
    say(error_of(bad.wait), bad.broken, error_of(threading.Barrier, "x"))


# --- queues -----------------------------------------------------------------------------------


def queues_block_and_time_out(say):
    for kind in (queue.Queue, queue.LifoQueue, queue.PriorityQueue):
        q = kind(2)
        say(kind.__name__, error_of(q.get, timeout=0.01), error_of(q.get_nowait))
        q.put(2)
        q.put(1)
        say(error_of(q.put, 3, timeout=0.01), error_of(q.put_nowait, 3), q.full(), q.qsize())
        threading.Timer(0.02, q.get).start()
        say(q.put(3), q.get(), q.get(), q.empty())
        say(error_of(q.get, timeout=-1), error_of(q.put, 1, timeout=-1))
        threading.Timer(0.02, q.put, args=(9,)).start()
        say(q.get())


def queue_joins_its_tasks(say):
    q = queue.Queue()
    done = []

    def work():
        while (item := q.get()) is not None:
            time.sleep(0.001)
            done.append(item)
            q.task_done()
        q.task_done()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(20):
        q.put(number)
    q.join()
    say(sorted(done))
    for _ in threads:
        q.put(None)
    for thread in threads:
        thread.join()
    say(error_of(lambda: [q.task_done() for _ in range(99)]))


def queue_shutdown_wakes_waiters(say):
    q = queue.Queue()
    if not hasattr(q, "shutdown"):
        say("before 3.13")
        return
    threading.Timer(0.02, q.shutdown).start()
    say(error_of(q.get), error_of(q.put, 1))


def simple_queue_passes_items(say):
    q = queue.SimpleQueue()
    say(error_of(q.get, False), error_of(q.get, timeout=0.01), error_of(q.get_nowait), q.empty())
    say(q.put(1), q.put_nowait(2), q.put(3, block=True, timeout=5), q.qsize())
    say(q.get(), q.get(timeout=1), q.get_nowait(), error_of(q.get, True, 0))
    threading.Timer(0.02, q.put, args=("late",)).start()
    say(q.get())
    threading.Timer(0.02, q.put, args=("late",)).start()
    say(q.get(timeout=10))


def simple_queue_argument_errors(say):
    q = queue.SimpleQueue()
    for args, kwargs in (
        ((True, -1), {}),
        ((True, "x"), {}),
        ((True, float("nan")), {}),
        ((True, 1e300), {}),
        ((False, -1), {}),
        ((False, "x"), {}),
        ((1, 2, 3), {}),
        ((), {"bogus": 1}),
        ((_BadBool(),), {}),
        (([], "x"), {}),
    ):
        say(error_of(q.get, *args, **kwargs))
    say(error_of(q.put), error_of(q.put, 1, 2, 3, 4), error_of(q.put, 1, bogus=2))
    say(error_of(q.get_nowait, 1), error_of(q.put_nowait), error_of(queue.SimpleQueue, 1))


def simple_queue_serves_many(say):
    q = queue.SimpleQueue()
    got = []

    def consume():
        while (item := q.get()) is not None:
            got.append(item)

    consumers = [threading.Thread(target=consume) for _ in range(5)]
    producers = [threading.Thread(target=lambda: [q.put(i) for i in range(100)]) for _ in "abc"]
    for thread in consumers + producers:
        thread.start()
    for thread in producers:
        thread.join()
    for _ in consumers:
        q.put(None)
    for thread in consumers:
        thread.join()
    say(len(got), sorted(got) == sorted(list(range(100)) * 3))


def simple_queue_subclass(say):
    class Mine(queue.SimpleQueue):
        pass

    q = Mine()
    threading.Timer(0.01, q.put, args=(1,)).start()
    say(q.get(), error_of(q.get, timeout=0.001))


# --- interrupts ---------------------------------------------------------------------------------


def waits_go_on_after_a_signal_and_end_with_its_exception(say):
    import signal

    lock = threading.Lock()
    lock.acquire()
    rlock = threading.RLock()
    done = threading.Event()
    threading.Thread(target=lambda: (rlock.acquire(), done.wait(), rlock.release())).start()
    time.sleep(0.01)
    waits = {
        "lock": lambda: lock.acquire(timeout=0.06),
        "rlock": lambda: rlock.acquire(timeout=0.06),
        "event": lambda: threading.Event().wait(0.06),
        "queue": lambda: queue.Queue().get(timeout=0.06),
        "simple": lambda: queue.SimpleQueue().get(timeout=0.06),
        "join": lambda: threading.current_thread() and thread.join(0.06),
    }
    thread = threading.Thread(target=done.wait)
    thread.start()
    for raises in (False, True):

        def handler(number, frame, raises=raises):
            say("handled")
            if raises:
                raise InterruptedError("by the handler")

        old = signal.signal(signal.SIGALRM, handler)
        for name, wait in waits.items():
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            say(name, error_of(wait))
        signal.signal(signal.SIGALRM, old)
    done.set()
    thread.join()
