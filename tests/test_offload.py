"""coev.offload: functions that block, on real threads."""

import threading
import time
import weakref

import pytest

import coev

pytestmark = [pytest.mark.realtime, pytest.mark.usefixtures("nothing_left")]


@pytest.fixture
def thread_limit():
    previous = coev.offload_threads()
    yield coev.offload_threads
    coev.offload_threads(previous)


def test_offload_returns_the_result():
    assert coev.offload(lambda *a, **k: (a, k), 1, fn=2) == ((1,), {"fn": 2})


def test_offload_raises_what_the_function_raised():
    error = KeyError()

    def fail():
        raise error

    with pytest.raises(KeyError) as caught:
        coev.offload(fail)
    assert caught.value is error


def test_offload_runs_on_another_os_thread():
    assert coev.offload(threading.get_native_id) != threading.get_native_id()


def test_others_run_meanwhile():
    event = threading.Event()
    c = coev.spawn(coev.offload, event.wait)
    coev.sleep(0.01)
    assert not c.done
    event.set()
    assert c.result() is True


def test_offloaded_calls_run_side_by_side():
    barrier = threading.Barrier(4, timeout=10)
    workers = [coev.spawn(coev.offload, barrier.wait) for _ in range(4)]
    assert sorted(w.result() for w in workers) == [0, 1, 2, 3]


def test_limit_bounds_the_threads(thread_limit):
    thread_limit(2)
    assert coev.offload_threads() == 2
    most = [0]
    inside = []
    guard = threading.Lock()

    def work():
        with guard:
            inside.append(1)
            most[0] = max(most[0], len(inside))
        time.sleep(0.005)
        with guard:
            inside.pop()

    if coev.stats()["offload_threads"] > 2:
        thread_limit(coev.stats()["offload_threads"])  # those that run already stay
    for w in [coev.spawn(coev.offload, work) for _ in range(20)]:
        w.join()
    assert most[0] <= max(2, coev.offload_threads())


def test_limit_is_at_least_one():
    with pytest.raises(ValueError, match="at least one"):
        coev.offload_threads(0)


@pytest.mark.parametrize("arguments", [(), (1,), (None,)])
def test_offload_needs_a_callable(arguments):
    with pytest.raises(TypeError):
        coev.offload(*arguments)


def test_interrupted_call_goes_on_by_itself():
    begun, event, done = threading.Event(), threading.Event(), threading.Event()

    def work():
        begun.set()
        event.wait()
        done.set()

    c = coev.spawn(coev.offload, work)
    while not begun.is_set():
        coev.sleep(0.001)
    c.kill()
    c.join()
    assert not done.is_set()
    event.set()
    assert done.wait(10)


def test_call_that_has_not_begun_is_dropped_when_interrupted(thread_limit):
    event = threading.Event()
    ran = []
    busy = [coev.spawn(coev.offload, event.wait) for _ in range(coev.offload_threads())]
    coev.sleep(0.01)
    waiting = coev.spawn(coev.offload, ran.append, 1)
    coev.yield_now()
    waiting.kill()
    waiting.join()
    event.set()
    for c in busy:
        c.join()
    coev.offload(int)
    assert ran == []


def test_timeout_scope_ends_the_wait():
    event = threading.Event()
    with pytest.raises(TimeoutError), coev.timeout(0.01):
        coev.offload(event.wait)
    event.set()


def test_nothing_of_a_call_is_kept():
    class Argument:
        pass

    argument = Argument()
    gone = weakref.ref(argument)
    assert coev.offload(lambda a: a, argument) is argument
    del argument
    for _ in range(100):
        if gone() is None:
            break
        coev.sleep(0.01)
    assert gone() is None


def test_many_calls():
    workers = [coev.spawn(coev.offload, pow, n, 2) for n in range(200)]
    assert [w.result() for w in workers] == [n * n for n in range(200)]
