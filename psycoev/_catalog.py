"""Questions to the server's catalogue of types, which leave the connection as it was."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ._psycopg import connection, cursor

_STATUS_IN_TRANSACTION = 2


def connection_of(conn_or_curs: Any) -> connection:
    """Return the connection that *conn_or_curs* is, has or wraps.

    Switches: never.
    """
    if hasattr(conn_or_curs, "execute"):
        return conn_or_curs.connection  # type: ignore[no-any-return]
    return conn_or_curs  # type: ignore[no-any-return]


@contextmanager
def catalog_cursor(conn_or_curs: Any) -> Iterator[cursor]:
    """Give a plain cursor for reading the catalogue, whatever cursors the program has.

    The transaction that reading began ends with the block. One that the program had begun
    goes on, which is why questions asked here must not fail: ``to_regtype()``, not a cast.
    """
    conn = connection_of(conn_or_curs)
    was_in_transaction = conn.status == _STATUS_IN_TRANSACTION
    try:
        with conn.cursor(cursor_factory=cursor) as curs:
            yield curs
    finally:
        if not was_in_transaction and not conn.autocommit and not conn.closed:
            conn.rollback()


def type_oids(conn_or_curs: Any, name: str) -> tuple[int, int] | None:
    """Return the oids of the type *name* and of its array (0 if it has none), or None.

    Switches: always.
    """
    with catalog_cursor(conn_or_curs) as curs:
        curs.execute(
            "select oid, typarray from pg_catalog.pg_type where oid = pg_catalog.to_regtype(%s)",
            (name,),
        )
        found: tuple[int, int] | None = curs.fetchone()
    return found
