"""coev.timeout: a scope in which waiting takes so long and no longer."""

import gc
import math
import threading
import time
import weakref

import pytest

import coev

pytestmark = pytest.mark.usefixtures("virtual_time", "nothing_left")


def test_wait_that_takes_too_long_raises_timeout_error(virtual_time):
    start = virtual_time()
    with pytest.raises(TimeoutError, match="timed out"), coev.timeout(2):
        coev.sleep(10)
    assert virtual_time() - start == pytest.approx(2)


def test_block_that_ends_in_time_is_left_alone():
    with coev.timeout(2) as scope:
        coev.sleep(1)
    coev.sleep(10)
    assert not scope.expired


def test_time_counts_over_all_waits_of_the_block():
    slept = 0
    with pytest.raises(TimeoutError), coev.timeout(3.5):
        while True:
            coev.sleep(1)
            slept += 1
    assert slept == 3


def test_scope_tells_whether_it_expired_and_is_active():
    scope = coev.timeout(1)
    assert (scope.active, scope.expired) == (False, False)
    with pytest.raises(TimeoutError) as caught, scope:
        assert (scope.active, scope.expired) == (True, False)
        coev.sleep(2)
    assert (scope.active, scope.expired) == (False, True)
    assert caught.value.scope is scope


def test_nothing_is_raised_in_a_block_that_does_not_wait(virtual_time):
    event = coev.Event()
    event.set()
    with coev.timeout(0):
        event.wait()
        total = sum(range(1000))
    assert total == 499500


def test_zero_raises_at_the_first_wait():
    with pytest.raises(TimeoutError), coev.timeout(0):
        coev.sleep(1)


def test_negative_is_over_already():
    with pytest.raises(TimeoutError), coev.timeout(-5):
        coev.sleep(1)


@pytest.mark.parametrize("seconds", [None, math.inf, 1e300])
def test_without_limit_nothing_is_raised_and_no_timer_is_armed(seconds):
    with coev.timeout(seconds) as scope:
        assert coev.stats()["timers"] == 0
        coev.sleep(1000)
    assert not scope.expired


def test_not_a_number_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        coev.timeout(math.nan)


@pytest.mark.parametrize("arguments", [(), ("1",), (1, 2), (object(),)])
def test_seconds_must_be_a_number(arguments):
    with pytest.raises(TypeError):
        coev.timeout(*arguments)


def test_inner_scope_expires_first():
    with coev.timeout(5) as outer:
        with pytest.raises(TimeoutError) as caught, coev.timeout(1) as inner:
            coev.sleep(10)
        assert caught.value.scope is inner
        coev.sleep(1)
    assert not outer.expired


def test_outer_scope_expires_inside_the_inner():
    with pytest.raises(TimeoutError) as caught, coev.timeout(1) as outer:
        with coev.timeout(5) as inner:
            coev.sleep(10)
    assert caught.value.scope is outer
    assert not inner.expired


@pytest.mark.parametrize("order", [(1, 1), (1, 0.5), (0.5, 1)])
def test_scopes_that_expire_while_the_block_computes_raise_one_after_the_other(order):
    raised = []
    try:
        with coev.timeout(order[0]) as outer:
            try:
                with coev.timeout(order[1]) as inner:
                    coev.sleep(2)
            except TimeoutError as error:
                raised.append(error.scope)
                coev.sleep(2)
    except TimeoutError as error:
        raised.append(error.scope)
    assert raised[-1] is outer
    assert set(raised) <= {inner, outer}


@pytest.mark.realtime
def test_exception_due_at_the_end_of_the_block_is_not_raised_outside():
    coev._coev._virtual_time(False)
    event = coev.Event()

    def set_and_hold_the_thread():
        event.set()
        time.sleep(0.02)  # not ours: no coroutine runs meanwhile

    coev.spawn(set_and_hold_the_thread)
    with coev.timeout(0.01) as scope:
        assert event.wait()
    assert scope.expired
    coev.sleep(0.01)


def test_loop_may_use_one_scope_again():
    scope = coev.timeout(1)
    for _ in range(3):
        with pytest.raises(TimeoutError), scope:
            coev.sleep(2)
        assert scope.expired
        with scope:
            assert not scope.expired


def test_loop_of_scopes_leaves_no_timer():
    for _ in range(100):
        with coev.timeout(1000):
            coev.yield_now()
    assert coev.stats()["timers"] == 0


def test_scope_cannot_be_entered_twice():
    scope = coev.timeout(1)
    with scope, pytest.raises(RuntimeError, match="in use"), scope:
        pass
    with scope:  # and is usable afterwards
        pass


def test_exceptions_of_the_block_pass():
    with pytest.raises(KeyError), coev.timeout(1):
        raise KeyError
    coev.sleep(2)


def test_swallowed_timeout_is_raised_once():
    with coev.timeout(1):
        with pytest.raises(TimeoutError):
            coev.sleep(2)
        coev.sleep(2)


def test_scopes_of_many_coroutines_do_not_disturb_each_other():
    def work(n):
        try:
            with coev.timeout(n % 7 + 0.5):
                coev.sleep(n % 5 + 1)
        except TimeoutError:
            return True
        return False

    workers = [coev.spawn(work, n) for n in range(200)]
    assert [w.result() for w in workers] == [n % 7 + 0.5 < n % 5 + 1 for n in range(200)]


def test_kill_inside_a_scope_comes_out_as_a_kill():
    def work():
        with coev.timeout(10):
            coev.sleep(100)

    c = coev.spawn(work)
    coev.yield_now()
    c.kill()
    assert isinstance(c.exception(), coev.CoroutineExit)


def test_scope_of_a_coroutine_that_ended_without_leaving_it_is_harmless():
    def work():
        scope = coev.timeout(1)
        scope.__enter__()
        return scope

    c = coev.spawn(work)
    scope = c.result()
    del c, scope
    gc.collect()
    junk = [bytes(100) for _ in range(100)]
    coev.sleep(5)
    del junk
    assert coev.stats()["timers"] == 0


def test_scope_that_was_never_left_keeps_nothing_of_its_coroutine(unraisable):
    def work():
        coev.timeout(1).__enter__()

    c = coev.spawn(work)
    c.join()
    callback = weakref.ref(c)
    del c
    assert callback() is None
    coev.sleep(5)
    assert not unraisable
    assert coev.stats()["timers"] == 0


def test_scope_left_on_another_os_thread_is_harmless():
    scope = coev.timeout(1)
    scope.__enter__()
    thread = threading.Thread(target=scope.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    coev.sleep(5)
    assert not scope.expired
    assert coev.stats()["timers"] == 0


def test_scope_left_by_another_coroutine_raises_nothing_in_either():
    scope = coev.timeout(1)
    scope.__enter__()
    coev.spawn(scope.__exit__, None, None, None).join()
    coev.sleep(5)


def test_expired_scope_keeps_no_frame_alive():
    class Local:
        pass

    def work():
        local = Local()
        gone = weakref.ref(local)
        with coev.timeout(1) as scope:
            coev.sleep(2)
        return scope, gone

    def catching():
        local = Local()
        gone = weakref.ref(local)
        scope = coev.timeout(1)
        try:
            with scope:
                coev.sleep(2)
        except TimeoutError:
            pass
        return scope, gone

    gc.collect()
    gc.disable()
    try:
        scope, gone = coev.spawn(catching).result()
        assert scope.expired
        assert gone() is None
    finally:
        gc.enable()
    with pytest.raises(TimeoutError):
        work()
