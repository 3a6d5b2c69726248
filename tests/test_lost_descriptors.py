"""Nothing that a program does with descriptors ends the process, or the waits of others."""

from textwrap import dedent

import pytest
from run_script import check_script

PRELUDE = """
import coev.monkey
import coev
import ctypes, os, resource, select, socket, subprocess, sys, threading, time

def start(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread

def everything_works():
    came = []
    a, b = socket.socketpair()
    threads = [start(lambda: came.append(a.recv(5))), start(time.sleep, 0.02)]
    time.sleep(0.01)
    b.send(b"hello")
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    assert came == [b"hello"], came
    assert coev.offload(lambda: 5) == 5
    assert subprocess.run(["true"]).returncode == 0
    began = time.monotonic()
    assert not threading.Event().wait(0.05)
    assert 0.04 < time.monotonic() - began < 1

def ours():
    # The descriptors that nobody but coev knows.
    return [
        int(name)
        for name in os.listdir("/proc/self/fd")
        if int(name) > 2 and os.path.exists("/proc/self/fd/" + name)
        and os.readlink("/proc/self/fd/" + name).startswith("anon_inode:")
    ]

def at_the_limit(function):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    try:
        function()
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
"""


def check(text, **options):
    check_script(PRELUDE + dedent(text), expect="ok", **options)


WAYS = {
    "close": "os.close(fd)",
    "closerange": "os.closerange(fd, fd + 1)",
    "dup2": "os.dup2(null, fd)",
    "socket": "socket.close(fd)",
    "file": "os.fdopen(fd, 'rb', buffering=0).close()",
    "unseen": "ctypes.CDLL(None).close(fd)",
    "unseen and reused": "ctypes.CDLL(None).dup2(null, fd)",
}


@pytest.mark.parametrize("way", WAYS)
def test_all_works_when_the_program_has_closed_a_descriptor_of_the_loop(way):
    check(f"""
    time.sleep(0.001)
    a, b = socket.socketpair()
    early = []
    waiter = start(lambda: early.append(a.recv(5)))
    sleeper = start(time.sleep, 0.1)
    null = os.open("/dev/null", os.O_RDWR)
    time.sleep(0.001)
    fds = ours()
    assert len(fds) == 3, fds
    for fd in fds:
        {WAYS[way]}
        everything_works()
    b.send(b"early")
    waiter.join(5)
    sleeper.join(5)
    assert early == [b"early"] and not sleeper.is_alive(), early
    print("ok")
    """)


@pytest.mark.parametrize("reuse", [False, True])
def test_all_works_when_the_program_has_closed_all_descriptors(reuse):
    check(f"""
    time.sleep(0.001)
    os.closerange(3, 4096)
    kept = [socket.socketpair() for _ in range(8 if {reuse} else 0)]
    everything_works()
    for a, b in kept:
        b.setblocking(False)
        a.send(b"whole")
        assert b.recv(100) == b"whole"
        try:
            b.recv(100)  # nothing but what was sent
        except BlockingIOError:
            pass
        else:
            raise AssertionError
    print("ok")
    """)


def test_a_wait_ends_when_the_program_closes_all_descriptors():
    check("""
    a, b = socket.socketpair()
    ended = []
    def receive():
        try:
            a.recv(1)
        except OSError as error:
            ended.append(error.errno)
    thread = start(receive)
    time.sleep(0.01)
    os.closerange(3, 100)
    thread.join(5)
    assert ended == [9], ended
    a.detach(), b.detach()
    everything_works()
    print("ok")
    """)


def test_loops_of_other_os_threads_can_lose_their_descriptors_too():
    check("""
    F = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
    libc = ctypes.CDLL(None)
    lock = threading.Lock()
    done = []
    def body(_):
        time.sleep(0.01)
        ready.set()
        with lock:  # released by the main OS thread
            done.append(1)
    ready = threading.Event()
    callback = F(body)
    lock.acquire()
    thread = ctypes.c_ulong()
    assert libc.pthread_create(ctypes.byref(thread), None, callback, None) == 0
    assert ready.wait(5)
    time.sleep(0.02)
    os.closerange(3, 100)
    lock.release()
    while not done:
        time.sleep(0.005)
    everything_works()
    print("ok")
    """)


