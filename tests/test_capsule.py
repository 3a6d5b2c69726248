"""The C API, used by two extensions, one in C and one in Cython."""

import gc
import os
import re
import socket
import sys
import sysconfig
import threading
import time
from pathlib import Path

import pytest
from run_script import check_script
from support_capsule import (
    CLOSED,
    NEVER,
    PERMIT,
    READABLE,
    SOURCES,
    WRITABLE,
    compile_module,
    compiler,
    load,
    run,
    settle,
)

import coev

pytestmark = pytest.mark.usefixtures("nothing_left")


# --- the header and its versions --------------------------------------------------------


LANGUAGES = {"c11": ["-x", "c", "-std=c11"], "c++20": ["-x", "c++", "-std=c++20"]}


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)
@pytest.mark.parametrize("source", ["only_header", "layout"])
def test_header_compiles_without_warnings(tmp_path, language, source):
    """layout.c holds every member of the table to its place."""
    path = SOURCES / f"{source}.c"
    if source == "only_header":
        path = tmp_path / "only_header.c"
        path.write_text(
            "#include <coev/coev.h>\n"
            "const coev_api* get(void);\nconst coev_api* get(void) { return coev_import(); }\n"
        )
    run(
        [*compiler(), *language, "-pedantic", "-fsyntax-only", "-Wall", "-Wextra", "-Wshadow"]
        + ["-Werror", "-isystem", sysconfig.get_path("include")]
        + ["-I" + coev.get_include(), str(path)]
    )


def test_table_tells_its_version_and_size(api):
    major, minor, size, size_when_built = api.table()
    assert (major, minor) == header_version()
    assert size == size_when_built


def header_text():
    return Path(coev.get_include(), "coev", "coev.h").read_text()


def header_version():
    return tuple(
        int(re.search(rf"#define COEV_ABI_{part} (\d+)", header_text()).group(1))
        for part in ("MAJOR", "MINOR")
    )


def build_for_version(folder, major, minor):
    """A module that was built when the header had another version."""
    text = header_text()
    for part, number in (("MAJOR", major), ("MINOR", minor)):
        text = re.sub(rf"#define COEV_ABI_{part} \d+", f"#define COEV_ABI_{part} {number}", text)
    header = folder / "coev" / "coev.h"
    header.parent.mkdir()
    header.write_text(text)
    name = f"built_for_{major}_{minor}".replace("-", "minus_")
    return compile_module(folder, name, SOURCES / "capsule_c.c", include=str(folder))


@pytest.mark.parametrize(("newer_major", "newer_minor"), [(1, 0), (0, 1)], ids=["major", "minor"])
def test_module_built_for_a_newer_version_fails_to_import(tmp_path, newer_major, newer_minor):
    major, minor = header_version()
    module = build_for_version(tmp_path, major + newer_major, minor + newer_minor)
    with pytest.raises(ImportError) as raised:
        load(module)
    assert str(raised.value) == (
        f"this module was built for version {major + newer_major}.{minor + newer_minor} of "
        f"coev's C API, but the installed coev provides version {major}.{minor}"
    )


def test_module_built_for_an_older_major_version_fails_to_import(tmp_path):
    major, minor = header_version()
    module = build_for_version(tmp_path, major - 1, minor)
    with pytest.raises(ImportError, match=f"built for version {major - 1}.{minor} of"):
        load(module)


def test_module_built_for_an_older_minor_version_works(tmp_path):
    major, minor = header_version()
    module = load(build_for_version(tmp_path, major, minor - 1))
    assert module.table()[:2] == (major, minor)


# --- coroutines ---------------------------------------------------------------------------


def test_current_is_the_running_coroutine(api):
    assert api.current() is coev.current()
    coroutine = coev.spawn(api.current)
    assert coroutine.result() is coroutine


def test_spawn_passes_arguments_and_keywords(api):
    def collect(*args, **kwargs):
        return args, kwargs

    assert api.spawn(collect).result() == ((), {})
    assert api.spawn(collect, (1, 2)).result() == ((1, 2), {})
    assert api.spawn(collect, (1,), {"a": 2}).result() == ((1,), {"a": 2})
    assert api.spawn(collect, (), {"a": 2}).result() == ((), {"a": 2})


