"""An exception class for each of PostgreSQL's error codes.

``UndefinedTable`` is what the server calls ``undefined_table``, code 42P01, and a
``ProgrammingError``: what ``execute()`` raises is of the class of its code.
"""

from ._psycopg import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    QueryCanceledError,
    TransactionRollbackError,
    Warning,
    sqlstate_errors,
)
from ._transaction import Rollback

__all__ = [
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "QueryCanceledError",
    "Rollback",
    "TransactionRollbackError",
    "Warning",
    "lookup",
]

globals().update((error.__name__, error) for error in sqlstate_errors.values())


def lookup(code: str) -> type[Error]:
    """Return the exception class of the error code *code*, five characters.

    Switches: never.

    :raises KeyError: there is no class for it.
    """
    return sqlstate_errors[code]
