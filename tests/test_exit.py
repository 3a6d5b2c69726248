"""The end of the interpreter: what natively ends so, ends so with coroutines too."""

import re
import signal
import subprocess
import sys
from textwrap import dedent

import pytest
from run_script import ROOT, check_script, describe, run_script

PATCH = "import coev.monkey\n"
PRELUDE = """
import _thread, atexit, os, queue, signal, socket, sys, threading, time, weakref

def start(function, *args, daemon=False):
    thread = threading.Thread(target=function, args=args, daemon=daemon)
    thread.start()
    return thread
"""


def run(text, *, patch=True, **options):
    return run_script((PATCH if patch else "") + PRELUDE + dedent(text), **options)


def check(text, **options):
    options.setdefault("expect", "ok")
    return check_script(PATCH + "import coev\n" + PRELUDE + dedent(text), **options)


# Programs that know nothing of coev: natively they end in the same way.
PROGRAMS = {
    "end_of_file": "print(1)",
    "sys_exit_with_a_number": "sys.exit(3)",
    "sys_exit_with_a_text": "sys.exit('sorry')",
    "sys_exit_without_a_value": "sys.exit()",
    "os_exit_in_main": "start(time.sleep, 9); os._exit(4)",
    "os_exit_in_a_thread": "start(os._exit, 5); time.sleep(9)",
    "uncaught_error_in_main": "raise ValueError('no')",
    "uncaught_error_in_main_while_a_daemon_waits": """
        start(time.sleep, 9, daemon=True)
        raise ValueError('no')
    """,
    "uncaught_error_in_main_while_a_thread_works": """
        def work():
            time.sleep(0.02)
            print("worked")
        start(work)
        raise ValueError('no')
    """,
    "sys_exit_in_main_while_a_thread_works": """
        def work():
            time.sleep(0.02)
            print("worked")
        start(work)
        sys.exit(7)
    """,
    "sys_exit_in_a_thread": """
        start(sys.exit, 6).join()
        print("main goes on")
    """,
    "system_exit_in_a_raw_thread": """
        def leave():
            print("left")
            _thread.exit()
        _thread.start_new_thread(leave, ())
        time.sleep(0.02)
    """,
    "uncaught_error_in_a_thread": """
        def fail():
            raise ValueError("of the thread")
        start(fail).join()
        print("main goes on")
    """,
    "uncaught_error_in_a_raw_thread": """
        def fail():
            raise ValueError("of the thread")
        _thread.start_new_thread(fail, ())
        time.sleep(0.3)
    """,
    "excepthook_of_threads": """
        threading.excepthook = lambda args: print("hook", args.exc_type, args.thread.name)
        def fail():
            raise ValueError("of the thread")
        start(fail).join()
    """,
    "keyboard_interrupt_in_main": """
        start(time.sleep, 9, daemon=True)
        signal.raise_signal(signal.SIGINT)
    """,
    "terminated_by_a_signal": "os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)",
    "daemon_thread_in_a_loop_of_waits": """
        def work():
            while True:
                time.sleep(0.001)
        start(work, daemon=True)
        time.sleep(0.01)
    """,
    "daemon_threads_waiting_for_everything": """
        lock = threading.Lock()
        lock.acquire()
        a, b = socket.socketpair()
        for wait in [lock.acquire, threading.Event().wait, queue.Queue().get,
                     queue.SimpleQueue().get, lambda: a.recv(1),
                     socket.create_server(("127.0.0.1", 0)).accept, lambda: time.sleep(9)]:
            def run(wait=wait):
                try:
                    wait()
                finally:
                    print("a daemon's finally")
            start(run, daemon=True)
        time.sleep(0.01)
    """,
    "non_daemon_threads_are_joined_then_atexit_runs": """
        atexit.register(print, "atexit")
        def work():
            for _ in range(3):
                time.sleep(0.005)
            print("worked")
        start(work)
        print("main ends")
    """,
    "threading_register_atexit_runs_before_atexit": """
        import concurrent.futures
        atexit.register(print, "atexit")
        executor = concurrent.futures.ThreadPoolExecutor(2)
        executor.submit(lambda: (time.sleep(0.02), print("done")))
        print("main ends")
    """,
    "stdout_without_newline": "sys.stdout.write('partial'); start(time.sleep, 0.001)",
    "error_in_atexit": """
        atexit.register(print, "first registered")
        atexit.register(lambda: 1 / 0)
        start(time.sleep, 0.001)
    """,
    "sys_exit_in_atexit": "atexit.register(sys.exit, 9)",
    "thread_that_main_has_not_let_run": "_thread.start_new_thread(time.sleep, (9,))",
    "locals_with_finalizers": """
        local = threading.local()
        class Noisy:
            def __del__(self):
                print("gone")
        def work():
            local.noisy = Noisy()
        start(work).join()
        print("joined")
    """,
    "broken_stdout": "sys.stdout.close(); start(time.sleep, 0.001)",
    "exit_inside_a_with_lock": """
        lock = threading.Lock()
        with lock:
            start(lock.acquire, daemon=True)
            sys.exit(2)
    """,
    "timer_is_waited_for": "threading.Timer(0.02, print, ('fired',)).start()",
    "interrupt_while_threads_are_joined_at_the_end": """
        def work():
            time.sleep(0.03)
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.03)
        start(work)
    """,
}


