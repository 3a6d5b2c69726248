"""Multiranges: sets of ranges, which PostgreSQL has from version 14 on. Not in psycopg2."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

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
from ._range import DateRange, DateTimeRange, DateTimeTZRange, NumericRange, Range, RangeCaster


class Multirange(Sequence[Range[Any]]):
    """A sequence of ranges that cannot be changed. The server sorts and joins them.

    :param ranges: ranges of one type.
    """

    __slots__ = ("_ranges",)

    def __init__(self, ranges: Iterable[Range[Any]] = ()) -> None:
        self._ranges = tuple(ranges)
        for each in self._ranges:
            if not isinstance(each, Range):
                raise TypeError(f"a Multirange is made of ranges, not of {each!r}")

    @overload
    def __getitem__(self, index: int) -> Range[Any]: ...
    @overload
    def __getitem__(self, index: slice) -> "Multirange": ...
    def __getitem__(self, index: int | slice) -> "Range[Any] | Multirange":
        if isinstance(index, slice):
            return type(self)(self._ranges[index])
        return self._ranges[index]

    def __len__(self) -> int:
        return len(self._ranges)

    def __iter__(self) -> Iterator[Range[Any]]:
        return iter(self._ranges)

    def __contains__(self, value: object) -> bool:
        if isinstance(value, Range):
            return value in self._ranges
        return any(value in each for each in self._ranges)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Multirange) and self._ranges == other._ranges

    def __hash__(self) -> int:
        return hash(self._ranges)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self._ranges)!r})"

    def __str__(self) -> str:
        return "{" + ", ".join(map(str, self._ranges)) + "}"


class NumericMultirange(Multirange):
    """``int4multirange``, ``int8multirange`` and ``nummultirange``."""


class DateMultirange(Multirange):
    """A ``datemultirange``."""


class DateTimeMultirange(Multirange):
    """A ``tsmultirange``."""


class DateTimeTZMultirange(Multirange):
    """A ``tstzmultirange``."""


class MultirangeAdapter:
    """Adapts a multirange to a literal, of the type ``name`` if that is known."""

    name: str | None = None

    def __init__(self, adapted: Multirange) -> None:
        self.adapted = adapted
        self._conn: Any = None

    def prepare(self, conn: Any) -> None:
        """Take from *conn* how values are quoted."""
        self._conn = conn

    def getquoted(self) -> bytes:
        """Return the SQL."""
        text = QuotedString("{" + ",".join(map(self._range_text, self.adapted)) + "}")
        if self._conn is not None:
            text.prepare(self._conn)
        suffix = b"" if self.name is None else b"::" + self.name.encode()
        return text.getquoted() + suffix

    def _range_text(self, value: Range[Any]) -> str:
        if value._bounds is None:
            return "empty"
        lower, upper = map(_bound_text, (value.lower, value.upper))
        return f"{value._bounds[0]}{lower},{upper}{value._bounds[1]}"


def _bound_text(value: Any) -> str:
    """Return *value* as a bound is written within a range's text."""
    if value is None:
        return ""
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


# One range of a multirange's text; commas and brackets within quotes belong to a bound.
_RANGE = re.compile(r'empty|[\[(](?:"(?:[^"\\]|""|\\.)*"|[^"\])])*[\])]', re.DOTALL)


