"""coev.TaskGroup: structured concurrency, with the semantics of asyncio.TaskGroup."""

import gc
import weakref

import pytest

import coev

pytestmark = pytest.mark.usefixtures("virtual_time", "nothing_left")


def fail(error, after=0.0):
    coev.sleep(after)
    raise error


def record_kill(log, name="killed"):
    try:
        coev.sleep(100)
    except coev.CoroutineExit:
        log.append(name)
        raise


def run(function, *args):
    """Run *function* in a coroutine of its own: the test itself is the main one."""
    return coev.spawn(function, *args)


def test_block_waits_for_every_coroutine(virtual_time):
    start = virtual_time()
    with coev.TaskGroup() as group:
        spawned = [group.spawn(coev.sleep, delay) for delay in (3, 1, 2)]
    assert virtual_time() - start == pytest.approx(3)
    assert all(c.done for c in spawned)


def test_results_are_kept_by_the_coroutines():
    with coev.TaskGroup() as group:
        squares = [group.spawn(lambda n=n: n * n) for n in range(5)]
    assert [c.result() for c in squares] == [0, 1, 4, 9, 16]


def test_empty_block_ends_at_once():
    switches = coev.stats()["switches"]
    with coev.TaskGroup():
        pass
    assert coev.stats()["switches"] == switches


def test_arguments_reach_the_function():
    with coev.TaskGroup() as group:
        c = group.spawn(lambda *a, **k: (a, k), 1, fn=2, self=3)
    assert c.result() == ((1,), {"fn": 2, "self": 3})


def test_first_failure_kills_the_others_and_comes_out():
    log = []
    with pytest.raises(ExceptionGroup) as caught, coev.TaskGroup() as group:
        group.spawn(record_kill, log)
        failing = group.spawn(fail, KeyError("k"), 1)
    assert [repr(e) for e in caught.value.exceptions] == ["KeyError('k')"]
    assert log == ["killed"]
    assert isinstance(failing.exception(), KeyError)


def test_failure_ends_the_wait_of_the_block(virtual_time):
    start = virtual_time()
    with pytest.raises(ExceptionGroup), coev.TaskGroup() as group:
        group.spawn(fail, KeyError(), 1)
        coev.sleep(100)
        pytest.fail("the block went on")
    assert virtual_time() - start == pytest.approx(1)


def test_failure_is_reported_by_the_group_only(unraisable):
    with pytest.raises(ExceptionGroup), coev.TaskGroup() as group:
        group.spawn(fail, KeyError())
        group.spawn(fail, ValueError())
    del group
    gc.collect()
    assert unraisable == []


def test_errors_while_the_others_clean_up_are_collected():
    def fails_when_killed():
        try:
            coev.sleep(100)
        finally:
            raise ValueError("while cleaning up")

    with pytest.raises(ExceptionGroup) as caught, coev.TaskGroup() as group:
        group.spawn(fails_when_killed)
        group.spawn(fails_when_killed)
        group.spawn(fail, KeyError(), 1)
    kinds = [type(e) for e in caught.value.exceptions]
    assert kinds == [KeyError, ValueError, ValueError]


def test_block_waits_while_killed_coroutines_clean_up():
    log = []

    def cleans_up():
        try:
            coev.sleep(100)
        finally:
            coev.sleep(5)
            log.append("cleaned up")

    with pytest.raises(ExceptionGroup), coev.TaskGroup() as group:
        group.spawn(cleans_up)
        group.spawn(fail, KeyError(), 1)
    assert log == ["cleaned up"]


def test_exception_of_the_block_kills_the_coroutines():
    log = []
    with pytest.raises(ExceptionGroup) as caught, coev.TaskGroup() as group:
        group.spawn(record_kill, log)
        coev.yield_now()
        raise LookupError("of the block")
    assert [str(e) for e in caught.value.exceptions] == ["of the block"]
    assert log == ["killed"]


def test_exceptions_of_block_and_coroutines_come_out_together():
    with pytest.raises(ExceptionGroup) as caught, coev.TaskGroup() as group:
        group.spawn(fail, KeyError())
        try:
            coev.sleep(100)
        finally:
            raise ValueError
    assert {type(e) for e in caught.value.exceptions} == {KeyError, ValueError}


