"""A storm: kills, throws, timeouts, signals, forks and native threads on checked data.

    python storm.py SECONDS [SEED]

COEV_STORM_SIGNALS is the number of signals a second: 2,000, which want a core of their own.

Each worker checks what it can: bytes come in order and whole, a lock lets in one, a queue
gives each item once, a child of a fork works and ends. The storm throws into any of them at
any time; one that was hit ends and another takes its place. At the end nothing may be left.
"""

import threading
import time

native_job = None
native_stop = False


def native():
    while not native_stop:
        native_job() if native_job else time.sleep(0.01)


native_threads = [threading.Thread(target=native, daemon=True) for _ in range(4)]
for native_thread in native_threads:
    native_thread.start()

import warnings  # noqa: E402

warnings.simplefilter("ignore")  # of native threads, and of forks among them

import coev.monkey  # noqa: E402, I001
import collections  # noqa: E402
import faulthandler  # noqa: E402
import os  # noqa: E402
import queue  # noqa: E402
import random  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
import traceback  # noqa: E402

import coev  # noqa: E402

SECONDS = float(sys.argv[1])
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**32)
SIGNALS_A_SECOND = int(os.environ.get("COEV_STORM_SIGNALS", "2000"))
chance = random.Random(SEED)
counts = collections.Counter()
faults = []
stopping = False


class Thrown(Exception):
    """What the storm throws."""


HITS = (Thrown, TimeoutError, coev.CoroutineExit)


def pattern(start, size):
    return bytes((start + i) % 251 for i in range(size))


# --- workers: each runs until it is hit --------------------------------------------------


def bytes_through_a_socket():
    left, right = socket.socketpair()
    with left, right:
        sent = 0

        def send():
            nonlocal sent
            while True:
                data = pattern(sent, chance.randrange(1, 9000))
                try:
                    left.sendall(data)
                except OSError:  # the receiver was hit, and has closed both
                    return
                sent += len(data)

        received = 0
        sender = coev.spawn(run, send)
        try:
            while True:
                data = right.recv(chance.randrange(1, 9000))
                if data != pattern(received, len(data)):
                    faults.append(f"bytes after {received} are wrong")
                received += len(data)
                counts["bytes"] += len(data)
        finally:
            sender.kill()


mutexes = [threading.Lock(), threading.RLock(), threading.Condition()]
inside = [0, 0, 0]


def exclusion():
    while True:
        i = chance.randrange(3)
        with mutexes[i]:
            inside[i] += 1
            try:
                if inside[i] != 1:
                    faults.append(f"{inside[i]} are inside {mutexes[i]}")
                if chance.random() < 0.3:
                    time.sleep(0.0001)
                counts["sections"] += 1
            finally:
                inside[i] -= 1


items = queue.Queue(8)
numbers = iter(range(10**12))
taken = set()


def put():
    while True:
        items.put(next(numbers))


def get():
    while True:
        number = items.get()
        if number in taken:
            faults.append(f"item {number} came twice")
        taken.add(number)
        counts["items"] += 1
        if len(taken) > 100_000:
            taken.clear()


def timeouts():
    while True:
        begin = time.monotonic()
        try:
            with coev.timeout(0.005) as scope:
                threading.Event().wait(60)
            faults.append("a timeout scope was left without an error")
        except TimeoutError as error:
            if getattr(error, "scope", None) is not scope:
                raise
        if time.monotonic() - begin > 20:
            faults.append("a timeout came after more than 20 s")
        counts["timeouts"] += 1


def threads_and_joins():
    while True:
        gate = threading.Event()
        thread = threading.Thread(target=gate.wait, daemon=True)
        joiners = []
        try:
            thread.start()
            joiners += coev.spawn(thread.join), coev.spawn(thread.join, 5)
            coev.yield_now()
        finally:
            gate.set()
        thread.join()
        for joiner in joiners:
            if joiner.exception() is not None:
                faults.append(f"join() raised {joiner.exception()!r}")
        if thread.is_alive():
            faults.append("a joined thread is alive")
        counts["joins"] += 1


