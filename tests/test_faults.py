"""What goes wrong around coroutines: no memory, no fds, hooks, debug builds of everything."""

import sys
from textwrap import dedent

import pytest
from run_script import STRESS_SECONDS, check_script

PRELUDE = """
import coev.monkey
import asyncio, ctypes, errno, faulthandler, gc, os, queue, resource, signal, socket, sys
import threading, time, tracemalloc, traceback, weakref
import coev

def start(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread
"""


def check(text, *args, **options):
    options.setdefault("expect", "ok")
    return check_script(PRELUDE + dedent(text), *args, **options)


# --- what runs out ---------------------------------------------------------------------


def test_no_memory_for_a_stack_is_an_error_after_which_all_works_again():
    check("""
    started = [start(time.sleep, 0.2)]
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(open("/proc/self/statm").read().split()[0]) * 4096
    resource.setrlimit(resource.RLIMIT_AS, (used + 300 * 2**20, hard))
    errors = []
    for make in [lambda: coev.spawn(time.sleep, 0.2), lambda: start(time.sleep, 0.2)]:
        try:
            for _ in range(2000):
                started.append(make())
        except RuntimeError as error:
            errors.append(str(error))
    assert errors == ["can't start new thread"] * 2, errors
    assert 50 < len(started) < 600, len(started)
    before = threading.active_count()
    for thread in started:
        thread.join()
    assert threading.active_count() == 1, (before, threading.enumerate())
    assert coev.spawn(lambda: 5).result() == 5  # a slot there is already
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    for thread in [coev.spawn(time.sleep, 0.01) for _ in range(1000)]:
        thread.join()
    print("ok")
    """)


def test_failed_spawn_leaks_nothing():
    check("""
    resource.setrlimit(resource.RLIMIT_AS, (0, resource.getrlimit(resource.RLIMIT_AS)[1]))
    class Argument:
        pass
    argument = Argument()
    count = sys.getrefcount(argument)
    failures = 0
    for _ in range(100):
        try:
            coev.spawn(print, argument)
        except (RuntimeError, MemoryError):
            failures += 1
    gc.collect()
    assert failures == 100
    assert sys.getrefcount(argument) == count
    assert len(coev.coroutines()) == 1
    print("ok")
    """)


def test_accept_without_a_free_fd_raises_and_recovers():
    check("""
    server = socket.create_server(("127.0.0.1", 0))
    clients = [socket.create_connection(server.getsockname()) for _ in range(3)]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    highest = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    fill = []
    try:
        while True:
            fill.append(os.dup(0))
    except OSError:
        pass
    outcome = []
    def accept():
        try:
            outcome.append(server.accept())
        except OSError as error:
            outcome.append(error.errno)
    for _ in range(3):
        start(accept).join()
    assert outcome == [errno.EMFILE] * 3, outcome
    for fd in fill:
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 20, hard))
    del outcome[:]
    start(accept).join()
    assert isinstance(outcome[0], tuple)
    print("ok")
    """)


def test_closing_a_socket_ends_the_waits_of_others_for_it():
    check("""
    a, b = socket.socketpair()
    outcomes = []
    def wait(function, *args):
        try:
            outcomes.append(function(*args))
        except OSError as error:
            outcomes.append(error.errno)
    fd = a.fileno()
    threads = [start(wait, a.recv, 1) for _ in range(3)]
    threads += [start(wait, coev.wait_readable, fd, 5)]
    time.sleep(0.01)
    a.close()
    for thread in threads:
        thread.join(2)
        assert not thread.is_alive()
    assert outcomes == [errno.EBADF] * 4, outcomes
    c, d = socket.socketpair()  # one has the same number
    reader = start(wait, (c if c.fileno() == fd else d).recv, 1)
    time.sleep(0.001)
    (d if c.fileno() == fd else c).send(b"x")
    reader.join(2)
    assert outcomes[-1] == b"x"
    print("ok")
    """)