def test_coroutine_killed_by_somebody_is_no_failure():
    with coev.TaskGroup() as group:
        victim = group.spawn(coev.sleep, 100)
        other = group.spawn(lambda: coev.sleep(1) or "done")
        coev.yield_now()
        victim.kill()
    assert isinstance(victim.exception(), coev.CoroutineExit)
    assert other.result() == "done"


def test_coroutine_killed_before_it_started_is_no_failure():
    with coev.TaskGroup() as group:
        group.spawn(coev.sleep, 100).kill()


def test_kill_in_the_block_comes_out_as_it_is():
    log = []

    def owner():
        with coev.TaskGroup() as group:
            group.spawn(record_kill, log, "child")
            coev.sleep(100)

    c = run(owner)
    coev.sleep(1)
    c.kill()
    assert isinstance(c.exception(), coev.CoroutineExit)
    assert log == ["child"]


def test_kill_at_the_end_of_the_block_comes_out_as_it_is():
    log = []

    def owner():
        with coev.TaskGroup() as group:
            group.spawn(record_kill, log, "child")

    c = run(owner)
    coev.sleep(1)
    c.kill()
    assert isinstance(c.exception(), coev.CoroutineExit)
    assert log == ["child"]


def test_kill_does_not_leave_before_all_have_ended():
    log = []

    def slow_to_die():
        try:
            coev.sleep(100)
        finally:
            coev.sleep(5)
            log.append("child")

    def owner():
        try:
            with coev.TaskGroup() as group:
                group.spawn(slow_to_die)
        finally:
            log.append("owner")

    c = run(owner)
    coev.sleep(1)
    c.kill()
    coev.sleep(1)
    c.kill()  # and again, while it settles
    c.join()
    assert log == ["child", "owner"]


def test_failures_are_not_lost_when_the_block_is_killed():
    def fails_when_killed():
        try:
            coev.sleep(100)
        finally:
            raise ValueError("while cleaning up")

    after = []

    def owner():
        try:
            with coev.TaskGroup() as group:
                group.spawn(fails_when_killed)
        except ExceptionGroup as caught:
            after.append(caught.exceptions)
            coev.sleep(1)  # the kill is not lost either
            after.append("survived")

    c = run(owner)
    coev.sleep(1)
    c.kill()
    assert isinstance(c.exception(), coev.CoroutineExit)
    ((error,),) = after
    assert isinstance(error, ValueError)


@pytest.mark.parametrize("where", ["block", "end"])
def test_timeout_scope_around_a_group_raises_its_own_error(where):
    log = []
    with pytest.raises(TimeoutError), coev.timeout(1) as scope, coev.TaskGroup() as group:
        group.spawn(record_kill, log)
        if where == "block":
            coev.sleep(100)
    assert scope.expired
    assert log == ["killed"]


def test_timeout_scope_inside_the_block_is_a_failure_of_the_block():
    with pytest.raises(ExceptionGroup) as caught, coev.TaskGroup(), coev.timeout(1):
        coev.sleep(100)
    assert [type(e) for e in caught.value.exceptions] == [TimeoutError]


def test_timeout_of_a_call_is_a_failure_of_the_block():
    with pytest.raises(ExceptionGroup) as caught, coev.TaskGroup() as group:
        group.spawn(coev.sleep, 3).join(1)
    assert [type(e) for e in caught.value.exceptions] == [TimeoutError]


def test_exception_thrown_in_at_the_end_counts_as_the_blocks():
    def owner():
        with coev.TaskGroup() as group:
            group.spawn(coev.sleep, 100)

    c = run(owner)
    coev.sleep(1)
    c.throw(KeyError("from outside"))
    error = c.exception()
    assert isinstance(error, ExceptionGroup)
    assert repr(error.exceptions) == "(KeyError('from outside'),)"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_exit_of_a_coroutine_comes_out_itself(kind):
    with pytest.raises(kind), coev.TaskGroup() as group:
        group.spawn(fail, kind(), 1)
        group.spawn(coev.sleep, 100)


