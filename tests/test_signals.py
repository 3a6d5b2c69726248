"""Signals: handlers run on the main coroutine, at once, whatever it or the others do."""

import signal
from textwrap import dedent

import pytest
from run_script import STRESS_SECONDS, check_script, describe, run_script

PRELUDE = """
import coev.monkey
import coev, os, queue, select, signal, socket, subprocess, sys, threading, time

def alarm_in(seconds, handler=signal.default_int_handler):
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)

def start(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread
"""


def check(text, *args, expect="ok", **options):
    return check_script(PRELUDE + dedent(text), *args, expect=expect, **options)


# Ways for the main coroutine to wait for ever, each in a function.
WAITS = """
def wait_sleep(): time.sleep(20)
def wait_coev_sleep(): coev.sleep(20)
def wait_join(): start(time.sleep, 20).join()
def wait_coroutine(): coev.spawn(time.sleep, 20).join()
def wait_recv(): a, b = socket.socketpair(); a.recv(1)
def wait_recv_timeout(): a, b = socket.socketpair(); a.settimeout(20); a.recv(1)
def wait_sendall(): a, b = socket.socketpair(); a.sendall(bytes(10**8))
def wait_accept(): socket.create_server(("127.0.0.1", 0)).accept()
def wait_lock(): lock = threading.Lock(); lock.acquire(); lock.acquire()
def wait_lock_timeout(): lock = threading.Lock(); lock.acquire(); lock.acquire(timeout=20)
def wait_event(): threading.Event().wait()
def wait_condition():
    c = threading.Condition()
    with c: c.wait(20)
def wait_semaphore(): threading.Semaphore(0).acquire()
def wait_barrier(): threading.Barrier(2).wait()
def wait_queue(): queue.Queue().get()
def wait_queue_timeout(): queue.Queue().get(timeout=20)
def wait_simple_queue(): queue.SimpleQueue().get()
def wait_channel(): coev.Queue().get()
def wait_fd(): a, b = socket.socketpair(); coev.wait_readable(a)
def wait_offload(): coev.offload(time.sleep, 1)
def wait_select(): a, b = socket.socketpair(); select.select([a], [], [])
def wait_rlock():
    lock = threading.RLock()
    def hold():
        with lock: time.sleep(20)
    start(hold)
    time.sleep(0)
    lock.acquire()
waits = [f for name, f in sorted(globals().items()) if name.startswith("wait_")]
"""

OTHERS = {
    "everybody_waits": "others = []",
    "a_coroutine_computes": """
        def compute():
            while not done:
                sum(range(100))
        others = [compute]
    """,
    "two_coroutines_switch": """
        def turn():
            while not done:
                coev.yield_now()
        others = [turn, turn]
    """,
    "a_coroutine_reads_what_is_always_ready": """
        def chatter():
            a, b = socket.socketpair()
            while not done:
                b.send(b"x")
                a.recv(1)
        others = [chatter]
    """,
}


@pytest.mark.parametrize("others", OTHERS)
def test_keyboard_interrupt_ends_every_wait_of_main_at_once_while(others):
    check(
        WAITS
        + dedent(OTHERS[others])
        + dedent("""
        blind = {"wait_select"} if others else set()  # blocks the OS thread
        for wait in waits:
            if wait.__name__ in blind:
                continue
            done = []
            alarm_in(0.05)
            begun = time.monotonic()
            try:
                for other in others:
                    coev.spawn(other)
                wait()
            except KeyboardInterrupt:
                pass
            else:
                print(wait, "was not interrupted")
            took = time.monotonic() - begun
            if took > 0.5:
                print(wait, "took", took)
            done.append(1)
            coev.yield_now()
        print("ok")
        """)
    )


def test_interrupt_from_a_terminal_ends_the_program_with_a_traceback():
    done = run_script(
        PRELUDE
        + dedent("""
        start(time.sleep, 20)
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        threading.Event().wait()
        """)
    )
    assert done.returncode == -signal.SIGINT, describe(done)
    assert "KeyboardInterrupt" in done.stderr


def test_handler_runs_on_the_main_coroutine_and_sees_its_context():
    check("""
    import contextvars
    variable = contextvars.ContextVar("variable", default="other")
    variable.set("main")
    seen = []
    def handler(number, frame):
        seen.append((number, threading.current_thread() is threading.main_thread(),
                     coev.current() is coev.main(), variable.get(), frame.f_code.co_name))
    def compute():
        begun = time.monotonic()
        while not seen and time.monotonic() - begun < 5:
            pass
    alarm_in(0.05, handler)
    t = start(compute)
    t.join()
    expected = (signal.SIGALRM, True, True, "main")
    assert len(seen) == 1 and seen[0][:4] == expected, seen
    print("ok")
    """)