def test_fd_closed_behind_the_back_of_its_waiters_does_no_harm():
    check("""
    a, b = socket.socketpair()
    def wait():
        try:
            a.settimeout(0.1)
            a.recv(1)
        except OSError:
            pass
    threads = [start(wait) for _ in range(3)]
    time.sleep(0.01)
    os.close(a.detach())  # the object says nothing of this
    c, d = socket.socketpair()  # the same number again
    got = []
    reader = start(lambda: got.append(c.recv(1)))
    time.sleep(0.001)
    d.send(b"x")
    reader.join(2)
    assert got == [b"x"], got
    for thread in threads:
        thread.join(2)
        assert not thread.is_alive()
    print("ok")
    """)


@pytest.mark.slow
def test_100_000_parked_coroutines():
    check(
        """
    sys.setswitchinterval(10)
    begun = time.monotonic()
    event = coev.Event()
    coroutines = []
    try:
        for _ in range(100_000):
            coroutines.append(coev.spawn(event.wait))
    except RuntimeError as error:
        assert str(error) == "can't start new thread"
        assert len(coroutines) > 30_000  # mprotect's guard pages ran out
    coev.yield_now()
    assert len(coev.coroutines()) == len(coroutines) + 1
    gc.collect()
    event.set()
    for coroutine in coroutines:
        coroutine.join()
    took = time.monotonic() - begun
    assert took < 30, took
    print("ok")
    """,
        timeout=60,
    )


# --- what looks at threads ---------------------------------------------------------------


def test_current_frames_and_faulthandler_show_each_coroutine():
    check("""
    import tempfile
    def parked_here(seconds):
        time.sleep(seconds)
    threads = [start(parked_here, 9) for _ in range(3)]
    frames = sys._current_frames()
    for thread in threads:
        names = [f.name for f in traceback.extract_stack(frames[thread.ident])]
        assert names[-1] == "parked_here", names
    names = [f.name for f in traceback.extract_stack(frames[threading.get_ident()])]
    assert names[-1] == "<module>", names
    assert len(frames) == 4, frames
    def inside():
        frame = sys._current_frames()[threading.get_ident()]
        assert frame is sys._getframe()
        return "fine"
    assert coev.spawn(inside).result() == "fine"
    with tempfile.TemporaryFile("w+") as file:
        faulthandler.dump_traceback(file)
        file.seek(0)
        text = file.read()
    assert text.count("parked_here") == 3, text
    for thread in threads:
        assert f"0x{thread.ident:016x}" in text
    try:
        raise ValueError
    except ValueError:
        assert sys._current_exceptions()[threading.get_ident()]
    print("ok")
    """)


def test_asynchronous_exception_goes_to_the_coroutine_with_the_ident():
    check("""
    class Stop(Exception):
        pass
    log = []
    def work(name):
        try:
            while True:
                time.sleep(0.001)
        except Stop:
            log.append(name)
    threads = [start(work, name) for name in "abc"]
    set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
    set_exception.argtypes = ctypes.c_ulong, ctypes.py_object
    assert set_exception(threads[1].ident, Stop) == 1
    threads[1].join(2)
    time.sleep(0.01)
    assert log == ["b"], log
    assert set_exception(2**40, Stop) == 0
    try:
        set_exception(threading.main_thread().ident, Stop)
        for _ in range(1000):
            pass
    except Stop:
        print("ok")
    """)


@pytest.mark.parametrize("hook", ["settrace", "setprofile"])
def test_hook_follows_its_coroutine(hook):
    check(
        """
    hook = sys.argv[1]
    seen = {}
    def make(name):
        def trace(frame, event, arg):
            seen.setdefault(name, set()).add(frame.f_code.co_name)
            return trace
        return trace
    def traced():
        for _ in range(3):
            time.sleep(0)
            helper()
    def helper():
        pass
    def untraced():
        for _ in range(3):
            time.sleep(0)
            other()
    def other():
        pass
    def run(name, function):
        getattr(sys, hook)(make(name))
        try:
            function()
        finally:
            getattr(sys, hook)(None)
    threads = [start(run, "a", traced), start(untraced), start(run, "b", traced)]
    for thread in threads:
        thread.join()
    assert "helper" in seen["a"] and "helper" in seen["b"], seen
    assert "other" not in seen["a"] | seen["b"], seen
    get = getattr(sys, hook.replace("set", "get"))
    assert coev.spawn(get).result() is None
    getattr(threading, hook)(make("c"))
    start(traced).join()
    assert "helper" in seen["c"]
    print("ok")
    """,
        hook,
    )


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring came with 3.12")
def test_monitoring_sees_all_coroutines():
    check("""
    m = sys.monitoring
    m.use_tool_id(3, "test")
    seen = []
    m.register_callback(3, m.events.PY_START, lambda code, offset: seen.append(code.co_name))
    def work():
        for _ in range(3):
            time.sleep(0)
            helper()
    def helper():
        pass
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads[:2]:
        thread.start()
    m.set_events(3, m.events.PY_START)
    threads[2].start()
    for thread in threads:
        thread.join()
    m.set_events(3, 0)
    assert seen.count("helper") >= 3, seen
    print("ok")
    """)


