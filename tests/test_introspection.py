"""coev.stats, coev.coroutines and the settings of the pool."""

import threading

import pytest

import coev

pytestmark = pytest.mark.usefixtures("virtual_time", "nothing_left")


def test_stats_are_plain_numbers():
    stats = coev.stats()
    assert {"switches", "spawned", "finished", "alive", "ready", "timers", "stacks"} <= set(stats)
    assert all(isinstance(value, int) and value >= 0 for value in stats.values())


def difference(function):
    before = coev.stats()
    function()
    after = coev.stats()
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def test_spawned_and_finished_count_coroutines():
    changed = difference(lambda: [coev.spawn(int).join() for _ in range(5)])
    assert changed["spawned"] == changed["finished"] == 5
    assert "alive" not in changed


def test_alive_ready_and_timers_tell_the_state_of_now():
    workers = [coev.spawn(coev.sleep, 1) for _ in range(4)]
    assert coev.stats()["alive"] == 4
    assert coev.stats()["ready"] == 4
    coev.yield_now()
    assert coev.stats()["ready"] == 0
    assert coev.stats()["timers"] == 4
    for w in workers:
        w.join()


def test_timeouts_and_interrupts_are_counted():
    def time_out():
        coev.Event().wait(1)

    def kill():
        c = coev.spawn(coev.sleep, 100)
        coev.yield_now()
        c.kill()
        c.join()

    assert difference(time_out)["timeouts"] == 1
    assert difference(kill)["interrupts"] == 1


def test_stats_are_of_this_os_thread():
    seen = []
    thread = threading.Thread(target=lambda: seen.append(coev.stats()["spawned"]))
    coev.spawn(int).join()
    thread.start()
    thread.join()
    assert seen == [0]


def test_coroutines_lists_who_is_alive_main_first():
    workers = [coev.spawn(coev.sleep, 1) for _ in range(3)]
    listed = coev.coroutines()
    assert listed[0] is coev.main()
    assert set(listed[1:]) == set(workers)
    for w in workers:
        w.join()
    assert coev.coroutines() == [coev.main()]


def test_coroutines_lists_the_one_that_asks():
    assert coev.spawn(lambda: coev.current() in coev.coroutines()).result()


def test_pool_ceiling_is_set_and_returned():
    previous = coev.pool_ceiling()
    try:
        assert coev.pool_ceiling(slots=3) == previous
        assert coev.pool_ceiling() == 3
        workers = [coev.spawn(coev.yield_now) for _ in range(10)]
        for w in workers:
            w.join()
        assert coev.spawn(lambda: "works").result() == "works"
    finally:
        coev.pool_ceiling(previous)


@pytest.mark.parametrize("value", [-1, "3", 1.5])
def test_pool_ceiling_must_be_a_number_of_slots(value):
    with pytest.raises((TypeError, ValueError, RuntimeError, OverflowError)):
        coev.pool_ceiling(value)


def test_every_public_name_exists_and_is_documented():
    for name in coev.__all__:
        value = getattr(coev, name)
        assert isinstance(value, int) or value.__doc__, name
