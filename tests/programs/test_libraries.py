"""Drivers in C, unmodified: their waits are coroutines' waits, and no other one is late."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from support_programs import free_port, stop, wait_for_port

DRIVERS = Path(__file__).resolve().parent.parent / "drivers"


def load_server():
    """PostgresServer, which the tests of another part have."""
    path = DRIVERS / "psycoev" / "postgres_server.py"
    spec = importlib.util.spec_from_file_location("postgres_server", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def postgres():
    """The dsn of a PostgreSQL server."""
    module = load_server()
    if module.binary_folder() is None:
        pytest.skip("there is no PostgreSQL")
    server = module.PostgresServer().create().start()
    server.sql("create database test")
    yield server.dsn
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def mariadb():
    """The port of a MariaDB server that lets root in."""
    install, program = shutil.which("mariadb-install-db"), shutil.which("mariadbd")
    if program is None:
        pytest.skip("there is no MariaDB")
    port = free_port()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        user = ["--user=mysql"] if os.getuid() == 0 else []
        if user:
            shutil.chown(folder, "mysql", "mysql")
            os.chmod(folder, 0o755)
        options = ["--no-defaults", f"--datadir={folder}/data", *user]
        subprocess.run(
            [install, *options, "--auth-root-authentication-method=normal", "--skip-test-db"],
            check=True,
            capture_output=True,
        )
        process = subprocess.Popen(
            [program, *options, f"--port={port}", "--bind-address=127.0.0.1"]
            + [f"--socket={folder}/data/socket", "--skip-grant-tables", "--skip-log-bin"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_for_port(port, process)
            yield port
        finally:
            stop(process)


@pytest.fixture(scope="session")
def memcached():
    """The port of a memcached."""
    program = shutil.which("memcached")
    if program is None:
        pytest.skip("there is no memcached")
    port = free_port()
    process = subprocess.Popen(
        [program, "-u", "nobody", "-l", "127.0.0.1", "-p", str(port)], start_new_session=True
    )
    try:
        wait_for_port(port, process)
        yield port
    finally:
        stop(process)


IN_THREADS = """
import sys
import threading
import time

def in_threads(work, count=40):
    failed = []
    def run(i):
        try:
            work(i)
        except BaseException as error:
            failed.append(error)
    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed
    return time.monotonic() - began
"""


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_queries_of_postgresql_overlap(runner, postgres, driver):
    runner.check(
        IN_THREADS
        + f"""
import {driver} as driver

def work(i):
    connection = driver.connect(sys.argv[1])
    cursor = connection.cursor()
    cursor.execute("select pg_sleep(0.2), %s", (i,))
    assert cursor.fetchone()[1] == i
    for k in range(20):
        cursor.execute("select %s, %s", (i, k))
        assert cursor.fetchone() == (i, k)
    connection.close()

# One after the other takes 8 seconds.
assert in_threads(work) < 5
""",
        postgres,
    )


def test_query_of_psycopg2_ends_by_timeout_and_by_kill(runner, postgres):
    """What natively nothing can end but the server."""
    runner.check(
        """
import sys
import time
import coev
import psycopg2

def wait():
    connection = psycopg2.connect(sys.argv[1])
    connection.cursor().execute("select pg_sleep(60)")

began = time.monotonic()
try:
    with coev.timeout(0.2):
        wait()
except TimeoutError:
    pass
else:
    raise AssertionError("no timeout")
killed = coev.spawn(wait)
coev.sleep(0.2)
killed.kill()
killed.join(5)
assert killed.done
assert time.monotonic() - began < 5
connection = psycopg2.connect(sys.argv[1])
cursor = connection.cursor()
cursor.execute("select 1")
assert cursor.fetchone() == (1,)
""",
        postgres,
    )


def test_kills_and_timeouts_at_random_leave_no_wrong_row(runner, postgres):
    runner.check(
        """
import random
import sys
import threading
import time
import coev
import psycopg2

random.seed(7)
stop = time.monotonic() + 8
rows = wrong = 0

