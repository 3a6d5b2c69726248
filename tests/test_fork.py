"""fork: in the child only the forking coroutine lives, and it can do everything."""

from textwrap import dedent

import pytest
from run_script import check_script

PRELUDE = """
import coev.monkey
import _thread, coev, os, queue, signal, socket, subprocess, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of threads and fork

def start(function, *args, daemon=True):
    thread = threading.Thread(target=function, args=args, daemon=daemon)
    thread.start()
    return thread

def status_of(pid, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGABRT)
    os.waitpid(pid, 0)
    return "hung"

def in_main(function):
    function()

def in_thread(function):
    start(function).join()

def in_coroutine(function):
    coev.spawn(function).join()

def in_raw_thread(function):
    done = _thread.allocate_lock()
    done.acquire()
    def run():
        try:
            function()
        finally:
            done.release()
    _thread.start_new_thread(run, ())
    done.acquire()

def fork_and_check(work, expected=0):
    def attempt():
        pid = os.fork()
        if pid == 0:
            code = 99
            try:
                work()
                code = 0
            except SystemExit as error:
                code = error.code
            finally:
                if code == 99:
                    import traceback
                    traceback.print_exc()
                os._exit(code)
        status = status_of(pid)
        if status != expected:
            print("child:", status)
    where(attempt)
"""

PLACES = ["in_main", "in_thread", "in_coroutine", "in_raw_thread"]


def check(text, where="in_main", **options):
    options.setdefault("expect", "ok")
    return check_script(PRELUDE + f"\nwhere = {where}\n" + dedent(text), **options)


@pytest.mark.parametrize("where", PLACES)
def test_child_can_use_everything_when_forked(where):
    check(
        """
    other_runs = []
    def other():
        while True:
            time.sleep(0.001)
            other_runs.append(os.getpid())
    for _ in range(3):
        start(other)
    held = threading.Lock()
    held.acquire()
    start(held.acquire)
    items = queue.SimpleQueue()
    start(items.get)
    a, b = socket.socketpair()
    start(a.recv, 1)
    time.sleep(0.01)

    def work():
        begun = time.monotonic()
        time.sleep(0.02)
        assert time.monotonic() - begun >= 0.02
        assert os.getpid() not in other_runs  # nobody else lives
        assert not held.acquire(timeout=0.01)
        held.release()
        assert held.acquire(timeout=1)
        items.put(1)
        assert items.get(timeout=1) == 1
        results = []
        threads = [start(results.append, i, daemon=False) for i in range(5)]
        for thread in threads:
            thread.join(1)
        assert sorted(results) == list(range(5))
        assert coev.spawn(lambda: 7).result(1) == 7
        c, d = socket.socketpair()
        thread = start(lambda: results.append(c.recv(5)))
        time.sleep(0.001)
        d.sendall(b"hello")
        thread.join(1)
        assert results[-1] == b"hello"
        server = socket.create_server(("127.0.0.1", 0))
        client = start(lambda: socket.create_connection(server.getsockname()).sendall(b"x"))
        assert server.accept()[0].recv(1) == b"x"
        assert coev.offload(lambda: 5) == 5
        assert threading.current_thread() is threading.main_thread()
        assert threading.get_ident() == threading.current_thread().ident
        condition = threading.Condition()
        with condition:
            assert not condition.wait(0.01)
        event = threading.Event()
        threading.Timer(0.01, event.set).start()
        assert event.wait(1)
        pid = os.fork()  # and again
        if pid == 0:
            time.sleep(0.001)
            os._exit(5)
        assert status_of(pid) == 5

    fork_and_check(work)
    before = len(other_runs)
    time.sleep(0.02)
    assert len(other_runs) > before  # the parent goes on
    b.send(b"x")
    print("ok")
    """,
        where,
    )


@pytest.mark.parametrize("where", PLACES)
def test_interrupt_ends_waits_and_computing_in_a_child_forked(where):
    check(
        """
    start(time.sleep, 20)
    def waits():
        threading.Event().wait(5)
    def computes():
        end = time.monotonic() + 5
        while time.monotonic() < end:
            pass
    def another_computes():
        def compute():
            end = time.monotonic() + 5
            while time.monotonic() < end and not caught:
                pass
        coev.spawn(compute)
        time.sleep(9)
    caught = []
    for job in [waits, computes, another_computes]:
        def work():
            begun = time.monotonic()
            signal.signal(signal.SIGALRM, signal.default_int_handler)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            try:
                job()
            except KeyboardInterrupt:
                caught.append(1)
                assert time.monotonic() - begun < 1, job
                return
            raise AssertionError(job)
        fork_and_check(work)
    print("ok")
    """,
        where,
    )