# --- switching in odd places ---------------------------------------------------------------


def test_switching_inside_ctypes_callbacks():
    check("""
    import random
    compare_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int),
                                    ctypes.POINTER(ctypes.c_int))
    sort = ctypes.CDLL(None).qsort
    results = []
    def work(seed):
        numbers = list(range(50))
        random.Random(seed).shuffle(numbers)
        array = (ctypes.c_int * 50)(*numbers)
        def compare(a, b):
            time.sleep(0)
            return a[0] - b[0]
        sort(array, 50, 4, compare_type(compare))
        results.append(list(array) == list(range(50)))
    threads = [start(work, i) for i in range(10)]
    for thread in threads:
        thread.join()
    assert results == [True] * 10
    state = ctypes.pythonapi.PyGILState_Ensure
    def ensure():
        held = state()
        time.sleep(0)
        ctypes.pythonapi.PyGILState_Release(held)
        return "fine"
    for coroutine in [coev.spawn(ensure) for _ in range(10)]:
        assert coroutine.result() == "fine"
    print("ok")
    """)


def test_switching_in_finalizers_and_weak_reference_callbacks_during_collection():
    check("""
    count = 0
    class Node:
        def __init__(self):
            self.me = self
        def __del__(self):
            global count
            count += 1
            time.sleep(0)
    gc.set_threshold(50, 2, 2)
    references = []
    def work():
        for _ in range(200):
            node = Node()
            references.append(weakref.ref(node, lambda r: coev.yield_now()))
            time.sleep(0)
    threads = [start(work) for _ in range(5)]
    for thread in threads:
        thread.join()
    gc.collect()
    for _ in range(10):
        coev.yield_now()
    gc.collect()
    assert count == 1000, count
    print("ok")
    """)


def test_suspended_generators_and_exceptions_keep_their_own_state():
    check("""
    def generate(name):
        try:
            while True:
                time.sleep(0)
                yield name
        except GeneratorExit:
            time.sleep(0)
            closed.append(name)
            raise
    closed = []
    def work(name):
        try:
            raise ValueError(name)
        except ValueError:
            generator = generate(name)
            for _ in range(5):
                assert next(generator) == name
                assert sys.exc_info()[1].args == (name,)
            while True:
                next(generator)
    coroutines = [coev.spawn(work, i) for i in range(10)]
    for _ in range(10):
        time.sleep(0)
    assert sys.exc_info() == (None, None, None)
    for coroutine in coroutines:
        coroutine.kill()
    for coroutine in coroutines:
        error = coroutine.exception()
        assert isinstance(error, coev.CoroutineExit)
        assert isinstance(error.__context__, ValueError)
    # One that a coroutine began, another goes on with.
    shared = generate("shared")
    assert coev.spawn(next, shared).result() == "shared"
    assert next(shared) == "shared"
    shared.close()
    del coroutines, error, coroutine
    gc.collect()
    print("ok")
    """)


def test_async_generator_left_in_a_killed_coroutine_is_finalized():
    check("""
    log = []
    async def generate():
        try:
            while True:
                yield 1
        finally:
            log.append("closed")
    async def main():
        async for _ in generate():
            time.sleep(9)
    coroutine = coev.spawn(asyncio.run, main())
    time.sleep(0.05)
    coroutine.kill()
    assert isinstance(coroutine.exception(), coev.CoroutineExit)
    del coroutine
    gc.collect()
    assert log == ["closed"], log
    print("ok")
    """)


