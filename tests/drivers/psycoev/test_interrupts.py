"""Kills, timeouts and broken files in the middle of a statement: afterwards the connection is in
step with the server, or closed."""

import io
import itertools
import random
import time

import pytest

import coev
import psycoev

LONG = "select i, repeat('x', 100) from generate_series(1, 2000000) i"
numbers = itertools.count(1)


def is_in_step(conn):
    """Whether the connection answers what it is asked."""
    if conn.closed:
        return False
    for number in itertools.islice(numbers, 2):
        cur = conn.cursor()
        cur.execute("select %s", (number,))
        if cur.fetchall() != [(number,)]:
            pytest.fail("the connection gave the answer to another statement")
    return True


class Endless:
    """A file that goes on and on."""

    def read(self, size):
        coev.sleep(0.001)
        return b"1\n" * 4000

    def write(self, data):
        coev.sleep(0.001)


def interrupt(work, how, after):
    """Run work() in a coroutine, interrupt it; return what it raised, and how long it took."""
    raised = []

    def run():
        try:
            if how == "timeout scope":
                with coev.timeout(after):
                    work()
            else:
                work()
        except BaseException as error:
            raised.append(type(error))
            if how == "kill":
                raise

    coroutine = coev.spawn(run)
    coev.sleep(after)
    started = time.monotonic()
    if how == "kill":
        coroutine.kill()
    coroutine.join(10)
    return raised, time.monotonic() - started


@pytest.fixture
def table(conn):
    conn.autocommit = True
    conn.cursor().execute("create temp table numbers (n int)")
    return conn


WORK = {
    "sleep": lambda cur: cur.execute("select pg_sleep(20)"),
    "many rows": lambda cur: cur.execute(LONG),
    "copy to": lambda cur: cur.copy_expert(f"copy ({LONG}) to stdout", Endless()),
    "copy from": lambda cur: cur.copy_from(Endless(), "numbers"),
}


@pytest.mark.parametrize("how", ["kill", "timeout scope"])
@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_interrupted_statement_leaves_connection_in_step(table, work, how):
    raised, took = interrupt(lambda: work(table.cursor()), how, 0.1)
    assert raised
    assert not issubclass(raised[0], psycoev.Error)
    assert took < 3
    assert is_in_step(table)
    assert table.info.transaction_status == psycoev.extensions.TRANSACTION_STATUS_IDLE


def test_transaction_of_interrupted_statement_has_failed(conn):
    cur = conn.cursor()
    cur.execute("select 1")
    interrupt(lambda: conn.cursor().execute("select pg_sleep(20)"), "kill", 0.05)
    assert conn.info.transaction_status == psycoev.extensions.TRANSACTION_STATUS_INERROR
    conn.rollback()
    assert is_in_step(conn)


@pytest.mark.parametrize("where", ["connection", "cursor", "execute"])
def test_statement_that_outlasts_its_timeout_is_cancelled(conn, where):
    cur = conn.cursor()
    if where == "connection":
        conn.timeout = 0.1
    elif where == "cursor":
        cur.timeout = 0.1
    timeout = {"timeout": 0.1} if where == "execute" else {}
    started = time.monotonic()
    with pytest.raises(psycoev.extensions.QueryCanceledError, match="timeout expired"):
        cur.execute("select pg_sleep(20)", **timeout)
    assert time.monotonic() - started < 2
    conn.timeout = None
    conn.rollback()
    assert is_in_step(conn)


def test_timeout_is_none_or_a_number_from_zero(conn):
    for wrong in (-1, float("nan")):
        with pytest.raises(ValueError):
            conn.timeout = wrong
    conn.timeout = 2
    assert conn.timeout == 2.0
    conn.timeout = None
    assert conn.timeout is None


def test_error_of_read_ends_copy_and_is_its_cause(table):
    class Broken:
        def read(self, size):
            raise ZeroDivisionError("no more")

    with pytest.raises(psycoev.extensions.QueryCanceledError, match="ZeroDivisionError") as caught:
        table.cursor().copy_from(Broken(), "numbers")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert is_in_step(table)


def test_error_of_write_is_raised_as_it_is(table):
    class Broken:
        def write(self, data):
            raise ZeroDivisionError("no more")

    with pytest.raises(ZeroDivisionError):
        table.cursor().copy_expert(f"copy ({LONG}) to stdout", Broken())
    assert is_in_step(table)


def test_copy_by_execute_is_refused_and_ended(table):
    cur = table.cursor()
    for statement in (
        "copy numbers to stdout",
        "copy numbers from stdin",
        "copy (select 1 from generate_series(1, 100000)) to stdout",
    ):
        with pytest.raises(psycoev.ProgrammingError, match="can't execute COPY"):
            cur.execute(statement)
        assert is_in_step(table)


def test_close_by_another_coroutine_ends_the_statement(conn):
    raised = []

    def run():
        try:
            conn.cursor().execute("select pg_sleep(20)")
        except psycoev.InterfaceError as error:
            raised.append(str(error))

    coroutine = coev.spawn(run)
    coev.sleep(0.05)
    conn.close()
    coroutine.join(2)
    assert raised == ["connection already closed"]


def test_killed_server_is_operational_error(own_postgres):
    conn = psycoev.connect(own_postgres.dsn)
    cur = conn.cursor()
    cur.execute("select pg_backend_pid()")
    raised = []

    def run():
        try:
            cur.execute("select pg_sleep(20)")
        except psycoev.OperationalError as error:
            raised.append(str(error))

    coroutine = coev.spawn(run)
    coev.sleep(0.1)
    own_postgres.kill()
    coroutine.join(5)
    assert len(raised) == 1
    assert "closed the connection" in raised[0] or "terminating connection" in raised[0]
    assert conn.closed == 2
    with pytest.raises(psycoev.InterfaceError, match="connection already closed"):
        cur.execute("select 1")


@pytest.mark.slow
def test_random_kills_never_mix_answers(connect):
    conns = [connect() for _ in range(4)]
    for conn in conns:
        conn.autocommit = True
    random.seed(1)
    statements = [
        lambda cur: cur.execute("select 1 from generate_series(1, 5000)"),
        lambda cur: cur.execute("select pg_sleep(0.01)"),
        lambda cur: cur.executemany("select %s", [(n,) for n in range(50)]),
        lambda cur: cur.copy_expert(
            "copy (select 1 from generate_series(1, 3000)) to stdout", io.BytesIO()
        ),
    ]
    until = time.monotonic() + 8
    kills = 0
    while time.monotonic() < until:
        coroutines = [
            coev.spawn(lambda conn=conn: random.choice(statements)(conn.cursor())) for conn in conns
        ]
        coev.sleep(random.random() * 0.01)
        for coroutine in coroutines:
            coroutine.kill()
            kills += 1
        for coroutine in coroutines:
            coroutine.join(5)
        assert all(is_in_step(conn) for conn in conns)
    assert kills > 100
