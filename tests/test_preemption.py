"""Preemption: under coev.monkey a coroutine that computes gives way, as a thread does."""

from textwrap import dedent

import pytest
from run_script import STRESS_SECONDS, check_script

PRELUDE = """
import coev.monkey
import os, select, signal, socket, sys, threading, time

done = False

def spin():
    while not done:
        pass

def start(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread
"""


def check(text, *args, expect="ok", **options):
    return check_script(PRELUDE + dedent(text), *args, expect=expect, **options)


def test_loop_that_spins_for_a_flag_sees_another_thread_set_it():
    check("""
    spinner = start(spin)
    done = True
    spinner.join(10)
    print("ok" if not spinner.is_alive() else "still spinning")
    """)


def test_two_computing_threads_both_progress():
    check("""
    counts = [0, 0]
    def count(i):
        while not done: counts[i] += 1
    threads = [start(count, i) for i in range(2)]
    time.sleep(0.3)
    done = True
    for t in threads: t.join()
    print("ok" if min(counts) * 10 > max(counts) else counts)
    """)


def test_sleeper_wakes_while_others_compute():
    check("""
    threads = [start(spin) for _ in range(2)]
    before = time.monotonic()
    time.sleep(0.05)
    late = time.monotonic() - before - 0.05
    done = True
    print("ok" if late < 0.5 else late)
    """)


def test_request_is_answered_while_others_compute():
    check("""
    a, b = socket.socketpair()
    def echo(): b.sendall(b.recv(10))
    start(echo)
    start(spin)
    a.sendall(b"ping")
    a.settimeout(10)
    print("ok" if a.recv(10) == b"ping" else "lost")
    done = True
    """)


def test_computation_in_c_that_calls_python_gives_way():
    check("""
    class Slow:
        def __lt__(self, other):
            return done and NotImplemented
    thread = start(lambda: min(iter(Slow, None)))
    time.sleep(0.02)
    done = True
    print("ok")
    """)


def test_long_switch_interval_lets_a_coroutine_compute_undisturbed():
    check("""
    sys.setswitchinterval(3600)
    ran = []
    start(ran.append, 1)
    time.sleep(0.01)
    ran.clear()
    other = threading.Thread(target=ran.append, args=(2,))
    import _thread
    _thread.start_new_thread(ran.append, (2,))
    end = time.process_time() + 0.1
    while time.process_time() < end: pass
    print("ok" if not ran else "preempted")
    """)


def test_without_monkey_nothing_is_preempted():
    check_script(
        """
        import coev, time
        ran = []
        coev.spawn(ran.append, 1)
        end = time.process_time() + 0.1
        while time.process_time() < end: pass
        print("ok" if not ran else "preempted")
        """,
        expect="ok",
    )


def test_signal_that_coev_uses_looks_unused():
    check("""
    handlers = {signal.getsignal(n) for n in range(signal.SIGRTMIN, signal.SIGRTMAX + 1)}
    print("ok" if handlers == {signal.SIG_DFL} else handlers)
    """)


def test_program_may_handle_every_signal_itself_and_is_still_preempted():
    check("""
    seen = []
    for n in range(signal.SIGRTMIN, signal.SIGRTMAX + 1):
        before = signal.signal(n, lambda number, frame: seen.append(number))
        assert before == signal.SIG_DFL, (n, before)
        signal.raise_signal(n)
    assert seen == list(range(signal.SIGRTMIN, signal.SIGRTMAX + 1)), seen
    # Every one is taken: coev has none left. Give one back.
    signal.signal(signal.SIGRTMIN, signal.SIG_DFL)
    print("ok")
    """)


def test_taking_the_signal_moves_preemption_to_another():
    check("""
    seen = []
    signal.signal(signal.SIGRTMAX, lambda number, frame: seen.append(number))
    signal.raise_signal(signal.SIGRTMAX)
    spinner = start(spin)
    time.sleep(0.02)
    done = True
    spinner.join(10)
    print("ok" if seen == [signal.SIGRTMAX] and not spinner.is_alive() else seen)
    """)


def test_child_of_a_fork_is_preempted_too():
    check("""
    pid = os.fork()
    if pid == 0:
        spinner = start(spin)
        time.sleep(0.02)
        done = True
        spinner.join(10)
        os._exit(spinner.is_alive())
    print("ok" if os.waitpid(pid, 0)[1] == 0 else "the child is not")
    """)


def test_wakeup_fd_gets_signals_and_nothing_else():
    check("""
    a, b = socket.socketpair()
    a.setblocking(False)
    b.setblocking(False)
    assert signal.set_wakeup_fd(b.fileno()) == -1
    spinner = start(spin)
    time.sleep(0.1)
    done = True
    signal.signal(signal.SIGUSR1, lambda *args: None)
    signal.raise_signal(signal.SIGUSR1)
    got = a.recv(100)
    assert signal.set_wakeup_fd(-1) == b.fileno()
    assert signal.set_wakeup_fd(-1) == -1
    print("ok" if got == bytes([signal.SIGUSR1]) else got)
    """)


