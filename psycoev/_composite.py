"""Composite types, and rows of tables, as named tuples."""

import re
from collections import namedtuple
from typing import Any, Self

from ._catalog import catalog_cursor
from ._named_rows import field_names
from ._psycopg import DataError, ProgrammingError, new_array_type, new_type, register_type


class CompositeCaster:
    """Casts a composite type of the server to a named tuple; ``make()`` of a subclass, to more.

    What ``register_composite()`` makes.

    :param name: the type's name, without its schema.
    :param attrs: the name and the oid of each attribute.
    """

    def __init__(
        self,
        name: str,
        oid: int,
        attrs: list[tuple[str, int]],
        array_oid: int | None = None,
        schema: str | None = None,
    ) -> None:
        self.name = name
        self.schema = schema
        self.oid = oid
        self.array_oid = array_oid
        self.attnames = [attribute[0] for attribute in attrs]
        self.atttypes = [attribute[1] for attribute in attrs]
        self._create_type(name, self.attnames)
        self.typecaster = new_type((oid,), name, self.parse)
        self.array_typecaster: Any = None
        if array_oid:
            self.array_typecaster = new_array_type((array_oid,), f"{name}ARRAY", self.typecaster)

    def _create_type(self, name: str, attnames: list[str]) -> None:
        made: Any = namedtuple(field_names([name])[0], field_names(attnames))  # type: ignore[misc]
        #: The named tuple's class.
        self.type = made
        self._ctor = self.type._make

    def parse(self, s: str | None, curs: Any) -> Any:
        """Return what the server wrote as *s*.

        Switches: never.

        :raises DataError: the type has other attributes than when it was registered.
        """
        if s is None:
            return None
        fields = self.tokenize(s)
        if len(fields) != len(self.atttypes):
            raise DataError(
                f"expecting {len(self.atttypes)} components for the type {self.name},"
                f" {len(fields)} found instead"
            )
        return self.make([curs.cast(oid, field) for oid, field in zip(self.atttypes, fields)])

    def make(self, values: list[Any]) -> Any:
        """Return an object for *values*, those of the attributes in order."""
        return self._ctor(values)

    # PostgreSQL's manual, "Composite Type Input and Output Syntax".
    _FIELD = re.compile(
        r'\(?(?:(?P<null>(?=[,)]))|"(?P<quoted>(?:[^"]|"")*)"|(?P<bare>[^",)]+))[,)]'
    )
    _ESCAPED = re.compile(r"([\"\\])\1")

    @classmethod
    def tokenize(cls, s: str) -> list[str | None]:
        """Return the fields of the composite that the server wrote as *s*; None is NULL.

        Switches: never.

        :raises DataError: *s* is no composite.
        """
        fields: list[str | None] = []
        position = 0
        while position < len(s):
            match = cls._FIELD.match(s, position)
            if match is None:
                raise DataError(f"can't parse type: {s!r}")
            if match["null"] is not None:
                fields.append(None)
            elif match["quoted"] is not None:
                fields.append(cls._ESCAPED.sub(r"\1", match["quoted"]))
            else:
                fields.append(match["bare"])
            position = match.end()
        return fields

    @classmethod
    def _from_db(cls, name: Any, conn_or_curs: Any) -> Self:
        with catalog_cursor(conn_or_curs) as curs:
            as_string = getattr(name, "as_string", None)
            shown = as_string(curs) if as_string is not None else name
            curs.execute(
                "select t.oid, t.typname, n.nspname, t.typarray, a.attname, a.atttypid"
                " from pg_catalog.pg_type t"
                " join pg_catalog.pg_namespace n on n.oid = t.typnamespace"
                " join pg_catalog.pg_attribute a on a.attrelid = t.typrelid"
                " where t.oid = pg_catalog.to_regtype(%s) and a.attnum > 0"
                " and not a.attisdropped order by a.attnum",
                (shown,),
            )
            found = curs.fetchall()
        if not found:
            raise ProgrammingError(f"PostgreSQL type '{shown}' not found")
        oid, typname, schema, array_oid = found[0][:4]
        return cls(typname, oid, [row[4:] for row in found], array_oid=array_oid, schema=schema)


def register_composite(
    name: Any,
    conn_or_curs: Any,
    globally: bool = False,
    factory: type[CompositeCaster] | None = None,
) -> CompositeCaster:
    """Cast the composite type *name*, and its arrays, to named tuples.

    Switches: always.

    :param name: of a composite type or a table, with its schema if need be, or an
        ``sql.Identifier``.
    :param conn_or_curs: where to look the type up, and where to register the cast.
    :param globally: register for all connections.
    :param factory: a subclass of ``CompositeCaster`` that makes other objects.
    :raises ProgrammingError: the server has no such type.
    """
    caster = (factory or CompositeCaster)._from_db(name, conn_or_curs)
    scope = None if globally else conn_or_curs
    register_type(caster.typecaster, scope)
    if caster.array_typecaster is not None:
        register_type(caster.array_typecaster, scope)
    return caster
