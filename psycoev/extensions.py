"""psycopg2's extensions of the DB-API: types of values, adapters, constants, and helpers."""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from ._json import register_default_json, register_default_jsonb
from ._psycopg import (
    BINARYARRAY,
    BOOLEAN,
    BOOLEANARRAY,
    BYTES,
    BYTESARRAY,
    DATE,
    DATEARRAY,
    DATETIMEARRAY,
    DECIMAL,
    DECIMALARRAY,
    FLOAT,
    FLOATARRAY,
    INTEGER,
    INTEGERARRAY,
    INTERVAL,
    INTERVALARRAY,
    LONGINTEGER,
    LONGINTEGERARRAY,
    PYDATE,
    PYDATEARRAY,
    PYDATETIME,
    PYDATETIMEARRAY,
    PYDATETIMETZ,
    PYDATETIMETZARRAY,
    PYINTERVAL,
    PYINTERVALARRAY,
    PYTIME,
    PYTIMEARRAY,
    ROWIDARRAY,
    STRINGARRAY,
    TIME,
    TIMEARRAY,
    UNICODE,
    UNICODEARRAY,
    AsIs,
    Binary,
    Boolean,
    Column,
    ConnectionInfo,
    DateFromPy,
    Diagnostics,
    Float,
    Int,
    IntervalFromPy,
    ISQLQuote,
    Notify,
    QueryCanceledError,
    QuotedString,
    TimeFromPy,
    TimestampFromPy,
    TransactionRollbackError,
    Xid,
    adapt,
    adapters,
    binary_types,
    connection,
    cursor,
    encodings,
    encrypt_password,
    get_wait_callback,
    libpq_version,
    lobject,
    new_array_type,
    new_type,
    parse_dsn,
    quote_ident,
    register_type,
    set_wait_callback,
    string_types,
)
from ._psycopg import Decimal as _DecimalAdapter
from ._range import register_builtin_ranges
from ._transaction import transaction

ISOLATION_LEVEL_AUTOCOMMIT = 0
ISOLATION_LEVEL_READ_UNCOMMITTED = 4
ISOLATION_LEVEL_READ_COMMITTED = 1
ISOLATION_LEVEL_REPEATABLE_READ = 2
ISOLATION_LEVEL_SERIALIZABLE = 3
ISOLATION_LEVEL_DEFAULT = None

#: Values of ``connection.status``.
STATUS_SETUP = 0
STATUS_READY = 1
STATUS_BEGIN = 2
STATUS_SYNC = 3  # never seen
STATUS_ASYNC = 4  # never seen
STATUS_PREPARED = 5
STATUS_IN_TRANSACTION = STATUS_BEGIN

#: What ``connection.poll()`` returns.
POLL_OK = 0
POLL_READ = 1
POLL_WRITE = 2
POLL_ERROR = 3

#: What ``connection.info.transaction_status`` is: libpq's PGTransactionStatusType.
TRANSACTION_STATUS_IDLE = 0
TRANSACTION_STATUS_ACTIVE = 1
TRANSACTION_STATUS_INTRANS = 2
TRANSACTION_STATUS_INERROR = 3
TRANSACTION_STATUS_UNKNOWN = 4

__all__ = [
    "BINARYARRAY",
    "BOOLEAN",
    "BOOLEANARRAY",
    "BYTES",
    "BYTESARRAY",
    "DATE",
    "DATEARRAY",
    "DATETIMEARRAY",
    "DECIMAL",
    "DECIMALARRAY",
    "FLOAT",
    "FLOATARRAY",
    "INTEGER",
    "INTEGERARRAY",
    "INTERVAL",
    "INTERVALARRAY",
    "ISOLATION_LEVEL_AUTOCOMMIT",
    "ISOLATION_LEVEL_DEFAULT",
    "ISOLATION_LEVEL_READ_COMMITTED",
    "ISOLATION_LEVEL_READ_UNCOMMITTED",
    "ISOLATION_LEVEL_REPEATABLE_READ",
    "ISOLATION_LEVEL_SERIALIZABLE",
    "ISQLQuote",
    "JSON",
    "JSONARRAY",
    "JSONB",
    "JSONBARRAY",
    "LONGINTEGER",
    "LONGINTEGERARRAY",
    "POLL_ERROR",
    "POLL_OK",
    "POLL_READ",
    "POLL_WRITE",
    "PYDATE",
    "PYDATEARRAY",
    "PYDATETIME",
    "PYDATETIMEARRAY",
    "PYDATETIMETZ",
    "PYDATETIMETZARRAY",
    "PYINTERVAL",
    "PYINTERVALARRAY",
    "PYTIME",
    "PYTIMEARRAY",
    "ROWIDARRAY",
    "SQL_IN",
    "STATUS_ASYNC",
    "STATUS_BEGIN",
    "STATUS_IN_TRANSACTION",
    "STATUS_PREPARED",
    "STATUS_READY",
    "STATUS_SETUP",
    "STATUS_SYNC",
    "STRINGARRAY",
    "TIME",
    "TIMEARRAY",
    "TRANSACTION_STATUS_ACTIVE",
    "TRANSACTION_STATUS_IDLE",
    "TRANSACTION_STATUS_INERROR",
    "TRANSACTION_STATUS_INTRANS",
    "TRANSACTION_STATUS_UNKNOWN",
    "UNICODE",
    "UNICODEARRAY",
    "AsIs",
    "Binary",
    "Boolean",
    "Column",
    "ConnectionInfo",
    "DateFromPy",
    "Diagnostics",
    "Float",
    "Int",
    "IntervalFromPy",
    "NoneAdapter",
    "Notify",
    "QueryCanceledError",
    "QuotedString",
    "TimeFromPy",
    "TimestampFromPy",
    "TransactionRollbackError",
    "Xid",
    "adapt",
    "adapters",
    "binary_types",
    "connection",
    "cursor",
    "encodings",
    "encrypt_password",
    "get_wait_callback",
    "libpq_version",
    "lobject",
    "make_dsn",
    "new_array_type",
    "new_type",
    "parse_dsn",
    "quote_ident",
    "register_adapter",
    "register_type",
    "set_wait_callback",
    "string_types",
]


