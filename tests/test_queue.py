"""coev.Queue and coev.Channel. How each call can end is in test_blocking_operations."""

import gc
import queue
import sys
import threading
import weakref

import pytest

import coev

pytestmark = pytest.mark.usefixtures("virtual_time", "nothing_left")


def test_queue_is_first_in_first_out():
    q = coev.Queue()
    for n in range(100):
        q.put(n)
    assert q.qsize() == 100
    assert [q.get() for _ in range(100)] == list(range(100))
    assert q.empty()


def test_bounded_queue_makes_producers_wait():
    q = coev.Queue(2)
    log = []

    def produce():
        for n in range(5):
            q.put(n)
            log.append(n)

    c = coev.spawn(produce)
    coev.yield_now()
    assert log == [0, 1]
    assert q.full()
    assert [q.get() for _ in range(5)] == [0, 1, 2, 3, 4]
    c.join()


def test_waiting_producers_keep_their_order():
    q = coev.Queue(1)
    producers = [coev.spawn(q.put, n) for n in range(10)]
    coev.yield_now()
    assert [q.get() for _ in range(10)] == list(range(10))
    for p in producers:
        p.join()


def test_waiting_consumers_are_served_longest_first():
    q = coev.Queue()
    consumers = [coev.spawn(q.get) for _ in range(10)]
    coev.yield_now()
    for n in range(10):
        q.put(n)
    assert [c.result() for c in consumers] == list(range(10))


def test_queue_without_blocking_raises_as_queue_queue_does():
    q = coev.Queue(1)
    with pytest.raises(queue.Empty):
        q.get_nowait()
    with pytest.raises(queue.Empty):
        q.get(False)
    q.put_nowait(1)
    with pytest.raises(queue.Full):
        q.put_nowait(2)
    with pytest.raises(queue.Full):
        q.put(2, block=False)
    assert q.get_nowait() == 1


@pytest.mark.parametrize("maxsize", [0, -1])
def test_queue_without_limit(maxsize):
    q = coev.Queue(maxsize)
    assert q.maxsize == 0
    assert not q.full()
    assert coev.Queue(maxsize=7).maxsize == 7


def test_join_waits_until_every_item_is_done():
    q = coev.Queue()
    done = []

    def consume():
        while True:
            item = q.get()
            coev.sleep(1)
            done.append(item)
            q.task_done()

    worker = coev.spawn(consume)
    for n in range(3):
        q.put(n)
    q.join()
    assert done == [0, 1, 2]
    worker.kill()
    worker.join()


def test_task_done_more_often_than_items_is_refused():
    q = coev.Queue()
    q.put(1)
    q.task_done()
    with pytest.raises(ValueError, match="too many"):
        q.task_done()
    q.join(0)


def test_put_that_timed_out_is_not_waited_for():
    q = coev.Queue(1)
    q.put(1)
    with pytest.raises(queue.Full):
        q.put(2, timeout=1)
    q.get()
    q.task_done()
    q.join(0)


@pytest.mark.parametrize("call", ["put", "get"])
def test_queue_keeps_exactly_its_own_references(call):
    q = coev.Queue(1)
    item = object()
    before = sys.getrefcount(item)
    q.put(item)
    if call == "put":
        with pytest.raises(queue.Full):
            q.put(item, timeout=1)
        killed = coev.spawn(q.put, item)
        coev.yield_now()
        killed.kill()
        killed.join()
        del killed
    assert sys.getrefcount(item) == before + 1
    assert q.get() is item
    assert sys.getrefcount(item) == before


def test_queue_gives_its_items_up_when_it_goes():
    class Item:
        pass

    q = coev.Queue()
    item = Item()
    gone = weakref.ref(item)
    item.queue = q  # a cycle
    q.put(item)
    del q, item
    gc.collect()
    assert gone() is None


def test_queue_connects_os_threads():
    q, back = coev.Queue(2), coev.Queue()

    def double():
        while (item := q.get()) is not None:
            back.put(item * 2)

    thread = threading.Thread(target=double)
    thread.start()
    feeder = coev.spawn(lambda: [q.put(n) for n in [*range(50), None]])
    assert [back.get() for _ in range(50)] == [n * 2 for n in range(50)]
    feeder.join()
    thread.join()


# --- Channel ------------------------------------------------------------------------------


def test_channel_without_capacity_makes_sender_and_receiver_meet():
    channel = coev.Channel()
    log = []

    def send():
        for n in range(3):
            channel.send(n)
            log.append(f"sent {n}")

    c = coev.spawn(send)
    coev.yield_now()
    assert log == []
    assert channel.receive() == 0
    coev.yield_now()
    assert log == ["sent 0"]
    assert [channel.receive(), channel.receive()] == [1, 2]
    c.join()


def test_channel_with_capacity_buffers():
    channel = coev.Channel(capacity=2)
    channel.send(1)
    channel.send(2)
    assert len(channel) == 2
    with pytest.raises(TimeoutError):
        channel.send(3, timeout=1)
    assert [channel.receive(), channel.receive()] == [1, 2]


def test_iteration_receives_to_the_end():
    channel = coev.Channel()

    def send():
        for n in range(5):
            channel.send(n)
        channel.close()

    coev.spawn(send)
    assert list(channel) == [0, 1, 2, 3, 4]
    assert list(channel) == []


def test_closed_channel_refuses_values_and_gives_out_what_it_has():
    channel = coev.Channel(2)
    channel.send("last")
    channel.close()
    assert channel.closed
    with pytest.raises(coev.ChannelClosed):
        channel.send("more")
    assert channel.receive() == "last"
    with pytest.raises(coev.ChannelClosed):
        channel.receive()
    channel.close()


def test_close_wakes_senders_and_receivers():
    empty, unmet = coev.Channel(), coev.Channel()
    receivers = [coev.spawn(empty.receive) for _ in range(3)]
    senders = [coev.spawn(unmet.send, n) for n in range(3)]
    coev.yield_now()
    empty.close()
    unmet.close()
    for c in receivers + senders:
        assert isinstance(c.exception(), coev.ChannelClosed)


def test_negative_capacity_is_refused():
    with pytest.raises(ValueError, match="capacity"):
        coev.Channel(-1)
