"""The waits of version 1.1 of the C API: owners, deadlines, permits, closed descriptors."""

import os
import signal
import socket
import threading
import time

import pytest
from run_script import check_script
from support_capsule import CLOSED, NEVER, PERMIT, READABLE, WRITABLE, settle

import coev

pytestmark = pytest.mark.usefixtures("nothing_left")


# --- owners -------------------------------------------------------------------------------


def test_owned_wait_returns_the_events_seen(api, socket_pair):
    left, right = socket_pair
    for _ in range(3):
        assert api.wait_fd_owned(left.fileno(), WRITABLE) == WRITABLE
        waiting = coev.spawn(api.wait_fd_owned, left.fileno(), READABLE | WRITABLE)
        assert waiting.result() == WRITABLE
        waiting = coev.spawn(api.wait_fd_owned, left.fileno(), READABLE)
        settle()
        assert not waiting.done
        right.send(b"x")
        assert waiting.result() == READABLE
        left.recv(1)
    api.forget_fd(left.fileno())


def test_owned_wait_times_out(api, socket_pair, virtual_time):
    left, _ = socket_pair
    start = virtual_time()
    assert api.wait_fd_owned(left.fileno(), READABLE, 2) == 0
    assert virtual_time() - start == pytest.approx(2)
    api.forget_fd(left.fileno())


def test_owned_wait_without_an_owner_is_a_plain_one(api, socket_pair):
    left, right = socket_pair
    right.send(b"x")
    assert api.wait_fd_owned(left.fileno(), READABLE, 5, 0) == READABLE
    assert api.wait_fd_until(left.fileno(), READABLE, NEVER, 0) == READABLE


def test_forgotten_fd_serves_its_next_owner(api):
    for owner in (1, 1, 2):
        left, right = socket.socketpair()
        with left, right:
            waiting = coev.spawn(api.wait_fd_owned, left.fileno(), READABLE, 5, owner)
            settle()
            right.send(b"x")
            assert waiting.result() == READABLE
            api.forget_fd(left.fileno())


def test_owner_that_disowns_wakes_its_waiters(api, socket_pair):
    left, _ = socket_pair
    waiting = coev.spawn(api.wait_fd_owned, left.fileno(), READABLE, -1, 7)
    settle()
    api.disown_fd(left.fileno(), 7)
    with pytest.raises(OSError, match="Bad file descriptor"):
        waiting.result()


@pytest.mark.parametrize("owner", [8, 0], ids=["another", "none"])
def test_disowning_what_is_somebody_elses_does_nothing(api, socket_pair, owner):
    left, right = socket_pair
    waiting = coev.spawn(api.wait_fd_owned, left.fileno(), READABLE, -1, 7)
    settle()
    api.disown_fd(left.fileno(), owner)
    settle()
    assert not waiting.done
    right.send(b"x")
    assert waiting.result() == READABLE
    api.disown_fd(left.fileno(), 7)


def test_fd_that_was_disowned_may_be_closed_by_a_library_and_its_number_used_again(api):
    left, right = socket.socketpair()
    number = left.fileno()
    right.send(b"x")
    assert api.wait_fd_owned(number, READABLE, 5, 7) == READABLE
    api.disown_fd(number, 7)
    os.close(left.detach())  # behind our back
    again, far = socket.socketpair()
    with right, again, far:
        assert again.fileno() == number
        waiting = coev.spawn(api.wait_fd_owned, number, READABLE, 5, 7)
        settle()
        assert not waiting.done
        far.send(b"y")
        assert waiting.result() == READABLE
        api.forget_fd(number)


def test_fd_of_another_os_thread_can_be_disowned(api, socket_pair):
    left, _ = socket_pair
    outcome = []

    def wait():
        outcome.append(api.wait_fd_owned(left.fileno(), READABLE | CLOSED, 10, 7))

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.05)
    api.disown_fd(left.fileno(), 8)
    time.sleep(0.05)
    assert outcome == []
    api.disown_fd(left.fileno(), 7)
    thread.join()
    assert outcome == [CLOSED]


# --- deadlines ----------------------------------------------------------------------------


