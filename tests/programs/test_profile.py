"""cProfile counts what its thread does, also where that waits."""

import json
import pstats
import sys

import pytest
from run_script import describe

WORK = """
import queue
import threading
import time


def wait():
    time.sleep(0.02)


def count(n):
    wait()
    return n if n < 2 else count(n - 1) + count(n - 2)


def numbers():
    for n in range(5):
        wait()
        yield n


def key(n):
    wait()
    return -n


def put(items):
    for n in numbers():
        items.put(n)


def take(items):
    return items.get()


def work():
    items = queue.Queue()
    thread = threading.Thread(target=put, args=(items,))
    thread.start()
    taken = [take(items) for n in range(5)]
    assert sorted(taken, key=key) == [4, 3, 2, 1, 0]
    assert count(4) == 3
    thread.join()
"""

THREADS = """
import cProfile
import json
import pstats
import threading
from work import work


def profiled(number):
    profile = cProfile.Profile()
    profile.runcall(work)
    stats = pstats.Stats(profile).stats
    counts[number] = {
        key[2]: value[:2] for key, value in stats.items() if key[0].endswith("work.py")
    }


counts = [None] * 6
threads = [threading.Thread(target=profiled, args=(n,)) for n in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(counts))
"""

# What coev puts into the place of these has the same names, and does the same calls.
ELSEWHERE = {"get", "put", "<built-in method time.sleep>", "<built-in method builtins.sorted>"}


def calls_of(runner, name, start, *arguments):
    done = runner.finish(start("cProfile", "-o", name, *arguments))
    assert done.returncode == 0, describe(done)
    stats = pstats.Stats(str(runner.folder / name)).stats
    calls = {key[2]: value for key, value in stats.items() if key[0].endswith("work.py")}
    for (path, _, name), value in stats.items():
        if name in ELSEWHERE and path.endswith(("queue.py", "threading.py", "~")):
            calls[name] = value
    return calls


def counts_of(profile):
    """Return what does not depend on who runs when.

    From 3.12 on all threads are seen as one stack of calls, and which of them look
    recursive depends on that, natively too: only the number of all calls does not.
    """
    end = 2 if sys.version_info < (3, 12) else 1
    return {name: [value[1], value[0]][:end] for name, value in profile.items()}


def test_calls_are_counted_as_natively(runner):
    runner.write("work.py", WORK + "\nwork()\n")
    natively = calls_of(runner, "native", lambda *a: runner.start("-m", *a), "work.py")
    as_coroutines = calls_of(runner, "coev", runner.start_module, "work.py")
    runner.check_ticks()
    counts = counts_of(natively)
    assert counts_of(as_coroutines) == counts
    assert [counts[name][0] for name in ("take", "count", "key", "get")] == [5, 9, 5, 5], counts
    for profile in (natively, as_coroutines):
        assert profile["take"][3] < 2, profile  # cumulative, and not what others waited


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="there is one profiler for all threads")
def test_threads_that_profile_themselves_count_what_they_do(runner):
    runner.write("work.py", WORK)
    program = runner.write("program.py", THREADS)
    natively = runner.run(program)
    assert natively.returncode == 0, describe(natively)
    counts = json.loads(natively.stdout)
    program.write_text("import ticker\n" + THREADS)
    as_coroutines = runner.run("-m", "coev", program)
    assert as_coroutines.returncode == 0, describe(as_coroutines)
    runner.check_ticks()
    assert counts and json.loads(as_coroutines.stdout) == counts
