"""Threads of the operating system beside coroutines: the same locks, queues and events."""

from textwrap import dedent

import pytest
from run_script import STRESS_SECONDS, check_script

# Threads that were started before the import stay the operating system's. They wait
# for `jobs`, which _thread alone could not give them cooperatively.
PRELUDE = """
import _thread, time
jobs, go = [], []
def native_thread(number):
    while len(jobs) <= number:
        time.sleep(0.001)
    try:
        jobs[number]()
    except BaseException as error:
        failures.append(repr(error))
    ended.append(number)
failures, ended = [], []
NATIVE = 4
for number in range(NATIVE):
    _thread.start_new_thread(native_thread, (number,))

import coev.monkey
import coev, queue, random, socket, sys, threading, traceback

def start(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread

def run_natively(*functions):
    jobs.extend(functions)

def finish():
    jobs.extend([lambda: None] * (NATIVE - len(jobs)))
    end = time.monotonic() + 10
    while len(ended) < NATIVE and time.monotonic() < end:
        time.sleep(0.001)
    assert len(ended) == NATIVE, ended
    assert not failures, failures
    print("ok")
"""


def check(text, *args, **options):
    return check_script(PRELUDE + dedent(text), *args, expect="ok", **options)


def test_lock_held_by_an_os_thread_is_waited_for_without_stopping_others():
    check("""
    lock, held = threading.Lock(), threading.Event()
    def hold():
        with lock:
            held.set()
            time.sleep(0.05)
    run_natively(hold)
    held.wait()
    ticks = []
    def tick():
        while True:
            ticks.append(1)
            time.sleep(0.001)
    start(tick)
    with lock:
        assert len(ticks) > 10, len(ticks)
    finish()
    """)


def test_event_of_a_coroutine_wakes_an_os_thread_and_the_other_way_round():
    check("""
    ping, pong = threading.Event(), threading.Event()
    def native():
        assert ping.wait(5)
        time.sleep(0.01)
        pong.set()
    run_natively(native)
    time.sleep(0.01)
    ping.set()
    assert pong.wait(5)
    finish()
    """)


def test_os_thread_can_run_coroutines_of_its_own():
    check("""
    results = []
    def native():
        coroutines = [coev.spawn(lambda i=i: time.sleep(0.001) or i) for i in range(5)]
        results.append([c.result() for c in coroutines])
        thread = start(results.append, "thread")
        thread.join()
    run_natively(native, native, native, native)
    coev.spawn(time.sleep, 0.01).join()
    finish()
    assert results.count([0, 1, 2, 3, 4]) == 4 and results.count("thread") == 4, results
    """)


def test_coroutine_of_another_os_thread_can_be_joined_killed_and_thrown_into():
    check("""
    shared = queue.SimpleQueue()
    def native():
        victims = [coev.spawn(time.sleep, 9) for _ in range(2)]
        victims.append(coev.spawn(lambda: time.sleep(0.02) or 7))
        time.sleep(0.001)
        shared.put(victims)
        for victim in victims:
            victim.exception()
    run_natively(native)
    sleeper, thrown, worker = shared.get(timeout=5)
    sleeper.kill()
    thrown.throw(ValueError("from afar"))
    assert isinstance(sleeper.exception(5), coev.CoroutineExit)
    assert isinstance(thrown.exception(5), ValueError)
    assert worker.result(5) == 7
    try:
        coev.switch(coev.current())
    except RuntimeError:
        pass
    finish()
    """)