class MultirangeCaster:
    """Casts a multirange type of the server to a class of ``Multirange``.

    What ``register_multirange()`` makes.
    """

    def __init__(
        self,
        name: str | None,
        cls: type[Multirange],
        range_caster: RangeCaster,
        oid: int,
        array_oid: int | None = None,
    ) -> None:
        self.multirange = cls
        self.adapter = type("Adapter", (MultirangeAdapter,), {"name": name})
        self._range_caster = range_caster
        shown = (name or "multirange").upper()
        self.typecaster = new_type((oid,), shown, self.parse)
        self.array_typecaster: Any = None
        if array_oid:
            self.array_typecaster = new_array_type((array_oid,), f"{shown}ARRAY", self.typecaster)

    def parse(self, text: str | None, cur: Any = None) -> Multirange | None:
        """Return the multirange that the server wrote as *text*."""
        if text is None:
            return None
        if not (text.startswith("{") and text.endswith("}")):
            raise InterfaceError(f"failed to parse multirange: {text!r}")
        ranges = []
        position, end = 1, len(text) - 1
        while position < end:
            match = _RANGE.match(text, position, end)
            if match is None or text[match.end()] not in ",}":
                raise InterfaceError(f"failed to parse multirange: {text!r}")
            ranges.append(self._range_caster.parse(match[0], cur))
            position = match.end() + 1
        return self.multirange(each for each in ranges if each is not None)

    def register(self, scope: Any = None) -> None:
        """Cast so on the connection or cursor *scope*; None is everywhere."""
        register_type(self.typecaster, scope)
        if self.array_typecaster is not None:
            register_type(self.array_typecaster, scope)
        adapters[self.multirange, ISQLQuote] = self.adapter


#: The server's own: name, classes, and oids from PostgreSQL's pg_type.dat.
_BUILTIN: tuple[tuple[str | None, type[Multirange], type[Range[Any]], int, int, int], ...] = (
    (None, NumericMultirange, NumericRange, 23, 4451, 6150),
    (None, NumericMultirange, NumericRange, 20, 4536, 6157),
    (None, NumericMultirange, NumericRange, 1700, 4532, 6151),
    ("datemultirange", DateMultirange, DateRange, 1082, 4535, 6155),
    ("tsmultirange", DateTimeMultirange, DateTimeRange, 1114, 4533, 6152),
    ("tstzmultirange", DateTimeTZMultirange, DateTimeTZRange, 1184, 4534, 6153),
)


def register_multiranges(conn_or_curs: Any = None) -> None:
    """Cast the server's own multirange types; without this call they are strings.

    Switches: never.

    :param conn_or_curs: where to cast so; None is everywhere.
    """
    for name, cls, range_class, subtype_oid, oid, array_oid in _BUILTIN:
        ranges = RangeCaster(f"{name}_range", range_class, 0, subtype_oid)
        MultirangeCaster(name, cls, ranges, oid, array_oid).register(conn_or_curs)


def register_multirange(
    name: Any,
    multirange: str | type[Multirange],
    pyrange: str | type[Range[Any]],
    conn_or_curs: Any,
    globally: bool = False,
) -> MultirangeCaster:
    """Cast the server's multirange type *name* to *multirange*, and adapt that to it.

    Switches: always.

    :param name: the type's name, with its schema if need be, or an ``sql.Identifier``.
    :param multirange: a subclass of ``Multirange``, or the name of one to make.
    :param pyrange: a subclass of ``Range``, of which it consists.
    :param conn_or_curs: where to look the type up, and where to register the cast.
    :param globally: register for all connections.
    :raises ProgrammingError: the server has no such multirange type.
    """
    with catalog_cursor(conn_or_curs) as curs:
        as_string = getattr(name, "as_string", None)
        shown = as_string(curs) if as_string is not None else name
        curs.execute(
            "select t.oid, t.typarray, r.rngtypid::regtype::text, r.rngtypid, r.rngsubtype"
            " from pg_catalog.pg_range r join pg_catalog.pg_type t on t.oid = r.rngmultitypid"
            " where t.oid = pg_catalog.to_regtype(%s)",
            (shown,),
        )
        found = curs.fetchone()
    if found is None:
        raise ProgrammingError(f"PostgreSQL multirange '{shown}' not found")
    oid, array_oid, range_name, range_oid, subtype_oid = found
    cls = type(multirange, (Multirange,), {}) if isinstance(multirange, str) else multirange
    ranges = RangeCaster(range_name, pyrange, range_oid, subtype_oid)
    caster = MultirangeCaster(shown, cls, ranges, oid, array_oid)
    caster.register(None if globally else conn_or_curs)
    return caster
