"""A program that imports and makes everything first, and ``coev.monkey`` last.

Each case is a generator: what stands before its yield happens before the patch, what
stands after it waits for something that a coroutine does later.
"""

import asyncio
import concurrent.futures
import fcntl
import io
import logging
import logging.handlers
import multiprocessing
import os
import queue
import select as select_module
import selectors
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from os import read, waitpid
from select import select
from time import sleep

DELAY = 0.1
CASES = []


def case(function):
    CASES.append(function)
    return function


def later(function, *arguments):
    """Call *function* in a coroutine, when the case has waited for a while."""
    threading.Timer(DELAY, function, arguments).start()


def start(function, *arguments):
    thread = threading.Thread(target=function, args=arguments)
    thread.start()
    return thread


@case
def sleep_imported_by_name():
    yield
    began = time.monotonic()
    sleep(DELAY)
    assert time.monotonic() - began >= DELAY


@case
def bound_acquire_of_a_held_lock():
    lock = threading.Lock()
    acquire, release = lock.acquire, lock.release
    acquire()
    yield
    assert not acquire(timeout=0.01)
    later(release)
    assert acquire() and lock.locked()


@case
def rlock_that_main_holds():
    lock = threading.RLock()
    lock.acquire()
    lock.acquire()
    got = []
    yield
    worker = start(lambda: (lock.acquire(), got.append(1), lock.release()))
    time.sleep(DELAY)
    lock.release()
    time.sleep(0)
    assert not got
    lock.release()
    worker.join()
    assert got


@case
def rlock_that_a_coroutine_takes():
    lock = threading.RLock()
    yield
    held = threading.Event()
    start(lambda: (lock.acquire(), held.set(), time.sleep(DELAY), lock.release()))
    held.wait()
    with lock, lock:
        pass


@case
def condition():
    condition = threading.Condition()
    ready = []
    yield

    def notify():
        with condition:
            ready.append(1)
            condition.notify_all()

    later(notify)
    with condition:
        assert condition.wait_for(lambda: ready, 5)


@case
def event():
    event = threading.Event()
    wait = event.wait
    yield
    assert not wait(0.01)
    later(event.set)
    assert wait()


@case
def semaphore():
    semaphore = threading.BoundedSemaphore(1)
    semaphore.acquire()
    yield
    later(semaphore.release)
    assert semaphore.acquire()


@case
def barrier():
    barrier = threading.Barrier(2)
    yield
    later(barrier.wait)
    barrier.wait()


@case
def bound_get_of_a_queue():
    items = queue.Queue()
    get = items.get
    yield
    later(items.put, 7)
    assert get() == 7


@case
def put_into_a_full_queue():
    items = queue.PriorityQueue(1)
    items.put(1)
    yield
    later(items.get)
    items.put(2)
    later(items.task_done)
    items.task_done()
    items.join()


@case
def simple_queue():
    items = queue.SimpleQueue()
    get = items.get
    yield
    later(items.put, 7)
    assert get() == 7


@case
def thread_not_yet_started():
    thread = threading.Thread(target=time.sleep, args=(DELAY,))
    yield
    thread.start()
    thread.join()


@case
def executor_without_workers():
    executor = concurrent.futures.ThreadPoolExecutor(2)
    yield
    waits = executor.map(time.sleep, [DELAY] * 4)
    assert list(waits) == [None] * 4
    executor.shutdown()


@case
def executor_with_idle_workers():
    executor = concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="early")
    list(executor.map(time.sleep, [0.01] * 2))
    yield
    first = [executor.submit(time.sleep, DELAY) for _ in range(6)]
    done, pending = concurrent.futures.wait(first, 5)
    assert not pending
    assert sorted(executor.map(abs, range(-9, 0))) == list(range(1, 10))
    executor.shutdown()


