"""Scenarios: select, poll, epoll and the selectors."""

import os
import select
import selectors
import signal
import socket
import tempfile
import threading
import time

EVENTS = [n for n in dir(select) if n.startswith(("POLL", "EPOLL")) and n != "EPOLL_CLOEXEC"]


def _later(function, *args, seconds=0.03):
    timer = threading.Timer(seconds, function, args)
    timer.daemon = True
    timer.start()
    return timer


def _urgent_pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    return client, server


def _drain(sock):
    while select.select([sock], [], [], 0.1)[0]:
        sock.recv(1 << 20)


def _lasted(seconds, function, *args):
    """Call *function*, and say whether it took *seconds*, neither less nor much more."""
    start = time.monotonic()
    result = function(*args)
    took = time.monotonic() - start
    return result, "in time" if seconds <= took < seconds + 2 else f"after {took}"


class _File:
    """What select() takes for a descriptor."""

    def __init__(self, fd):
        self.fd = fd
        self.asked = 0

    def fileno(self):
        self.asked += 1
        return self.fd

    def __repr__(self):
        return "a file"


TIMEOUTS = [
    *[0, 0.0, False, -1, -0.0001, -1e-10, -0.5, float("nan"), float("inf"), float("-inf")],
    *[1e300, -1e300, 1e10, -1e10, 10**10, 10**30, -(10**30), 2147483.648, -2147483.649],
    *["1", b"", [], (), {}, 1j, object(), _File(0), 2**31, 2147484.0, 9223372037, 1e19],
]


class _Long(Exception):
    """The call was still waiting."""


def _error_unless_long(call, *args):
    """error_of(); what is too long for a call differs between versions."""

    def give_up(number, frame):
        raise _Long

    previous = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, 0.03)
    try:
        return error_of(call, *args)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


# --- select ---------------------------------------------------------------------------------


def select_returns_the_objects_that_are_ready(say):
    a, b = socket.socketpair()
    with a, b:
        file, number = _File(a.fileno()), a.fileno()
        for readers, writers in [([a], [a]), ((file, a, number), (b, a)), ([a, a], [file] * 3)]:
            b.send(b"x")
            found = select.select(readers, writers, [], 5)
            say([x is y for x, y in zip(found[0], readers, strict=True)])
            say([x is y for x, y in zip(found[1], writers, strict=True)])
            a.recv(10)
            found = select.select(readers, writers, [], 5)
            say(len(found[0]), len(found[1]), type(found), [type(x) for x in found])


def select_waits_for_each_kind_of_event(say):
    a, b = _urgent_pair()
    with a, b:
        _later(b.send, b"x")
        say(select.select([a], [], [a], 5)[0] == [a])
        a.recv(1)
        _later(b.send, b"!", socket.MSG_OOB)
        say([x == [a] for x in select.select([], [], [a], 5)])
        say(a.recv(1, socket.MSG_OOB))
        a.setblocking(False)
        try:
            while True:
                a.send(bytes(65536))
        except BlockingIOError:
            pass
        _later(_drain, b)
        say([x == [a] for x in select.select([], [a], [a], 5)])
        _later(b.close, seconds=0.3)
        say([x == [a] for x in select.select([a], [], [a], 5)])


def select_asks_each_object_for_its_descriptor_once(say):
    a, b = socket.socketpair()
    with a, b:
        file = _File(a.fileno())
        _later(b.send, b"x", seconds=0.05)
        say(select.select([file], [], [], 5), file.asked)
        say(select.select([file], [file], [file], 0), file.asked)
        say(_lasted(0.02, select.select, [], [], [file], 0.02), file.asked)


def select_takes_any_sequence(say):
    a, b = socket.socketpair()
    with a, b:
        b.send(b"x")
        for readers in [iter([a]), {a: 1}, {a}, (x for x in [a]), [a], (a,)]:
            say([x == [a] for x in select.select(readers, [], [], 5)])
        for bad in [None, 1, a, [None], ["1"], [-1], [a, object()], [1.0], [10**10], [-(10**10)]]:
            for position in range(3):
                arguments = [[], [], []]
                arguments[position] = bad
                say(position, error_of(select.select, *arguments, 0))
                say(position, error_of(select.select, *arguments))
        say(error_of(select.select, [a]), error_of(select.select, [], [], [], 0, 0))
        say(error_of(select.select, [], [], [], timeout=1))


