"""coev.switch: explicit transfer, and what CPython keeps for each coroutine."""

import asyncio
import contextvars
import decimal
import gc
import socket
import sys
import threading
import warnings

import pytest

import coev

pytestmark = pytest.mark.usefixtures("virtual_time", "nothing_left")


def test_switch_passes_values_both_ways():
    main = coev.current()

    def partner():
        got = [main.switch("ready")]
        while got[-1] != "stop":
            got.append(main.switch(got[-1] * 2))
        main.switch(got)
        return "ended"

    c = coev.spawn(partner)
    assert coev.switch(c) == "ready"
    assert coev.switch(c, 1) == 2
    assert c.switch(value=5) == 10
    assert coev.switch(c, value="stop") == [1, 5, "stop"]
    switcher = coev.spawn(coev.switch, c)  # stays suspended: nobody switches back to it
    assert c.result() == "ended"
    switcher.kill()
    switcher.join()


def test_switching_back_and_forth_starves_nobody():
    main = coev.current()
    others = []
    ours, theirs = socket.socketpair()

    def partner():
        while True:
            main.switch()

    def reader():
        coev.wait_readable(ours)
        others.append("read")

    c = coev.spawn(partner)
    r = coev.spawn(reader)
    coev.spawn(lambda: others.append("ran") or theirs.send(b"x"))
    with ours, theirs:
        while not r.done:
            coev.switch(c)
    assert others == ["ran", "read"]
    c.kill()
    c.join()


def test_switch_returns_none_by_default():
    main = coev.current()
    c = coev.spawn(main.switch)
    assert c.switch() is None
    c.kill()
    c.join()


def test_switch_runs_the_target_before_everybody_else():
    main = coev.current()
    log = []
    for n in range(3):
        coev.spawn(log.append, n)

    def target():
        log.append("target")
        main.switch()

    c = coev.spawn(target)
    c.switch()
    assert log == ["target"]
    c.kill()
    c.join()


def test_main_goes_on_when_somebody_switches_to_it():
    main = coev.current()
    c = coev.spawn(lambda: main.switch("from the coroutine"))
    coev.spawn(int)
    assert c.switch() == "from the coroutine"
    c.kill()
    c.join()


def test_three_may_pass_a_value_round():
    main = coev.current()
    coroutines = []

    def station(n):
        value = yield_to_main()
        while True:
            following = coroutines[n + 1] if n + 1 < len(coroutines) else main
            value = following.switch(value + [n])

    def yield_to_main():
        return main.switch()

    coroutines += [coev.spawn(station, n) for n in range(3)]
    for c in coroutines:
        c.switch()
    assert coroutines[0].switch([]) == [0, 1, 2]
    for c in coroutines:
        c.kill()
        c.join()


# --- refusals -----------------------------------------------------------------------------


def test_switch_to_a_finished_coroutine_is_refused():
    c = coev.spawn(int)
    c.join()
    with pytest.raises(RuntimeError, match="finished"):
        c.switch()


def test_switch_to_itself_is_refused():
    with pytest.raises(RuntimeError, match="current"):
        coev.current().switch()


@pytest.mark.parametrize("wait", [lambda: coev.sleep(5), lambda: coev.Event().wait(5)])
def test_switch_to_one_that_waits_for_something_else_is_refused(wait):
    c = coev.spawn(wait)
    coev.yield_now()
    with pytest.raises(RuntimeError, match="something else"):
        c.switch()
    c.join()


def test_switch_to_another_os_thread_is_refused():
    errors = []

    def elsewhere(target):
        try:
            target.switch()
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=elsewhere, args=(coev.current(),))
    thread.start()
    thread.join()
    assert errors == ["cannot switch to a coroutine of another OS thread"]


def test_value_for_one_that_is_not_in_switch_is_refused():
    c = coev.spawn(int)
    with pytest.raises(TypeError, match="value"):
        c.switch(1)
    c.join()