def test_deadline_counts_from_now_in_nanoseconds(api, virtual_time):
    now = round(virtual_time() * 1e9)
    assert api.deadline_after(0) == pytest.approx(now, abs=1000)
    assert api.deadline_after(2.5) - now == pytest.approx(2_500_000_000, abs=1000)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf"), 1e300, 9.3e9])
def test_deadline_without_limit_never_comes(api, seconds):
    assert api.deadline_after(seconds) == NEVER


def test_one_deadline_serves_all_waits_of_an_operation(api, socket_pair, virtual_time):
    left, right = socket_pair
    start = virtual_time()
    deadline = api.deadline_after(3)
    coev.spawn(lambda: (coev.sleep(1), right.send(b"x")))
    assert api.wait_fd_until(left.fileno(), READABLE, deadline) == READABLE
    left.recv(1)
    assert api.wait_fd_until(left.fileno(), READABLE, deadline) == 0
    assert virtual_time() - start == pytest.approx(3)
    assert api.wait_fd_until(left.fileno(), READABLE, deadline) == 0
    right.send(b"y")
    assert api.wait_fd_until(left.fileno(), READABLE, deadline) == READABLE
    api.forget_fd(left.fileno())


def test_wait_without_time_sees_what_is_ready_beside_a_busy_scheduler(api, socket_pair):
    left, right = socket_pair
    right.send(b"x")
    busy = [coev.spawn(lambda: [coev.yield_now() for _ in range(100_000)]) for _ in range(2)]
    settle()
    results = set()
    for _ in range(200):
        results.add(api.wait_fd_owned(left.fileno(), READABLE, 0))
        results.add(api.wait_fd(left.fileno(), READABLE, 0))
    for coroutine in busy:
        coroutine.kill()
        coroutine.join()
    api.forget_fd(left.fileno())
    assert results == {READABLE}


# --- permits -------------------------------------------------------------------------------


def test_permit_ends_a_wait_for_an_fd(api, socket_pair):
    left, right = socket_pair
    waiting = coev.spawn(api.wait_fd, left.fileno(), READABLE | PERMIT)
    settle()
    assert not waiting.done
    api.unpark(waiting)
    assert waiting.result() == PERMIT
    right.send(b"x")
    assert api.wait_fd(left.fileno(), READABLE | PERMIT) == READABLE


def test_permit_given_before_the_wait_ends_it_once(api, socket_pair, virtual_time):
    left, _ = socket_pair

    def wait_twice():
        coev.yield_now()
        return [api.wait_fd_owned(left.fileno(), READABLE | PERMIT, 1) for _ in range(2)]

    waiting = coev.spawn(wait_twice)
    api.unpark(waiting)
    assert waiting.result() == [PERMIT, 0]
    api.forget_fd(left.fileno())


def test_permit_that_comes_with_an_event_is_reported_beside_it(api, socket_pair):
    left, right = socket_pair
    outcome = []
    waiting = coev.spawn(lambda: outcome.append(api.wait_fd(left.fileno(), READABLE | PERMIT)))
    settle()
    right.send(b"x")
    coev.wait_readable(left)  # behind it: it has been woken and has not run
    if not waiting.done:
        api.unpark(waiting)
    waiting.join()
    assert outcome[0] in (READABLE, READABLE | PERMIT)


def test_wait_that_does_not_ask_for_a_permit_leaves_it(api, socket_pair, virtual_time):
    left, _ = socket_pair

    def wait():
        return api.wait_fd(left.fileno(), READABLE, 1), api.park(1), api.park(1)

    waiting = coev.spawn(wait)
    settle()
    api.unpark(waiting)
    assert waiting.result() == (0, 1, 0)


def test_wait_that_ended_takes_no_permit_with_it(api, socket_pair, virtual_time):
    left, _ = socket_pair

    def wait():
        first = api.wait_fd(left.fileno(), READABLE | PERMIT, 1)
        coev.sleep(2)  # not ended by a permit
        return first, virtual_time(), api.park(0)

    start = virtual_time()
    waiting = coev.spawn(wait)
    coev.sleep(2)
    api.unpark(waiting)
    first, end, permit = waiting.result()
    assert (first, permit) == (0, 1)
    assert end - start == pytest.approx(3)