@pytest.mark.parametrize(
    "arguments", [(7,), (print, [1]), (print, (), [1])], ids=["callable", "args", "kwargs"]
)
def test_spawn_refuses_what_is_no_callable_tuple_or_dict(api, arguments):
    with pytest.raises(TypeError, match="spawn takes a callable, a tuple and a dict"):
        api.spawn(*arguments)


def test_spawned_native_function_runs_in_the_next_turn(api):
    seen = []
    coroutine = api.spawn_native(lambda: seen.append(api.current()))
    assert seen == []
    assert api.join(coroutine) == 1
    assert seen == [coroutine]


def test_spawned_native_function_gives_up_its_argument_when_it_ends(api):
    class Callable:
        def __call__(self):
            pass

    callable_ = Callable()
    count = sys.getrefcount(callable_)
    coroutine = api.spawn_native(callable_)
    coroutine.join()
    assert sys.getrefcount(callable_) == count


def test_native_function_killed_before_its_first_turn_gives_up_its_argument(api):
    def callable_():
        raise AssertionError("must not run")

    count = sys.getrefcount(callable_)
    coroutine = api.spawn_native(callable_)
    coroutine.kill()
    coroutine.join()
    assert isinstance(coroutine.exception(), coev.CoroutineExit)
    assert sys.getrefcount(callable_) == count


def test_exception_of_a_native_function_is_the_coroutines(api):
    coroutine = api.spawn_native(lambda: 1 / 0)
    assert api.join(coroutine) == 1
    with pytest.raises(ZeroDivisionError):
        coroutine.result()


def test_native_function_that_fails_without_an_exception_is_a_system_error(c_module):
    with pytest.raises(SystemError):
        c_module.spawn_failing_silently().result()


def test_join_tells_the_end_from_the_timeout(api, virtual_time):
    coroutine = coev.spawn(coev.sleep, 2)
    assert api.join(coroutine, 1) == 0
    assert api.join(coroutine, 5) == 1
    assert api.join(coroutine, 0) == 1


def test_join_of_the_current_coroutine_is_refused(api):
    with pytest.raises(RuntimeError, match="cannot join current coroutine"):
        api.join(coev.current())


@pytest.mark.parametrize("name", ["join", "unpark", "switch_to"])
def test_what_is_no_coroutine_is_refused(api, name):
    with pytest.raises(TypeError, match=r"expected a coev\.Coroutine, not int"):
        getattr(api, name)(7)


def test_yield_lets_every_ready_coroutine_run_once(api):
    steps = []

    def walk(name):
        for step in range(3):
            steps.append((name, step))
            api.yield_now()

    coroutines = [coev.spawn(walk, name) for name in "ab"]
    for coroutine in coroutines:
        coroutine.join()
    assert steps == [(name, step) for step in range(3) for name in "ab"]


def test_sleep_lasts_as_long_as_asked(api, virtual_time):
    start = virtual_time()
    assert api.sleep(3) == 0
    assert virtual_time() - start == pytest.approx(3)


def test_switch_passes_values_both_ways(api):
    main = coev.current()

    def answer():
        question = api.switch_to(main, "who?")
        return api.switch_to(main, question * 2)

    coroutine = coev.spawn(answer)
    assert api.switch_to(coroutine) == "who?"
    assert api.switch_to(coroutine, "me ") == "me me "
    coroutine.kill()
    coroutine.join()


def test_switch_without_a_value_passes_none(api):
    main = coev.current()
    got = []

    def receive():
        got.append(api.switch_to(main))
        api.switch_to(main)

    coroutine = coev.spawn(receive)
    assert api.switch_to(coroutine) is None
    assert api.switch_to(coroutine) is None
    coroutine.kill()
    coroutine.join()
    assert got == [None]


def test_throw_raises_in_the_target(api):
    coroutine = coev.spawn(coev.sleep, None)
    settle()
    api.throw_into(coroutine, KeyError("thrown"))
    with pytest.raises(KeyError, match="thrown"):
        coroutine.result()


def test_throw_into_the_current_coroutine_raises_here(api):
    with pytest.raises(KeyError, match="thrown"):
        api.throw_into(coev.current(), KeyError("thrown"))


