"""coev.sleep, yield_now and waiting for file descriptors."""

import errno
import math
import os
import select
import socket
import tempfile
import threading
import time

import pytest
from run_script import check_script

import coev

pytestmark = pytest.mark.usefixtures("nothing_left")


# --- sleep and yield_now ------------------------------------------------------------------


def test_sleepers_wake_in_the_order_of_their_deadlines(virtual_time):
    order = []

    def nap(seconds):
        coev.sleep(seconds)
        order.append(seconds)

    for c in [coev.spawn(nap, s) for s in (3, 1, 2, 0.5, 2.5)]:
        c.join()
    assert order == [0.5, 1, 2, 2.5, 3]


def test_sleep_takes_its_time(virtual_time):
    start = virtual_time()
    coev.sleep(1000)
    assert virtual_time() - start == pytest.approx(1000)


@pytest.mark.realtime
def test_sleep_takes_real_time():
    start = time.monotonic()
    coev.sleep(0.05)
    assert 0.05 <= time.monotonic() - start < 0.5


def test_sleep_of_zero_lets_others_run(virtual_time):
    log = []
    coev.spawn(log.append, "other")
    coev.sleep(0)
    assert log == ["other"]


@pytest.mark.parametrize("seconds", [-1, -0.001, math.nan, -math.inf])
def test_sleep_needs_a_length(seconds):
    with pytest.raises(ValueError, match="timeout"):
        coev.sleep(seconds)


@pytest.mark.parametrize("seconds", ["1", object(), [1]])
def test_sleep_needs_a_number(seconds):
    with pytest.raises(TypeError):
        coev.sleep(seconds)


@pytest.mark.parametrize("seconds", [None, math.inf, 1e300])
def test_endless_sleep_ends_with_an_interrupt(virtual_time, seconds):
    c = coev.spawn(coev.sleep, seconds)
    coev.sleep(10)
    assert not c.done
    c.kill()
    c.join()


def test_yield_now_lets_every_ready_coroutine_run_once():
    log = []

    def count(name):
        for n in range(3):
            log.append((n, name))
            coev.yield_now()

    workers = [coev.spawn(count, name) for name in "abc"]
    for w in workers:
        w.join()
    assert log == sorted(log)


def test_yield_now_alone_does_not_switch():
    switches = coev.stats()["switches"]
    coev.yield_now()
    assert coev.stats()["switches"] == switches


def test_busy_coroutines_do_not_starve_timers_and_descriptors(socket_pair):
    near, far = socket_pair
    stop = []

    def spin():
        while not stop:
            coev.yield_now()

    workers = [coev.spawn(spin) for _ in range(3)]
    coev.sleep(0.01)
    reader = coev.spawn(coev.wait_readable, near)
    coev.yield_now()
    far.send(b"x")
    reader.join(5)
    stop.append(True)
    for w in workers:
        w.join()


def test_descriptor_closed_during_the_wait_ends_it_with_an_error():
    """coev.monkey knows when a socket is closed."""
    check_script(
        """
        import coev.monkey
        import coev, errno, os, socket

        near, far = socket.socketpair()
        reader = coev.spawn(coev.wait_readable, near)
        stream = coev.spawn(coev.BufferedSocket(far).read_exactly, 1)
        coev.yield_now()
        near.close()
        assert reader.exception(5).errno == errno.EBADF
        assert isinstance(stream.exception(5), EOFError)
        """
    )


# --- file descriptors ---------------------------------------------------------------------


@pytest.mark.parametrize("as_number", [True, False])
def test_wait_readable_and_writable(socket_pair, as_number):
    near, far = (s.fileno() if as_number else s for s in socket_pair)
    coev.wait_writable(near)
    with pytest.raises(TimeoutError):
        coev.wait_readable(near, 0)
    socket_pair[1].send(b"x")
    coev.wait_readable(near, timeout=1)
    assert far is not None


def test_wait_returns_the_events_seen(socket_pair):
    near, far = socket_pair
    both = coev.READABLE | coev.WRITABLE
    assert coev.wait(near, both) & coev.WRITABLE
    far.send(b"x")
    assert coev.wait(near, coev.READABLE) == coev.READABLE
    assert coev.wait(near, coev.WRITABLE, 1) == coev.WRITABLE


