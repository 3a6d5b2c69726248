"""coev.Coroutine: spawn, join, outcome, throw, kill, and its life as an object."""

import gc
import re
import sys
import threading
import weakref

import pytest

import coev

pytestmark = pytest.mark.usefixtures("virtual_time", "nothing_left")


def raises(error):
    raise error


class Recorder:
    """A coroutine that waits and notes what ended its wait."""

    def __init__(self, wait=lambda: coev.sleep(100)):
        self.seen = []
        self.coroutine = coev.spawn(self._run, wait)

    def _run(self, wait):
        try:
            wait()
        except BaseException as error:
            self.seen.append(error)


# --- spawn --------------------------------------------------------------------------------


def test_spawn_runs_the_function_in_the_next_turn():
    log = []
    coev.spawn(log.append, "ran")
    assert log == []
    coev.yield_now()
    assert log == ["ran"]


def test_spawn_passes_positional_and_keyword_arguments():
    c = coev.spawn(lambda *a, **k: (a, k), 1, 2, fn=3, name=4)
    assert c.result() == ((1, 2), {"fn": 3, "name": 4})


def test_spawned_coroutines_run_in_the_order_they_were_spawned():
    log = []
    for n in range(10):
        coev.spawn(log.append, n)
    coev.yield_now()
    assert log == list(range(10))


@pytest.mark.parametrize("arguments", [(), (1,), (None, 2)])
def test_spawn_needs_a_callable(arguments):
    with pytest.raises(TypeError):
        coev.spawn(*arguments)


def test_coroutine_type_cannot_be_called():
    with pytest.raises(TypeError):
        coev.Coroutine()


def test_spawn_releases_function_and_arguments_at_the_end():
    class Argument:
        pass

    argument = Argument()
    gone = weakref.ref(argument)
    c = coev.spawn(lambda a, *, k: None, argument, k=argument)
    del argument
    c.join()
    assert gone() is None


def test_function_may_recurse_deeply():
    def depth(n):
        return 0 if n == 0 else 1 + depth(n - 1)

    assert coev.spawn(depth, sys.getrecursionlimit() - 200).result() > 500


def test_endless_recursion_is_an_error_of_the_coroutine():
    def forever():
        forever()

    assert isinstance(coev.spawn(forever).exception(), RecursionError)
    assert coev.spawn(lambda: "fine").result() == "fine"


# --- join, result, exception --------------------------------------------------------------


def test_join_waits_for_the_end(virtual_time):
    start = virtual_time()
    c = coev.spawn(coev.sleep, 2)
    assert c.join() is None
    assert virtual_time() - start == pytest.approx(2)


def test_join_of_a_finished_coroutine_does_not_switch():
    c = coev.spawn(int)
    c.join()
    switches = coev.stats()["switches"]
    c.join()
    c.result()
    c.exception()
    assert coev.stats()["switches"] == switches


@pytest.mark.parametrize("method", ["join", "result", "exception"])
def test_waiting_for_the_end_times_out_and_the_coroutine_goes_on(method):
    c = coev.spawn(lambda: coev.sleep(2) or "end")
    with pytest.raises(TimeoutError):
        getattr(c, method)(timeout=1)
    with pytest.raises(TimeoutError):
        getattr(c, method)(0)
    assert not c.done
    assert c.result() == "end"


def test_result_raises_what_the_function_raised():
    error = KeyError("k")
    c = coev.spawn(raises, error)
    with pytest.raises(KeyError) as caught:
        c.result()
    assert caught.value is error
    assert c.exception() is error


def test_traceback_of_the_function_is_kept():
    error = coev.spawn(raises, KeyError()).exception()
    frames = []
    tb = error.__traceback__
    while tb is not None:
        frames.append(tb.tb_frame.f_code.co_name)
        tb = tb.tb_next
    assert frames == ["raises"]


def test_exception_of_a_success_is_none():
    assert coev.spawn(int).exception() is None


def test_join_does_not_raise_what_the_function_raised():
    c = coev.spawn(raises, KeyError())
    assert c.join() is None
    c.exception()


def test_a_coroutine_cannot_join_itself():
    with pytest.raises(RuntimeError, match="cannot join current"):
        coev.current().join()
    for method in ("join", "result", "exception"):
        error = coev.spawn(lambda m=method: getattr(coev.current(), m)()).exception()
        assert isinstance(error, RuntimeError)