# --- file descriptors ---------------------------------------------------------------------


def test_wait_fd_returns_the_events_seen(api, socket_pair):
    left, right = socket_pair
    assert api.wait_fd(left.fileno(), WRITABLE) == WRITABLE
    waiting = coev.spawn(api.wait_fd, left.fileno(), READABLE)
    settle()
    assert not waiting.done
    right.send(b"x")
    assert waiting.result() == READABLE


def test_wait_fd_refuses_unknown_events(api, socket_pair):
    for events in (0, PERMIT, CLOSED, READABLE | 16, -1):
        with pytest.raises(ValueError, match="COEV_READABLE"):
            api.wait_fd(socket_pair[0].fileno(), events)


@pytest.mark.parametrize("fd", [-1, 100_000])
def test_wait_fd_on_what_is_not_open_raises_ebadf(api, fd):
    with pytest.raises(OSError, match="Bad file descriptor"):
        api.wait_fd(fd, READABLE, 5)


def test_forgotten_fd_wakes_its_waiters_with_ebadf(api, socket_pair):
    left, _ = socket_pair
    waiting = coev.spawn(api.wait_fd, left.fileno(), READABLE)
    settle()
    api.forget_fd(left.fileno())
    with pytest.raises(OSError, match="Bad file descriptor"):
        waiting.result()


# --- parking --------------------------------------------------------------------------------


def test_unpark_wakes_the_parked_coroutine(api):
    parked = coev.spawn(api.park)
    settle()
    assert not parked.done
    api.unpark(parked)
    assert parked.result() == 1


def test_unpark_before_park_is_kept_once(api, virtual_time):
    def park_twice():
        coev.yield_now()
        return api.park(1), api.park(1)

    parked = coev.spawn(park_twice)
    api.unpark(parked)
    api.unpark(parked)
    assert parked.result() == (1, 0)


def test_unpark_of_a_finished_coroutine_does_nothing(api):
    coroutine = coev.spawn(int)
    coroutine.join()
    api.unpark(coroutine)


@pytest.mark.realtime
def test_thread_without_the_gil_unparks(api):
    def park():
        api.unpark_from_pthread(0.02)
        return api.park(10)

    coroutines = [coev.spawn(park) for _ in range(20)]
    assert [coroutine.result() for coroutine in coroutines] == [1] * 20


@pytest.mark.realtime
def test_waker_outlives_its_coroutine(api):
    coev.spawn(api.unpark_from_pthread, 0.02).join()
    # Its slot is ours now, and must not be woken by it.
    assert coev.spawn(api.park, 0.1).result() == 0


@pytest.mark.realtime
def test_waker_outlives_the_os_thread_of_its_coroutine(api):
    check_script(
        f"""
        import sys
        sys.path.insert(0, {os.path.dirname(api.__file__)!r})
        import {api.__name__} as api, coev, threading, time
        def work():
            api.unpark_from_pthread(0.05)
            coev.spawn(api.unpark_from_pthread, 0.05).join()
        for _ in range(10):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        time.sleep(0.2)
        print("alive")
        """,
        expect="alive",
    )


# --- locks ------------------------------------------------------------------------------------


def test_lock_is_handed_to_the_longest_waiter(api):
    lock = api.lock_new()
    order = []

    def hold(name):
        assert api.lock_acquire(lock) == 1
        order.append(name)
        coev.yield_now()
        api.lock_release(lock)

    assert api.lock_acquire(lock) == 1
    waiters = [coev.spawn(hold, name) for name in range(5)]
    settle()
    assert order == []
    api.lock_release(lock)
    for waiter in waiters:
        waiter.join()
    assert order == list(range(5))


def test_lock_gives_up_after_its_timeout(api, virtual_time):
    lock = api.lock_new()
    assert api.lock_acquire(lock, 0) == 1
    assert api.lock_acquire(lock, 0) == 0
    assert api.lock_acquire(lock, 1) == 0
    api.lock_release(lock)


def test_lock_that_is_not_held_cannot_be_released(api):
    with pytest.raises(RuntimeError, match="release unlocked lock"):
        api.lock_release(api.lock_new())


