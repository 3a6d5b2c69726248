"""``uuid`` as ``uuid.UUID``, and ``inet`` as a class of psycopg2's time."""

import uuid
import warnings
from collections.abc import Sequence
from typing import Any, Self

from ._psycopg import (
    ISQLQuote,
    QuotedString,
    adapters,
    new_array_type,
    new_type,
    register_type,
)


class UUID_adapter:
    """Adapts ``uuid.UUID``."""

    def __init__(self, uuid: uuid.UUID) -> None:
        self._uuid = uuid

    def __conform__(self, proto: object) -> Self | None:
        return self if proto is ISQLQuote else None

    def getquoted(self) -> bytes:
        """Return the SQL."""
        return f"'{self._uuid}'::uuid".encode()

    def __str__(self) -> str:
        return f"'{self._uuid}'::uuid"


def _pair(oids: int | Sequence[int] | None, default: tuple[int, int]) -> tuple[int, int]:
    """Return the oids of a type and of its array, out of what a program may give for them."""
    if oids is None:
        return default
    if isinstance(oids, int):
        return oids, default[1]
    return oids[0], oids[1]


def register_uuid(oids: int | Sequence[int] | None = None, conn_or_curs: Any = None) -> Any:
    """Cast ``uuid`` to ``uuid.UUID``, and adapt that to it.

    Switches: never.

    :param oids: those of the type and of its array, if they are not PostgreSQL's own.
    :param conn_or_curs: where to register the cast; None is everywhere.
    :return: the cast.
    """
    oid, array_oid = _pair(oids, (2950, 2951))

    def cast_uuid(text: str | None, curs: Any) -> uuid.UUID | None:
        return None if text is None else uuid.UUID(text)

    cast = new_type((oid,), "UUID", cast_uuid)
    array_cast = new_array_type((array_oid,), "UUID[]", cast)
    register_type(cast, conn_or_curs)
    register_type(array_cast, conn_or_curs)
    adapters[uuid.UUID, ISQLQuote] = UUID_adapter
    return cast


class Inet:
    """An ``inet``, which tells itself from a string; ``register_ipaddress()`` does more."""

    def __init__(self, addr: str) -> None:
        #: The address, as the server writes it.
        self.addr = addr
        self._conn: Any = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.addr!r})"

    def __conform__(self, proto: object) -> Self | None:
        return self if proto is ISQLQuote else None

    def prepare(self, conn: Any) -> None:
        """Take from *conn* how its strings are quoted."""
        self._conn = conn

    def getquoted(self) -> bytes:
        """Return the SQL."""
        adapted = QuotedString(self.addr)
        if self._conn is not None:
            adapted.prepare(self._conn)
        return adapted.getquoted() + b"::inet"

    def __str__(self) -> str:
        return self.addr


def register_inet(oid: int | Sequence[int] | None = None, conn_or_curs: Any = None) -> Any:
    """Cast ``inet`` to ``Inet``. Deprecated: ``register_ipaddress()`` has better classes.

    Switches: never.

    :param oid: those of the type and of its array, if they are not PostgreSQL's own.
    :param conn_or_curs: where to register the cast; None is everywhere.
    :return: the cast.
    """
    warnings.warn(
        "the inet adapter is deprecated: use register_ipaddress()",
        DeprecationWarning,
        stacklevel=2,
    )
    own, array_oid = _pair(oid, (869, 1041))

    def cast_inet(text: str | None, curs: Any) -> Inet | None:
        return Inet(text) if text else None

    cast = new_type((own,), "INET", cast_inet)
    register_type(cast, conn_or_curs)
    register_type(new_array_type((array_oid,), "INETARRAY", cast), conn_or_curs)
    return cast