def test_wakeup_fd_set_before_coev_is_kept():
    check_script(
        """
        import signal, socket
        a, b = socket.socketpair()
        b.setblocking(False)
        signal.set_wakeup_fd(b.fileno())
        import coev.monkey
        signal.signal(signal.SIGUSR1, lambda *args: None)
        signal.raise_signal(signal.SIGUSR1)
        got = a.recv(100)
        print("ok" if got == bytes([signal.SIGUSR1]) else got)
        assert signal.set_wakeup_fd(-1) == b.fileno()
        """,
        expect="ok",
    )


def test_interrupt_main_writes_to_the_wakeup_fd():
    check("""
    import _thread
    a, b = socket.socketpair()
    b.setblocking(False)
    signal.set_wakeup_fd(b.fileno())
    try:
        _thread.interrupt_main()
        time.sleep(10)
    except KeyboardInterrupt:
        print("ok" if a.recv(10) == bytes([signal.SIGINT]) else "no byte")
    """)


def test_full_wakeup_fd_is_reported_unless_asked_not_to():
    from run_script import run_script

    done = run_script(
        PRELUDE
        + dedent("""
        a, b = socket.socketpair()
        b.setblocking(False)
        try:
            while True: b.send(bytes(1000))
        except BlockingIOError: pass
        signal.signal(signal.SIGUSR1, lambda *args: None)
        signal.set_wakeup_fd(b.fileno(), warn_on_full_buffer=False)
        signal.raise_signal(signal.SIGUSR1)
        for _ in range(1000): pass
        sys.stderr.write("--\\n")
        signal.set_wakeup_fd(b.fileno())
        signal.raise_signal(signal.SIGUSR1)
        for _ in range(1000): pass
        """)
    )
    quiet, loud = done.stderr.split("--\n")
    assert not quiet
    assert "Exception ignored when trying to send to the signal wakeup fd" in loud
    assert "BlockingIOError" in loud


def test_exception_thrown_into_a_computing_coroutine_waits_for_its_next_wait():
    check("""
    import coev
    log = []
    def compute():
        try:
            end = time.process_time() + 0.1
            while time.process_time() < end: pass
            log.append("computed")
            time.sleep(10)
        except ValueError:
            log.append("thrown")
    c = coev.spawn(compute)
    time.sleep(0.01)
    c.throw(ValueError)
    c.join()
    print("ok" if log == ["computed", "thrown"] else log)
    """)


def test_interpreter_ends_while_daemons_compute():
    check("""
    for _ in range(3): start(spin)
    time.sleep(0.05)
    print("ok")
    """)


@pytest.mark.slow
def test_many_computing_threads_with_garbage_and_locks_stay_consistent():
    check(
        """
        import gc, random
        lock = threading.Lock()
        total = 0
        class Finalized:
            def __init__(self): self.me = self
            def __del__(self):
                for _ in range(100): pass
        def work(seed):
            global total
            rng = random.Random(seed)
            while not done:
                Finalized()
                sum(rng.random() for _ in range(rng.randrange(20000)))
                with lock:
                    before = total
                    for _ in range(rng.randrange(2000)): pass
                    total = before + 1
                    counts[seed] += 1
                if rng.random() < 0.1: time.sleep(rng.random() / 1000)
        counts = [0] * 20
        sys.setswitchinterval(1e-6)
        threads = [start(work, i) for i in range(20)]
        time.sleep(float(sys.argv[1]))
        done = True
        for t in threads: t.join()
        print("ok" if total == sum(counts) and min(counts) > 0 else (total, counts))
        """,
        STRESS_SECONDS,
    )


@pytest.mark.slow
def test_task_groups_with_computing_coroutines_end_as_they_should():
    check(
        """
        import coev, random
        sys.setswitchinterval(1e-6)
        rng = random.Random(1)
        def compute(fails):
            for _ in range(rng.randrange(60000)): pass
            if fails: raise ValueError
            if rng.random() < 0.3: time.sleep(rng.random() / 500)
        def group():
            failing = rng.random() < 0.5
            try:
                with coev.TaskGroup() as tasks:
                    for i in range(8):
                        try: tasks.spawn(compute, failing and i % 3 == 0)
                        except RuntimeError: break  # the group is ending
            except ExceptionGroup as group:
                assert failing and set(map(type, group.exceptions)) == {ValueError}, group
            else:
                assert not failing
        def repeat():
            while time.monotonic() < end: group()
        end = time.monotonic() + float(sys.argv[1])
        with coev.TaskGroup() as groups:
            for _ in range(4): groups.spawn(repeat)
        print("ok" if len(coev.coroutines()) == 1 else coev.coroutines())
        """,
        STRESS_SECONDS,
    )
