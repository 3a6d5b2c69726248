"""queue.Queue: put() and get() in C where nothing is unusual, and as ever where it is."""

import sys

import pytest
from run_script import check_script


def check(body):
    check_script(
        "import coev.monkey\nimport coev, queue, signal, threading, time\n" + body, expect="ok"
    )


@pytest.mark.parametrize("made", ["queue.Queue()", "queue.Queue(3)", "Own()"])
def test_items_go_through_in_order(made):
    check(f"""
class Own(queue.Queue):
    def _put(self, item):
        self.queue.append((item,))
    def _get(self):
        return self.queue.popleft()[0]
items, got = {made}, []
def consume():
    while (item := items.get()) is not None:
        got.append(item)
        items.task_done()
    items.task_done()
thread = threading.Thread(target=consume)
thread.start()
for i in range(100):
    items.put(i)
items.put(None)
items.join()
thread.join()
assert got == list(range(100)) and items.unfinished_tasks == 0 and items.empty()
print("ok")
""")


def test_longest_waiter_gets_the_item():
    check("""
items, got = queue.Queue(), []
threads = [threading.Thread(target=lambda i=i: got.append((i, items.get()))) for i in range(4)]
for thread in threads:
    thread.start()
for i in range(4):
    items.put(i)
for thread in threads:
    thread.join()
assert got == [(i, i) for i in range(4)], got
print("ok")
""")


def test_get_that_may_not_wait_says_empty():
    check("""
items = queue.Queue()
for arguments in (False,), (False, 5), (True, 0), (True, 0.02):
    try:
        items.get(*arguments)
    except queue.Empty:
        continue
    raise AssertionError(arguments)
try:
    items.get(timeout=-1)
except ValueError:
    pass
items.put(NotImplemented)
assert items.get_nowait() is NotImplemented
bounded = queue.Queue(1)
bounded.put(1)
try:
    bounded.put(2, timeout=0.02)
except queue.Full:
    print("ok")
""")


def test_put_into_a_full_queue_waits_for_a_get():
    check("""
items, done = queue.Queue(1), []
items.put(1)
thread = threading.Thread(target=lambda: done.append(items.put(2)))
thread.start()
assert not done
assert items.get() == 1
thread.join()
assert done and items.get() == 2
print("ok")
""")


def test_exception_thrown_into_get_loses_no_item():
    check("""
items = queue.Queue()
waiter = coev.spawn(items.get)
other = coev.spawn(items.get)
coev.yield_now()
waiter.throw(KeyError)
items.put("item")
try:
    waiter.result()
except KeyError:
    pass
assert other.result(5) == "item"
assert not items.mutex.locked() and not items.not_empty._waiters
print("ok")
""")


def test_queue_whose_mutex_is_held_waits_for_it():
    check("""
items, got = queue.Queue(), []
items.put("a")
with items.mutex:
    threads = [
        threading.Thread(target=lambda: got.append(items.get())),
        threading.Thread(target=items.put, args=("b",)),
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.01)
    assert got == [] and len(items.queue) == 1
for thread in threads:
    thread.join()
assert got == ["a"] and items.get() == "b"
print("ok")
""")


def test_handler_that_puts_ends_the_get_it_interrupted():
    check("""
items = queue.Queue()
signal.signal(signal.SIGALRM, lambda number, frame: items.put("item"))
signal.setitimer(signal.ITIMER_REAL, 0.02)
assert items.get() == "item"
print("ok")
""")


@pytest.mark.skipif(sys.version_info < (3, 13), reason="queues shut down from 3.13 on")
def test_shutdown_ends_every_get():
    check("""
items, ended = queue.Queue(), []
def get():
    try:
        items.get()
    except queue.ShutDown:
        ended.append(1)
threads = [threading.Thread(target=get) for _ in range(3)]
for thread in threads:
    thread.start()
items.shutdown()
for thread in threads:
    thread.join()
for call in items.get, lambda: items.put(1):
    try:
        call()
    except queue.ShutDown:
        ended.append(1)
assert len(ended) == 5
print("ok")
""")
