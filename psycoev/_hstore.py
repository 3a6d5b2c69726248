"""The type ``hstore`` of PostgreSQL's extension of that name, as dictionaries."""

import re
from collections.abc import Sequence
from typing import Any

from ._catalog import catalog_cursor
from ._psycopg import (
    InterfaceError,
    ISQLQuote,
    ProgrammingError,
    QuotedString,
    adapters,
    new_array_type,
    new_type,
    register_type,
)

_PAIR = re.compile(
    r"""
    \s*"(?P<key>(?:[^"\\]|\\.)*)"
    \s*=>\s*
    (?:(?P<null>NULL)|"(?P<value>(?:[^"\\]|\\.)*)")
    \s*(?:,|$)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class HstoreAdapter:
    """Adapts a dictionary of strings to hstore; a value may be None."""

    def __init__(self, wrapped: dict[str, str | None]) -> None:
        self.wrapped = wrapped
        self._conn: Any = None

    def prepare(self, conn: Any) -> None:
        """Take from *conn* how its strings are quoted."""
        self._conn = conn

    def _quoted(self, text: str | None) -> bytes:
        if text is None:
            return b"NULL"
        adapted = QuotedString(text)
        if self._conn is not None:
            adapted.prepare(self._conn)
        return adapted.getquoted()

    def getquoted(self) -> bytes:
        """Return the SQL."""
        if not self.wrapped:
            return b"''::hstore"
        keys = b",".join(map(self._quoted, self.wrapped))
        values = b",".join(map(self._quoted, self.wrapped.values()))
        return b"hstore(ARRAY[%s], ARRAY[%s])" % (keys, values)

    @classmethod
    def parse(cls, s: str | None, cur: Any) -> dict[str, str | None] | None:
        """Return the dictionary that the server wrote as *s*.

        Switches: never.

        :raises InterfaceError: *s* is no hstore.
        """
        if s is None:
            return None
        result: dict[str, str | None] = {}
        start = 0
        while start < len(s):
            match = _PAIR.match(s, start)
            if match is None:
                raise InterfaceError(f"error parsing hstore pair at char {start}")
            value = None if match["null"] else _ESCAPED.sub(r"\1", match["value"])
            result[_ESCAPED.sub(r"\1", match["key"])] = value
            start = match.end()
        return result

    parse_unicode = parse

    @classmethod
    def get_oids(cls, conn_or_curs: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the oids of the hstores of all schemas, and of their arrays.

        Switches: always.
        """
        with catalog_cursor(conn_or_curs) as curs:
            curs.execute(
                "select oid, typarray from pg_catalog.pg_type where typname = 'hstore'"
                " and typtype = 'b'"
            )
            found = curs.fetchall()
        return tuple(oid for oid, _ in found), tuple(array for _, array in found if array)


def register_hstore(
    conn_or_curs: Any,
    globally: bool = False,
    unicode: bool = False,
    oid: int | Sequence[int] | None = None,
    array_oid: int | Sequence[int] | None = None,
) -> None:
    """Cast hstore to dictionaries, and adapt dictionaries to hstore.

    Switches: only if the oids are asked of the server.

    :param conn_or_curs: where to look the type up, and where to register the cast.
    :param globally: register for all connections.
    :param unicode: ignored; psycopg2 has it for Python 2.
    :param oid: of the type (or several); then the server is not asked.
    :param array_oid: of its arrays.
    :raises ProgrammingError: the database has no hstore.
    """
    oids, array_oids = _as_oids(oid), _as_oids(array_oid)
    if oid is None:
        oids, array_oids = HstoreAdapter.get_oids(conn_or_curs)
        if not oids:
            raise ProgrammingError(
                "hstore type not found in the database: it is there after CREATE EXTENSION hstore"
            )
    scope = None if globally else conn_or_curs
    hstore = new_type(oids, "HSTORE", HstoreAdapter.parse)
    register_type(hstore, scope)
    adapters[dict, ISQLQuote] = HstoreAdapter
    if array_oids:
        register_type(new_array_type(array_oids, "HSTOREARRAY", hstore), scope)


def _as_oids(oid: int | Sequence[int] | None) -> tuple[int, ...]:
    if oid is None:
        return ()
    return (oid,) if isinstance(oid, int) else tuple(oid)
