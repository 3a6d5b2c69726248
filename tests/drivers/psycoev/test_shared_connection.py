"""One connection and many coroutines, OS threads, processes."""

import io
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import coev
import psycoev


def test_coroutines_take_turns_on_a_connection(conn):
    answers = {}

    def run(number):
        for _ in range(20):
            cur = conn.cursor()
            cur.execute("select %s from pg_sleep(0)", (number,))
            answers.setdefault(number, []).extend(cur.fetchall())

    for coroutine in [coev.spawn(run, number) for number in range(10)]:
        coroutine.join(10)
    assert answers == {number: [(number,)] * 20 for number in range(10)}


def test_os_threads_take_turns_on_a_connection(conn):
    answers = {}

    def run(number):
        for _ in range(20):
            cur = conn.cursor()
            cur.execute("select %s from pg_sleep(0)", (number,))
            answers.setdefault(number, []).extend(cur.fetchall())

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == {number: [(number,)] * 20 for number in range(4)}


@pytest.mark.parametrize("direction", ["read", "write"])
def test_use_within_its_own_copy_is_refused(conn, direction):
    cur = conn.cursor()
    cur.execute("create temp table numbers (n int)")
    cur.execute("insert into numbers values (1)")
    errors = []

    class Nested:
        def use(self, *_):
            try:
                conn.cursor().execute("select 1")
            except psycoev.ProgrammingError as error:
                errors.append(str(error))
            return b""

        read = write = use

    if direction == "read":
        cur.copy_from(Nested(), "numbers")
    else:
        cur.copy_to(Nested(), "numbers")
    assert len(errors) == 1
    assert "very coroutine" in errors[0]
    cur.execute("select 2")
    assert cur.fetchone() == (2,)


@pytest.mark.realtime
def test_others_run_while_a_coroutine_waits(postgres):
    """A ticker keeps its beat over connecting, a statement, COPY, a large object and a cancel."""
    gaps = []
    stop = False

    def tick():
        last = time.monotonic()
        while not stop:
            coev.sleep(0.005)
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    ticker = coev.spawn(tick)
    conn = psycoev.connect(postgres.dsn)
    cur = conn.cursor()
    cur.execute("select pg_sleep(0.2)")
    cur.copy_expert("copy (select 1 from pg_sleep(0.2)) to stdout", io.BytesIO())
    large = conn.lobject()
    large.write(b"x" * 100000)
    large.close()
    canceller = coev.spawn(lambda: (coev.sleep(0.2), conn.cancel()))
    with pytest.raises(psycoev.extensions.QueryCanceledError):
        cur.execute("select pg_sleep(20)")
    canceller.join()
    conn.close()
    stop = True
    ticker.join()
    assert len(gaps) > 30  # of some 120, where the machine is idle
    assert sorted(gaps)[-5] < 0.05


def test_child_of_fork_cannot_use_the_connection_nor_harm_it(postgres):
    program = """
        import gc, os, sys
        import psycoev
        conn = psycoev.connect(sys.argv[1])
        cur = conn.cursor()
        cur.execute("select 1")
        pid = os.fork()
        if pid == 0:
            answers = []
            for use in (lambda: cur.execute("select 2"), conn.commit, conn.cursor):
                try:
                    use()
                except psycoev.InterfaceError as error:
                    answers.append("connection already closed" in str(error))
            conn.close()
            del cur, conn
            gc.collect()
            os._exit(0 if answers == [True] * 3 else 1)
        assert os.waitpid(pid, 0)[1] == 0
        cur.execute("select 3")
        assert cur.fetchone() == (3,)
        conn.commit()
    """
    for prelude in ("", "import coev.monkey\n"):
        done = subprocess.run(
            [sys.executable, "-c", prelude + textwrap.dedent(program), postgres.dsn],
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()


def test_deallocation_in_the_middle_of_a_transaction_never_waits(postgres):
    conn = psycoev.connect(postgres.dsn)
    conn.cursor().execute("select 1")
    started = time.monotonic()
    del conn
    assert time.monotonic() - started < 0.5


def test_connection_refused_names_each_address():
    with pytest.raises(psycoev.OperationalError, match="(?s)port 1 failed.*port 2 failed"):
        psycoev.connect("host=127.0.0.1,127.0.0.1 port=1,2 user=postgres dbname=test")


def test_host_that_does_not_answer_has_its_own_deadline(postgres):
    """The first host accepts and is silent; the second is the server."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        started = time.monotonic()
        conn = psycoev.connect(
            f"host=127.0.0.1,127.0.0.1 port={port},{postgres.port} user=postgres dbname=test"
            " connect_timeout=1"
        )
        assert 0.9 < time.monotonic() - started < 3
        assert conn.info.port == postgres.port
        conn.close()
        with pytest.raises(psycoev.OperationalError, match="timeout expired"):
            psycoev.connect(f"host=127.0.0.1 port={port} user=postgres connect_timeout=1")


def test_password_is_not_in_dsn():
    conn = psycoev.extensions.connection.__new__(psycoev.extensions.connection)
    with pytest.raises(psycoev.OperationalError):
        conn.__init__("host=127.0.0.1 port=1 user=u password=secret")
    assert "secret" not in conn.dsn
    assert "secret" not in repr(conn)
