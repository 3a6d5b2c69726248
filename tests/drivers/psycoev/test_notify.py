"""connection.wait_notify(): waiting for NOTIFY."""

import collections
import time

import pytest

import coev
import psycoev


@pytest.fixture
def listener(conn):
    conn.autocommit = True
    conn.cursor().execute("listen news")
    return conn


@pytest.fixture
def notify(connect):
    other = connect()
    other.autocommit = True
    return lambda text: other.cursor().execute("select pg_notify('news', %s)", (text,))


def test_notification_ends_the_wait(listener, notify):
    coroutine = coev.spawn(lambda: (coev.sleep(0.05), notify("hello")))
    received = listener.wait_notify(5)
    coroutine.join(5)
    assert (received.channel, received.payload) == ("news", "hello")
    assert listener.notifies == []


def test_notifications_come_in_order(listener, notify):
    for number in range(5):
        notify(str(number))
    assert [listener.wait_notify(5).payload for _ in range(5)] == ["0", "1", "2", "3", "4"]


def test_timeout_gives_none(listener):
    started = time.monotonic()
    assert listener.wait_notify(0.1) is None
    assert 0.09 < time.monotonic() - started < 1
    assert listener.wait_notify(0) is None


def test_other_coroutines_execute_meanwhile(listener, notify):
    received = []
    coroutine = coev.spawn(lambda: received.append(listener.wait_notify(10)))
    coev.sleep(0.02)
    for number in range(20):
        cur = listener.cursor()
        cur.execute("select %s", (number,))
        assert cur.fetchone() == (number,)
    assert not received
    notify("at last")
    coroutine.join(5)
    assert received[0].payload == "at last"


def test_notification_that_came_with_a_statement_is_not_lost(listener, notify):
    notify("early")
    listener.cursor().execute("select 1")
    assert listener.wait_notify(5).payload == "early"


def test_deque_serves_as_notifies(listener, notify):
    listener.notifies = collections.deque()
    notify("a")
    assert listener.wait_notify(5).payload == "a"


def test_killed_listener_leaves_connection_usable(listener):
    coroutine = coev.spawn(lambda: listener.wait_notify())
    coev.sleep(0.05)
    coroutine.kill()
    coroutine.join(5)
    listener.cursor().execute("select 1")


def test_lost_connection_is_told_to_the_listener(own_postgres):
    conn = psycoev.connect(own_postgres.dsn)
    raised = []

    def listen():
        try:
            conn.wait_notify(20)
        except psycoev.OperationalError as error:
            raised.append(str(error))

    coroutine = coev.spawn(listen)
    coev.sleep(0.1)
    own_postgres.kill()
    coroutine.join(5)
    assert raised
    assert conn.closed == 2