@pytest.mark.realtime
def test_lock_excludes_threads_of_the_operating_system(api):
    lock = api.lock_new()
    inside = []

    def enter():
        for _ in range(50):
            assert api.lock_acquire(lock, 10) == 1
            inside.append(1)
            assert len(inside) == 1
            time.sleep(0)
            inside.pop()
            api.lock_release(lock)

    threads = [threading.Thread(target=enter) for _ in range(3)]
    for thread in threads:
        thread.start()
    coroutine = coev.spawn(enter)
    coroutine.join()
    for thread in threads:
        thread.join()
    assert not inside


# --- coroutine-local storage ------------------------------------------------------------------


def test_local_value_belongs_to_its_coroutine(api):
    key = api.local_key()

    def keep(value):
        assert api.local_get(key) is None
        api.local_set(key, value)
        coev.yield_now()
        return api.local_get(key)

    values = [lambda: None for _ in range(5)]
    coroutines = [coev.spawn(keep, value) for value in values]
    assert [coroutine.result() for coroutine in coroutines] == values
    assert api.local_get(key) is None


def test_local_destructor_runs_in_the_coroutine_before_it_is_done(api):
    key = api.local_key()
    seen = []

    def keep():
        me = coev.current()
        api.local_set(key, lambda: seen.append((coev.current() is me, me.done)))

    coev.spawn(keep).join()
    assert seen == [(True, False)]


def test_local_destructor_may_switch(api, virtual_time):
    key = api.local_key()
    ended = []

    def wind_up():
        coev.sleep(1)
        ended.append(1)

    coev.spawn(api.local_set, key, wind_up).join()
    assert ended == [1]


def test_local_destructor_runs_for_a_killed_coroutine(api):
    key = api.local_key()
    ended = []

    def keep():
        api.local_set(key, lambda: ended.append(1))
        coev.sleep(None)

    coroutine = coev.spawn(keep)
    settle()
    coroutine.kill()
    coroutine.join()
    assert ended == [1]


def test_many_local_keys_are_told_apart(api):
    keys = [api.local_key() for _ in range(10)]
    values = [lambda: None for _ in keys]

    def keep():
        for key, value in zip(keys, values):
            api.local_set(key, value)
        return [api.local_get(key) for key in keys]

    assert coev.spawn(keep).result() == values


@pytest.mark.parametrize("key", [-1, 1 << 20])
def test_unknown_local_key_is_refused(api, key):
    assert api.local_get(key) is None
    with pytest.raises(ValueError, match="not a key"):
        api.local_set(key, None)


# --- buffered input and output -----------------------------------------------------------------


def test_stream_reads_what_its_protocol_asks_for(api, socket_pair):
    left, right = socket_pair
    stream = api.stream_new(left.fileno())

    def read():
        line = api.stream_read_until(stream, b"\r\n")
        body = api.stream_read_exactly(stream, int(line))
        return line, body, api.stream_read_some(stream, 100)

    reading = coev.spawn(read)
    for byte in b"5\r\nhello rest":
        settle()
        right.send(bytes([byte]))
    line, body, some = reading.result()
    assert (line, body) == (b"5\r\n", b"hello")
    assert some and b" rest".startswith(some)


def test_stream_read_times_out_and_consumes_nothing(api, socket_pair, virtual_time):
    left, right = socket_pair
    stream = api.stream_new(left.fileno())
    right.send(b"half")
    assert api.stream_read_exactly(stream, 8, 1) is None
    assert api.stream_read_until(stream, b"\n", 1) is None
    right.send(b"full")
    assert api.stream_read_exactly(stream, 8, 1) == b"halffull"


def test_stream_says_when_it_ends(api, socket_pair):
    left, right = socket_pair
    stream = api.stream_new(left.fileno())
    right.send(b"half")
    right.close()
    with pytest.raises(EOFError):
        api.stream_read_exactly(stream, 8)
    assert api.stream_read_exactly(stream, 4) == b"half"


def test_stream_limits_the_search_for_a_delimiter(api, socket_pair):
    left, right = socket_pair
    right.send(b"x" * 20)
    stream = api.stream_new(left.fileno())
    with pytest.raises(ValueError, match="within the limit"):
        api.stream_read_until(stream, b"\n", -1, 10)
    with pytest.raises(ValueError, match="must not be empty"):
        api.stream_read_until(stream, b"")


