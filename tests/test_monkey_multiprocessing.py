"""multiprocessing: as natively, and only the coroutine waits."""

import multiprocessing
import subprocess
import sys

import pytest
from run_script import ROOT, check_script, describe
from support_monkey import assert_clean_end, assert_same, scenarios

PREPARE = """
import coev.monkey
import coev, multiprocessing, os, support_os_threads, threading, time

mp = multiprocessing.get_context("fork")
held = mp.Lock()
held.acquire()
"""

WAITS = {
    "acquire": "threading.Timer(0.3, held.release).start(); held.acquire()",
    "get": "carried = mp.Queue(); threading.Timer(0.3, carried.put, (1,)).start(); carried.get()",
    "join": "process = mp.Process(target=time.sleep, args=(0.3,)); process.start(); process.join()",
    "recv": "reader, writer = mp.Pipe(); threading.Timer(0.3, writer.send, (1,)).start();"
    " reader.recv()",
    "map": "pool.map(time.sleep, [0.3])",
    "condition": "condition.acquire(); condition.wait(0.3)",
}

SPAWNED = """
{importing}
import multiprocessing, sys, threading

def work(carried, lock):
    with lock:
        carried.put(("coev.monkey" in sys.modules, threading.get_ident() > 0))

if __name__ == "__main__":
    mp = multiprocessing.get_context({method!r})
    carried, lock = mp.Queue(), mp.Lock()
    threads = []
    processes = [mp.Process(target=work, args=(carried, lock)) for _ in range(2)]
    for process in processes:
        process.start()
    print([carried.get() for _ in processes])
    for process in processes:
        process.join()
    with mp.Pool(2) as pool:
        print(pool.map(abs, [-1, -2, -3]))
    print([process.exitcode for process in processes])
    with mp.Manager() as manager:
        carried, lock = manager.Queue(), manager.Lock()
        process = mp.Process(target=work, args=(carried, lock))
        process.start()
        print(carried.get())
        process.join()
"""


@pytest.mark.parametrize("scenario", scenarios("multiprocess"))
def test_processes_work_together_as_natively(scenario):
    assert_same("multiprocess", scenario)


def test_processes_of_the_scenarios_end_well():
    assert_clean_end("multiprocess")


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_others_run_while_one_waits(wait):
    check_script(
        PREPARE
        + f"""
def tick():
    while running:
        began = time.monotonic()
        time.sleep(0.01)
        ticks.append(time.monotonic() - began)

condition = mp.Condition()
pool = mp.Pool(1)
running, ticks = True, []
ticker = threading.Thread(target=tick)
ticker.start()
{wait}
running = False
ticker.join()
pool.terminate()
assert len(ticks) > 15, len(ticks)
"""
    )


def test_given_up_acquire_takes_nothing_and_leaves_no_thread():
    check_script(
        PREPARE
        + """
waiting = [coev.spawn(held.acquire) for _ in range(5)]
time.sleep(0.05)
for waiter in waiting:
    waiter.kill()
for waiter in waiting:
    waiter.join()
try:
    with coev.timeout(0.05):
        held.acquire()
except TimeoutError:
    pass
else:
    raise AssertionError("the lock was held")
assert support_os_threads.are_left(1)
held.release()
time.sleep(0.05)
assert held.acquire(block=False)
"""
    )


def test_token_that_comes_as_the_wait_ends_is_not_lost():
    check_script(
        PREPARE
        + """
semaphore = mp.Semaphore(0)
taken = 0

def take(seconds):
    global taken
    try:
        with coev.timeout(seconds):
            if semaphore.acquire():
                taken += 1
    except TimeoutError:
        pass

def give():
    for i in range(200):
        semaphore.release()
        time.sleep(0.0002 * (i % 7))

giver = mp.Process(target=give)
giver.start()
while giver.is_alive():
    waiters = [coev.spawn(take, 0.0007 * (i + 1)) for i in range(4)]
    for waiter in waiters:
        waiter.join()
while semaphore.acquire(timeout=0.05):
    taken += 1
print(taken)
""",
        expect="200",
    )


def test_handler_runs_during_acquire_and_the_wait_goes_on():
    check_script(
        PREPARE
        + """
import signal
signal.signal(signal.SIGALRM, lambda *_: print("handled", flush=True))
threading.Timer(0.15, held.release).start()
signal.setitimer(signal.ITIMER_REAL, 0.05)
print(held.acquire())
""",
        expect="handled\nTrue",
    )


@pytest.mark.parametrize("method", [None, "spawn", "forkserver"])
@pytest.mark.parametrize(("importing", "patched"), [("import coev.monkey", True), ("", False)])
def test_fresh_process_is_patched_if_its_main_module_says_so(tmp_path, method, importing, patched):
    program = tmp_path / "program.py"
    program.write_text(SPAWNED.format(importing=importing, method=method))
    command = [sys.executable, str(program)]
    if not patched:  # the parent is, by the command line
        command[1:1] = ["-m", "coev"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0 and not done.stderr, describe(done)
    forked = method is None and multiprocessing.get_start_method() == "fork"
    child = (patched or forked, True)
    assert done.stdout == f"{[child, child]}\n[1, 2, 3]\n[0, 0]\n{child}\n"


def test_daemonic_process_ends_with_the_program():
    check_script(
        PREPARE
        + """
process = mp.Process(target=time.sleep, args=(30,), daemon=True)
process.start()
print(process.is_alive())
""",
        expect="True",
    )