def test_many_may_join_one():
    c = coev.spawn(lambda: coev.sleep(1) or 7)
    joiners = [coev.spawn(c.result) for _ in range(100)]
    assert [j.result() for j in joiners] == [7] * 100


def test_join_keeps_the_coroutine_alive_when_it_is_the_last_reference():
    box = [coev.spawn(lambda: coev.sleep(1) or "kept")]
    assert box.pop().result() == "kept"


# --- names, idents, state -----------------------------------------------------------------


def test_name_is_a_number_and_can_be_set():
    c = coev.spawn(int)
    assert re.fullmatch(r"coroutine-\d+", c.name)
    c.name = "worker"
    assert c.name == "worker"
    with pytest.raises(TypeError):
        c.name = 3
    with pytest.raises(TypeError):
        del c.name
    c.join()


def test_main_coroutine_stands_for_the_os_thread():
    main = coev.main()
    assert main is coev.current()
    assert main.name == "main"
    assert main.ident == threading.main_thread().ident
    assert main.started
    assert not main.done
    assert coev.spawn(coev.main).result() is main


def test_main_coroutine_finishes_with_its_os_thread():
    mains = []
    known, go_on = threading.Event(), threading.Event()

    def work():
        mains.append(coev.current())
        known.set()
        go_on.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    known.wait(10)
    (main,) = mains
    assert not main.done
    waiting = coev.spawn(main.join)
    coev.yield_now()
    assert not waiting.done
    go_on.set()
    waiting.join()
    thread.join()
    assert main.done and main.result() is None
    assert len(main.stack()) == 0
    with pytest.raises(RuntimeError, match="finished coroutine"):
        main.throw(KeyError())
    with pytest.raises(RuntimeError, match="finished coroutine"):
        coev.switch(main)


def test_idents_are_unique_and_never_reused():
    idents = [coev.spawn(int) for _ in range(50)]
    for c in idents:
        c.join()
    assert len({c.ident for c in idents}) == 50


def test_repr_tells_the_state():
    event = coev.Event()
    c = coev.spawn(event.wait)
    c.name = "x"
    states = [repr(c)]
    coev.yield_now()
    states.append(repr(c))
    event.set()
    states.append(repr(c))
    c.join()
    states.append(repr(c))
    assert [s.split(" ", 2)[2].rsplit(" at ", 1)[0] for s in states] == [
        "not started",
        "waiting",
        "ready",
        "finished",
    ]
    assert states[0].startswith("<coev.Coroutine x ")
    assert "running" in coev.spawn(lambda: repr(coev.current())).result()
    assert "running" in repr(coev.main())


def test_done_and_started_follow_the_function():
    c = coev.spawn(coev.sleep, 1)
    assert (c.started, c.done) == (False, False)
    coev.yield_now()
    assert (c.started, c.done) == (True, False)
    c.join()
    assert (c.started, c.done) == (True, True)


def test_stack_tells_where_the_coroutine_waits():
    def inner():
        coev.sleep(1)

    def outer():
        inner()

    c = coev.spawn(outer)
    assert list(c.stack()) == []
    coev.yield_now()
    assert [f.name for f in c.stack()] == ["outer", "inner"]
    c.join()
    assert list(c.stack()) == []


def test_stack_of_the_current_coroutine_ends_here():
    def here():
        return coev.current().stack()

    assert coev.spawn(here).result()[-1].name == "here"
    assert coev.main().stack()[-1].name == "test_stack_of_the_current_coroutine_ends_here"


# --- throw --------------------------------------------------------------------------------


def test_throw_is_raised_where_the_coroutine_waits():
    recorder = Recorder()
    coev.yield_now()
    error = KeyError("thrown")
    recorder.coroutine.throw(error)
    assert recorder.seen == []  # it does not switch
    recorder.coroutine.join()
    assert recorder.seen == [error]


def test_throw_takes_a_class():
    recorder = Recorder()
    coev.yield_now()
    recorder.coroutine.throw(KeyError)
    recorder.coroutine.join()
    assert [type(e) for e in recorder.seen] == [KeyError]


@pytest.mark.parametrize("what", [None, 3, "text", int, object()])
def test_throw_needs_an_exception(what):
    c = coev.spawn(coev.sleep, 1)
    with pytest.raises(TypeError):
        c.throw(what)
    c.join()