def test_deep_chains_of_exceptions_are_freed():
    check("""
    def work():
        error = None
        for i in range(20_000):
            new = ValueError(i)
            new.__cause__ = error
            error = new
            if i % 5000 == 0:
                time.sleep(0)
        del new, error
        return "freed"
    coroutines = [coev.spawn(work) for _ in range(3)]
    assert [c.result() for c in coroutines] == ["freed"] * 3
    def nest(n):
        try:
            if n:
                nest(n - 1)
            else:
                time.sleep(0)
                raise ValueError
        except (ValueError, KeyError) as error:
            raise KeyError(n) from error
    coroutine = coev.spawn(nest, 200)
    assert isinstance(coroutine.exception(), KeyError)
    print("ok")
    """)


def test_asyncio_loops_side_by_side_in_coroutines():
    check("""
    async def main(name):
        log = []
        async def child(i):
            await asyncio.sleep(0.001 * i)
            log.append((name, i))
        await asyncio.gather(*(child(i) for i in range(5)))
        assert asyncio.get_running_loop() is not None
        return log
    results = {}
    def run(name):
        results[name] = asyncio.run(main(name))
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise AssertionError
    threads = [start(run, name) for name in "abcd"]
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    for name in "abcd":
        assert results[name] == [(name, i) for i in range(5)], results
    print("ok")
    """)


def test_context_variables_of_a_reused_slot_are_fresh():
    check("""
    import contextvars, decimal
    variable = contextvars.ContextVar("variable", default=None)
    local = threading.local()
    def work(i):
        assert variable.get() is None
        assert not hasattr(local, "x")
        assert decimal.getcontext().prec == 28
        variable.set([i])
        local.x = i
        decimal.getcontext().prec = 5
        time.sleep(0)
        assert variable.get() == [i] and local.x == i
        assert decimal.getcontext().prec == 5
    for round in range(20):
        for coroutine in [coev.spawn(work, i) for i in range(10)]:
            coroutine.result()
        gc.collect()
    print("ok")
    """)


# --- everything at once ------------------------------------------------------------------------

WORKLOAD = """
import random
seconds = float(sys.argv[1])
end = time.monotonic() + seconds
lock, condition, items = threading.Lock(), threading.Condition(), queue.Queue(5)
simple = queue.SimpleQueue()
local = threading.local()
failures = []
def guarded(function):
    def run():
        try:
            while time.monotonic() < end:
                function()
        except coev.CoroutineExit:
            raise
        except BaseException as error:
            failures.append(error)
            raise
    return run
def use_lock():
    with lock:
        time.sleep(0)
def use_condition():
    with condition:
        condition.notify_all()
        condition.wait(0.001)
def use_queue():
    try:
        items.put(random.random(), timeout=0.001)
        items.get(timeout=0.001)
    except (queue.Full, queue.Empty):
        pass
def use_simple():
    simple.put([1])
    simple.get(timeout=1)
def use_sockets():
    a, b = socket.socketpair()
    with a, b:
        thread = start(b.sendall, bytes(300_000))
        left = 300_000
        while left:
            left -= len(a.recv(65536))
        thread.join()
def use_local():
    local.x = random.random()
    x = local.x
    coev.yield_now()
    assert x == local.x
def use_kill():
    victims = [coev.spawn(time.sleep, 9), coev.spawn(lock.acquire, timeout=0)]
    victims.append(coev.spawn(items.get))
    coev.yield_now()
    for victim in victims:
        victim.kill()
    if victims[1].exception() is None and victims[1].result():
        lock.release()
    for victim in victims:
        victim.exception()
def use_errors():
    try:
        raise ValueError
    except ValueError:
        time.sleep(0)
        try:
            {}["x"]
        except KeyError as error:
            assert isinstance(error.__context__, ValueError)
def use_timeouts():
    try:
        with coev.timeout(0.0005):
            threading.Event().wait()
    except TimeoutError:
        pass
def use_offload():
    assert coev.offload(sum, range(10)) == 45
def use_tcp():
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = start(lambda: socket.create_connection(server.getsockname()).close())
        server.accept()[0].close()
        thread.join()
def use_gc():
    gc.collect()
    time.sleep(0.01)
jobs = [value for name, value in list(globals().items()) if name.startswith("use_")]
threads = [threading.Thread(target=guarded(job)) for job in jobs for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failures, failures
print("ok")
"""