def test_handler_due_when_main_resumed_by_a_handover_runs_while_main_computes():
    # The signal comes while main is ready already, so its wait is not there to be
    # interrupted, and afterwards main never waits again.
    check("""
    seen = []
    signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(coev.current()))
    lock = threading.Lock()
    lock.acquire()
    def hand_over():
        lock.release()  # main is ready now
        signal.raise_signal(signal.SIGUSR1)
    coev.spawn(hand_over)
    lock.acquire()
    begun = time.monotonic()
    while not seen and time.monotonic() - begun < 2:
        pass
    assert seen == [coev.main()], seen
    print("ok")
    """)


def test_keyboard_interrupt_due_at_a_handover_is_raised_where_main_computes():
    check("""
    event = threading.Event()
    def hand_over():
        event.set()
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass
    coev.spawn(hand_over)
    try:
        event.wait()
        begun = time.monotonic()
        while time.monotonic() - begun < 2:
            pass
    except KeyboardInterrupt:
        print("ok")
    """)


def test_idle_program_with_signals_behind_it_does_not_spin():
    check("""
    signal.signal(signal.SIGALRM, lambda *a: None)
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    for _ in range(3):
        start(time.sleep, 20)
    time.sleep(0.2)
    signal.setitimer(signal.ITIMER_REAL, 0)
    before = time.process_time()
    polls = coev.stats()["polls"]
    time.sleep(0.4)
    assert time.process_time() - before < 0.1
    assert coev.stats()["polls"] - polls < 10
    print("ok")
    """)


def test_handler_that_does_not_raise_leaves_the_wait_and_its_deadline_alone():
    # PEP 475
    check("""
    count = 0
    def handler(number, frame):
        global count
        count += 1
    a, b = socket.socketpair()
    a.settimeout(0.2)
    lock = threading.Lock()
    lock.acquire()
    def timed_recv():
        try:
            a.recv(1)
        except TimeoutError:
            return
    waits = [lambda: time.sleep(0.2), timed_recv, lambda: lock.acquire(timeout=0.2),
             lambda: threading.Event().wait(0.2), lambda: start(time.sleep, 9).join(0.2)]
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    for wait in waits:
        count = 0
        begun = time.monotonic()
        wait()
        took = time.monotonic() - begun
        assert 0.2 <= took < 0.35, took
        assert count >= 10, count
    signal.setitimer(signal.ITIMER_REAL, 0)
    print("ok")
    """)


def test_exception_of_a_handler_leaves_the_locks_and_queues_waited_for_usable():
    check("""
    class Alarm(Exception):
        pass
    def handler(number, frame):
        raise Alarm
    def interrupted(wait):
        alarm_in(0.02, handler)
        try:
            wait()
        except Alarm:
            return
        raise AssertionError(wait)
    lock, condition, items = threading.Lock(), threading.Condition(), queue.SimpleQueue()
    a, b = socket.socketpair()
    lock.acquire()
    interrupted(lock.acquire)
    assert lock.locked()
    lock.release()
    assert lock.acquire(timeout=0)
    with condition:
        interrupted(condition.wait)
        condition.notify()  # owned again: the exception came after the lock was taken back
    interrupted(items.get)
    items.put(1)
    assert items.get() == 1
    interrupted(lambda: a.recv(1))
    b.send(b"x")
    assert a.recv(1) == b"x"
    interrupted(lambda: time.sleep(9))
    thread = start(time.sleep, 0.05)
    interrupted(thread.join)
    thread.join()
    assert not thread.is_alive()
    print("ok")
    """)


def test_handler_may_sleep_and_take_locks_while_others_run():
    check("""
    lock = threading.Lock()
    log = []
    def handler(number, frame):
        with lock:
            log.append("handler has the lock")
        time.sleep(0.05)
        log.append("handler ends")
    def hold():
        with lock:
            time.sleep(0.05)
            log.append("holder lets go")
        time.sleep(0.02)
        log.append("holder ran during the handler")
    thread = start(hold)
    alarm_in(0.01, handler)
    thread.join()
    time.sleep(0.1)
    assert log == ["holder lets go", "handler has the lock", "holder ran during the handler",
                   "handler ends"], log
    print("ok")
    """)


