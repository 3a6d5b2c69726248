"""Enumerated types of the server as ``enum.Enum``. Not in psycopg2."""

import enum
from typing import Any, TypeVar

from ._catalog import catalog_cursor
from ._psycopg import (
    DataError,
    ISQLQuote,
    ProgrammingError,
    QuotedString,
    adapters,
    new_array_type,
    new_type,
    register_type,
)

E = TypeVar("E", bound=enum.Enum)


def register_enum(
    name: Any, enum_class: type[E], conn_or_curs: Any, globally: bool = False
) -> tuple[Any, Any]:
    """Cast the server's enumerated type *name* to *enum_class*, and adapt that to it.

    A label of the server is the name of a member; in an Enum whose values are strings (a
    ``StrEnum``) it is the value.

    Switches: always.

    :param name: the type's name, with its schema if need be, or an ``sql.Identifier``.
    :param conn_or_curs: where to look the type up, and where to register the cast.
    :param globally: register for all connections.
    :return: the casts of the type and of its arrays.
    :raises ProgrammingError: the server has no such enumerated type, or one whose labels are
        not members.
    """
    with catalog_cursor(conn_or_curs) as curs:
        as_string = getattr(name, "as_string", None)
        shown = as_string(curs) if as_string is not None else name
        curs.execute(
            "select t.oid, t.typarray, array_agg(e.enumlabel::text order by e.enumsortorder)"
            " from pg_catalog.pg_type t join pg_catalog.pg_enum e on e.enumtypid = t.oid"
            " where t.oid = pg_catalog.to_regtype(%s) group by 1, 2",
            (shown,),
        )
        found = curs.fetchone()
    if found is None:
        raise ProgrammingError(f"PostgreSQL enumerated type '{shown}' not found")
    oid, array_oid, labels = found
    members = _members_by_label(enum_class)
    if missing := [label for label in labels if label not in members]:
        raise ProgrammingError(f"{enum_class.__name__} has no members for {', '.join(missing)}")
    cast = new_type((oid,), shown, _caster(enum_class, members))
    array_cast = new_array_type((array_oid,), f"{shown}[]", cast)
    scope = None if globally else conn_or_curs
    register_type(cast, scope)
    register_type(array_cast, scope)
    adapters[enum_class, ISQLQuote] = _adapter(shown, {m: label for label, m in members.items()})
    return cast, array_cast


def _members_by_label(enum_class: type[E]) -> dict[str, E]:
    if all(isinstance(member.value, str) for member in enum_class):
        return {member.value: member for member in enum_class}
    return {member.name: member for member in enum_class}


def _caster(enum_class: type[E], members: dict[str, E]) -> Any:
    def cast_enum(text: str | None, curs: Any) -> E | None:
        if text is None:
            return None
        try:
            return members[text]
        except KeyError:
            raise DataError(f"{enum_class.__name__} has no member for {text!r}") from None

    return cast_enum


def _adapter(type_name: str, labels: dict[Any, str]) -> type:
    class EnumAdapter:
        def __init__(self, member: enum.Enum) -> None:
            self._member = member
            self._conn: Any = None

        def prepare(self, conn: Any) -> None:
            self._conn = conn

        def getquoted(self) -> bytes:
            label = QuotedString(labels[self._member])
            if self._conn is not None:
                label.prepare(self._conn)
            return label.getquoted() + b"::" + type_name.encode()

    return EnumAdapter