@pytest.mark.parametrize("interval", ["0.005", "0.000001"])
def test_os_threads_and_coroutines_share_everything_under_stress(interval):
    check(
        """
    seconds, interval = map(float, sys.argv[1:])
    sys.setswitchinterval(interval)
    end = time.monotonic() + seconds
    lock, rlock = threading.Lock(), threading.RLock()
    condition = threading.Condition()
    semaphore = threading.Semaphore(3)
    bounded, simple = queue.Queue(3), queue.SimpleQueue()
    inside = {"lock": 0, "rlock": 0}
    produced, consumed = [], []
    work = [0]
    class Section:
        def __init__(self, name):
            self.name = name
        def __enter__(self):
            inside[self.name] += 1
            assert inside[self.name] == 1, self.name
        def __exit__(self, *exc):
            inside[self.name] -= 1
    def step(r):
        choice = r.randrange(8)
        if choice == 0:
            if lock.acquire(timeout=r.choice([-1, 0, 0.0001, 0.01])):
                try:
                    with Section("lock"):
                        if r.random() < 0.3:
                            time.sleep(r.choice([0, 0.0001]))
                finally:
                    lock.release()
        elif choice == 1:
            if rlock.acquire(timeout=r.choice([0, 0.0001, 0.01])):
                try:
                    with rlock, Section("rlock"):
                        time.sleep(0)
                finally:
                    rlock.release()
        elif choice == 2:
            with condition:
                condition.wait(r.choice([0.0001, 0.001]))
        elif choice == 3:
            with condition:
                condition.notify(r.randrange(3))
        elif choice == 4:
            if semaphore.acquire(timeout=0.001):
                try:
                    time.sleep(0)
                finally:
                    semaphore.release()
        elif choice == 5:
            item = object()
            try:
                bounded.put(item, timeout=0.001)
                produced.append(item)
            except queue.Full:
                pass
        elif choice == 6:
            try:
                consumed.append(bounded.get(timeout=0.001))
            except queue.Empty:
                pass
        else:
            item = object()
            produced.append(item)
            simple.put(item)
            try:
                consumed.append(simple.get(timeout=r.choice([0.0001, 0.01])))
            except queue.Empty:
                pass
        work[0] += 1
    def loop(seed):
        r = random.Random(seed)
        while time.monotonic() < end:
            step(r)
    def native(seed):
        def run():
            mine = [coev.spawn(loop, f"{seed} {i}") for i in range(3)]
            loop(seed)
            for coroutine in mine:
                coroutine.result(10)
        return run
    def killer():
        r = random.Random(99)
        gate, waits = threading.Lock(), queue.SimpleQueue()
        gate.acquire()
        while time.monotonic() < end:
            victims = [coev.spawn(r.choice([gate.acquire, waits.get, lambda: time.sleep(9)]))
                       for _ in range(3)]
            time.sleep(0)
            for victim in victims:
                victim.kill()
            for victim in victims:
                assert isinstance(victim.exception(), coev.CoroutineExit)
    run_natively(*[native(i) for i in range(NATIVE)])
    coroutines = [coev.spawn(loop, -i) for i in range(1, 9)] + [coev.spawn(killer)]
    for coroutine in coroutines:
        coroutine.result(20 + seconds)
    while len(ended) < NATIVE:
        time.sleep(0.001)
    for q in (bounded, simple):
        while not q.empty():
            consumed.append(q.get())
    assert len(produced) == len(consumed) == len(set(consumed)), (len(produced), len(consumed))
    assert set(produced) == set(consumed)
    assert not lock.locked() and lock.acquire(timeout=1) and rlock.acquire(timeout=1)
    assert work[0] > 200, work
    finish()
    """,
        STRESS_SECONDS,
        interval,
        timeout=60 + STRESS_SECONDS,
    )


# Thread states are swapped by coev, or by CPython where coev cannot.
swaps = pytest.mark.parametrize("by_gil", ["0", "1"], ids=["swap-by-coev", "swap-by-cpython"])


@swaps
@pytest.mark.realtime
def test_os_thread_gets_the_gil_while_coroutines_switch_among_themselves(by_gil):
    check(
        """
    turns, stop = [0], []
    def native():
        while not stop:
            turns[0] += 1
            end = time.perf_counter() + 0.00005
            while time.perf_counter() < end:
                pass
            coev.yield_now()
    def switcher():
        while not stop:
            end = time.perf_counter() + 0.0002
            while time.perf_counter() < end:
                pass
            coev.yield_now()
    run_natively(native)
    while not turns[0]:
        time.sleep(0.001)
    coroutines = [coev.spawn(switcher) for _ in range(3)]
    time.sleep(0.1)
    before = turns[0]
    coev.sleep(1)
    got = turns[0] - before
    stop.append(1)
    for coroutine in coroutines:
        coroutine.join()
    assert got >= 100, got
    finish()
    """,
        env={"COEV_SWAP_BY_GIL": by_gil},
    )