@pytest.mark.parametrize(
    ("flags", "env", "prologue"),
    [
        ((), {}, ""),
        (("-X", "dev"), {}, "import warnings; warnings.simplefilter('ignore', ResourceWarning)"),
        ((), {"PYTHONMALLOC": "debug"}, ""),
        ((), {}, "tracemalloc.start(5)"),
        ((), {}, "gc.set_threshold(20, 2, 2)"),
        ((), {}, "sys.setswitchinterval(1e-6)"),
        ((), {}, "threading.settrace(lambda *a: None); threading.setprofile(lambda *a: None)"),
    ],
    ids=["plain", "dev_mode", "debug_malloc", "tracemalloc", "much_gc", "short_turns", "traced"],
)
def test_mixed_workload_with(flags, env, prologue):
    text = PRELUDE + prologue + "\n" + dedent(WORKLOAD)
    timeout = 60 + STRESS_SECONDS
    check_script(text, STRESS_SECONDS, flags=flags, env=env, expect="ok", timeout=timeout)


# --- on a stack that somebody else has borrowed ------------------------------------------


@pytest.mark.parametrize(
    ("kind", "wait"),
    [
        ("threading.Condition()", "lock.wait()"),
        ("threading.Condition(threading.Lock())", "lock.wait()"),
        ("coev.Condition()", "lock.wait()"),
        ("queue.Queue()", "lock.get()"),
    ],
)
def test_timeouts_of_others_run_out_while_a_lock_is_taken_back_with_an_exception(kind, wait):
    check(
        f"""
    lock = {kind}
    mutex = getattr(lock, "mutex", lock)
    class Thrown(Exception):
        pass
    def waiting():
        try:
            if mutex is lock:
                with lock:
                    {wait}
            else:
                {wait}
        except Thrown as error:
            return error.args
    def holding():
        with mutex:
            waiter.throw(Thrown("kept"))
            time.sleep(0.2)
    def scoped():
        try:
            with coev.timeout(0.02):
                time.sleep(1)
        except TimeoutError as error:
            return str(error)
    waiter = coev.spawn(waiting)
    coev.yield_now()
    scopes = [coev.spawn(scoped) for _ in range(3)]
    coev.yield_now()
    coev.spawn(holding)
    assert waiter.result(5) == ("kept",)
    assert [scope.result(5) for scope in scopes] == ["timed out"] * 3
    print("ok")
    """
    )


def test_a_timeout_runs_out_while_the_loop_runs_at_the_limit_of_recursion():
    check("""
    def deep():
        try:
            return deep()
        except RecursionError:
            time.sleep(0.1)  # the loop runs here
            return "deep"
    def scoped():
        try:
            with coev.timeout(0.02):
                time.sleep(1)
        except TimeoutError:
            return "timed out"
    scope = coev.spawn(scoped)
    coev.yield_now()
    assert coev.spawn(deep).result() == "deep"
    assert scope.result(5) == "timed out"
    print("ok")
    """)


# --- what is posted to an OS thread that does something else -----------------------------


def test_closed_descriptors_leave_nothing_with_an_idle_pool_thread():
    check("""
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4
    def close_many():
        for _ in range(20_000):
            left, right = socket.socketpair()
            left.close()
            right.close()
    coev.offload(time.sleep, 0.001)  # now that thread has a scheduler
    close_many()
    before = resident()
    close_many()
    assert resident() - before < 1500, resident() - before
    print("ok")
    """)


def test_wakers_and_exceptions_for_a_busy_os_thread_leave_nothing():
    check("""
    libc = ctypes.CDLL(None)
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4
    found = []
    def busy():
        found.append(coev.current())
        libc.usleep(1_500_000)
        time.sleep(0.001)
        return "done"
    job = coev.spawn(coev.offload, busy)
    while not found:
        time.sleep(0.001)
    target = found[0]
    before = resident()
    for _ in range(100_000):
        error = KeyError()
        target._postpone(error)
        target._withdraw(error)
    assert resident() - before < 1500, resident() - before
    assert job.result(20) == "done"
    print("ok")
    """)