def groups():
    while True:
        children = []
        try:
            with coev.TaskGroup() as group:
                for _ in range(3):
                    children.append(group.spawn(time.sleep, chance.random() * 0.003))
        finally:
            if not all(child.done for child in children):
                faults.append("a TaskGroup left a coroutine behind")
        counts["groups"] += 1


def offloaded():
    while True:
        if coev.offload(sum, [1, 2, 3]) != 6:
            faults.append("offload() gave another result")
        counts["offloads"] += 1
        time.sleep(0.002)


WORKERS = (
    (bytes_through_a_socket, 4),
    (exclusion, 12),
    (put, 4),
    (get, 4),
    (timeouts, 6),
    (threads_and_joins, 4),
    (groups, 4),
    (offloaded, 2),
)


def run(worker):
    try:
        worker()
    except HITS:
        counts["hits"] += 1
    except BaseExceptionGroup as group:
        counts["hits"] += 1
        if group.split(HITS)[1] is not None:
            faults.append(f"{worker.__name__}: {traceback.format_exc()}")
    except BaseException:
        faults.append(f"{worker.__name__}: {traceback.format_exc()}")


# --- what strikes ------------------------------------------------------------------------


def native_work():
    lock = mutexes[0]
    for _ in range(10):
        if not lock.acquire(timeout=20):
            faults.append("a native thread waited for 20 s for a lock")
            return
        inside[0] += 1
        if inside[0] != 1:
            faults.append("a native thread was inside with others")
        inside[0] -= 1
        lock.release()
        counts["native sections"] += 1
    time.sleep(0.001)


def fork():
    pid = os.fork()
    if pid == 0:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.alarm(20)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        try:
            done = [coev.spawn(int, i).result() for i in range(3)]
            thread = threading.Thread(target=time.sleep, args=(0.001,))
            thread.start()
            thread.join()
            os._exit(0 if done == [0, 1, 2] and not thread.is_alive() else 3)
        finally:
            os._exit(4)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status != 0:
        faults.append(f"a child ended with {status}")
    counts["forks"] += 1


def strike(crew):
    name, index = chance.choice(list(crew))
    target = crew[name, index]
    if target.done or not target.started:  # one that has not begun cannot deal with it
        return
    if chance.random() < 0.5:
        target.kill()
    else:
        target.throw(Thrown())
    counts["strikes"] += 1


def count_signal(*_):
    counts["signals"] += 1


def storm():
    crew = {}
    end = time.monotonic() + SECONDS
    next_fork = time.monotonic() + 0.5
    while time.monotonic() < end and not faults:
        for worker, number in WORKERS:
            for index in range(number):
                if (worker, index) not in crew or crew[worker, index].done:
                    crew[worker, index] = coev.spawn(run, worker)
        strike(crew)
        time.sleep(chance.random() * 0.004)
        if time.monotonic() > next_fork:
            fork()
            next_fork = time.monotonic() + 0.5
    for coroutine in crew.values():
        coroutine.kill()
    for (worker, _), coroutine in crew.items():
        try:
            coroutine.join(10)
        except TimeoutError:
            faults.append(f"{worker.__name__} does not end: {''.join(coroutine.stack().format())}")


def main():
    faulthandler.dump_traceback_later(SECONDS + 90, exit=True)
    global native_job, native_stop
    native_job = native_work
    signal.signal(signal.SIGALRM, count_signal)
    signal.setitimer(signal.ITIMER_REAL, 1 / SIGNALS_A_SECOND, 1 / SIGNALS_A_SECOND)
    storm()
    signal.setitimer(signal.ITIMER_REAL, 0)
    native_stop = True
    for mutex in mutexes:
        if not mutex.acquire(timeout=20):
            faults.append(f"{mutex} was never given back")
        else:
            mutex.release()
    for thread in native_threads:
        thread.join(20)
    deadline = time.monotonic() + 20
    while len(coev.coroutines()) > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    left = [each for each in coev.coroutines() if each is not coev.main()]
    if left:
        faults.append(f"left behind: {left}")
    print(f"seed {SEED}:", dict(counts), flush=True)
    for fault in faults[:5]:
        print(fault, flush=True)
    os._exit(1 if faults else 0)


main()