@pytest.mark.realtime
def test_thread_without_the_gil_ends_a_wait_for_an_fd(api, socket_pair):
    def wait():
        api.unpark_from_pthread(0.02)
        return api.wait_fd_owned(socket_pair[0].fileno(), READABLE | PERMIT, 10, 7)

    assert coev.spawn(wait).result() == PERMIT
    api.forget_fd(socket_pair[0].fileno())


def test_every_idle_connection_is_woken_at_once(api):
    pairs = [socket.socketpair() for _ in range(50)]
    waiting = [
        coev.spawn(api.wait_fd_owned, left.fileno(), READABLE | PERMIT, -1, number + 1)
        for number, (left, _) in enumerate(pairs)
    ]
    settle()
    for coroutine in waiting:
        api.unpark(coroutine)
    assert {coroutine.result() for coroutine in waiting} == {PERMIT}
    for left, right in pairs:
        api.forget_fd(left.fileno())
        left.close()
        right.close()


# --- closed descriptors ----------------------------------------------------------------------


def test_closed_fd_is_an_event_for_whoever_asks(api, socket_pair):
    left, _ = socket_pair
    waiting = coev.spawn(api.wait_fd, left.fileno(), READABLE | CLOSED)
    settle()
    api.forget_fd(left.fileno())
    assert waiting.result() == CLOSED
    assert api.wait_fd(100_000, READABLE | CLOSED) == CLOSED
    assert api.wait_fd_owned(-1, WRITABLE | CLOSED | PERMIT) == CLOSED


def test_waits_for_neither_direction_are_refused(api, socket_pair):
    for wait in (api.wait_fd_owned, api.wait_fd_until):
        for events in (0, PERMIT, CLOSED, PERMIT | CLOSED, READABLE | 16, -1):
            with pytest.raises(ValueError, match="COEV_READABLE"):
                wait(socket_pair[0].fileno(), events)


@pytest.mark.realtime
@pytest.mark.parametrize("wait", ["wait_fd", "wait_fd_owned"])
def test_fd_forgotten_by_a_signal_handler_inside_its_own_wait_is_closed(api, wait):
    """Main is in no queue while the handler runs; the handler leaves the fd open."""
    check_script(
        f"""
        import signal, socket, sys
        sys.path.insert(0, {os.path.dirname(api.__file__)!r})
        import {api.__name__} as api, coev
        listener = socket.create_server(("127.0.0.1", 0))
        signal.signal(signal.SIGALRM, lambda *_: api.forget_fd(listener.fileno()))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert api.{wait}(listener.fileno(), {READABLE | CLOSED}, 10) == {CLOSED}
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            coev.wait_readable(listener, 10)
        except OSError as error:
            print("closed", error.errno)
        """,
        expect="closed 9",
    )