def work(number):
    global rows, wrong
    connection = None
    for k in range(10**9):
        if time.monotonic() > stop:
            return
        try:
            with coev.timeout(random.uniform(0.001, 0.5)):
                if connection is None or connection.closed:
                    connection = psycopg2.connect(sys.argv[1])
                    connection.autocommit = True
                cursor = connection.cursor()
                cursor.execute("select %s, pg_sleep(%s)", (number * 10**6 + k, random.choice([0, 0, 0, 0.3])))
                wrong += cursor.fetchone()[0] != number * 10**6 + k
                rows += 1
        except (TimeoutError, psycopg2.Error):
            if connection is not None:
                connection.close()
            connection = None

coroutines = [coev.spawn(work, n) for n in range(20)]
while time.monotonic() < stop - 1:
    coev.sleep(0.02)
    victim = random.randrange(len(coroutines))
    coroutines[victim].kill()
    coroutines[victim] = coev.spawn(work, victim)
for coroutine in coroutines:
    coroutine.join(20)
    assert coroutine.done
assert wrong == 0 and rows > 50, (wrong, rows)
""",
        postgres,
    )


def test_pool_of_sqlalchemy_serves_hundreds_of_threads(runner, postgres):
    runner.check(
        IN_THREADS
        + """
from sqlalchemy import create_engine, text

engine = create_engine(
    "postgresql+psycopg2://", creator=lambda: __import__("psycopg2").connect(sys.argv[1]),
    pool_size=10, max_overflow=0, pool_timeout=60,
)

def work(i):
    with engine.connect() as connection:
        assert connection.execute(text("select :i, pg_sleep(0.01)"), {"i": i}).first()[0] == i

assert in_threads(work, 500) < 20
assert engine.pool.checkedout() == 0
""",
        postgres,
    )


def test_queries_of_mariadb_overlap(runner, mariadb):
    runner.check(
        IN_THREADS
        + """
import MySQLdb

def work(i):
    connection = MySQLdb.connect(host="127.0.0.1", port=int(sys.argv[1]), user="root")
    cursor = connection.cursor()
    cursor.execute("select sleep(0.2), %s", (i,))
    assert cursor.fetchone()[1] == i
    for k in range(20):
        cursor.execute("select %s, %s", (i, k))
        assert cursor.fetchone() == (i, k)
    connection.close()

assert in_threads(work) < 5
""",
        mariadb,
    )


def test_pylibmc_waits_for_memcached(runner, memcached):
    runner.check(
        IN_THREADS
        + """
import pylibmc

def work(i):
    client = pylibmc.Client(["127.0.0.1:" + sys.argv[1]])
    for k in range(50):
        client.set(f"k{i}", k)
        assert client.get(f"k{i}") == k

in_threads(work)
""",
        memcached,
    )


def test_pycurl_waits_for_several_servers_at_once(runner):
    runner.check(
        IN_THREADS
        + """
import io
import socket
import pycurl

server = socket.create_server(("127.0.0.1", 0), backlog=200)

def serve():
    while True:
        connection, _ = server.accept()
        threading.Thread(target=answer, args=(connection,), daemon=True).start()

def answer(connection):
    connection.recv(65536)
    time.sleep(0.2)
    connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 100\\r\\nConnection: close\\r\\n\\r\\n" + b"x" * 100)
    connection.close()

threading.Thread(target=serve, daemon=True).start()

def work(i):
    body = io.BytesIO()
    curl = pycurl.Curl()
    curl.setopt(curl.URL, f"http://localhost:{server.getsockname()[1]}/")
    curl.setopt(curl.WRITEFUNCTION, body.write)
    curl.setopt(curl.NOSIGNAL, 1)
    curl.perform()
    assert body.getvalue() == b"x" * 100
    curl.close()

# One after the other takes 8 seconds.
assert in_threads(work) < 5
""",
    )


def test_sockets_of_pyzmq_talk_within_one_process(runner):
    """Under coev without adoption they wait for each other for ever."""
    runner.check(
        IN_THREADS
        + """
import zmq

context = zmq.Context()

def work(i):
    server = context.socket(zmq.REP)
    port = server.bind_to_random_port("tcp://127.0.0.1")
    client = context.socket(zmq.REQ)
    client.connect(f"tcp://127.0.0.1:{port}")

    def echo():
        for _ in range(20):
            server.send(server.recv())

    thread = threading.Thread(target=echo)
    thread.start()
    for k in range(20):
        client.send(b"%d" % k)
        assert client.recv() == b"%d" % k
    thread.join()
    server.close(0)
    client.close(0)

in_threads(work)
context.term()
""",
    )