def test_child_whose_thread_function_returns_exits_with_0_and_flushed_output():
    out = check(
        """
    def fork():
        pid = os.fork()
        print("child" if pid == 0 else "parent")
        if pid == 0:
            return
        assert status_of(pid) == 0
    for place in [in_thread, in_coroutine, in_raw_thread]:
        place(fork)
        sys.stdout.flush()
    """,
        expect=None,
    )
    assert sorted(out.split()) == ["child"] * 3 + ["parent"] * 3


def test_child_that_ends_with_an_exception_reports_it_and_exits():
    check(
        """
    def fork():
        pid = os.fork()
        if pid == 0:
            sys.stderr = open(os.devnull, "w")
            raise ValueError("of the child")
        pids.append(pid)
    pids = []
    in_thread(fork)
    status = status_of(pids[0])
    assert status == 0, status
    print("ok")
    """
    )


def test_child_of_main_runs_its_atexit_handlers():
    out = check(
        """
    import atexit
    start(time.sleep, 20)
    def handler():
        time.sleep(0.001)
        coev.spawn(time.sleep, 0.001).join()
        if sys.version_info[:2] != (3, 12):  # which starts no thread at exit
            start(time.sleep, 0.001).join()
        print("exit")
    atexit.register(handler)
    pid = os.fork()
    if pid:
        assert status_of(pid) == 3
    else:
        sys.exit(3)
    """,
        expect=None,
    )
    assert out.split("\n") == ["exit", "exit", ""]


def test_finalizers_of_other_coroutines_locals_may_call_into_the_scheduler_during_fork():
    check("""
    local = threading.local()
    class Noisy:
        def __del__(self):
            if os.getpid() == parent:
                return
            log.append(1)
            time.sleep(0.001)
            coev.yield_now()
            with threading.Lock():
                pass
            threading.Event().wait(0.001)
            coev.spawn(log.append, 2)
    log = []
    parent = os.getpid()
    def hold():
        local.noisy = Noisy()
        time.sleep(20)
    for _ in range(5):
        start(hold)
    def fork():
        time.sleep(0.01)
        pid = os.fork()
        if pid == 0:
            time.sleep(0.01)
            os._exit(7)
        assert status_of(pid) == 7
    for place in [in_main, in_thread, in_coroutine]:
        place(fork)
    print("ok")
    """)


def test_fork_while_offload_threads_are_busy():
    check("""
    stop = []
    def block():
        while not stop:
            end = time.monotonic() + 0.005
            while time.monotonic() < end:
                pass
    busy = [start(coev.offload, block) for _ in range(3)]
    time.sleep(0.02)
    def work():
        assert coev.offload(lambda: 3) == 3
        assert socket.getaddrinfo("127.0.0.1", 80)
    for where in [in_main, in_thread]:
        for _ in range(3):
            fork_and_check(work)
    stop.append(1)
    for thread in busy:
        thread.join(2)
        assert not thread.is_alive()
    print("ok")
    """)


def test_fork_hooks_of_os_may_block():
    check("""
    os.register_at_fork(before=lambda: time.sleep(0.001),
                        after_in_child=lambda: time.sleep(0.001),
                        after_in_parent=lambda: time.sleep(0.001))
    start(time.sleep, 20)
    for where in [in_main, in_thread]:
        fork_and_check(lambda: time.sleep(0.001))
    print("ok")
    """)


def test_many_threads_fork_at_once():
    check("""
    statuses = []
    def fork(number):
        time.sleep(0.001 * (number % 3))
        pid = os.fork()
        if pid == 0:
            time.sleep(0.001)
            start(time.sleep, 0.001).join()
            os._exit(number)
        statuses.append((number, status_of(pid)))
    threads = [start(fork, i) for i in range(20)]
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [(i, i) for i in range(20)], statuses
    print("ok")
    """)


