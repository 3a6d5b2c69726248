"""Every blocking operation, in every way it can end, leaves nothing behind.

An Operation is made anew for each test. It blocks when call() runs in a
coroutine of the test, until complete() is called from outside. check() says
whether it still works after whatever happened.
"""

import contextlib
import errno
import math
import os
import queue
import select
import socket
import threading

import pytest

import coev

pytestmark = pytest.mark.usefixtures("nothing_left")


class Thrown(Exception):
    pass


class Operation:
    takes_timeout = True  # call(timeout)
    timed_out = TimeoutError  # raised; or the value returned instead
    negative = ValueError  # what a negative timeout does
    has_fd = False
    hands_off = True  # complete() decides the outcome before the waiter runs

    def call(self, timeout=None):
        raise NotImplementedError

    def complete(self):
        raise NotImplementedError

    def check(self):
        """Complete in advance: call() must not block now."""
        self.complete()
        self.call()

    def close(self):
        pass


class LockAcquire(Operation):
    timed_out = False
    kind = coev.Lock

    def __init__(self):
        self.lock = self.kind()
        self.lock.acquire()

    def call(self, timeout=None):
        return self.lock.acquire() if timeout is None else self.lock.acquire(timeout=timeout)

    def complete(self):
        self.lock.release()


class RLockAcquire(LockAcquire):
    kind = coev.RLock

    def check(self):
        self.lock.release()
        assert coev.spawn(self.lock.acquire, timeout=0).result()


class ConditionAcquire(RLockAcquire):
    kind = coev.Condition


class SemaphoreAcquire(LockAcquire):
    @staticmethod
    def kind():
        return coev.Semaphore(1)

    def check(self):
        super().check()
        assert self.lock.value == 0


class EventWait(Operation):
    timed_out = False

    def __init__(self):
        self.event = coev.Event()

    def call(self, timeout=None):
        return self.event.wait(timeout)

    def complete(self):
        self.event.set()


class ConditionWait(Operation):
    timed_out = False

    def __init__(self):
        self.condition = coev.Condition()

    def call(self, timeout=None):
        with self.condition:
            return self.condition.wait(timeout)

    def complete(self):
        with self.condition:
            self.condition.notify()

    def check(self):
        assert self.condition.acquire(timeout=0)
        self.condition.release()


class ConditionWaitFor(ConditionWait):
    def __init__(self):
        super().__init__()
        self.flag = False

    def call(self, timeout=None):
        with self.condition:
            return self.condition.wait_for(lambda: self.flag, timeout)

    def complete(self):
        self.flag = True
        super().complete()


class QueueGet(Operation):
    timed_out = queue.Empty

    def __init__(self):
        self.queue = coev.Queue()

    def call(self, timeout=None):
        return self.queue.get(timeout=timeout)

    def complete(self):
        self.queue.put("item")

    def check(self):
        super().check()
        assert self.queue.empty()


class QueuePut(Operation):
    timed_out = queue.Full

    def __init__(self):
        self.queue = coev.Queue(1)
        self.queue.put("first")

    def call(self, timeout=None):
        self.queue.put("second", timeout=timeout)

    def complete(self):
        self.queue.get()

    def check(self):
        super().check()
        assert self.queue.get_nowait() == "second"
        assert self.queue.empty()


class QueueJoin(Operation):
    def __init__(self):
        self.queue = coev.Queue()
        self.queue.put("item")

    def call(self, timeout=None):
        self.queue.join(timeout)

    def complete(self):
        self.queue.task_done()


class ChannelReceive(Operation):
    def __init__(self):
        self.channel = coev.Channel(1)

    def call(self, timeout=None):
        return self.channel.receive(timeout)

    def complete(self):
        self.channel.send("value")


class ChannelSend(Operation):
    def __init__(self):
        self.channel = coev.Channel()

    def call(self, timeout=None):
        self.channel.send("value", timeout)

    def complete(self):
        assert self.channel.receive(timeout=0) == "value"

    def check(self):
        with pytest.raises(TimeoutError):
            self.channel.receive(0)  # what was not sent is not there


class Join(Operation):
    method = "join"

    def __init__(self):
        self.event = coev.Event()
        self.coroutine = coev.spawn(self.event.wait)

    def call(self, timeout=None):
        return getattr(self.coroutine, self.method)(timeout)

    def complete(self):
        self.event.set()
        coev.yield_now()

    def close(self):
        self.coroutine.kill()
        self.coroutine.join()

    hands_off = False  # the waiter runs in the turn in which the coroutine ends