@pytest.mark.parametrize("arguments", [(), (1,), (None,), ("x", 2), (1, 2, 3)])
def test_switch_needs_a_coroutine(arguments):
    with pytest.raises(TypeError):
        coev.switch(*arguments)


# --- exceptions ---------------------------------------------------------------------------


def test_throw_ends_the_suspension():
    main = coev.current()
    seen = []

    def suspended():
        try:
            main.switch()
        except KeyError as error:
            seen.append(error)

    c = coev.spawn(suspended)
    c.switch()
    error = KeyError()
    c.throw(error)
    c.join()
    assert seen == [error]


def test_value_of_an_interrupted_switch_is_not_delivered_later():
    main = coev.current()
    got = []

    def suspended():
        try:
            got.append(main.switch())
        except KeyError:
            got.append("thrown")
        got.append(main.switch("again"))

    c = coev.spawn(suspended)
    c.switch()
    coev.spawn(lambda: c.throw(KeyError()))
    coev.sleep(0)
    assert got == ["thrown"] or c.switch() == "again"
    coev.sleep(0)
    c.kill()
    c.join()
    assert got[0] == "thrown"


def test_main_can_be_thrown_into_while_it_is_suspended():
    main = coev.current()

    def target():
        main.throw(KeyError("into main"))
        coev.sleep(100)

    c = coev.spawn(target)
    with pytest.raises(KeyError, match="into main"):
        c.switch()
    c.kill()
    c.join()


def test_handled_exception_is_each_coroutines_own():
    main = coev.current()
    seen = []

    def other():
        seen.append(sys.exc_info())
        try:
            raise KeyError("other")
        except KeyError:
            main.switch()
            seen.append(repr(sys.exc_info()[1]))
        seen.append(sys.exc_info())
        main.switch()

    c = coev.spawn(other)
    try:
        raise ValueError("main")
    except ValueError:
        c.switch()
        assert repr(sys.exc_info()[1]) == "ValueError('main')"
        c.switch()
        assert repr(sys.exc_info()[1]) == "ValueError('main')"
    assert sys.exc_info() == (None, None, None)
    assert seen == [(None, None, None), "KeyError('other')", (None, None, None)]
    c.kill()
    c.join()


# --- what CPython keeps per thread --------------------------------------------------------


def test_thread_local_data_is_each_coroutines_own():
    storage = threading.local()
    storage.value = "main"

    def work(n):
        assert not hasattr(storage, "value")
        storage.value = n
        coev.sleep(1)
        return storage.value

    workers = [coev.spawn(work, n) for n in range(10)]
    assert [w.result() for w in workers] == list(range(10))
    assert storage.value == "main"
    assert coev.local is threading.local


def test_context_variables_are_each_coroutines_own():
    variable = contextvars.ContextVar("variable", default="default")
    variable.set("main")

    def work(n):
        before = variable.get()
        variable.set(n)
        coev.sleep(1)
        return before, variable.get()

    workers = [coev.spawn(work, n) for n in range(10)]
    assert [w.result() for w in workers] == [("default", n) for n in range(10)]
    assert variable.get() == "main"


def test_decimal_context_is_each_coroutines_own():
    def work(precision):
        decimal.getcontext().prec = precision
        coev.yield_now()
        return str(decimal.Decimal(1) / 3)

    workers = [coev.spawn(work, n) for n in (3, 5)]
    assert [w.result() for w in workers] == ["0.333", "0.33333"]
    assert decimal.getcontext().prec == 28


def test_trace_function_is_each_coroutines_own():
    calls = []

    def traced():
        coev.yield_now()

    def tracer(frame, event, arg):
        calls.append(frame.f_code.co_name)

    def work():
        sys.settrace(tracer)
        coev.yield_now()
        traced()
        sys.settrace(None)

    def untraced():
        coev.yield_now()
        return sys.gettrace()

    before = sys.gettrace()
    c = coev.spawn(work)
    other = coev.spawn(untraced)
    c.join()
    assert other.result() is None
    assert sys.gettrace() is before
    assert set(calls) == {"traced"}


