"""A PostgreSQL driver for coev, with the names of psycopg2.

What waits for the server waits in coev's scheduler: other coroutines run meanwhile. On an OS
thread without coroutines it blocks that thread alone.
"""

from typing import Any

# Their adapters and casts are registered when they are imported.
from . import errors as errors
from . import extensions as extensions
from ._psycopg import (
    BINARY,
    DATETIME,
    NUMBER,
    ROWID,
    STRING,
    Binary,
    DatabaseError,
    DataError,
    Date,
    DateFromTicks,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Time,
    TimeFromTicks,
    Timestamp,
    TimestampFromTicks,
    Warning,
    __libpq_version__,
    _connect,
)
from ._psycopg2_alias import install_as_psycopg2
from ._transaction import Rollback, Transaction

#: psycopg2's, since programs look at its number and at its words.
__version__ = "2.9.12 (dt dec pq3 ext lo64)"
#: This package's own.
__psycoev_version__ = "0.1.0"

#: PEP 249: the version of the DB-API.
apilevel = "2.0"
#: PEP 249: threads may share the module and connections.
threadsafety = 2
#: PEP 249: ``%s`` and ``%(name)s``.
paramstyle = "pyformat"

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "Binary",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Rollback",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Transaction",
    "Warning",
    "__libpq_version__",
    "apilevel",
    "connect",
    "install_as_psycopg2",
    "paramstyle",
    "threadsafety",
]


def connect(
    dsn: str | None = None,
    connection_factory: Any = None,
    cursor_factory: Any = None,
    **kwargs: Any,
) -> extensions.connection:
    """Connect to a database, and return the connection.

    Switches: always, unless ``async_`` is true.

    :param dsn: libpq's connection string ("Connection Strings" in its manual).
    :param connection_factory: makes the connection, instead of ``extensions.connection``.
    :param cursor_factory: what cursors are made by if ``cursor()`` is told nothing else.
    :param kwargs: libpq's keywords ("Parameter Key Words"), ``database`` for ``dbname``, and
        ``async_``, for a connection that ``poll()`` drives.
    :raises OperationalError: no server accepts the connection.
    :raises ProgrammingError: there is no such keyword.
    """
    modes = {name: kwargs.pop(name) for name in ("async", "async_") if name in kwargs}
    conn = _connect(
        extensions.make_dsn(dsn, **kwargs), connection_factory=connection_factory, **modes
    )
    if cursor_factory is not None:
        conn.cursor_factory = cursor_factory
    return conn  # type: ignore[no-any-return]