def test_throw_into_a_coroutine_that_has_not_started_ends_it():
    ran = []
    c = coev.spawn(ran.append, 1)
    c.throw(KeyError())
    assert isinstance(c.exception(), KeyError)
    assert ran == []
    assert not c.started


def test_throw_into_a_finished_coroutine_is_refused():
    c = coev.spawn(int)
    c.join()
    with pytest.raises(RuntimeError, match="finished"):
        c.throw(KeyError())


def test_throw_into_itself_raises_at_once():
    error = KeyError()
    with pytest.raises(KeyError) as caught:
        coev.current().throw(error)
    assert caught.value is error


def test_throw_into_a_ready_coroutine_waits_for_its_next_wait():
    event = coev.Event()
    log = []

    def waiter():
        log.append(event.wait())
        try:
            coev.sleep(0)
        except KeyError:
            log.append("thrown")

    c = coev.spawn(waiter)
    coev.yield_now()
    event.set()  # it is ready: the wait has succeeded
    c.throw(KeyError())
    c.join()
    assert log == [True, "thrown"]


def test_exceptions_are_raised_one_a_wait_in_the_order_thrown():
    log = []

    def waiter():
        while len(log) < 3:
            try:
                coev.sleep(100)
            except KeyError as error:
                log.append(error.args[0])

    c = coev.spawn(waiter)
    coev.yield_now()
    for n in range(3):
        c.throw(KeyError(n))
    c.join()
    assert log == [0, 1, 2]


def test_throw_into_main_is_raised_where_it_waits():
    main = coev.current()
    coev.spawn(main.throw, KeyError("for main"))
    with pytest.raises(KeyError, match="for main"):
        coev.sleep(100)


def test_throw_from_another_os_thread_wakes_the_coroutine():
    recorder = Recorder()
    coev.yield_now()
    thread = threading.Thread(target=recorder.coroutine.throw, args=(KeyError(),))
    thread.start()
    thread.join()
    recorder.coroutine.join()
    assert [type(e) for e in recorder.seen] == [KeyError]


def test_coroutine_may_survive_a_throw():
    def stubborn():
        try:
            coev.sleep(100)
        except KeyError:
            coev.sleep(1)
        return "survived"

    c = coev.spawn(stubborn)
    coev.yield_now()
    c.throw(KeyError())
    assert c.result() == "survived"


# --- kill ---------------------------------------------------------------------------------


def test_coroutine_exit_is_a_system_exit():
    assert issubclass(coev.CoroutineExit, SystemExit)


def test_kill_ends_the_wait_with_coroutine_exit():
    c = coev.spawn(coev.sleep, 100)
    coev.yield_now()
    c.kill()
    assert not c.done
    assert isinstance(c.exception(), coev.CoroutineExit)
    with pytest.raises(coev.CoroutineExit):
        c.result()


def test_kill_of_a_finished_coroutine_does_nothing():
    c = coev.spawn(int)
    c.join()
    c.kill()
    assert c.result() == 0


def test_kill_of_one_that_has_not_started_never_runs_it():
    ran = []
    c = coev.spawn(ran.append, 1)
    c.kill()
    c.join()
    assert ran == []


def test_main_coroutine_cannot_be_killed():
    with pytest.raises(RuntimeError, match="main"):
        coev.main().kill()


def test_kill_of_itself_raises_at_once():
    log = []

    def suicidal():
        coev.current().kill()
        log.append("went on")

    assert isinstance(coev.spawn(suicidal).exception(), coev.CoroutineExit)
    assert log == []


def test_finally_blocks_of_a_killed_coroutine_may_switch():
    log = []

    def cleans_up():
        try:
            coev.sleep(100)
        finally:
            coev.sleep(1)
            log.append("first")
            coev.yield_now()
            log.append("second")

    c = coev.spawn(cleans_up)
    coev.yield_now()
    c.kill()
    c.join()
    assert log == ["first", "second"]


def test_a_second_kill_interrupts_the_clean_up():
    log = []

    def cleans_up():
        try:
            coev.sleep(100)
        finally:
            try:
                coev.sleep(100)
            except coev.CoroutineExit:
                log.append("killed again")

    c = coev.spawn(cleans_up)
    coev.yield_now()
    c.kill()
    coev.yield_now()
    c.kill()
    c.join()
    assert log == ["killed again"]