class Result(Join):
    method = "result"


class Exception_(Join):
    method = "exception"


class Switch(Operation):
    takes_timeout = False
    hands_off = False  # a switch runs its target at once: there is no such moment
    switcher = None

    def call(self, timeout=None):
        self.waiter = coev.current()
        return coev.main().switch()

    def complete(self):
        self.switcher = coev.spawn(self.waiter.switch)
        coev.yield_now()

    def check(self):
        pass

    def close(self):
        if self.switcher is not None:
            self.switcher.kill()
            self.switcher.join()


class Sleep(Operation):
    takes_timeout = False
    hands_off = False

    def call(self, timeout=None):
        coev.sleep(1)

    def complete(self):
        coev.sleep(2)

    def check(self):
        pass


class Offload(Operation):
    takes_timeout = False
    hands_off = False

    def __init__(self):
        self.event = threading.Event()

    def call(self, timeout=None):
        coev.offload(self.event.wait)

    def complete(self):
        self.event.set()

    def close(self):
        self.event.set()


class OnSocket(Operation):
    has_fd = True
    hands_off = False

    def __init__(self):
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.far.setblocking(False)

    def close(self):
        self.near.close()
        self.far.close()

    def fill(self):
        try:
            while True:
                self.near.send(bytes(65536))
        except BlockingIOError:
            pass

    def drain(self):
        try:
            while self.far.recv(1 << 20):
                pass
        except BlockingIOError:
            pass


class WaitReadable(OnSocket):
    def call(self, timeout=None):
        coev.wait_readable(self.near, timeout)

    def complete(self):
        self.far.send(b"x")


class WaitWritable(OnSocket):
    def __init__(self):
        super().__init__()
        self.fill()

    def call(self, timeout=None):
        coev.wait_writable(self.near, timeout)

    def complete(self):
        self.drain()


class Wait(WaitReadable):
    def call(self, timeout=None):
        assert coev.wait(self.near, coev.READABLE, timeout) == coev.READABLE


class ReadSome(OnSocket):
    def __init__(self):
        super().__init__()
        self.stream = coev.BufferedSocket(self.near)

    def call(self, timeout=None):
        assert self.stream.read_some(timeout=timeout) == b"xy\n"

    def complete(self):
        self.far.send(b"xy\n")


class ReadExactly(ReadSome):
    def call(self, timeout=None):
        assert self.stream.read_exactly(3, timeout) == b"xy\n"


class ReadUntil(ReadSome):
    def call(self, timeout=None):
        assert self.stream.read_until(b"\n", timeout=timeout) == b"xy\n"


class Flush(OnSocket):
    def __init__(self):
        super().__init__()
        self.fill()
        self.stream = coev.BufferedSocket(self.near)
        self.stream.write(b"late")

    def call(self, timeout=None):
        self.stream.flush(timeout)

    def complete(self):
        self.drain()


class Write(Flush):
    def __init__(self):
        super().__init__()
        self.stream = coev.BufferedSocket(self.near, 1)

    def call(self, timeout=None):
        self.stream.write(b"late", timeout)


OPERATIONS = [
    LockAcquire,
    RLockAcquire,
    ConditionAcquire,
    SemaphoreAcquire,
    EventWait,
    ConditionWait,
    ConditionWaitFor,
    QueueGet,
    QueuePut,
    QueueJoin,
    ChannelReceive,
    ChannelSend,
    Join,
    Result,
    Exception_,
    Switch,
    Sleep,
    Offload,
    WaitReadable,
    WaitWritable,
    Wait,
    ReadSome,
    ReadExactly,
    ReadUntil,
    Flush,
    Write,
]
WITH_TIMEOUT = [kind for kind in OPERATIONS if kind.takes_timeout]
# An outcome that is decided before the waiter runs, as opposed to one that it looks at itself.
HANDING_OFF = [kind for kind in OPERATIONS if kind.hands_off]
# Those that do not remember a completion that came before the call.
MEETING = {ConditionWait, ChannelSend, Switch, Sleep}


@pytest.fixture
def operation(request, virtual_time):
    made = request.param()
    yield made
    made.close()


def each(kinds):
    return pytest.mark.parametrize("operation", kinds, indirect=True, ids=lambda k: k.__name__)