def last_words(text):
    """The lines of stderr that do not depend on addresses and line numbers."""
    text = re.sub("0x[0-9a-f]+", "0x0", text)
    return [line for line in text.splitlines() if line and not line.startswith((" ", "Traceback"))]


@pytest.mark.parametrize("name", PROGRAMS)
def test_same_end_as_with_threads_of(name):
    native = run(PROGRAMS[name], patch=False)
    if "_enter_buffered_busy" in native.stderr:
        pytest.skip("CPython itself aborted: its thread died with the lock of stderr held")
    ours = run(PROGRAMS[name])
    assert ours.returncode == native.returncode, describe(ours) + describe(native)
    assert ours.stdout == native.stdout, describe(ours) + describe(native)
    assert last_words(ours.stderr) == last_words(native.stderr), describe(ours)


def test_finally_blocks_of_spawned_coroutines_run_and_may_wait():
    out = check(
        """
    def work(number):
        try:
            time.sleep(9)
        finally:
            time.sleep(0.001)
            print("finally", number)
    for i in range(3):
        coev.spawn(work, i)
    time.sleep(0)
    coev.spawn(work, "never begun")
    """,
        expect=None,
    )
    assert sorted(out.split("\n")) == ["", "finally 0", "finally 1", "finally 2"]


@pytest.mark.skipif(sys.version_info[:2] == (3, 12), reason="3.12 starts no thread at exit")
def test_thread_may_start_another_while_it_is_waited_for_at_the_end():
    check("""
    def first():
        time.sleep(0.005)
        start(lambda: time.sleep(0.005) or print("ok"))
    start(first)
    """)


def test_coroutine_that_refuses_to_end_delays_the_exit_by_seconds_only():
    check(
        """
    def stubborn():
        while True:
            try:
                time.sleep(9)
            except coev.CoroutineExit:
                pass
    import coev._coev
    coev.spawn(stubborn)
    coev.yield_now()
    atexit.unregister(coev._shut_down)
    atexit.register(coev._shut_down, 0.2)
    print("ok")
    """,
        timeout=5,
    )


def test_coroutine_whose_finally_waits_is_killed_once():
    check("""
    log = []
    def work():
        try:
            time.sleep(9)
        finally:
            for _ in range(3):
                time.sleep(0.01)
            print("ok")
    coev.spawn(work)
    coev.yield_now()
    """)


def test_atexit_handlers_may_spawn_sleep_and_join():
    out = check(
        """
    def handler():
        time.sleep(0.001)
        coev.spawn(print, "spawned").join()
        result = coev.spawn(lambda: time.sleep(0.001) or 5).result()
        a, b = socket.socketpair()
        coroutine = coev.spawn(a.recv, 10)
        b.send(b"bytes")
        print(result, coroutine.result())
        with coev.timeout(0.01):
            try:
                threading.Event().wait()
            except TimeoutError:
                print("timed out")
    atexit.register(handler)
    """,
        expect=None,
    )
    assert out == "spawned\n5 b'bytes'\ntimed out\n"


FINALIZERS = {
    "sleep": "time.sleep(0.001)",
    "coev_sleep": "coev.sleep(0.001)",
    "yield": "coev.yield_now()",
    "spawn": "coev.spawn(print, 1)",
    "thread": "threading.Thread(target=print).start()",
    "lock": "lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "lock_timeout": "lock = threading.Lock(); lock.acquire(); lock.acquire(timeout=0.01)",
    "free_lock": "lock = threading.Lock()\nwith lock: pass",
    "free_rlock": "lock = threading.RLock()\nwith lock:\n  with lock: pass",
    "event": "threading.Event().wait(0.01)",
    "set_event": "event.set()",
    "release": "held.release()",
    "queue": "queue.SimpleQueue().get(timeout=0.01)",
    "put": "items.put(1)",
    "recv": "pair[0].settimeout(0.01); pair[0].recv(1)",
    "send": "pair[0].send(b'x')",
    "offload": "coev.offload(int)",
    "kill": "waiter.kill()",
    "throw": "waiter.throw(ValueError)",
    "switch": "waiter.switch()",
    "join": "waiter.join()",
    "timeout": "with coev.timeout(0.01): time.sleep(1)",
    "coroutines": "coev.coroutines(); coev.stats(); coev.current(); waiter.stack(); repr(waiter)",
    "channel": "coev.Queue().get()",
    "getaddrinfo": "socket.getaddrinfo('127.0.0.1', 1)",
    "local": "local.x = 1",
    "interrupt_main": "_thread.interrupt_main()",
    "signal": "signal.raise_signal(signal.SIGALRM)",
}