def test_parents_traffic_is_unaffected_by_a_child():
    check("""
    def echo(s):
        while data := s.recv(100):
            s.sendall(data)
    pairs = [socket.socketpair() for _ in range(5)]
    for a, b in pairs:
        start(echo, a)
    time.sleep(0)
    def work():
        for a, b in pairs:  # the child's loop must not touch the parent's epoll
            a.close()
        c, d = socket.socketpair()
        start(echo, c)
        d.sendall(b"x")
        assert d.recv(1) == b"x"
    for where in [in_main, in_thread]:
        fork_and_check(work)
        for a, b in pairs:
            b.settimeout(2)
            b.sendall(b"y")
            assert b.recv(1) == b"y"
    print("ok")
    """)


def test_pygilstate_follows_coroutines_in_a_child_whose_key_is_another_one():
    # CPython makes the thread-specific key of PyGILState anew in a child: where a lower
    # number has become free, under that one.
    check("""
    import ctypes
    libc, python = ctypes.CDLL(None), ctypes.pythonapi
    for function in python.PyThreadState_Get, python.PyGILState_GetThisThreadState:
        function.restype = ctypes.c_void_p
    libc.pthread_getspecific.restype = ctypes.c_void_p
    def keys():
        state = python.PyThreadState_Get()
        return [key for key in range(64) if libc.pthread_getspecific(key) == state]
    before = keys()
    if before and before[0] > 0:
        libc.pthread_key_delete(0)
    def compare():
        for _ in range(3):
            coev.yield_now()
            assert python.PyThreadState_Get() == python.PyGILState_GetThisThreadState()
    def work():
        assert not before or keys() == [0], (before, keys())
        for coroutine in [coev.spawn(compare) for _ in range(5)]:
            coroutine.result()
    fork_and_check(work)
    print("ok")
    """)


def test_fork_in_an_os_thread_leaves_a_child_that_works():
    check("""
    result = []
    def work():
        time.sleep(0.001)
        start(time.sleep, 0.001).join()
        begun = time.monotonic()
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            time.sleep(5)
        except KeyboardInterrupt:
            assert time.monotonic() - begun < 1
        else:
            raise AssertionError
    where = in_main
    def forked():
        coev.spawn(time.sleep, 0.001).join()  # a scheduler of its own
        fork_and_check(work)
        return 1
    start(time.sleep, 20)
    assert coev.offload(forked) == 1
    print("ok")
    """)


def test_multiprocessing_with_fork():
    check("""
    import multiprocessing
    context = multiprocessing.get_context("fork")
    def child(number, results):
        time.sleep(0.001)
        start(results.put, number).join()
    start(time.sleep, 20)
    results = context.Queue()
    processes = [context.Process(target=child, args=(i, results)) for i in range(3)]
    for process in processes:
        process.start()
    assert sorted(results.get(timeout=5) for _ in processes) == [0, 1, 2]
    for process in processes:
        process.join(5)
        assert process.exitcode == 0, process.exitcode
    print("ok")
    """)


def test_subprocess_run_works_in_main_and_in_threads():
    check("""
    def run():
        done = subprocess.run([sys.executable, "-Sc", "print(input()); raise SystemExit(3)"],
                              input="text", capture_output=True, text=True, timeout=10)
        assert (done.returncode, done.stdout) == (3, "text\\n"), done
        done = subprocess.run(["true"], preexec_fn=lambda: None)
        assert done.returncode == 0
        log.append(1)
    log = []
    start(time.sleep, 20)
    for place in [in_main, in_thread, in_coroutine]:
        place(run)
    threads = [start(run) for _ in range(3)]
    for thread in threads:
        thread.join()
    assert len(log) == 6
    print("ok")
    """)


def test_process_started_by_offload_can_be_terminated():
    check("""
    child = coev.offload(subprocess.Popen, ["sleep", "20"])
    child.terminate()
    assert child.wait() == -signal.SIGTERM
    print("ok")
    """)


def test_parent_goes_on_when_a_child_keeps_a_socket_that_it_has_closed():
    done = check_script(
        PRELUDE
        + dedent("""
        def watched():
            ours, theirs = socket.socketpair()
            reader = threading.Thread(target=ours.recv, args=(1,))
            reader.start()
            time.sleep(0.01)
            theirs.send(b"x")
            reader.join()
            return ours, theirs

        ours, theirs = watched()
        dropped, kept = watched()
        child = os.fork()
        if child == 0:
            time.sleep(0.3)
            os._exit(0)
        ours.close()  # the child has it still, so the kernel goes on telling of it
        warnings.simplefilter("ignore", ResourceWarning)
        del dropped  # closed by its finalizer
        theirs.send(b"y")
        time.sleep(0.05)
        watched()
        os.waitpid(child, 0)
        print("on")
    """)
    )
    assert done == "on\n"