@case
def executor_that_is_left_with_idle_workers():
    executor = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="left")
    executor.submit(int).result()
    yield
    assert executor.submit(lambda: (time.sleep(DELAY), 3)[1]).result() == 3
    CASES.append(executor)  # to the end of the interpreter, which ends its worker


@case
def future():
    future = concurrent.futures.Future()
    result = future.result
    yield
    later(future.set_result, 5)
    assert result() == 5


@case
def bound_recv_of_a_socket():
    ours, theirs = socket.socketpair()
    recv = ours.recv
    yield
    later(theirs.sendall, b"x")
    assert recv(10) == b"x"


@case
def socket_with_a_timeout():
    ours, _theirs = socket.socketpair()
    ours.settimeout(DELAY)
    yield
    try:
        ours.recv(1)
    except TimeoutError:
        return
    raise AssertionError("no timeout")


@case
def file_of_a_socket():
    ours, theirs = socket.socketpair()
    file = ours.makefile("r")
    yield
    later(theirs.sendall, b"line\n")
    assert file.readline() == "line\n"


@case
def full_socket():
    ours, theirs = socket.socketpair()
    sendall = ours.sendall
    yield

    def take():
        while theirs.recv(1 << 20):
            pass

    later(take)
    sendall(bytes(2_000_000))
    ours.close()


@case
def listening_socket():
    server = socket.create_server(("127.0.0.1", 0))
    accept = server.accept
    yield
    later(lambda: socket.create_connection(server.getsockname()).close())
    accept()[0].close()


@case
def select_imported_by_name():
    ours, theirs = socket.socketpair()
    yield
    later(theirs.sendall, b"x")
    assert select([ours], [], []) == ([ours], [], [])


@case
def poll_object():
    ours, theirs = socket.socketpair()
    poll = select_module.poll()
    poll.register(ours, select_module.POLLIN)
    yield
    later(theirs.sendall, b"x")
    assert poll.poll() == [(ours.fileno(), select_module.POLLIN)]


@case
def epoll_object():
    ours, theirs = socket.socketpair()
    epoll = select_module.epoll()
    epoll.register(ours, select_module.EPOLLIN)
    yield
    later(theirs.sendall, b"x")
    assert epoll.poll() == [(ours.fileno(), select_module.EPOLLIN)]


@case
def selector():
    ours, theirs = socket.socketpair()
    selector = selectors.DefaultSelector()
    selector.register(ours, selectors.EVENT_READ, "data")
    yield
    later(theirs.sendall, b"x")
    assert [key.data for key, _ in selector.select()] == ["data"]


@case
def read_imported_by_name():
    ours, theirs = os.pipe()
    yield
    later(os.write, theirs, b"x")
    assert read(ours, 1) == b"x"


@case
def buffered_file_on_a_pipe():
    ours, theirs = os.pipe()
    file = os.fdopen(ours, "rb")
    readline = file.readline
    yield
    later(os.write, theirs, b"line\n")
    assert readline() == b"line\n"


@case
def text_file_on_a_pipe():
    ours, theirs = os.pipe()
    file = io.TextIOWrapper(io.BufferedReader(io.FileIO(ours)))
    yield
    later(os.write, theirs, b"line\n")
    assert next(file) == "line\n"


@case
def waitpid_imported_by_name():
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    yield
    later(child.stdin.close)
    assert waitpid(child.pid, 0) == (child.pid, 0)
    child.returncode = 0