def test_frames_of_all_coroutines_are_found_by_ident():
    def parked_here():
        coev.sleep(1)

    c = coev.spawn(parked_here)
    coev.yield_now()
    frames = sys._current_frames()
    assert frames[c.ident].f_code.co_name == "parked_here"
    assert frames[coev.main().ident].f_code.co_name.startswith("test_frames_of_all")
    c.join()


def test_generators_move_between_coroutines():
    def generator():
        while True:
            coev.sleep(1)
            yield coev.current()

    g = generator()
    first, second = coev.spawn(next, g), None
    first.join()
    second = coev.spawn(next, g)
    assert first.result() is first
    assert second.result() is second


# --- a slot used again is fresh (the state of its last function is gone) ------------------


def run_in_one_slot(*functions):
    """Run the functions one after the other on the same stack and thread state."""
    coev.spawn(int).join()
    stacks = coev.stats()["slots_created"]
    results = [coev.spawn(function).result() for function in functions]
    assert coev.stats()["slots_created"] == stacks
    return results


def test_reused_slot_has_no_thread_local_data():
    storage = threading.local()

    def leave():
        storage.value = object()

    assert run_in_one_slot(leave, lambda: hasattr(storage, "value")) == [None, False]


def test_reused_slot_has_no_context_variables():
    variable = contextvars.ContextVar("variable", default="default")

    def leave():
        variable.set(["a value that is freed"])
        return variable.get()[0]

    for _ in range(3):
        assert run_in_one_slot(leave, variable.get)[1] == "default"
        gc.collect()


def test_reused_slot_has_no_running_loop():
    def leave():
        asyncio._set_running_loop(object())

    assert run_in_one_slot(leave, asyncio._get_running_loop) == [None, None]


def test_reused_slot_is_not_traced():
    def leave():
        sys.settrace(lambda *_: None)
        sys.setprofile(lambda *_: None)

    assert run_in_one_slot(leave, lambda: (sys.gettrace(), sys.getprofile()))[1] == (None, None)


def test_reused_slot_has_no_hooks_of_generators_and_async_functions():
    def leave():
        sys.set_asyncgen_hooks(firstiter=print, finalizer=print)
        sys.set_coroutine_origin_tracking_depth(7)

    def look():
        return tuple(sys.get_asyncgen_hooks()), sys.get_coroutine_origin_tracking_depth()

    assert run_in_one_slot(leave, look)[1] == ((None, None), 0)


def test_reused_slot_handles_no_exception():
    def leave():
        try:
            raise KeyError
        except KeyError:
            coev.current().kill()

    coev.spawn(leave).join()
    assert coev.spawn(sys.exc_info).result() == (None, None, None)


def test_reused_slot_has_its_whole_recursion_limit():
    def dive():
        def deeper(n):
            if n == 0:
                coev.current().kill()
            deeper(n - 1)

        deeper(sys.getrecursionlimit() - 200)

    def depth(n):
        return 0 if n == 0 else 1 + depth(n - 1)

    for _ in range(3):
        coev.spawn(dive).join()
    wanted = sys.getrecursionlimit() - 200
    assert coev.spawn(depth, wanted).result() == wanted


def test_reused_slot_has_no_pending_exception():
    def leave():
        coev.current()._postpone(KeyError())

    assert run_in_one_slot(leave, lambda: coev.sleep(1) or "slept")[1] == "slept"


def test_two_asyncio_loops_run_in_two_coroutines():
    async def work(n):
        await asyncio.sleep(0)
        return n

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        workers = [coev.spawn(asyncio.run, work(n)) for n in range(2)]
        assert [w.result() for w in workers] == [0, 1]