@pytest.mark.realtime
def test_signal_handler_that_unparks_main_ends_its_wait(api, socket_pair):
    main = coev.current()
    before = signal.signal(signal.SIGALRM, lambda *_: api.unpark(main))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        assert api.wait_fd(socket_pair[0].fileno(), READABLE | PERMIT, 10) == PERMIT
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.realtime
def test_harmless_signal_does_not_end_a_wait(api, socket_pair):
    left, right = socket_pair
    handled = []
    before = signal.signal(signal.SIGALRM, lambda *_: handled.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        assert api.wait_fd_owned(left.fileno(), READABLE | CLOSED | PERMIT, 0.1) == 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        api.forget_fd(left.fileno())
    assert handled


# --- who runs ----------------------------------------------------------------------------------


def test_every_coroutine_and_os_thread_has_an_id_of_its_own(api):
    ids = [api.current_id(), *(coev.spawn(api.current_id).result() for _ in range(10))]
    threads = [threading.Thread(target=lambda: ids.append(api.current_id())) for _ in range(5)]
    for thread in threads:
        thread.start()
        thread.join()
    assert len(set(ids)) == 16
    assert 0 not in ids
    assert api.current_id() == ids[0]


def test_os_thread_keeps_its_id_when_it_waits_for_the_first_time(api):
    ids = []

    def work():
        ids.append(api.current_id())
        api.sleep(0.001)
        ids.append(api.current_id())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ids[0] == ids[1]


def test_ids_differ_while_a_finished_coroutine_looks_for_the_next(api):
    """What dies between two coroutines is run by nobody."""
    seen = []

    class Late:
        def __del__(self):
            seen.append(api.current_id())

    coev.spawn(lambda late: None, Late()).join()
    assert seen
    assert seen[0] not in (0, api.current_id())


def test_forked_child_is_another_generation_with_the_same_id(api):
    check_script(
        f"""
        import os, sys
        sys.path.insert(0, {os.path.dirname(api.__file__)!r})
        import {api.__name__} as api, coev

        def work():
            before = api.fork_generation(), api.current_id()
            child = os.fork()
            after = api.fork_generation(), api.current_id()
            if child == 0:
                assert after == (before[0] + 1, before[1])
                assert api.fork_generation() == 1
                os._exit(7)
            assert after == before
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        assert api.fork_generation() == 0
        print(work(), coev.spawn(work).result())
        """,
        expect="7 7",
    )


def test_owned_wait_serves_the_child_of_a_fork(api):
    check_script(
        f"""
        import os, socket, sys
        sys.path.insert(0, {os.path.dirname(api.__file__)!r})
        import {api.__name__} as api, coev
        left, right = socket.socketpair()
        right.send(b"x")
        assert api.wait_fd_owned(left.fileno(), 1, 5, 7) == 1
        left.recv(1)
        child = os.fork()
        if child == 0:
            coev.spawn(lambda: (coev.sleep(0.01), right.send(b"y")))
            assert api.wait_fd_owned(left.fileno(), 1, 5, 7) == 1
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """,
        expect="7",
    )


# --- without coroutines --------------------------------------------------------------------------


def test_waits_serve_os_threads_that_have_no_coroutine(api):
    """Several threads, each on its own; the others run Python meanwhile."""
    outcomes = []

    def work(owner):
        left, right = socket.socketpair()
        with left, right:
            outcomes.append(api.wait_fd_owned(left.fileno(), READABLE, 0.02, owner))
            right.send(b"x")
            outcomes.append(api.wait_fd_until(left.fileno(), READABLE, NEVER, owner))
            outcomes.append(api.offload_call(0.001, 10))
            api.forget_fd(left.fileno())

    threads = [threading.Thread(target=work, args=(owner,)) for owner in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [0] * 8 + [1] * 16


def test_connection_may_move_between_os_threads(api, socket_pair):
    left, right = socket_pair
    outcomes = []

    def work():
        waiting = coev.spawn(api.wait_fd_owned, left.fileno(), READABLE, 5, 7)
        settle()
        right.send(b"x")
        outcomes.append(waiting.result())
        left.recv(1)

    for _ in range(3):
        work()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    api.forget_fd(left.fileno())
    assert outcomes == [READABLE] * 6


# --- offload with flags ----------------------------------------------------------------------------

KEEP, UNLIMITED = 1, 2


def naps_since(api, before):
    return tuple(now - then for now, then in zip(api.naps(), before))


def test_offloaded_call_keeps_its_argument_for_its_caller(api):
    before = api.naps()
    assert api.offload_call(0.001, -1, KEEP) == 1
    assert naps_since(api, before) == (1, 0)
    assert api.offload_call(0.001, -1, 0) == 1
    assert naps_since(api, before) == (2, 1)


@pytest.mark.realtime
@pytest.mark.parametrize("flags", [0, KEEP, UNLIMITED, KEEP | UNLIMITED])
def test_offloaded_call_that_timed_out_releases_its_argument_itself(api, flags):
    before = api.naps()
    assert api.offload_call(0.1, 0.01, flags) == 0
    deadline = time.monotonic() + 5
    while naps_since(api, before)[1] == 0 and time.monotonic() < deadline:
        coev.sleep(0.01)
    assert naps_since(api, before)[1] == 1


@pytest.mark.realtime
def test_unlimited_calls_do_not_keep_others_from_running(api):
    hanging = [coev.spawn(api.offload_call, 0.6, -1, UNLIMITED) for _ in range(12)]
    settle(0.02)
    start = time.monotonic()
    assert api.offload_call(0.001) == 1
    assert time.monotonic() - start < 0.5
    for coroutine in hanging:
        assert coroutine.result() == 1


@pytest.mark.realtime
def test_unlimited_call_runs_at_once_beside_calls_that_fill_the_limit(api):
    hanging = [coev.spawn(api.offload_call, 0.6) for _ in range(8)]
    settle(0.02)
    start = time.monotonic()
    assert api.offload_call(0.001, -1, UNLIMITED) == 1
    assert time.monotonic() - start < 0.5
    for coroutine in hanging:
        assert coroutine.result() == 1


def test_offloaded_call_refuses_unknown_flags_and_releases_its_argument(api):
    before = api.naps()
    with pytest.raises(ValueError, match="COEV_KEEP"):
        api.offload_call(0.001, -1, 4)
    assert naps_since(api, before) == (0, 1)


def test_killed_caller_leaves_the_argument_to_the_pool(api):
    before = api.naps()
    coroutine = coev.spawn(api.offload_call, 0.05, -1, KEEP)
    settle()
    coroutine.kill()
    coroutine.join()
    deadline = time.monotonic() + 5
    while naps_since(api, before)[1] == 0 and time.monotonic() < deadline:
        coev.sleep(0.01)
    assert naps_since(api, before)[1] == 1


# --- streams -------------------------------------------------------------------------------------


def test_one_deadline_serves_all_reads_and_writes_of_an_operation(api, socket_pair, virtual_time):
    left, right = socket_pair
    stream = api.stream_new_owned(left.fileno(), 0, 7)
    start = virtual_time()
    deadline = api.deadline_after(3)
    coev.spawn(lambda: (coev.sleep(1), right.send(b"2\r\n"), coev.sleep(1), right.send(b"ab")))
    assert api.stream_write_until(stream, b"hello", deadline) == 1
    assert api.stream_flush_until(stream, deadline) == 1
    assert right.recv(100) == b"hello"
    assert api.stream_read_delimited_until(stream, b"\r\n", deadline) == b"2\r\n"
    assert api.stream_read_exactly_until(stream, 2, deadline) == b"ab"
    assert api.stream_read_some_until(stream, 9, deadline) is None
    assert virtual_time() - start == pytest.approx(3)
    right.send(b"late")
    assert api.stream_read_some_until(stream, 9, deadline) == b"late"
    api.disown_fd(left.fileno(), 7)


@pytest.mark.parametrize("owner", [0, 7], ids=["unowned", "owned"])
def test_stream_reads_whatever_is_sent_in_many_pieces(api, owner):
    left, right = socket.socketpair()
    left.setblocking(False)
    stream = api.stream_new_owned(left.fileno(), 256, owner)
    data = os.urandom(20_000)

    def send():
        for start in range(0, len(data), 37):
            right.send(data[start : start + 37])
            if start % 5 == 0:
                coev.yield_now()

    sending = coev.spawn(send)
    got = b"".join(api.stream_read_exactly_until(stream, 100) for _ in range(200))
    sending.join()
    assert got == data
    api.forget_fd(left.fileno())
    left.close()
    right.close()


def test_forgotten_fd_wakes_the_reader_of_its_stream(api, socket_pair):
    left, _ = socket_pair
    stream = api.stream_new_owned(left.fileno(), 0, 7)
    reading = coev.spawn(api.stream_read_exactly_until, stream, 1)
    settle()
    api.disown_fd(left.fileno(), 7)
    with pytest.raises(OSError, match="Bad file descriptor"):
        reading.result()


# --- long loops ------------------------------------------------------------------------------------


@pytest.mark.realtime
def test_long_loop_in_c_gives_way_to_coroutines_and_timers(api):
    beats = []

    def beat():
        while True:
            beats.append(time.monotonic())
            coev.sleep(0.002)

    beating = coev.spawn(beat)
    settle()
    start = len(beats)
    asked = api.compute(0.2, 16)
    during = len(beats) - start
    assert asked > 1000
    assert during > 2  # without giving way: none, as below
    start = len(beats)
    api.compute(0.02)
    assert len(beats) == start
    beating.kill()
    beating.join()


@pytest.mark.realtime
def test_long_loops_in_c_share_the_time(api):
    starts, ends = [], []

    def compute():
        starts.append(time.monotonic())
        api.compute(0.1, 16)
        ends.append(time.monotonic())

    computing = [coev.spawn(compute) for _ in range(3)]
    for coroutine in computing:
        coroutine.join()
    assert max(starts) < min(ends)


@pytest.mark.realtime
def test_long_loop_in_c_can_be_ended(api):
    def compute_in_scope():
        with coev.timeout(0.02):
            api.compute(10, 16)

    start = time.monotonic()
    with pytest.raises(TimeoutError):
        coev.spawn(compute_in_scope).result()
    assert time.monotonic() - start < 5


@pytest.mark.realtime
def test_signal_handler_runs_during_a_long_loop_in_c(api):
    handled = []
    before = signal.signal(signal.SIGALRM, lambda *_: handled.append(time.monotonic()))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        start = time.monotonic()
        api.compute(0.3, 16)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(handled) == 1
    assert handled[0] - start < 0.25


@pytest.mark.realtime
@pytest.mark.parametrize("on_os_thread", [False, True], ids=["main", "os-thread"])
def test_long_loop_in_c_lets_other_os_threads_have_the_gil(api, on_os_thread):
    turns = []
    stop = threading.Event()

    def take_turns():
        while not stop.is_set():
            turns.append(time.monotonic())
            time.sleep(0.001)

    other = threading.Thread(target=take_turns)
    other.start()
    while not turns:
        time.sleep(0.001)
    start = len(turns)
    if on_os_thread:
        computing = threading.Thread(target=lambda: turns.append(api.compute(0.2, 16) and 0))
        computing.start()
        computing.join()
    else:
        api.compute(0.2, 16)
    stop.set()
    other.join()
    assert len(turns) - start > 5


# --- a server's drain --------------------------------------------------------------------------------


@pytest.mark.realtime
def test_server_drains_from_a_signal_handler(api):
    """The pattern of docs/c-api.md: a flag, then a permit for whoever may be idle."""
    check_script(
        f"""
        import os, signal, socket, sys, time
        sys.path.insert(0, {os.path.dirname(api.__file__)!r})
        import {api.__name__} as api, coev
        READABLE, PERMIT = 1, 4
        draining = False
        idle, ends = set(), []

        def serve(connection, owner):
            while not draining:
                idle.add(coev.current())
                seen = api.wait_fd_owned(connection.fileno(), READABLE | PERMIT, 30, owner)
                idle.discard(coev.current())
                if seen & READABLE:
                    request = connection.recv(100)
                    coev.sleep(0.1)  # busy: the drain lets it finish
                    connection.send(request)
            api.forget_fd(connection.fileno())
            connection.close()
            ends.append(owner)

        def drain(*_):
            global draining
            draining = True
            for coroutine in [main, *idle]:
                api.unpark(coroutine)

        main = coev.current()
        listener = socket.create_server(("127.0.0.1", 0))
        clients = [socket.create_connection(listener.getsockname()) for _ in range(20)]
        serving = [coev.spawn(serve, listener.accept()[0], n + 1) for n in range(20)]
        clients[0].send(b"busy")
        signal.signal(signal.SIGTERM, drain)
        coev.spawn(lambda: (coev.sleep(0.05), os.kill(os.getpid(), signal.SIGTERM)))
        start = time.monotonic()
        while not draining:
            api.wait_fd_owned(listener.fileno(), READABLE | PERMIT, 30, 99)
        for coroutine in serving:
            coroutine.join()
        assert time.monotonic() - start < 5
        assert ends[-1] == 1 and len(ends) == 20
        assert clients[0].recv(100) == b"busy"
        assert all(client.recv(100) == b"" for client in clients)
        print("drained")
        """,
        expect="drained",
    )