def test_stream_refuses_sizes_beyond_memory(api, socket_pair):
    fd = socket_pair[0].fileno()
    with pytest.raises(MemoryError):
        api.stream_new(fd, -1)  # the greatest size_t
    with pytest.raises(MemoryError):
        api.stream_read_exactly(api.stream_new(fd), -1)


def test_stream_collects_writes_until_flushed(api, socket_pair):
    left, right = socket_pair
    stream = api.stream_new(left.fileno(), 100)
    assert api.stream_write(stream, b"one ") == 1
    assert api.stream_write(stream, b"two") == 1
    with pytest.raises(BlockingIOError):
        right.recv(100)
    assert api.stream_flush(stream) == 1
    assert right.recv(100) == b"one two"


def test_stream_write_that_timed_out_goes_on_in_flush(api, socket_pair, virtual_time):
    left, right = socket_pair
    stream = api.stream_new(left.fileno(), 1000)
    data = os.urandom(4_000_000)
    assert api.stream_write(stream, data, 1) == 0
    flushing = coev.spawn(api.stream_flush, stream)
    got = bytearray()
    while len(got) < len(data):
        coev.wait_readable(right)
        got += right.recv(1 << 20)
    assert flushing.result() == 1
    assert got == data


# --- offload -------------------------------------------------------------------------------------


@pytest.mark.realtime
def test_offload_runs_beside_the_coroutines(api):
    before = api.naps()
    ticks = []

    def tick():
        while True:
            ticks.append(1)
            coev.sleep(0.005)

    ticking = coev.spawn(tick)
    assert api.offload_nap(0.1) == 1
    ticking.kill()
    ticking.join()
    assert len(ticks) > 3
    assert naps_since(api, before) == (1, 1)


@pytest.mark.realtime
def test_offload_that_timed_out_goes_on_and_is_released_once(api):
    before = api.naps()
    assert api.offload_nap(0.1, 0.01) == 0
    assert naps_since(api, before) == (0, 0)
    deadline = time.monotonic() + 5
    while naps_since(api, before) != (1, 1) and time.monotonic() < deadline:
        coev.sleep(0.01)
    assert naps_since(api, before) == (1, 1)


def naps_since(api, before):
    return tuple(now - then for now, then in zip(api.naps(), before))


# --- interruption, of everything that waits ------------------------------------------------------


def wait_in_stream_write(api, left):
    stream = api.stream_new(left.fileno(), 1000)
    api.stream_write(stream, bytes(4_000_000))


def wait_in_stream_flush(api, left):
    stream = api.stream_new(left.fileno(), 1000)
    api.stream_write(stream, bytes(4_000_000), 0)
    api.stream_flush(stream)


def wait_in_stream_flush_until(api, left):
    stream = api.stream_new(left.fileno(), 1000)
    api.stream_write_until(stream, bytes(4_000_000), api.deadline_after(0))
    api.stream_flush_until(stream)


def wait_for_held_lock(api, left):
    lock = api.lock_new()
    api.lock_acquire(lock)
    try:
        api.lock_acquire(lock)
    finally:
        api.lock_release(lock)


def wait_in_switch(api, left):
    api.switch_to(coev.spawn(int))


ALL_EVENTS = READABLE | PERMIT | CLOSED

