"""connection.pipeline(): statements that do not wait for one another."""

import pytest

import coev
import psycoev
from psycoev.extensions import TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INTRANS


def test_results_come_to_their_cursors(conn):
    with conn.pipeline():
        cursors = [conn.cursor() for _ in range(50)]
        for number, cur in enumerate(cursors):
            cur.execute("select %s, %s", (number, "x" * number))
        assert cursors[30].fetchall() == [(30, "x" * 30)]
        assert cursors[7].fetchone() == (7, "x" * 7)
    assert [cur.fetchone()[0] for cur in cursors[40:]] == list(range(40, 50))
    assert conn.info.transaction_status == TRANSACTION_STATUS_INTRANS
    conn.commit()


def test_statements_of_a_block_are_one_transaction_with_what_follows(conn):
    cur = conn.cursor()
    with conn.pipeline() as pipeline:
        cur.execute("create temp table t (n int)")
        for number in range(1000):
            cur.execute("insert into t values (%s)", (number,))
        pipeline.sync()
        cur.execute("select count(*) from t")
        assert cur.fetchone() == (1000,)
    conn.rollback()
    with pytest.raises(psycoev.errors.UndefinedTable):
        cur.execute("select * from t")


def test_more_than_both_buffers_hold_does_not_dead_lock(conn):
    text = "x" * 200_000
    with conn.pipeline():
        cursors = [conn.cursor() for _ in range(100)]
        for cur in cursors:
            cur.execute("select %s", (text,))
    assert all(cur.fetchone() == (text,) for cur in cursors)


def test_error_is_raised_at_the_end_and_later_statements_are_not_executed(conn):
    conn.autocommit = True
    first, bad, last = (conn.cursor() for _ in range(3))
    with pytest.raises(psycoev.errors.DivisionByZero):
        with conn.pipeline():
            first.execute("select 1")
            bad.execute("select 1 / 0")
            last.execute("select 3")
    assert first.fetchone() == (1,)
    with pytest.raises(psycoev.ProgrammingError, match="no results"):
        last.fetchone()
    assert conn.info.transaction_status == TRANSACTION_STATUS_IDLE
    last.execute("select 4")
    assert last.fetchone() == (4,)


def test_error_at_a_fetch_ends_the_statements_up_to_the_next_sync(conn):
    conn.autocommit = True
    bad, lost, good = (conn.cursor() for _ in range(3))
    with conn.pipeline() as pipeline:
        bad.execute("select 1 / 0")
        lost.execute("select 2")
        with pytest.raises(psycoev.errors.DivisionByZero):
            bad.fetchone()
        with pytest.raises(psycoev.OperationalError, match="was not executed"):
            lost.fetchone()
        pipeline.sync()
        good.execute("select 3")
        assert good.fetchone() == (3,)


def test_exception_of_the_block_is_raised_as_it_is(conn):
    with pytest.raises(ZeroDivisionError):
        with conn.pipeline():
            conn.cursor().execute("select 1 / 0")
            raise ZeroDivisionError
    conn.rollback()
    conn.cursor().execute("select 1")


def test_executemany_in_a_block(conn):
    cur = conn.cursor()
    cur.execute("create temp table t (n int)")
    with conn.pipeline():
        cur.executemany("insert into t values (%s)", [(n,) for n in range(100)])
    cur.execute("select count(*) from t")
    assert cur.fetchone() == (100,)


def test_killed_block_leaves_connection_usable_or_closed(conn):
    conn.autocommit = True

    def run():
        with conn.pipeline():
            for _ in range(10):
                conn.cursor().execute("select pg_sleep(1)")

    coroutine = coev.spawn(run)
    coev.sleep(0.1)
    coroutine.kill()
    coroutine.join(5)
    assert not conn.closed
    cur = conn.cursor()
    cur.execute("select 5")
    assert cur.fetchone() == (5,)


def test_other_coroutines_wait_for_the_end_of_a_block(conn):
    order = []

    def other():
        conn.cursor().execute("select 1")
        order.append("other")

    with conn.pipeline():
        coroutine = coev.spawn(other)
        coev.sleep(0.02)
        conn.cursor().execute("select 2")
        order.append("block")
    coroutine.join(5)
    assert order == ["block", "other"]