class Caller:
    """A coroutine that calls the operation and keeps what came of it."""

    def __init__(self, call, *args):
        self.outcome = None
        self.after = None
        self.coroutine = coev.spawn(self._run, call, args)
        coev.yield_now()

    def _run(self, call, args):
        try:
            self.outcome = call(*args)
        except BaseException as error:
            self.outcome = error
        self.after = pending_exception()

    def join(self):
        coev.yield_now()
        self.coroutine.join()
        return self.outcome


def pending_exception():
    try:
        coev.yield_now()
    except BaseException as error:
        return error
    return None


@each([kind for kind in OPERATIONS if kind not in MEETING])
def test_ready_at_once(operation):
    operation.complete()
    caller = Caller(operation.call)
    outcome = caller.join()
    assert not isinstance(outcome, BaseException), outcome
    assert caller.after is None


@each(OPERATIONS)
def test_waits_until_complete(operation):
    caller = Caller(operation.call)
    assert not caller.coroutine.done
    operation.complete()
    outcome = caller.join()
    assert not isinstance(outcome, BaseException), outcome
    assert caller.after is None


@each(WITH_TIMEOUT)
def test_times_out(operation, virtual_time):
    start = virtual_time()
    caller = Caller(operation.call, 5)
    outcome = caller.join()
    assert virtual_time() - start == pytest.approx(5)
    expected = operation.timed_out
    assert outcome is expected or isinstance(outcome, expected)
    assert caller.after is None
    operation.check()


@each(WITH_TIMEOUT)
def test_timeout_of_zero_only_looks(operation):
    caller = Caller(operation.call, 0)
    outcome = caller.join()
    expected = operation.timed_out
    assert outcome is expected or isinstance(outcome, expected)
    operation.check()


@each(WITH_TIMEOUT)
def test_timeout_that_does_not_pass_is_disarmed(operation):
    timers = coev.stats()["timers"]
    caller = Caller(operation.call, 50)
    assert coev.stats()["timers"] == timers + 1
    operation.complete()
    outcome = caller.join()
    assert not isinstance(outcome, BaseException), outcome
    assert coev.stats()["timers"] == timers


@each(OPERATIONS)
def test_interrupted_by_throw(operation):
    error = Thrown()
    caller = Caller(operation.call)
    caller.coroutine.throw(error)
    assert caller.join() is error
    assert caller.after is None
    operation.check()


@each(OPERATIONS)
def test_interrupted_by_kill(operation):
    caller = Caller(operation.call)
    caller.coroutine.kill()
    assert isinstance(caller.join(), coev.CoroutineExit)
    assert caller.after is None
    operation.check()


@each([kind for kind in OPERATIONS if kind is not Sleep])
def test_interrupted_by_timeout_scope(operation, virtual_time):
    def call():
        with coev.timeout(3):
            operation.call()

    start = virtual_time()
    caller = Caller(call)
    outcome = caller.join()
    assert isinstance(outcome, TimeoutError)
    assert virtual_time() - start == pytest.approx(3)
    assert caller.after is None
    operation.check()


@each(HANDING_OFF)
def test_hand_off_beats_a_throw_that_comes_later(operation):
    error = Thrown()
    caller = Caller(operation.call)
    operation.complete()
    caller.coroutine.throw(error)  # the caller has not run since
    outcome = caller.join()
    assert not isinstance(outcome, BaseException), outcome
    assert caller.after is error  # and the exception is not lost


@each([kind for kind in OPERATIONS if kind is not Switch])
def test_scope_that_ends_at_hand_off_raises_nothing_later(operation, virtual_time):
    def call():
        with coev.timeout(3) as scope:
            operation.call()
        return scope

    caller = Caller(call)

    coev.sleep(3)  # both are due now
    with contextlib.suppress(TimeoutError):
        operation.complete()
    outcome = caller.join()
    assert caller.after is None
    if isinstance(outcome, BaseException):
        assert isinstance(outcome, TimeoutError)


@each(OPERATIONS)
def test_throw_into_a_caller_that_is_about_to_wait(operation):
    """The exception comes before the wait: it must not begin."""
    error = Thrown()

    def call():
        coev.current()._postpone(error)
        return operation.call()

    caller = Caller(call)
    assert caller.join() is error
    assert caller.after is None
    operation.check()


@each(OPERATIONS)
def test_stale_interrupt_does_not_end_the_wait(operation):
    """An exception that was taken back must not show."""

    def call():
        error = Thrown()
        coev.current()._postpone(error)
        assert coev.current()._withdraw(error)
        return operation.call()

    caller = Caller(call)
    assert not caller.coroutine.done
    operation.complete()
    outcome = caller.join()
    assert not isinstance(outcome, BaseException), outcome