@pytest.mark.parametrize("where", PLACES)
def test_threads_of_the_parent_have_ended_in_a_child_forked(where):
    check(
        """
    import concurrent.futures
    gate = threading.Event()
    parents = [
        start(gate.wait),
        start(gate.wait, daemon=False),
        start(os.read, os.pipe()[0], 1),
        start(time.sleep, 100),
    ]
    parents.append(start(parents[0].join))
    pool = concurrent.futures.ThreadPoolExecutor(2)
    pool.submit(int).result()

    def look():
        me = threading.current_thread()
        others = [t for t in [*parents, *pool._threads, main] if t is not me]
        assert threading.enumerate() == [me], threading.enumerate()
        assert threading.main_thread() is me and me.is_alive()
        assert not any(thread.is_alive() for thread in others), others
        for thread in others:
            thread.join()
            thread.join(1)
        start(lambda: (me.join(0.01), print(me.is_alive(), flush=True))).join()

    def look_and_fork():
        look()
        me = threading.current_thread()
        pid = os.fork()
        if pid == 0:
            look()
            sys.exit(7)  # waits for no thread of the parent
        assert status_of(pid) == 7

    main = threading.main_thread()
    fork_and_check(look_and_fork)
    gate.set()
    for thread in parents[0], parents[1], parents[4]:
        thread.join()
    print("ok")
    """,
        where,
        expect="True\nTrue\nok",
    )


@pytest.mark.parametrize("where", PLACES)
def test_coroutines_of_the_parent_have_ended_in_a_child_forked(where):
    check(
        """
    gate = coev.Event()
    waiting = coev.spawn(gate.wait)
    sleeping = coev.spawn(time.sleep, 100)
    over = coev.spawn(int, 5)
    group = []

    def hold_group():
        with coev.TaskGroup() as opened:
            opened.spawn(gate.wait)
            group.append(opened)
            gate.wait()

    holder = coev.spawn(hold_group)
    over.join()

    def look():
        for each in waiting, sleeping, holder:
            assert each.done and "left behind" in repr(each), each
            each.join()
            each.join(5)
            each.kill()
            assert isinstance(each.exception(), RuntimeError)
            assert len(each.stack()) == 0
            for attempt in each.result, each.switch, lambda: each.throw(KeyError):
                try:
                    attempt()
                except RuntimeError as error:
                    pass
                else:
                    raise AssertionError(attempt)
        assert over.result() == 5
        assert coev.coroutines() == [coev.current()] and coev.stats()["alive"] <= 1
        gate.set()  # nobody is woken
        assert [coev.spawn(int, i).result() for i in range(3)] == [0, 1, 2]
    fork_and_check(look)
    gate.set()
    waiting.join()
    holder.join()
    sleeping.kill()
    print("ok")
    """,
        where,
    )


def test_a_task_group_that_forks_ends_in_both_processes():
    check("""
    with coev.TaskGroup() as group:
        group.spawn(time.sleep, 0.05)
        pid = os.fork()
    if pid == 0:
        os._exit(3)
    assert status_of(pid) == 3
    print("ok")
    """)


def test_an_idle_executor_delays_no_child():
    check(
        """
    import concurrent.futures, multiprocessing
    pool = concurrent.futures.ThreadPoolExecutor(3)
    list(pool.map(abs, range(3)))
    context = multiprocessing.get_context("fork")
    def run():
        process = context.Process(target=print, args=("child",))
        process.start()
        process.join(10)
        assert process.exitcode == 0, process
    run()
    start(run).join()
    threads = [start(run) for _ in range(3)]
    for thread in threads:
        thread.join()
    def compute():
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as processes:
            assert list(processes.map(abs, range(-3, 0))) == [3, 2, 1]
    threads = [start(compute) for _ in range(3)]
    for thread in threads:
        thread.join()
    print("ok")
    """,
        expect="child\n" * 5 + "ok",
    )
