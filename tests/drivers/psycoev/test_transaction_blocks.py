"""connection.transaction(): all of a block's work or none, and savepoints within."""

import pytest

import psycoev
from psycoev.extensions import TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INTRANS


@pytest.fixture(params=[False, True], ids=["", "autocommit"])
def work(request, conn, connect):
    """A connection, and what another one sees in a table."""
    other = connect()
    other.autocommit = True
    seen = other.cursor()
    seen.execute("drop table if exists blocks; create table blocks (n int)")
    conn.autocommit = request.param

    def rows():
        seen.execute("select n from blocks order by n")
        return [n for (n,) in seen.fetchall()]

    return conn, rows


def insert(conn, n):
    conn.cursor().execute("insert into blocks values (%s)", (n,))


def test_block_commits_at_its_end(work):
    conn, rows = work
    with conn.transaction():
        insert(conn, 1)
        insert(conn, 2)
        assert rows() == []
    assert rows() == [1, 2]
    assert conn.info.transaction_status == TRANSACTION_STATUS_IDLE


def test_exception_undoes_the_whole_block(work):
    conn, rows = work
    with pytest.raises(ZeroDivisionError):
        with conn.transaction():
            insert(conn, 1)
            raise ZeroDivisionError
    assert rows() == []
    assert conn.info.transaction_status == TRANSACTION_STATUS_IDLE


def test_exception_undoes_the_inner_block_alone(work):
    conn, rows = work
    with conn.transaction():
        insert(conn, 1)
        with pytest.raises(psycoev.errors.DivisionByZero):
            with conn.transaction():
                insert(conn, 2)
                conn.cursor().execute("select 1 / 0")
        insert(conn, 3)
    assert rows() == [1, 3]


def test_block_that_begins_with_a_block_is_one_transaction(work):
    conn, rows = work
    with conn.transaction():
        with conn.transaction():
            with conn.transaction():
                insert(conn, 1)
        assert rows() == []
    assert rows() == [1]


def test_rollback_ends_a_block_and_the_program_goes_on(work):
    conn, rows = work
    with conn.transaction():
        insert(conn, 1)
        with conn.transaction():
            insert(conn, 2)
            raise psycoev.Rollback
        insert(conn, 3)
    assert rows() == [1, 3]


def test_rollback_of_an_outer_block_passes_the_inner_one(work):
    conn, rows = work
    with conn.transaction() as outer:
        insert(conn, 1)
        with conn.transaction():
            insert(conn, 2)
            raise psycoev.Rollback(outer)
    assert rows() == []


def test_forced_rollback_undoes_a_block_that_ended_well(work):
    conn, rows = work
    with conn.transaction(force_rollback=True):
        insert(conn, 1)
    with conn.transaction():
        with conn.transaction(force_rollback=True):
            insert(conn, 2)
        insert(conn, 3)
    assert rows() == [3]


def test_block_in_a_transaction_that_the_program_began_is_a_savepoint(work):
    conn, rows = work
    conn.autocommit = False
    insert(conn, 1)
    with conn.transaction() as block:
        assert block.savepoint_name is not None
        insert(conn, 2)
    assert conn.info.transaction_status == TRANSACTION_STATUS_INTRANS
    assert rows() == []
    conn.commit()
    assert rows() == [1, 2]


def test_block_in_a_with_statement_of_the_connection_is_a_savepoint(work):
    conn, rows = work
    with conn:
        with conn.transaction():
            insert(conn, 1)
        assert rows() == []
    assert rows() == [1]


def test_error_that_was_ignored_in_a_block_is_not_a_commit(work):
    conn, rows = work
    with pytest.raises(psycoev.errors.InFailedSqlTransaction):
        with conn.transaction():
            insert(conn, 1)
            try:
                conn.cursor().execute("select nothing")
            except psycoev.ProgrammingError:
                pass
    assert rows() == []
    insert(conn, 2)
    conn.commit()
    assert rows() == [2]


def test_savepoint_has_the_name_it_is_given(work):
    conn, rows = work
    with conn.transaction():
        with conn.transaction(savepoint_name='strange "name'):
            insert(conn, 1)
            conn.cursor().execute('rollback to savepoint "strange ""name"')
    assert rows() == []


def test_blocks_that_end_in_another_order_are_an_error(work):
    conn, rows = work
    outer, inner = conn.transaction(), conn.transaction()
    outer.__enter__()
    inner.__enter__()
    with pytest.raises(psycoev.ProgrammingError, match="reverse order"):
        outer.__exit__(None, None, None)


def test_what_broke_the_connection_is_not_hidden_by_the_end_of_the_block(work, postgres):
    conn, rows = work
    with pytest.raises(psycoev.OperationalError, match="terminating connection"):
        with conn.transaction():
            insert(conn, 1)
            with conn.transaction():
                postgres.sql(f"select pg_terminate_backend({conn.info.backend_pid}, 5000)")
                insert(conn, 2)
    assert conn.closed
    assert rows() == []