@each(WITH_TIMEOUT)
def test_negative_timeout(operation):
    if operation.timed_out is False and not isinstance(operation, (EventWait, ConditionWait)):
        # acquire(): -1 means no limit, as in threading.
        timeout = -2
    else:
        timeout = -1
    assert isinstance(Caller(operation.call, timeout).join(), ValueError)
    operation.check()


@each(WITH_TIMEOUT)
def test_timeout_that_is_not_a_number(operation):
    assert isinstance(Caller(operation.call, math.nan).join(), ValueError)
    assert isinstance(Caller(operation.call, "soon").join(), TypeError)
    operation.check()


@each([k for k in WITH_TIMEOUT if not issubclass(k, LockAcquire)])
@pytest.mark.parametrize("timeout", [math.inf, 1e300, 1e10, 2**63])
def test_huge_timeout_waits(operation, timeout):
    caller = Caller(operation.call, timeout)
    assert not caller.coroutine.done
    operation.complete()
    outcome = caller.join()
    assert not isinstance(outcome, BaseException), outcome


@each([k for k in WITH_TIMEOUT if issubclass(k, LockAcquire)])
def test_longest_timeout_of_threading_waits_and_a_longer_one_is_an_error(operation):
    caller = Caller(operation.call, threading.TIMEOUT_MAX)
    assert not caller.coroutine.done
    operation.complete()
    assert caller.join() is True
    for timeout in (math.inf, 1e300):
        assert isinstance(Caller(operation.call, timeout).join(), (ValueError, OverflowError))


@each([kind for kind in OPERATIONS if kind.has_fd])
def test_fd_that_is_closed_already(operation):
    operation.near.close()
    outcome = Caller(operation.call).join()
    assert isinstance(outcome, OSError)
    assert outcome.errno == errno.EBADF


@each([kind for kind in OPERATIONS if kind.has_fd])
def test_peer_closes_meanwhile(operation):
    caller = Caller(operation.call)
    assert not caller.coroutine.done
    operation.far.close()
    outcome = caller.join()  # readable, or an error: but it ends
    assert caller.coroutine.done
    if isinstance(outcome, BaseException):
        # AssertionError: read_some() says b"" at the end of the stream.
        assert isinstance(outcome, (OSError, EOFError, AssertionError))
    assert caller.after is None


@pytest.mark.parametrize("count", [1000])
class TestCrowd:
    def test_on_one_event(self, virtual_time, count):
        event = coev.Event()
        waiters = [coev.spawn(event.wait) for _ in range(count)]
        coev.yield_now()
        event.set()
        assert all(w.result() for w in waiters)

    def test_on_one_lock(self, virtual_time, count):
        lock = coev.Lock()
        order = []

        def take(n):
            with lock:
                order.append(n)
                coev.yield_now()

        for c in [coev.spawn(take, n) for n in range(count)]:
            c.join()
        assert order == list(range(count))

    def test_on_one_fd(self, socket_pair, count):
        near, far = socket_pair
        got = []

        def read_one():
            while True:
                try:
                    got.append(near.recv(1))
                    return
                except BlockingIOError:
                    coev.wait_readable(near)

        readers = [coev.spawn(read_one) for _ in range(count)]
        coev.yield_now()
        for _ in range(count // 10):
            far.send(b"0123456789")
            coev.yield_now()
        for r in readers:
            r.join(10)
        assert len(got) == count

    def test_on_one_fd_all_killed(self, socket_pair, count):
        near, _ = socket_pair
        waiters = [coev.spawn(coev.wait_readable, near) for _ in range(count)]
        coev.yield_now()
        for w in waiters:
            w.kill()
        for w in waiters:
            w.join(10)
        # Nobody waits any more: the loop does not watch the fd either.
        near.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            coev.wait_readable(near, 0)


def test_pipe_and_epoll_are_waited_for_like_sockets(virtual_time):
    reader, writer = os.pipe()
    epoll = select.epoll()
    epoll.register(reader, select.EPOLLIN)
    try:
        with pytest.raises(TimeoutError):
            coev.wait_readable(epoll, 1)
        os.write(writer, b"x")
        coev.wait_readable(epoll, 1)
        coev.wait_readable(reader, 1)
    finally:
        epoll.close()
        os.close(reader)
        os.close(writer)