def test_signal_and_getsignal_give_back_what_the_user_set():
    check("""
    def first(number, frame): pass
    class Callable:
        def __call__(self, number, frame): pass
    second = Callable()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.signal(signal.SIGINT, first) is signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is first
    assert signal.signal(signal.SIGINT, second) is first
    assert signal.signal(signal.SIGINT, signal.SIG_IGN) is second
    os.kill(os.getpid(), signal.SIGINT)
    assert signal.signal(signal.SIGINT, signal.SIG_DFL) is signal.SIG_IGN
    assert signal.signal(signal.SIGINT, signal.default_int_handler) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    for bad in [(signal.SIGINT, 7), (signal.SIGINT, None), (9999, first), ("x", first)]:
        try:
            signal.signal(*bad)
        except (TypeError, ValueError):
            pass
        else:
            raise AssertionError(bad)
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    except KeyboardInterrupt:
        print("ok")
    """)


def test_handler_set_before_the_import_is_kept():
    check_script(
        """
        import signal
        seen = []
        def handler(number, frame):
            seen.append(number)
        signal.signal(signal.SIGUSR1, handler)
        import coev.monkey, coev, os, time
        assert signal.getsignal(signal.SIGUSR1) is handler
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(0)
        assert seen == [signal.SIGUSR1]
        assert signal.signal(signal.SIGUSR1, signal.SIG_DFL) is handler
        print("ok")
        """,
        expect="ok",
    )


def test_signal_in_a_coroutine_thread_is_refused_as_in_a_thread():
    check("""
    errors = []
    def attempt():
        try:
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        except ValueError as error:
            errors.append(str(error))
    start(attempt).join()
    assert len(errors) == 1 and "main thread" in errors[0], errors
    print("ok")
    """)


def test_alarm_storm_during_socket_traffic_loses_nothing():
    check(
        """
    seconds = float(sys.argv[1])
    ticks = 0
    def handler(number, frame):
        global ticks
        ticks += 1
        if ticks % 7 == 0:
            time.sleep(0)
    def echo(connection):
        with connection:
            while data := connection.recv(4096):
                connection.sendall(data)
    def serve(server):
        while True:
            start(echo, server.accept()[0])
    totals = []
    def client(address):
        total = 0
        end = time.monotonic() + seconds
        with socket.create_connection(address) as s:
            while time.monotonic() < end:
                message = bytes([total % 251]) * (1 + total % 3000)
                s.sendall(message)
                got = b""
                while len(got) < len(message):
                    got += s.recv(4096)
                assert got == message
                total += 1
        totals.append(total)
    server = socket.create_server(("127.0.0.1", 0))
    start(serve, server)
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    clients = [start(client, server.getsockname()) for _ in range(5)]
    for thread in clients:
        thread.join()
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert len(totals) == 5 and min(totals) > 20, totals
    assert ticks > 100 * seconds, ticks
    print("ok")
    """,
        STRESS_SECONDS,
        timeout=30 + STRESS_SECONDS,
    )


def test_two_signals_in_one_moment_both_run():
    check("""
    seen = []
    handler = lambda number, frame: seen.append(number)
    signal.signal(signal.SIGUSR1, handler)
    signal.signal(signal.SIGUSR2, handler)
    def send():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGUSR2})
        os.kill(os.getpid(), signal.SIGUSR2)
        os.kill(os.getpid(), signal.SIGUSR1)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1, signal.SIGUSR2})
    start(send).join()
    time.sleep(0.01)
    assert sorted(seen) == [signal.SIGUSR1, signal.SIGUSR2], seen
    print("ok")
    """)


def test_first_handler_raising_does_not_lose_the_second():
    check("""
    seen = []
    class First(Exception):
        pass
    def raising(number, frame):
        seen.append(number)
        raise First
    signal.signal(signal.SIGUSR1, raising)
    signal.signal(signal.SIGUSR2, lambda number, frame: seen.append(number))
    def send():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGUSR2})
        os.kill(os.getpid(), signal.SIGUSR2)
        os.kill(os.getpid(), signal.SIGUSR1)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1, signal.SIGUSR2})
    coev.spawn(send)
    try:
        time.sleep(1)
    except First:
        pass
    else:
        raise AssertionError
    coev.yield_now()
    assert sorted(seen) == [signal.SIGUSR1, signal.SIGUSR2], seen
    print("ok")
    """)