def test_other_base_exceptions_make_a_base_group():
    class Stop(BaseException):
        pass

    with pytest.raises(BaseExceptionGroup) as caught, coev.TaskGroup() as group:
        group.spawn(fail, Stop())
    assert not isinstance(caught.value, ExceptionGroup)


def test_failure_that_comes_when_the_block_is_over_leaves_nothing_pending():
    def owner():
        try:
            with coev.TaskGroup() as group:
                group.spawn(fail, KeyError())
                # The last one to end: its cancellation meets a block that waits for it.
        except ExceptionGroup:
            coev.sleep(1)
            return "undisturbed"

    assert run(owner).result() == "undisturbed"


def test_failure_in_a_block_that_never_waits_leaves_nothing_pending():
    def owner():
        group = coev.TaskGroup()
        with pytest.raises(ExceptionGroup), group:
            failing = group.spawn(fail, KeyError())
            try:
                failing.join()
            except coev.CoroutineExit:
                pass  # swallowed: the group comes out all the same
        coev.sleep(1)
        return "undisturbed"

    assert run(owner).result() == "undisturbed"


def test_nested_groups_end_from_the_inside_out():
    log = []

    def inner():
        try:
            with coev.TaskGroup() as group:
                group.spawn(record_kill, log, "innermost")
        finally:
            log.append("inner")

    with pytest.raises(ExceptionGroup), coev.TaskGroup() as outer:
        outer.spawn(inner)
        outer.spawn(fail, KeyError(), 1)
    assert log == ["innermost", "inner"]


def test_failure_of_an_inner_group_is_one_failure_of_the_outer():
    with pytest.raises(ExceptionGroup) as caught, coev.TaskGroup() as outer:
        with coev.TaskGroup() as inner:
            inner.spawn(fail, KeyError())
        outer.spawn(pytest.fail)
    (nested,) = caught.value.exceptions
    assert isinstance(nested, ExceptionGroup)
    assert [type(e) for e in nested.exceptions] == [KeyError]


def test_inner_and_outer_failing_at_once_lose_nothing():
    def both():
        with coev.TaskGroup() as outer:
            outer.spawn(fail, ValueError(), 1)
            with coev.TaskGroup() as inner:
                inner.spawn(fail, KeyError(), 1)

    error = run(both).exception()
    kinds = {type(e) for e in error.exceptions}
    assert kinds == {ValueError, ExceptionGroup}


def test_spawn_needs_an_entered_group():
    with pytest.raises(RuntimeError, match="with block"):
        coev.TaskGroup().spawn(coev.yield_now)


def test_spawn_after_the_end_is_refused():
    with coev.TaskGroup() as group:
        pass
    with pytest.raises(RuntimeError, match="ending"):
        group.spawn(coev.yield_now)


def test_spawn_after_a_failure_is_refused():
    def spawns_late():
        try:
            coev.sleep(100)
        finally:
            with pytest.raises(RuntimeError, match="ending"):
                group.spawn(coev.yield_now)

    with pytest.raises(ExceptionGroup), coev.TaskGroup() as group:
        group.spawn(spawns_late)
        group.spawn(fail, KeyError(), 1)


def test_coroutine_may_spawn_while_the_block_waits():
    log = []

    def child(depth):
        coev.sleep(1)
        log.append(depth)
        if depth:
            group.spawn(child, depth - 1)

    with coev.TaskGroup() as group:
        group.spawn(child, 3)
    assert log == [3, 2, 1, 0]


def test_group_is_entered_once():
    group = coev.TaskGroup()
    with group, pytest.raises(RuntimeError, match="only once"):
        group.__enter__()
    with pytest.raises(RuntimeError, match="only once"):
        group.__enter__()


def test_finished_coroutines_are_not_kept():
    with coev.TaskGroup() as group:
        gone = weakref.ref(group.spawn(coev.sleep, 1))
        coev.sleep(2)
        assert gone() is None


def test_group_leaves_no_reference_cycle_behind():
    def owner():
        try:
            with coev.TaskGroup() as group:
                group.spawn(int, "no number")
        except ExceptionGroup:
            return weakref.ref(group)

    gc.collect()
    gc.disable()
    try:
        gone = run(owner).result()
        assert gone() is None
    finally:
        gc.enable()