WAITS = {
    "join": lambda api, left: api.join(coev.main()),
    "sleep": lambda api, left: api.sleep(-1),
    "switch_to": wait_in_switch,
    "wait_fd": lambda api, left: api.wait_fd(left.fileno(), READABLE),
    "park": lambda api, left: api.park(),
    "lock_acquire": wait_for_held_lock,
    "stream_read_some": lambda api, left: api.stream_read_some(api.stream_new(left.fileno()), 1),
    "stream_read_exactly": lambda api, left: api.stream_read_exactly(
        api.stream_new(left.fileno()), 1
    ),
    "stream_read_until": lambda api, left: api.stream_read_until(
        api.stream_new(left.fileno()), b"\n"
    ),
    "stream_write": wait_in_stream_write,
    "stream_flush": wait_in_stream_flush,
    "offload": lambda api, left: api.offload_nap(0.05),
    "offload_call": lambda api, left: api.offload_call(0.05),
    "wait_fd_owned": lambda api, left: api.wait_fd_owned(left.fileno(), ALL_EVENTS, -1, 0),
    "wait_fd_until": lambda api, left: api.wait_fd_until(left.fileno(), ALL_EVENTS, NEVER, 0),
    "stream_read_some_until": lambda api, left: api.stream_read_some_until(
        api.stream_new(left.fileno()), 1
    ),
    "stream_read_exactly_until": lambda api, left: api.stream_read_exactly_until(
        api.stream_new(left.fileno()), 1
    ),
    "stream_read_delimited_until": lambda api, left: api.stream_read_delimited_until(
        api.stream_new(left.fileno()), b"\n"
    ),
    "stream_write_until": lambda api, left: api.stream_write_until(
        api.stream_new(left.fileno(), 1000), bytes(4_000_000)
    ),
    "stream_flush_until": wait_in_stream_flush_until,
}


@pytest.fixture(params=WAITS.values(), ids=WAITS)
def wait_for_ever(request, api, socket_pair):
    return lambda: request.param(api, socket_pair[0])


def test_kill_interrupts_every_wait(wait_for_ever):
    coroutine = coev.spawn(wait_for_ever)
    settle()
    assert coroutine.started and not coroutine.done
    coroutine.kill()
    coroutine.join()
    assert isinstance(coroutine.exception(), coev.CoroutineExit)


def test_timeout_scope_interrupts_every_wait(wait_for_ever):
    def wait_in_scope():
        with coev.timeout(0.005):
            wait_for_ever()

    with pytest.raises(TimeoutError):
        coev.spawn(wait_in_scope).result()


def test_interrupted_yield_raises(api):
    coroutine = coev.spawn(lambda: [api.yield_now() for _ in range(1000)])
    settle()
    coroutine.kill()
    coroutine.join()
    assert isinstance(coroutine.exception(), coev.CoroutineExit)


# --- callbacks that take the GIL themselves -------------------------------------------------------


def test_callback_that_takes_the_gil_may_switch(api, virtual_time):
    order = []

    def visit(name, seconds):
        coev.sleep(seconds)
        order.append((name, coev.current().name))
        return name

    def start(name, seconds):
        coev.current().name = name
        return api.call_back(lambda: visit(name, seconds))

    # They leave in another order than they entered.
    coroutines = [coev.spawn(start, name, 3 - index) for index, name in enumerate("abc")]
    assert [coroutine.result() for coroutine in coroutines] == ["a", "b", "c"]
    assert order == [("c", "c"), ("b", "b"), ("a", "a")]


def test_callbacks_nest_and_switch_at_every_depth(api):
    def descend(depth):
        coev.yield_now()
        return 0 if depth == 0 else 1 + api.call_back(lambda: descend(depth - 1))

    coroutines = [coev.spawn(descend, 5) for _ in range(3)]
    assert [coroutine.result() for coroutine in coroutines] == [5, 5, 5]


# --- use from a thread that coev has not seen -----------------------------------------------------


def test_every_os_thread_has_a_scheduler_of_its_own(api):
    seen = []

    def work():
        left, right = socket.socketpair()
        with left, right:
            waiting = api.spawn(api.wait_fd, (left.fileno(), READABLE, 5))
            api.sleep(0.01)
            right.send(b"x")
            seen.append((waiting.result(), api.current() is coev.main()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(READABLE, True)]


def test_references_do_not_leak(api, socket_pair):
    left, right = socket_pair
    value = object()

    def round_trip():
        main = coev.current()
        coroutine = api.spawn(lambda v: api.switch_to(main, v), (value,))
        api.switch_to(coroutine)
        coroutine.kill()
        coroutine.join()
        api.spawn_native(api.current).join()
        right.send(b"x\n")
        api.stream_read_until(api.stream_new(left.fileno()), b"\n")
        with pytest.raises(KeyError):
            api.throw_into(coev.current(), KeyError(value))

    round_trip()
    gc.collect()
    before = sys.getrefcount(value), sys.getrefcount(coev.current())
    for _ in range(20):
        round_trip()
    gc.collect()
    assert (sys.getrefcount(value), sys.getrefcount(coev.current())) == before