# --- signals ------------------------------------------------------------------------------


@pytest.mark.parametrize("interval", [0.0005, 0.002, 0.005])
def test_sleeps_end_beside_a_computing_thread_and_frequent_signals(interval):
    check(
        """
    import select
    def spin():
        while True:
            pass
    start(spin)
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, float(sys.argv[1]), float(sys.argv[1]))
    left, right = socket.socketpair()
    left.settimeout(0.01)
    begin = time.monotonic()
    for _ in range(10):
        time.sleep(0.01)
        assert not threading.Event().wait(0.01)
        assert not select.select([left], [], [], 0.01)[0]
        try:
            left.recv(1)
        except TimeoutError:
            pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert time.monotonic() - begin < 8, time.monotonic() - begin
    print("ok", flush=True)
    os._exit(0)
    """,
        interval,
    )


# --- Python code of ours between two instructions -----------------------------------------


@pytest.mark.parametrize("name", ["_settle", "__exit__", "spawn", "_run", "_fail", "_kill_all"])
def test_a_task_group_may_give_way_between_any_two_instructions(name):
    check(
        """
    def tracer(frame, event, arg):
        if frame.f_code.co_name == sys.argv[1] and "_task_group" in frame.f_code.co_filename:
            frame.f_trace_opcodes = True
            if event == "opcode":
                try:
                    coev.yield_now()
                except BaseException as error:  # who is preempted gets it where it waits next
                    coev.current()._postpone(error)
            return tracer
    def work(turns, fails):
        for _ in range(turns):
            coev.yield_now()
        if fails:
            raise KeyError(turns)
    def run(k, failing):
        try:
            with coev.TaskGroup() as group:
                sys.settrace(tracer)
                for i in range(3):
                    group.spawn(work, k + 7 * i, i == failing)
        except ExceptionGroup as error:
            return repr(error.exceptions[0])[:8]
        finally:
            sys.settrace(None)
        return "ended"
    for k in range(25):
        assert run(k, None) == "ended", k
        assert run(k, 1) == "KeyError", k
    assert len(coev.coroutines()) == 1
    print("ok")
    """,
        name,
    )


@pytest.mark.parametrize("name", ["_settle", "_block_raised", "_kill_all"])
def test_a_task_group_ends_its_coroutines_wherever_a_signal_handler_raises(name):
    check(
        """
    class Stop(BaseException):
        pass
    countdown = None
    def tracer(frame, event, arg):
        global countdown
        if frame.f_code.co_name == sys.argv[1] and "_task_group" in frame.f_code.co_filename:
            frame.f_trace_opcodes = True
            if event == "opcode" and countdown is not None:
                countdown -= 1
                if countdown == 0:
                    countdown = None
                    raise Stop
            return tracer
    for step in range(1, 60):
        countdown = step
        try:
            with coev.TaskGroup() as group:
                children = [group.spawn(time.sleep, 0.002) for _ in range(2)]
                sys.settrace(tracer)
                if sys.argv[1] != "_settle":
                    raise KeyError
        except* Stop:
            pass
        except* KeyError:
            pass
        finally:
            sys.settrace(None)
        assert all(child.done for child in children), step
    print("ok")
    """,
        name,
    )


def test_no_memory_in_a_pool_thread_is_a_memory_error():
    check("""
    try:
        import _testcapi
    except ImportError:
        print("ok")
        sys.exit()
    coev.offload(int)
    seen = set()
    for start_at in range(60):
        try:
            _testcapi.set_nomemory(start_at, start_at + 1)
            try:
                result = coev.offload(len, "abc")
            finally:
                _testcapi.remove_mem_hooks()
        except (MemoryError, RuntimeError) as error:
            result = type(error).__name__
        seen.add(result)
    assert 3 in seen and seen <= {3, "MemoryError", "RuntimeError"}, seen
    assert coev.offload(len, "abcd") == 4
    print("ok")
    """)
