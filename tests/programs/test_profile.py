"""cProfile counts what its thread does, also where that waits."""

import pstats

from run_script import describe

PROGRAM = """
import queue
import threading
import time


def wait():
    time.sleep(0.05)


def put():
    for n in range(10):
        wait()
        items.put(n)


def take(items):
    return items.get()


items = queue.Queue()
thread = threading.Thread(target=put)
thread.start()
for n in range(10):
    take(items)
    wait()
thread.join()
"""


def calls_of(runner, name, start, *arguments):
    done = runner.finish(start("cProfile", "-o", name, *arguments))
    assert done.returncode == 0, describe(done)
    stats = pstats.Stats(str(runner.folder / name)).stats
    return {key[2]: value for key, value in stats.items() if key[0].endswith("work.py")}


def test_calls_are_counted_as_natively(runner):
    runner.write("work.py", PROGRAM)
    natively = calls_of(runner, "native", lambda *a: runner.start("-m", *a), "work.py")
    as_coroutines = calls_of(runner, "coev", runner.start_module, "work.py")
    runner.check_ticks()
    # The second number: from 3.12 on all threads are seen, as one stack of calls, and
    # which of them look recursive depends on who runs when, natively too.
    counts = {name: value[1] for name, value in natively.items()}
    assert {name: value[1] for name, value in as_coroutines.items()} == counts
    assert counts["take"] == 10
    for profile in (natively, as_coroutines):
        assert profile["take"][3] < 2, profile  # cumulative, and not what others waited