def register_adapter(type: type, adapter: Callable[[Any], Any]) -> None:
    """Have *adapter* adapt objects of *type* and of its subclasses to SQL.

    Switches: never.

    :param adapter: called with the object; what it returns has ``getquoted()``.
    """
    adapters[type, ISQLQuote] = adapter


class SQL_IN:
    """Adapts a sequence to ``(a, b, c)``, as ``IN`` wants it; a tuple is adapted so."""

    def __init__(self, seq: Sequence[Any]) -> None:
        self._seq = seq
        self._conn: connection | None = None

    def prepare(self, conn: connection) -> None:
        """Take from *conn* how its values are quoted."""
        self._conn = conn

    def getquoted(self) -> bytes:
        """Return the SQL."""
        # All are adapted before one is quoted: the error of a later value is the first to show.
        adapted = [adapt(value) for value in self._seq]
        for adapter in adapted:
            if self._conn is not None and hasattr(adapter, "prepare"):
                adapter.prepare(self._conn)
        return b"(" + b", ".join([adapter.getquoted() for adapter in adapted]) + b")"

    def __str__(self) -> str:
        return self.getquoted().decode("utf-8", "surrogateescape")


class NoneAdapter:
    """Adapts None to ``NULL``."""

    def __init__(self, obj: None) -> None:
        pass

    def getquoted(self, null: bytes = b"NULL") -> bytes:
        """Return ``NULL``."""
        return null


_NEEDS_QUOTES = re.compile(r"\s")
_NEEDS_BACKSLASH = re.compile(r"(['\\])")


def _quoted_parameter(value: object) -> str:
    """Return *value* as libpq's connection strings have it (libpq, "Connection Strings")."""
    text = _NEEDS_BACKSLASH.sub(r"\\\1", str(value))
    return f"'{text}'" if not text or _NEEDS_QUOTES.search(text) else text


def make_dsn(dsn: str | None = None, **kwargs: Any) -> str:
    """Return the connection string *dsn* with *kwargs* put into it.

    Switches: never.

    :param dsn: ``key=value`` pairs or a URL.
    :param kwargs: libpq's keywords, and ``database`` for ``dbname``; None leaves one out.
    :raises TypeError: both ``database`` and ``dbname``.
    :raises ProgrammingError: libpq does not understand *dsn*, or knows no such keyword.
    """
    if dsn is None and not kwargs:
        return ""
    if not kwargs:
        parse_dsn(dsn)  # type: ignore[arg-type]
        return dsn  # type: ignore[return-value]
    if "database" in kwargs:
        if "dbname" in kwargs:
            raise TypeError("you can't specify both 'database' and 'dbname' arguments")
        kwargs["dbname"] = kwargs.pop("database")
    given = {key: value for key, value in kwargs.items() if value is not None}
    settings = {**(parse_dsn(dsn) if dsn is not None else {}), **given}
    made = " ".join(f"{key}={_quoted_parameter(value)}" for key, value in settings.items())
    parse_dsn(made)
    return made


# A connection's encoding is looked up without what is not a letter or a digit in its name.
encodings.update(
    {name.replace("_", "").replace("-", "").upper(): codec for name, codec in encodings.items()}
)
register_adapter(tuple, SQL_IN)
register_adapter(type(None), NoneAdapter)
register_adapter(Decimal, _DecimalAdapter)
JSON, JSONARRAY = register_default_json()
JSONB, JSONBARRAY = register_default_jsonb()
register_builtin_ranges()
connection.transaction = transaction