@swaps
def test_requests_for_the_gil_end_with_those_who_made_them(by_gil):
    # Each OS thread asks whoever runs to give up the GIL, and after that wants it no
    # more: a coroutine that kept such a request would wait for a taker for ever.
    check(
        """
    seconds = float(sys.argv[1])
    sys.setswitchinterval(1e-4)
    stop, turns = [], [0]
    def native():
        while not stop:
            end = time.perf_counter() + random.random() * 3e-4
            while time.perf_counter() < end:
                pass
            time.sleep(random.random() * 1e-3)
    def computer():
        while not stop:
            end = time.perf_counter() + random.random() * 2e-4
            while time.perf_counter() < end:
                pass
            turns[0] += 1
            random.choice((coev.yield_now, lambda: time.sleep(1e-4), lambda: None))()
    run_natively(*[native] * NATIVE)
    coroutines = [coev.spawn(computer) for _ in range(5)]
    coev.sleep(seconds)
    stop.append(1)
    while len(ended) < NATIVE:  # now nobody is left who would take the GIL
        time.sleep(0.001)
    for coroutine in coroutines:
        coroutine.join()
    for _ in range(1000):
        coev.spawn(time.sleep, 0).join()
    assert turns[0] > 50, turns
    finish()
    """,
        STRESS_SECONDS,
        env={"COEV_SWAP_BY_GIL": by_gil},
        timeout=30 + STRESS_SECONDS,
    )


@swaps
def test_call_that_an_os_thread_adds_runs_while_coroutines_switch_and_main_waits(by_gil):
    check(
        """
    import ctypes
    from coev._coev import _on_main_os_thread
    called = []
    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
    def call(_):
        called.append(_on_main_os_thread())
        return 0
    def native():
        for count in range(1, 101):
            while ctypes.pythonapi.Py_AddPendingCall(call, None) != 0:
                time.sleep(0.001)
            end = time.monotonic() + 5
            while len(called) < count and time.monotonic() < end:
                time.sleep(0.0001)
    run_natively(native)
    def switch():
        while not ended:
            coev.yield_now()
    for coroutine in [coev.spawn(switch) for _ in range(2)]:
        coroutine.join()
    assert called == [True] * 100, called
    finish()
    """,
        env={"COEV_SWAP_BY_GIL": by_gil},
    )


@pytest.mark.realtime
def test_os_threads_run_while_a_socket_lingers_in_close():
    check("""
    turns, stop = [0], []
    def native():
        while not stop:
            turns[0] += 1
            time.sleep(0.001)
    run_natively(native)
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    connection = listener.accept()[0]  # which nobody reads
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\\1\\0\\0\\0\\1\\0\\0\\0")
    client.setblocking(False)
    try:
        while True:
            client.send(bytes(1 << 20))
    except BlockingIOError:
        pass
    before, begin = turns[0], time.monotonic()
    client.close()
    passed, turned = time.monotonic() - begin, turns[0] - before
    assert passed > 0.5 and turned > 50, (passed, turned)
    stop.append(1)
    connection.close()
    listener.close()
    finish()
    """)


def test_coev_swaps_thread_states_without_the_gil_on_every_os_thread():
    check("""
    from coev._coev import _swaps_by_gil
    seen = []
    def native():
        coev.yield_now()  # has a scheduler from here on
        seen.append(_swaps_by_gil())
    run_natively(*[native] * NATIVE)
    while len(ended) < NATIVE:
        time.sleep(0.001)
    assert seen + [_swaps_by_gil()] == [False] * (NATIVE + 1), seen
    finish()
    """)


@pytest.mark.realtime
def test_coroutines_get_on_while_an_os_thread_computes():
    check("""
    stop, turns = [], 0
    def native():
        while not stop:
            sum(range(1000))
    run_natively(native)
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        time.sleep(0.001)
        turns += 1
    stop.append(1)
    assert turns >= 20, turns  # the GIL changes hands every 5 ms
    finish()
    """)


def test_offload_threads_use_the_same_locks_and_queues():
    check("""
    lock, items = threading.Lock(), queue.SimpleQueue()
    total = [0]
    def native(n):
        for _ in range(n):
            with lock:
                seen = total[0]
                time.sleep(0)
                total[0] = seen + 1
        items.put(threading.get_native_id())
    coroutines = [coev.spawn(coev.offload, native, 100) for _ in range(4)]
    coroutines += [coev.spawn(native, 100) for _ in range(4)]
    for coroutine in coroutines:
        coroutine.result()
    assert total == [800], total
    ids = {items.get() for _ in range(8)}
    assert len(ids) >= 2, ids
    finish()
    """)


def test_os_thread_that_ends_with_parked_coroutines_does_no_harm():
    check("""
    def native():
        for _ in range(5):
            coev.spawn(time.sleep, 9)
        lock = threading.Lock()
        lock.acquire()
        coev.spawn(lock.acquire)
        coev.yield_now()
    run_natively(native, native, native, native)
    for _ in range(20):
        time.sleep(0.001)
        coev.spawn(time.sleep, 0).join()
    finish()
    import gc
    gc.collect()
    """)