def test_joiner_of_a_killed_joiner_gets_coroutine_exit():
    sleeper = coev.spawn(coev.sleep, 100)
    joiner = coev.spawn(sleeper.join)
    coev.yield_now()
    joiner.kill()
    joiner.join()
    assert not sleeper.done  # only the waiting ended
    sleeper.kill()
    sleeper.join()


# --- unretrieved exceptions ---------------------------------------------------------------


def test_exception_nobody_takes_is_reported_once(unraisable):
    coev.spawn(raises, KeyError("lost"))
    coev.yield_now()
    gc.collect()
    assert [repr(e) for e in unraisable] == ["KeyError('lost')"]


def test_exception_is_reported_when_the_last_reference_goes(unraisable):
    c = coev.spawn(raises, KeyError("lost"))
    c.join()
    assert unraisable == []
    del c
    gc.collect()
    assert [repr(e) for e in unraisable] == ["KeyError('lost')"]


@pytest.mark.parametrize("method", ["result", "exception"])
def test_exception_somebody_took_is_not_reported(unraisable, method):
    c = coev.spawn(raises, KeyError())
    try:
        getattr(c, method)()
    except KeyError:
        pass
    del c
    gc.collect()
    assert unraisable == []


@pytest.mark.parametrize("error", [SystemExit, SystemExit(3), coev.CoroutineExit])
def test_exits_are_quiet(unraisable, error):
    coev.spawn(raises, error)
    coev.yield_now()
    gc.collect()
    assert unraisable == []


def test_report_names_the_coroutine(monkeypatch):
    told = []
    monkeypatch.setattr("sys.unraisablehook", lambda args: told.append(repr(args.object)))
    coev.spawn(raises, KeyError()).name = "culprit"
    coev.yield_now()
    assert len(told) == 1
    assert "culprit finished" in told[0]


def test_report_hook_may_switch(monkeypatch):
    told = []

    def hook(args):
        coev.sleep(1)
        told.append(type(args.exc_value))

    monkeypatch.setattr("sys.unraisablehook", hook)
    coev.spawn(raises, KeyError())
    coev.sleep(2)
    assert told == [KeyError]


# --- life ---------------------------------------------------------------------------------


def test_running_coroutine_needs_no_reference():
    log = []
    coev.spawn(lambda: (coev.sleep(1), log.append("ran")))
    gc.collect()
    coev.sleep(2)
    assert log == ["ran"]


def test_weak_reference_ends_with_the_coroutine():
    gone = weakref.ref(coev.spawn(coev.sleep, 1))
    coev.yield_now()
    assert gone() is not None
    coev.sleep(2)
    assert gone() is None


def test_cycle_through_the_result_is_collected():
    def returns_itself():
        return coev.current()

    c = coev.spawn(returns_itself)
    c.join()
    gone = weakref.ref(c)
    del c
    gc.collect()
    assert gone() is None


def test_cycle_through_the_exception_is_collected(unraisable):
    def fails_with_itself():
        me = coev.current()
        error = KeyError()
        error.culprit = me
        raise error

    c = coev.spawn(fails_with_itself)
    c.join()
    gone = weakref.ref(c)
    del c
    gc.collect()
    unraisable.clear()
    gc.collect()
    assert gone() is None


def test_finalizer_of_a_local_runs_in_its_coroutine():
    idents = []

    class Local:
        def __del__(self):
            coev.yield_now()
            idents.append(coev.current().ident)

    storage = threading.local()

    def set_local():
        storage.value = Local()

    c = coev.spawn(set_local)
    c.join()
    assert idents == [c.ident]


def test_what_waits_for_the_end_sees_the_locals_gone():
    log = []

    class Local:
        def __del__(self):
            coev.sleep(1)
            log.append("gone")

    storage = threading.local()

    def set_local():
        storage.value = Local()

    coev.spawn(set_local).join()
    assert log == ["gone"]


def test_weak_reference_callback_may_ask_who_is_current():
    seen = []
    c = coev.spawn(int)
    keep = weakref.ref(c, lambda _: seen.append(coev.current().done))
    del c
    coev.yield_now()
    assert keep() is None
    assert seen == [False]
    assert coev.main() in coev.coroutines()
    assert len(coev.coroutines()) == 1


def test_finished_slots_are_used_again():
    coev.spawn(int).join()
    stacks = coev.stats()["stacks"]
    for _ in range(100):
        coev.spawn(int).join()
    assert coev.stats()["stacks"] == stacks
