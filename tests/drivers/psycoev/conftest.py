"""Fixtures: a PostgreSQL server, and connections to it."""

import os

import pytest
from postgres_server import PostgresServer, binary_folder

psycoev = pytest.importorskip("psycoev", reason="coev was built without psycoev")


@pytest.fixture(scope="session")
def postgres():
    """A server for the whole session; what a test leaves there, others see."""
    if binary_folder() is None:
        reason = "no PostgreSQL server here: apt-get install postgresql"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with PostgresServer() as server:
        yield server


@pytest.fixture
def own_postgres():
    """A server that the test may kill."""
    if binary_folder() is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    with PostgresServer() as server:
        yield server


@pytest.fixture
def connect(postgres):
    """Connects to the server; what a test leaves open is closed."""
    made = []

    def connect(*args, **kwargs):
        conn = psycoev.connect(postgres.dsn, *args, **kwargs)
        made.append(conn)
        return conn

    yield connect
    for conn in made:
        conn.close()


@pytest.fixture
def conn(connect):
    return connect()


@pytest.fixture
def cur(conn):
    return conn.cursor()
