"""cursor.stream(): rows as they come."""

import resource

import pytest

import coev
import psycoev


def is_usable(conn):
    cur = conn.cursor()
    cur.execute("select 1")
    return cur.fetchone() == (1,)


def test_all_rows_come_and_connection_is_free_afterwards(conn):
    cur = conn.cursor()
    rows = list(cur.stream("select i, %s from generate_series(1, 1000) i", ("x",)))
    assert rows == [(i, "x") for i in range(1, 1001)]
    assert cur.rowcount == 1000
    assert is_usable(conn)


def test_large_result_needs_the_memory_of_a_few_rows(conn):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = sum(
        1 for _ in conn.cursor().stream("select repeat('x', 1000) from generate_series(1, 100000)")
    )
    assert count == 100000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000  # KiB


def test_stream_that_is_closed_early_is_cancelled(conn):
    with conn.cursor().stream("select generate_series(1, 100000000)") as rows:
        assert next(rows) == (1,)
    assert list(rows) == []
    conn.rollback()
    assert is_usable(conn)


def test_error_among_the_rows_is_raised_there(conn):
    rows = conn.cursor().stream("select 10 / (3 - i) from generate_series(1, 5) i")
    with pytest.raises(psycoev.DataError, match="division by zero"):
        list(rows)
    conn.rollback()
    assert is_usable(conn)


def test_copy_by_stream_is_refused(conn):
    rows = conn.cursor().stream("copy (select 1) to stdout")
    with pytest.raises(psycoev.ProgrammingError, match="can't execute COPY"):
        list(rows)
    assert is_usable(conn)


def test_connection_is_busy_for_its_reader_and_others_wait(conn):
    order = []

    def other():
        assert is_usable(conn)
        order.append("other")

    with conn.cursor().stream("select generate_series(1, 3)") as rows:
        next(rows)
        with pytest.raises(psycoev.ProgrammingError, match="very coroutine"):
            conn.cursor().execute("select 1")
        coroutine = coev.spawn(other)
        coev.sleep(0.05)
        assert len(list(rows)) == 2
        order.append("stream")
    coroutine.join(5)
    assert order == ["stream", "other"]


def test_dropped_stream_closes_the_connection_without_waiting(conn):
    rows = conn.cursor().stream("select generate_series(1, 100000000)")
    next(rows)
    del rows
    assert conn.closed == 2


def test_kill_between_rows_leaves_connection_usable(conn):
    conn.autocommit = True

    def read():
        with conn.cursor().stream(
            "select i, pg_sleep(0.01) from generate_series(1, 1000) i"
        ) as rows:
            for _ in rows:
                pass

    reader = coev.spawn(read)
    coev.sleep(0.1)
    reader.kill()
    reader.join(5)
    assert is_usable(conn)