def test_a_daemon_that_closes_everything_serves():
    check("""
    time.sleep(0.001)
    report, answer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.dup2(answer, 1)
        for fd in range(3, 256):
            try:
                os.close(fd)
            except OSError:
                pass
        listener = socket.create_server(("127.0.0.1", 0))
        def serve():
            connection, _ = listener.accept()
            connection.sendall(connection.recv(100) * 2)
        thread = start(serve)
        client = socket.create_connection(listener.getsockname())
        client.sendall(b"ab")
        os.write(1, client.recv(10))
        os._exit(0)
    os.close(answer)
    assert os.read(report, 100) == b"abab"
    print("ok")
    """)


def test_the_first_loop_of_an_os_thread_needs_no_descriptor():
    check("""
    F = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
    libc = ctypes.CDLL(None)
    time.sleep(0.001)
    a, b = socket.socketpair()
    done = []
    lock = threading.Lock()
    def body(_):
        time.sleep(0.01)
        with lock:
            done.append(a.recv(1))
        try:
            a.settimeout(0.05)
            a.recv(1)
        except TimeoutError:
            done.append("timeout")
        done.append(select.select([a], [], [], 0.02))
        done.append(select.select([a], [a], [], None)[1] == [a])
        event = threading.Event()
        other = start(event.set)
        done.append(event.wait(5))
    callback = F(body)
    def run():
        thread = ctypes.c_ulong()
        assert libc.pthread_create(ctypes.byref(thread), None, callback, None) == 0
        coev.sleep(0.03)
        b.send(b"x")
        deadline = time.monotonic() + 5
        while len(done) < 5 and time.monotonic() < deadline:
            time.sleep(0.005)
    at_the_limit(run)
    assert done == [b"x", "timeout", ([], [], []), True, True], done
    everything_works()
    print("ok")
    """)


def test_a_loop_can_be_lost_when_no_descriptor_is_left():
    check("""
    time.sleep(0.001)
    def lose():
        os.closerange(3, 20)
        try:
            while True:
                os.open("/dev/null", os.O_RDONLY)
        except OSError:
            pass
        came = []
        thread = start(lambda: (time.sleep(0.01), came.append(1)))
        thread.join(5)
        assert came
    at_the_limit(lose)
    everything_works()
    print("ok")
    """)


def test_descriptors_that_the_kernel_does_not_watch_are_waited_for_all_the_same():
    check("""
    time.sleep(0.001)
    a, b = socket.socketpair()
    crowd = [select.epoll() for _ in range(600)]  # of which the kernel lets five hundred be watched
    for epoll in crowd:
        epoll.register(a, select.EPOLLIN)
    came = []
    threads = [start(lambda e=epoll: came.append(len(e.poll(10)))) for epoll in crowd]
    time.sleep(0.05)
    assert crowd[-1].poll(0.02) == []
    try:
        coev.wait_readable(crowd[-1], timeout=0.02)
    except TimeoutError:
        pass
    used = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - used < 0.4
    b.send(b"x")
    for thread in threads:
        thread.join(5)
    assert came == [1] * len(crowd), came
    chain = [select.epoll() for _ in range(6)]
    for outer, inner in zip(chain, chain[1:]):
        try:
            outer.register(inner, select.EPOLLIN)
        except OSError:
            pass
    for epoll in chain:
        assert epoll.poll(0.01) == []
    print("ok")
    """)


def test_a_wait_for_coevs_own_descriptors_is_no_crash():
    check("""
    time.sleep(0.001)
    for fd in ours():
        try:
            coev.wait_readable(fd, timeout=0.02)
        except TimeoutError:
            pass
        select.select([fd], [], [], 0.02)
    everything_works()
    print("ok")
    """)


@pytest.mark.parametrize("threads", [50, 600])
def test_many_threads_poll_one_socket_for_what_libev_does_not_know(threads):
    check(f"""
    a, b = socket.socketpair()
    came = []
    def poll():
        poller = select.poll()
        poller.register(a, select.POLLIN | select.POLLRDHUP)
        came.append(len(poller.poll(10000)))
    started = [start(poll) for _ in range({threads})]
    time.sleep(0.1)
    b.send(b"x")
    for thread in started:
        thread.join()
    assert came == [1] * {threads}
    print("ok")
    """)
