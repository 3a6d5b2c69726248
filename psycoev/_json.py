"""JSON: adapting to it, and casting from it."""

import json
from collections.abc import Callable
from typing import Any

from ._catalog import type_oids
from ._psycopg import (
    ISQLQuote,
    ProgrammingError,
    QuotedString,
    new_array_type,
    new_type,
    register_type,
)

# From PostgreSQL's pg_type.dat.
JSON_OID = 114
JSONARRAY_OID = 199
JSONB_OID = 3802
JSONBARRAY_OID = 3807

Loads = Callable[[str], Any]


class Json:
    """Adapts an object to a JSON string.

    ``register_adapter(dict, Json)`` does it for all dictionaries.

    :param adapted: the object.
    :param dumps: makes the string, instead of ``json.dumps()``; so does a subclass's
        method ``dumps()``.
    """

    def __init__(self, adapted: Any, dumps: Callable[[Any], str] | None = None) -> None:
        self.adapted = adapted
        self._conn: Any = None
        self._dumps = dumps or json.dumps

    def __conform__(self, protocol: object) -> "Json | None":
        return self if protocol is ISQLQuote else None

    def dumps(self, obj: Any) -> str:
        """Return *obj* as JSON."""
        return self._dumps(obj)

    def prepare(self, conn: Any) -> None:
        """Take from *conn* how its strings are quoted."""
        self._conn = conn

    def getquoted(self) -> bytes:
        """Return the SQL."""
        quoted = QuotedString(self.dumps(self.adapted))
        if self._conn is not None:
            quoted.prepare(self._conn)
        return quoted.getquoted()

    def __str__(self) -> str:
        # ASCII, unless dumps() was asked for something else.
        return self.getquoted().decode("ascii", "replace")


def register_json(
    conn_or_curs: Any = None,
    globally: bool = False,
    loads: Loads | None = None,
    oid: int | None = None,
    array_oid: int | None = None,
    name: str = "json",
) -> tuple[Any, Any]:
    """Cast the type *name* and its arrays with *loads*.

    Switches: only if the oids are asked of the server.

    :param conn_or_curs: where to look the type up, and where to register the cast.
    :param globally: register for all connections.
    :param loads: makes an object out of a string, instead of ``json.loads()``.
    :param oid: of the type; then the server is not asked.
    :param array_oid: of its arrays.
    :return: the casts of the type and of its arrays; None for what has no oid.
    :raises ProgrammingError: the server has no such type.
    """
    if oid is None:
        oid, array_oid = _get_json_oids(conn_or_curs, name)
    cast, array_cast = _create_json_typecasters(oid, array_oid, loads, name.upper())
    scope = None if globally else conn_or_curs
    register_type(cast, scope)
    if array_cast is not None:
        register_type(array_cast, scope)
    return cast, array_cast


def register_default_json(
    conn_or_curs: Any = None, globally: bool = False, loads: Loads | None = None
) -> tuple[Any, Any]:
    """Cast ``json`` with *loads*, without asking the server for its oids.

    Switches: never.
    """
    return register_json(conn_or_curs, globally, loads, JSON_OID, JSONARRAY_OID)


def register_default_jsonb(
    conn_or_curs: Any = None, globally: bool = False, loads: Loads | None = None
) -> tuple[Any, Any]:
    """Cast ``jsonb`` with *loads*, without asking the server for its oids.

    Switches: never.
    """
    return register_json(conn_or_curs, globally, loads, JSONB_OID, JSONBARRAY_OID, "jsonb")


def _create_json_typecasters(
    oid: int, array_oid: int | None, loads: Loads | None = None, name: str = "JSON"
) -> tuple[Any, Any]:
    loads = loads or json.loads

    def cast_json(text: str | None, curs: Any) -> Any:
        return None if text is None else loads(text)

    cast = new_type((oid,), name, cast_json)
    if array_oid is None:
        return cast, None
    return cast, new_array_type((array_oid,), f"{name}ARRAY", cast)


def _get_json_oids(conn_or_curs: Any, name: str = "json") -> tuple[int, int]:
    oids = type_oids(conn_or_curs, name)
    if oids is None:
        raise ProgrammingError(f"{name} data type not found")
    return oids