@case
def child_process():
    child = subprocess.Popen(
        "read line; echo $line", shell=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    yield
    later(lambda: (child.stdin.write(b"said\n"), child.stdin.flush()))
    assert child.stdout.readline() == b"said\n"
    assert child.wait() == 0


@case
def lock_on_a_file():
    file = tempfile.TemporaryFile()
    other = open(f"/proc/self/fd/{file.fileno()}", "rb+")
    flock = fcntl.flock
    flock(other, fcntl.LOCK_EX)
    yield
    later(flock, other, fcntl.LOCK_UN)
    flock(file, fcntl.LOCK_EX)


@case
def sqlite_connection():
    folder = tempfile.TemporaryDirectory()
    ours, theirs = (
        sqlite3.connect(os.path.join(folder.name, "db"), isolation_level=None) for _ in range(2)
    )
    theirs.execute("create table t (x)")
    theirs.execute("begin immediate")
    yield
    later(theirs.execute, "commit")
    ours.execute("insert into t values (1)")
    ours.close()
    theirs.close()
    folder.cleanup()


@case
def primitives_of_multiprocessing():
    context = multiprocessing.get_context("fork")
    semaphore, items = context.Semaphore(0), context.SimpleQueue()
    ours, theirs = context.Pipe()
    yield
    later(semaphore.release)
    semaphore.acquire()
    later(items.put, 4)
    assert items.get() == 4
    later(theirs.send, 5)
    assert ours.recv() == 5


@case
def loop_of_asyncio():
    loop = asyncio.new_event_loop()
    yield
    loop.run_until_complete(asyncio.sleep(DELAY))
    assert loop.run_until_complete(asyncio.wait_for(loop.run_in_executor(None, pow, 2, 3), 5)) == 8
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@case
def opener_of_urllib():
    server = socket.create_server(("127.0.0.1", 0))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    yield

    def serve():
        connection = server.accept()[0]
        connection.recv(1000)
        time.sleep(DELAY)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nbody")
        connection.close()

    start(serve)
    with opener.open(f"http://127.0.0.1:{server.getsockname()[1]}/") as response:
        assert response.read() == b"body"


@case
def lock_of_a_logging_handler():
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    logger = logging.getLogger("late")
    logger.addHandler(handler)
    yield
    handler.acquire()
    said = start(logger.warning, "said")
    time.sleep(DELAY)
    assert not text.getvalue()
    handler.release()
    said.join()
    assert text.getvalue() == "said\n"


@case
def queue_listener_that_was_not_started():
    records, text = queue.Queue(), io.StringIO()
    listener = logging.handlers.QueueListener(records, logging.StreamHandler(text))
    logger = logging.getLogger("late.queue")
    logger.propagate = False
    logger.addHandler(logging.handlers.QueueHandler(records))
    yield
    listener.start()
    time.sleep(DELAY)
    logger.warning("said")
    listener.stop()
    assert text.getvalue() == "said\n"


@case
def queue_listener_with_a_native_thread():
    records, text = queue.Queue(), io.StringIO()
    listener = logging.handlers.QueueListener(records, logging.StreamHandler(text))
    listener.start()
    logger = logging.getLogger("late.native")
    logger.propagate = False
    logger.addHandler(logging.handlers.QueueHandler(records))
    yield
    time.sleep(DELAY)
    logger.warning("said")
    listener.stop()
    assert text.getvalue() == "said\n"


@case
def socket_handler():
    server = socket.create_server(("127.0.0.1", 0))
    handler = logging.handlers.SocketHandler(*server.getsockname())
    logger = logging.getLogger("late.socket")
    logger.propagate = False
    logger.addHandler(handler)
    yield
    later(logger.warning, "said")
    connection = server.accept()[0]
    assert b"said" in connection.recv(10_000)
    handler.close()


def main(names):
    """Run the cases called *names*; say what became of each."""
    sys.setswitchinterval(0.001)
    begun = [(function.__name__, function()) for function in CASES if function.__name__ in names]
    for _, running in begun:
        next(running)

    from support_ticker import Ticker

    import coev.monkey  # noqa: F401 - last

    ticker = Ticker()
    for name, running in begun:
        first = len(ticker.gaps)
        next(running, None)
        time.sleep(0.02)
        gaps = ticker.gaps[first:]
        late = max(gaps)
        print(name, "ok" if len(gaps) >= 5 and late < 0.06 else f"{len(gaps)} {late}", flush=True)