def test_atexit_handlers_registered_before_coev_may_wait_too():
    check_script(
        """
        import atexit, queue, threading, time

        def at_exit():
            asked.put(1)
            time.sleep(0.01)
            print(answered.get())

        atexit.register(at_exit)
        import coev.monkey
        asked, answered = queue.Queue(), queue.SimpleQueue()
        threading.Thread(target=lambda: answered.put(asked.get() + 1), daemon=True).start()
        """,
        expect="2",
    )


def survives_interrupt_main_at_the_end():
    # Not so before 3.11.4: signals had no handlers any more, and it looked at them.
    text = """
import _thread, sys
class Noisy:
    def __del__(self, interrupt=_thread.interrupt_main):
        interrupt()
sys.noisy = Noisy()
"""
    return subprocess.run([sys.executable, "-c", text], capture_output=True).returncode == 0


def test_finalizers_at_the_very_end_neither_hang_nor_crash():
    # One process for each: what one does must not hide what the next would.
    template = (
        PATCH
        + "import coev\n"
        + PRELUDE
        + dedent("""
    import gc
    signal.signal(signal.SIGALRM, lambda *a: None)
    local, event, items, held = threading.local(), threading.Event(), queue.SimpleQueue(), None
    held = threading.Lock()
    held.acquire()
    pair = socket.socketpair()
    waiter = coev.spawn(time.sleep, 9)
    for target in [event.wait, items.get, held.acquire, lambda: time.sleep(9)]:
        start(target, daemon=True)
    time.sleep(0.001)
    def final():
    {body}
    class Noisy:
        def __del__(self, final=final):
            final()
    module_global = Noisy()
    cycle = Noisy()
    cycle.me = cycle
    def callback(reference, final=final):
        final()
    class Target:
        pass
    target = Target()
    reference = weakref.ref(target, callback)
    sys.noisy = Noisy()  # later than any module's globals
    threading.noisy = Noisy()
    """)
    )
    children = {}
    for name, body in FINALIZERS.items():
        if name == "interrupt_main" and not survives_interrupt_main_at_the_end():
            continue  # of no use to anybody: the interpreter itself crashes
        text = template.replace("{body}", "\n".join("    " + b for b in body.split("\n")))
        children[name] = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-c", text],
            env={"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        if len(children) % 4 == 0:
            children[name].wait(30)
    bad = {}
    for name, child in children.items():
        try:
            err = child.communicate(timeout=20)[1]
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            bad[name] = "hung"
        else:
            if child.returncode != 0 or "Fatal" in err:
                bad[name] = child.returncode, err[-600:]
    assert not bad, bad


def test_coroutine_blocked_in_offload_does_not_hold_up_the_exit():
    check(
        """
    import ctypes
    libc = ctypes.CDLL(None)
    coev.spawn(coev.offload, libc.usleep, 5_000_000)  # without the GIL
    coev.spawn(coev.offload, time.sleep, 5)
    time.sleep(0.02)
    print("ok")
    """,
        timeout=4,
    )


# What another OS thread may be at, for ever, when the interpreter goes.
PASTIMES = {
    "native_sleep": "native_sleep(0.2)",
    "native_call": "native_sleep(0.001)",
    "computing": "sum(range(100))",
    "sleeping": "coev.sleep(0.001)",
    "switching": "coev.yield_now()",
    "starting": "coev.spawn(sum, range(1000)).join()",
    "receiving": "a.send(b'x'); b.recv(1)",
}

# What the interpreter destroys last lets the others run on while it does.
LONG_END = """
import sys, time, _thread
native_sleep, start_native_thread = time.sleep, _thread.start_new_thread

class LongEnd:
    def __del__(self, native_sleep=native_sleep):
        native_sleep(0.4)

sys.modules["long end"] = LongEnd()
"""


@pytest.mark.parametrize("pastime", PASTIMES)
def test_pool_thread_may_want_the_interpreter_that_is_going(pastime):
    check_script(
        LONG_END
        + f"""
import coev, socket
a, b = socket.socketpair()

def work():
    while True:
        {PASTIMES[pastime]}

coev.spawn(coev.offload, work)
coev.sleep(0.05)
print("ok")
""",
        expect="ok",
    )


@pytest.mark.parametrize("pastime", PASTIMES)
def test_os_thread_with_a_scheduler_may_want_the_interpreter_that_is_going(pastime):
    check_script(
        LONG_END
        + f"""
import coev, socket
a, b = socket.socketpair()

def work():
    while True:
        {PASTIMES[pastime]}

def others():
    for _ in range(3):
        coev.spawn(work)
    work()

start_native_thread(others, ())
native_sleep(0.05)
print("ok")
""",
        expect="ok",
    )


def test_uncaught_error_in_main_kills_spawned_coroutines_and_says_so():
    done = run("""
    import coev
    def work():
        try:
            time.sleep(9)
        finally:
            print("finally")
    coev.spawn(work)
    coev.yield_now()
    1 / 0
    """)
    assert done.returncode == 1 and done.stdout == "finally\n", describe(done)
    assert "ZeroDivisionError" in done.stderr


def test_system_exit_in_a_spawned_coroutine_does_not_end_the_program():
    check("""
    coroutine = coev.spawn(sys.exit, 3)
    try:
        coroutine.result()
    except SystemExit as error:
        assert error.code == 3
    print("ok")
    """)


def test_error_nobody_took_of_a_spawned_coroutine_is_told_at_the_end():
    done = run("""
    import coev
    kept = coev.spawn(int, "no number")
    coev.yield_now()
    print("main ends")
    """)
    assert done.returncode == 0 and done.stdout == "main ends\n", describe(done)
    assert "no number" in done.stderr, describe(done)


def test_second_interrupt_during_shutdown_ends_the_program():
    done = run("""
    def work():
        time.sleep(0.03)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(20)
    start(work, daemon=True)
    try:
        time.sleep(20)
    finally:
        start(lambda: (time.sleep(0.03), os.kill(os.getpid(), signal.SIGINT)), daemon=True)
        threading.Event().wait()
    """)
    assert done.returncode == -signal.SIGINT, describe(done)


def test_exit_inside_a_ctypes_callback_on_a_coroutine_stack():
    check(
        """
    import ctypes
    def work():
        @ctypes.CFUNCTYPE(None)
        def callback():
            time.sleep(9)
        callback()
    start(work, daemon=True)
    coev.spawn(work)
    time.sleep(0.001)
    sys.unraisablehook = lambda unraisable: print(unraisable.exc_type.__name__)
    """,
        expect="CoroutineExit",
    )


def test_generators_suspended_in_killed_coroutines_are_closed():
    out = check(
        """
    def generate():
        try:
            while True:
                yield time.sleep(9)
        finally:
            time.sleep(0.001)
            print("closed")
    def work():
        for _ in generate():
            pass
    coev.spawn(work)
    coev.yield_now()
    """,
        expect=None,
    )
    assert out == "closed\n"


def test_many_parked_coroutines_end_quickly():
    check(
        """
    for _ in range(5000):
        coev.spawn(time.sleep, 100)
        start(time.sleep, 100, daemon=True)
    time.sleep(0.01)
    print("ok")
    """,
        timeout=15,
    )


def test_embedded_interpreter_finalizes_with_parked_coroutines():
    # Py_FinalizeEx() called by hand, as an embedding program does.
    done = run("""
    import coev, ctypes
    start(time.sleep, 9, daemon=True)
    coev.spawn(time.sleep, 9)
    time.sleep(0.001)
    print("ok", flush=True)
    ctypes.pythonapi.Py_Exit(3)
    """)
    assert done.returncode == 3 and done.stdout == "ok\n", describe(done)


@pytest.mark.skipif(sys.version_info[:2] != (3, 12), reason="other versions start it")
def test_no_thread_starts_at_exit_on_3_12():
    check_script(
        """
        import coev.monkey
        import atexit, threading, time

        def start(where):
            try:
                threading.Thread(target=print, args=("ran",)).start()
            except RuntimeError as error:
                print(where, error)

        def late():
            time.sleep(0.01)
            start("thread")

        atexit.register(start, "atexit")
        threading._register_atexit(start, "threading")
        threading.Thread(target=late).start()
        """,
        expect="\n".join(
            f"{where} can't create new thread at interpreter shutdown"
            for where in ("threading", "thread", "atexit")
        ),
    )