@pytest.mark.parametrize("events", [0, 4, -1, 1 << 20])
def test_wait_needs_known_events(socket_pair, events):
    with pytest.raises(ValueError, match="events"):
        coev.wait(socket_pair[0], events)


@pytest.mark.parametrize("fd", ["0", None, object(), 1.5])
def test_descriptor_must_be_one(fd):
    with pytest.raises(TypeError):
        coev.wait_readable(fd)


def test_negative_descriptor_is_refused():
    with pytest.raises(ValueError, match="negative"):
        coev.wait_readable(-1)


def test_descriptor_that_is_not_open_is_an_error(socket_pair):
    number = os.dup(socket_pair[0].fileno())
    os.close(number)
    for fd in (number, 2**28, 2**31 - 1):
        for wait in (coev.wait_readable, coev.wait_writable):
            with pytest.raises(OSError) as caught:
                wait(fd)
            assert caught.value.errno == errno.EBADF


def test_regular_file_is_always_ready():
    with tempfile.TemporaryFile() as file:
        coev.wait_readable(file, 1)
        coev.wait_writable(file, 1)


def test_end_of_stream_is_readable(socket_pair):
    near, far = socket_pair
    reader = coev.spawn(coev.wait_readable, near)
    coev.yield_now()
    far.close()
    reader.join(5)
    assert near.recv(1) == b""


def test_pipes(virtual_time):
    reader, writer = os.pipe()
    try:
        c = coev.spawn(coev.wait_readable, reader)
        coev.yield_now()
        os.write(writer, b"x")
        c.join()
    finally:
        os.close(reader)
        os.close(writer)


def test_reader_and_writer_wait_on_one_descriptor(socket_pair):
    near, far = socket_pair
    reader = coev.spawn(coev.wait, near, coev.READABLE)
    writer = coev.spawn(coev.wait, near, coev.WRITABLE)
    assert writer.result(5) == coev.WRITABLE
    assert not reader.done
    far.send(b"x")
    assert reader.result(5) == coev.READABLE


def test_readers_are_served_longest_first(socket_pair):
    near, far = socket_pair
    order = []

    def read(n):
        coev.wait_readable(near)
        order.append((n, near.recv(1)))

    readers = [coev.spawn(read, n) for n in range(3)]
    coev.yield_now()
    for byte in (b"a", b"b", b"c"):
        far.send(byte)
        coev.sleep(0.001)
    for r in readers:
        r.join(5)
    assert order == [(0, b"a"), (1, b"b"), (2, b"c")]


def test_number_that_is_used_again_is_watched_anew(virtual_time):
    for _ in range(5):
        near, far = socket.socketpair()
        with near, far:
            with pytest.raises(TimeoutError):
                coev.wait_readable(near, 1)
            far.send(b"x")
            coev.wait_readable(near, 1)


def test_descriptors_of_high_numbers(virtual_time):
    resource = pytest.importorskip("resource")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    number = min(limit, 4000) - 1
    near, far = socket.socketpair()
    with near, far:
        os.dup2(near.fileno(), number)
        try:
            far.send(b"x")
            coev.wait_readable(number, 1)
        finally:
            os.close(number)


def test_epoll_descriptor_can_be_waited_for(socket_pair):
    near, far = socket_pair
    with select.epoll() as epoll:
        epoll.register(near, select.EPOLLIN)
        with pytest.raises(TimeoutError):
            coev.wait_readable(epoll, 0)
        far.send(b"x")
        coev.wait_readable(epoll, 1)
        assert epoll.poll(0)


def test_another_os_thread_has_a_scheduler_of_its_own(socket_pair):
    near, far = socket_pair
    log = []

    def elsewhere():
        log.append(coev.current().name)
        c = coev.spawn(coev.wait_readable, near, 5)
        coev.yield_now()
        far.send(b"x")
        c.join()
        log.append(coev.stats()["finished"])

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join(10)
    assert log == ["main", 1]
