"""Greenlets run in several coroutines, each of which has its own, as a thread has."""

import pytest
from run_script import check_script

pytest.importorskip("greenlet")

PRELUDE = """
import coev.monkey
import coev, greenlet, threading, time
"""


def test_greenlets_of_several_threads_do_not_mix():
    check_script(
        PRELUDE
        + """
def work(n, out):
    main = greenlet.getcurrent()
    def inner(x):
        assert greenlet.getcurrent().parent is main
        y = main.switch(x * 2)
        time.sleep(0.001)
        return y + 1
    for _ in range(20):
        g = greenlet.greenlet(inner)
        a = g.switch(n)
        time.sleep(0.001)
        assert g.switch(a) == 2 * n + 1
        assert greenlet.getcurrent() is main
    out.append(n)

for _ in range(3):  # the second time on the same stacks
    out = []
    threads = [threading.Thread(target=work, args=(i, out)) for i in range(20)]
    for thread in threads:
        thread.start()
    work(99, out)
    for thread in threads:
        thread.join()
    assert sorted(out) == [*range(20), 99], out
print("ok")
""",
        expect="ok",
    )


def test_greenlets_wait_inside_of_one_another():
    check_script(
        PRELUDE
        + """
def deep(n):
    if n == 0:
        time.sleep(0.002)
        return 0
    return greenlet.greenlet(deep).switch(n - 1) + 1

coroutines = [coev.spawn(deep, n) for n in range(40)]
assert [c.result() for c in coroutines] == list(range(40))
print("ok")
""",
        expect="ok",
    )


def test_a_greenlet_of_another_coroutine_is_refused():
    check_script(
        PRELUDE
        + """
ready, done = threading.Event(), threading.Event()
def other():
    global theirs
    theirs = greenlet.greenlet(lambda: greenlet.getcurrent().parent.switch())
    theirs.switch()
    ready.set()
    done.wait()
thread = threading.Thread(target=other)
thread.start()
ready.wait()
greenlet.getcurrent()
try:
    theirs.switch()
except greenlet.error as error:
    assert "thread" in str(error), error
else:
    raise AssertionError
done.set()
thread.join()
print("ok")
""",
        expect="ok",
    )


def test_killed_and_unfinished_greenlets_are_no_crash():
    check_script(
        PRELUDE
        + """
import gc
def unfinished():
    g = greenlet.greenlet(lambda: greenlet.getcurrent().parent.switch(g))
    g.switch()
    if len(kept) < 5:
        kept.append(g)
    time.sleep(9)

kept = []
for _ in range(3):
    coroutines = [coev.spawn(unfinished) for _ in range(10)]
    time.sleep(0.005)
    for coroutine in coroutines:
        coroutine.kill()
        coroutine.join()
    gc.collect()
kept.clear()
gc.collect()
print("ok")
""",
        expect="ok",
    )


def test_greenlets_of_native_threads_and_of_coroutines_live_side_by_side():
    check_script(
        PRELUDE
        + """
def work():
    total = 0
    g = greenlet.greenlet(lambda x: [greenlet.getcurrent().parent.switch(x) for _ in range(3)])
    total += g.switch(1)
    time.sleep(0.001)
    return total

natively = [coev.spawn(coev.offload, work) for _ in range(5)]
mine = [coev.spawn(work) for _ in range(5)]
assert [c.result() for c in natively + mine] == [1] * 10
print("ok")
""",
        expect="ok",
    )