def select_refuses_descriptors_out_of_range(say):
    say(error_of(select.select, [5000], [], [], 1))
    say(error_of(select.select, [1, 5000], [], []))
    say(error_of(select.select, [], [0] * 1025, [], 1))


def select_refuses_a_descriptor_that_is_not_open(say):
    fd = os.open("/dev/null", os.O_RDONLY)
    os.close(fd)
    say(error_of(select.select, [fd], [], [], 1))
    say(error_of(select.select, [], [], [fd]))


def select_takes_timeouts(say):
    a, b = socket.socketpair()
    with a, b:
        for timeout in TIMEOUTS:
            say(timeout, error_of(select.select, [], [a], [], timeout) != "")
            say(_error_unless_long(select.select, [a], [], [], timeout))
        for timeout in [0.02, True and 0.02, 1e-9, 1e-3]:
            say(timeout, _lasted(timeout, select.select, [a], [], [a], timeout))
        say(_lasted(0.02, select.select, [], [], [], 0.02))


def select_looks_at_regular_files(say):
    with tempfile.TemporaryFile() as file:
        say([len(x) for x in select.select([file], [file], [], 5)])
        say(_lasted(0.02, select.select, [], [], [file], 0.02))


def a_sequence_may_change_while_select_reads_it(say):
    a, b = socket.socketpair()
    with a, b:
        writers = [_File(a.fileno()) for _ in range(10)]

        class _Clears(_File):
            def fileno(self):
                del writers[-1]
                return super().fileno()

        writers[:] = [_Clears(a.fileno()) for _ in range(10)]
        say(len(select.select([], writers, [])[1]), len(writers))


# --- poll -----------------------------------------------------------------------------------


def poll_tells_every_event(say):
    a, b = _urgent_pair()
    with a, b:
        poll = select.poll()
        say(poll.register(a), poll.poll(1000) == [(a.fileno(), select.POLLOUT)])
        for mask in [select.POLLIN, select.POLLIN | select.POLLPRI, select.POLLPRI]:
            poll.modify(a, mask)
            say(mask, _lasted(0.02, poll.poll, 20))
            _later(b.send, b"x", socket.MSG_OOB)
            say([events for _, events in poll.poll(300)])
            a.recv(1, socket.MSG_OOB)
            _later(b.send, b"y")
            say([events for _, events in poll.poll(100)])
            a.recv(9)
        for mask in [0, select.POLLHUP, select.POLLRDHUP, select.POLLIN, 0xFFFF]:
            poll.modify(a, mask & ~select.POLLOUT & ~getattr(select, "POLLWRNORM", 0))
            say(mask, len(poll.poll(20)))
        poll.modify(a, select.POLLRDHUP)
        _later(b.shutdown, socket.SHUT_WR)
        say([events for _, events in poll.poll(2000)])
        poll.modify(a, 0)
        _later(b.close)
        _later(a.shutdown, socket.SHUT_RDWR, seconds=0.05)
        say([events for _, events in poll.poll(2000)])
        say(poll.unregister(a), _lasted(0.02, poll.poll, 20))


def poll_watches_pipes(say):
    for mask in [select.POLLIN, select.POLLIN | select.POLLPRI, 0]:
        r, w = os.pipe()
        poll = select.poll()
        poll.register(r, mask)
        _later(os.close, w)
        say(mask, [(fd == r, events) for fd, events in poll.poll()])
        os.close(r)
        say(mask, [(fd == r, events) for fd, events in poll.poll(5000)])


def poll_waits_for_many(say):
    pairs = [socket.socketpair() for _ in range(20)]
    poll = select.poll()
    for a, _ in pairs:
        poll.register(a, select.POLLIN)
    for i in (7, 0, 19):
        _later(pairs[i][1].send, b"x")
        say([[a.fileno() for a, _ in pairs].index(fd) for fd, _ in poll.poll(5000)])
        pairs[i][0].recv(1)
    for a, b in pairs:
        a.close()
        b.close()