@pytest.mark.parametrize("waits", [True, False], ids=["waits", "computes"])
def test_interrupt_main_from_a_coroutine_while_main(waits):
    check(
        """
    import _thread
    event = threading.Event()
    def interrupt():
        if sys.argv[1] == "computes":
            event.set()
        _thread.interrupt_main()
        end = time.monotonic() + 5
        while not caught and time.monotonic() < end:
            pass
    caught = []
    begun = time.monotonic()
    try:
        coev.spawn(interrupt)
        if sys.argv[1] == "computes":
            event.wait()
            while time.monotonic() < begun + 5:
                pass
        else:
            time.sleep(5)
    except KeyboardInterrupt:
        caught.append(1)
    assert time.monotonic() - begun < 0.5
    print("ok")
    """,
        "waits" if waits else "computes",
    )


def test_pthread_kill_with_a_coroutines_ident_reaches_its_os_thread():
    check("""
    seen = []
    signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    def send():
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        time.pthread_getcpuclockid(threading.get_ident())
    start(send).join()
    signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)
    time.sleep(0)
    assert seen == [signal.SIGUSR1] * 2, seen
    print("ok")
    """)


def test_wakeup_fd_gets_the_number_of_each_signal():
    check("""
    r, w = socket.socketpair()
    w.setblocking(False)
    signal.set_wakeup_fd(w.fileno())
    signal.signal(signal.SIGUSR1, lambda *a: None)
    got = []
    thread = start(lambda: got.append(r.recv(1)))
    time.sleep(0)
    os.kill(os.getpid(), signal.SIGUSR1)
    thread.join(2)
    assert got == [bytes([signal.SIGUSR1])], got
    assert signal.set_wakeup_fd(-1) == w.fileno()
    print("ok")
    """)


def test_faulthandler_register_works_beside_python_handlers():
    check("""
    import faulthandler, tempfile
    file = tempfile.TemporaryFile("w+")
    faulthandler.register(signal.SIGUSR1, file=file, all_threads=True, chain=True)
    start(time.sleep, 9)
    time.sleep(0)
    seen = []
    signal.signal(signal.SIGUSR2, lambda *a: seen.append(1))
    os.kill(os.getpid(), signal.SIGUSR2)
    faulthandler.unregister(signal.SIGUSR1)
    faulthandler.register(signal.SIGUSR1, file=file, all_threads=True)
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(0.01)
    file.seek(0)
    text = file.read()
    assert text.count("hread 0x") >= 2, text
    assert seen == [1]
    print("ok")
    """)


def test_signals_reach_main_with_a_tiny_switch_interval():
    check("""
    sys.setswitchinterval(1e-6)
    stop = []
    def compute():
        while not stop:
            coev.yield_now()
    for _ in range(3):
        start(compute)
    seen = []
    signal.signal(signal.SIGALRM, lambda *a: seen.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        time.sleep(0.01)
    signal.setitimer(signal.ITIMER_REAL, 0)
    stop.append(1)
    assert len(seen) > 50, len(seen)
    print("ok")
    """)


def test_sigchld_of_many_children_at_once_is_seen():
    check("""
    seen = []
    signal.signal(signal.SIGCHLD, lambda *a: seen.append(1))
    children = [subprocess.Popen(["true"]) for _ in range(5)]
    for child in children:
        assert child.wait() == 0
    time.sleep(0.01)
    assert seen
    print("ok")
    """)


def test_exception_thrown_by_a_handler_reaches_main_and_not_the_coroutine_that_ran():
    check("""
    class Alarm(Exception):
        pass
    def handler(number, frame):
        raise Alarm
    where = []
    def compute():
        try:
            end = time.monotonic() + 0.2
            while time.monotonic() < end:
                pass
            where.append("coroutine undisturbed")
        except Alarm:
            where.append("coroutine")
    thread = threading.Thread(target=compute)
    alarm_in(0.05, handler)
    try:
        thread.start()
        thread.join()
    except Alarm:
        where.append("main")
    while len(where) < 2:  # not join(): up to 3.12 it takes a thread for ended once interrupted
        time.sleep(0.01)
    assert where == ["main", "coroutine undisturbed"], where
    print("ok")
    """)


def test_keyboard_interrupt_on_the_main_stack_while_a_handler_waits():
    check("""
    log = []
    def handler(number, frame):
        log.append("in")
        time.sleep(9)
    signal.signal(signal.SIGUSR1, handler)
    threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    threading.Timer(0.06, os.kill, (os.getpid(), signal.SIGINT)).start()
    begun = time.monotonic()
    try:
        time.sleep(9)
    except KeyboardInterrupt:
        assert log == ["in"] and time.monotonic() - begun < 0.5
        print("ok")
    """)