def poll_takes_timeouts(say):
    a, b = socket.socketpair()
    with a, b:
        ready, waits = select.poll(), select.poll()
        ready.register(a, select.POLLOUT)
        waits.register(a, select.POLLIN)
        for timeout in TIMEOUTS:
            say(timeout, len(error_of(ready.poll, timeout)) > 20)
            say(_error_unless_long(waits.poll, timeout))
        for timeout in [20, 0.5, 1e-9, 20.5]:
            say(timeout, _lasted(timeout / 1000, waits.poll, timeout))
        say(error_of(waits.poll, 1, 2), error_of(waits.poll, timeout=1))
        for timeout in [None, -1, -0.5, -1e-9]:
            _later(b.send, b"x")
            say(timeout, len(waits.poll(timeout)))
            a.recv(1)


def poll_refuses_a_second_call_meanwhile(say):
    a, b = socket.socketpair()
    with a, b:
        poll = select.poll()
        poll.register(a, select.POLLIN)
        found = []
        thread = threading.Thread(target=lambda: found.append(poll.poll()))
        thread.start()
        time.sleep(0.02)
        say(error_of(poll.poll), error_of(poll.poll, 0), error_of(poll.poll, "1"))
        b.send(b"x")
        thread.join()
        say(len(found[0]), len(poll.poll(0)))


# --- epoll ----------------------------------------------------------------------------------


def epoll_tells_every_event(say):
    a, b = _urgent_pair()
    with a, b, select.epoll() as epoll:
        epoll.register(a)
        say([(fd == a.fileno(), events) for fd, events in epoll.poll(5)])
        modes = [0, select.EPOLLET, select.EPOLLONESHOT, select.EPOLLET | select.EPOLLONESHOT]
        for mode in modes:
            epoll.modify(a, select.EPOLLIN | select.EPOLLPRI | mode)
            say(mode, _lasted(0.02, epoll.poll, 0.02))
            _later(b.send, b"xy")
            say([events for _, events in epoll.poll()])
            say([events for _, events in epoll.poll(0.02)])
            a.recv(2)
            _later(b.send, b"z")
            say([events for _, events in epoll.poll(0.1)])
            a.recv(1)
        epoll.unregister(a)
        say(_lasted(0.02, epoll.poll, 0.02))


def epoll_takes_its_arguments(say):
    a, b = socket.socketpair()
    pairs = [socket.socketpair() for _ in range(5)]
    with a, b, select.epoll() as epoll, select.epoll() as waits:
        waits.register(a, select.EPOLLIN)
        for _, far in pairs:
            epoll.register(far, select.EPOLLOUT)
        for most in [-1, 1, 2, 5, 100]:
            say(most, len(epoll.poll(1, most)), len(epoll.poll(maxevents=most)))
            say(len(epoll.poll(maxevents=most, timeout=0)))
        for most in [0, -2, "1", 1.0, 2**40, None]:
            say(error_of(epoll.poll, 1, most), error_of(epoll.poll, maxevents=most))
        for timeout in TIMEOUTS:
            say(timeout, len(error_of(epoll.poll, timeout)) > 60)
            say(_error_unless_long(waits.poll, timeout))
        for timeout in [0.02, 1e-4, -1e-4]:
            say(timeout, _lasted(timeout, waits.poll, timeout))
        say(error_of(waits.poll, 1, 2, 3), error_of(waits.poll, time=1))
        for timeout in [None, -1, -0.002]:
            _later(b.send, b"x")
            say(timeout, len(waits.poll(timeout)))
            a.recv(1)
    for pair in pairs:
        pair[0].close()
        pair[1].close()


def a_closed_epoll_says_so(say):
    epoll = select.epoll()
    fd = epoll.fileno()
    say(epoll.closed, epoll.close(), epoll.close(), epoll.closed)
    for call in [epoll.poll, epoll.fileno, epoll.__enter__, lambda: epoll.register(0)]:
        say(error_of(call))
    say(error_of(epoll.poll, 1), error_of(epoll.poll, "1"))
    say(error_of(os.fstat, fd)[:20])
    other = select.epoll()
    os.close(other.fileno())
    say(error_of(other.poll, 1))


def epolls_come_and_go_with_the_same_descriptor(say):
    a, b = socket.socketpair()
    with a, b:
        seen = set()
        for i in range(30):
            epoll = select.epoll()
            seen.add(epoll.fileno())
            epoll.register(a, select.EPOLLIN)
            _later(b.send, b"x", seconds=0.005)
            say(len(epoll.poll(5)))
            a.recv(1)
            if i % 3 == 0:
                epoll.close()
            elif i % 3 == 1:
                epoll = select.epoll.fromfd(os.dup(epoll.fileno()))
                say(epoll.poll(0.005))
            del epoll
        say(len(seen) < 10)


def one_epoll_serves_several_threads(say):
    a, b = socket.socketpair()
    with a, b, select.epoll() as epoll:
        epoll.register(a, select.EPOLLIN | select.EPOLLONESHOT)
        taken = []

        def take():
            while len(taken) < 30:
                for _ in epoll.poll(0.1):
                    taken.append(a.recv(1))
                    epoll.modify(a, select.EPOLLIN | select.EPOLLONESHOT)

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for i in range(30):
            b.send(bytes([i]))
            time.sleep(0.001)
        for thread in threads:
            thread.join()
        say(b"".join(taken) == bytes(range(30)))


def an_epoll_watches_another_one(say):
    a, b = socket.socketpair()
    with a, b, select.epoll() as inner, select.epoll() as outer:
        inner.register(a, select.EPOLLIN)
        outer.register(inner, select.EPOLLIN)
        say(outer.poll(0.01))
        _later(b.send, b"x")
        say(len(outer.poll(5)), len(inner.poll(0)))
        say(select.select([outer], [], [], 0)[0] == [outer])


# --- selectors ------------------------------------------------------------------------------


def every_selector_serves_readers_and_writers(say):
    for kind in ["Select", "Poll", "Epoll", "Default"]:
        a, b = socket.socketpair()
        with a, b, getattr(selectors, kind + "Selector")() as selector:
            selector.register(a, selectors.EVENT_READ, "data")
            say(kind, selector.select(0.01), selector.select(0), selector.select(-1))
            _later(b.send, b"x")
            [(key, events)] = selector.select()
            say(key.fileobj is a, key.data, events)
            selector.modify(a, selectors.EVENT_READ | selectors.EVENT_WRITE)
            say([events for _, events in selector.select(5)])
            a.recv(1)
            say([events for _, events in selector.select(5)])
            selector.modify(a, selectors.EVENT_READ)
            _later(b.close)
            say([events for _, events in selector.select(5)])
            selector.unregister(a)
            say(selector.select(0.01))


# --- signals --------------------------------------------------------------------------------


def _calls(a):
    poll, epoll = select.poll(), select.epoll()
    poll.register(a, select.POLLIN)
    epoll.register(a, select.EPOLLIN)
    return {
        "select": lambda timeout: select.select([a], [], [a], timeout),
        "poll": lambda timeout: poll.poll(timeout and timeout * 1000),
        "epoll": lambda timeout: epoll.poll(timeout),
    }


def a_signal_does_not_end_a_wait(say):
    a, b = socket.socketpair()
    with a, b:
        for name, call in _calls(a).items():
            runs = []
            signal.signal(signal.SIGALRM, lambda *_, runs=runs: runs.append(1))
            signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
            result, when = _lasted(0.08, call, 0.08)
            signal.setitimer(signal.ITIMER_REAL, 0)
            say(name, result, when, len(runs) > 2)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


def a_handler_that_raises_ends_a_wait(say):
    a, b = socket.socketpair()

    def handler(*_):
        raise LookupError("from the handler")

    with a, b:
        signal.signal(signal.SIGALRM, handler)
        for name, call in _calls(a).items():
            for timeout in [5, None]:
                signal.setitimer(signal.ITIMER_REAL, 0.02)
                say(name, error_of(call, timeout))
            b.send(b"x")
            say(name, len(call(5)))
            a.recv(1)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


def a_handler_that_writes_ends_a_wait(say):
    a, b = socket.socketpair()
    with a, b:
        signal.signal(signal.SIGALRM, lambda *_: b.send(b"x"))
        for name, call in _calls(a).items():
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            result = call(None)
            say(name, len(result[0] if name == "select" else result), a.recv(9))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


# --- fork -----------------------------------------------------------------------------------


def a_child_can_wait_too(say):
    a, b = socket.socketpair()
    with a, b:
        calls = _calls(a)
        waiting = threading.Thread(target=calls["select"], args=(0.2,))
        waiting.start()
        time.sleep(0.02)
        for name, call in calls.items():
            pid = os.fork()
            if pid == 0:
                start = time.monotonic()
                call(0.03)
                os._exit(0 if time.monotonic() - start < 2 else 1)
            say(name, os.waitpid(pid, 0)[1])
        waiting.join()
