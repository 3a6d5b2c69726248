"""Ranges: the Python types, adapting them, and casting PostgreSQL's range types to them."""

import datetime
import re
from typing import Any, Generic, Self, TypeVar

from ._catalog import catalog_cursor
from ._psycopg import (
    InterfaceError,
    ISQLQuote,
    ProgrammingError,
    adapt,
    adapters,
    new_array_type,
    new_type,
    register_type,
)

T = TypeVar("T")


class Range(Generic[T]):
    """A range of values, as PostgreSQL has them ("Range Types" in its manual).

    :param lower: the lower bound; None is no bound.
    :param upper: the upper bound; None is no bound.
    :param bounds: whether each bound belongs to the range, ``[`` or ``]``, or not,
        ``(`` or ``)``.
    :param empty: the range has no value.
    :raises ValueError: *bounds* is not one of ``[)``, ``(]``, ``()`` and ``[]``.
    """

    # Where programs find it, and so do pickles and Django's migrations.
    __module__ = "psycoev.extras"
    __slots__ = ("_lower", "_upper", "_bounds")

    # None in an empty range.
    _bounds: str | None

    def __init__(
        self,
        lower: T | None = None,
        upper: T | None = None,
        bounds: str = "[)",
        empty: bool = False,
    ) -> None:
        if empty:
            self._lower: T | None = None
            self._upper: T | None = None
            self._bounds = None
            return
        if bounds not in ("[)", "(]", "()", "[]"):
            raise ValueError(f"bound flags not valid: {bounds!r}")
        self._lower = lower
        self._upper = upper
        self._bounds = bounds

    def __repr__(self) -> str:
        if self._bounds is None:
            return f"{type(self).__name__}(empty=True)"
        return f"{type(self).__name__}({self._lower!r}, {self._upper!r}, {self._bounds!r})"

    def __str__(self) -> str:
        if self._bounds is None:
            return "empty"
        return f"{self._bounds[0]}{self._lower}, {self._upper}{self._bounds[1]}"

    @property
    def lower(self) -> T | None:
        """The lower bound, or None if there is none or the range is empty."""
        return self._lower

    @property
    def upper(self) -> T | None:
        """The upper bound, or None if there is none or the range is empty."""
        return self._upper

    @property
    def isempty(self) -> bool:
        """Whether no value is in the range."""
        return self._bounds is None

    @property
    def lower_inf(self) -> bool:
        """Whether the range has no lower bound."""
        return self._bounds is not None and self._lower is None

    @property
    def upper_inf(self) -> bool:
        """Whether the range has no upper bound."""
        return self._bounds is not None and self._upper is None

    @property
    def lower_inc(self) -> bool:
        """Whether the lower bound belongs to the range."""
        return self._bounds is not None and self._lower is not None and self._bounds[0] == "["

    @property
    def upper_inc(self) -> bool:
        """Whether the upper bound belongs to the range."""
        return self._bounds is not None and self._upper is not None and self._bounds[1] == "]"

    def __contains__(self, value: Any) -> bool:
        if self._bounds is None:
            return False
        if self._lower is not None and not (
            self._lower <= value if self._bounds[0] == "[" else self._lower < value
        ):
            return False
        if self._upper is not None and not (
            value <= self._upper if self._bounds[1] == "]" else value < self._upper
        ):
            return False
        return True

    def __bool__(self) -> bool:
        return self._bounds is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Range) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash(self._fields())

    def _fields(self) -> tuple[Any, ...]:
        return self._lower, self._upper, self._bounds

    # Any order that stays the same: PostgreSQL's own is as arbitrary (no bound comes last
    # there, first here, as in psycopg2).
    def _order(self, other: object) -> int | None:
        """Return -1, 0 or 1, or None if *other* is no range."""
        if not isinstance(other, Range):
            return None
        for mine, its in zip(self._fields(), other._fields()):
            if mine == its:
                continue
            if mine is None:
                return -1
            if its is None:
                return 1
            return -1 if mine < its else 1
        return 0

    def __lt__(self, other: object) -> bool:
        order = self._order(other)
        return NotImplemented if order is None else order < 0

    def __le__(self, other: object) -> bool:
        order = self._order(other)
        return NotImplemented if order is None else order <= 0

    def __gt__(self, other: object) -> bool:
        order = self._order(other)
        return NotImplemented if order is None else order > 0

    def __ge__(self, other: object) -> bool:
        order = self._order(other)
        return NotImplemented if order is None else order >= 0

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in Range.__slots__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


class NumericRange(Range[Any]):
    """A range of numbers: ``int4range``, ``int8range`` and ``numrange``."""

    __module__ = "psycoev.extras"


class DateRange(Range[datetime.date]):
    """A ``daterange``."""

    __module__ = "psycoev.extras"


class DateTimeRange(Range[datetime.datetime]):
    """A ``tsrange``."""

    __module__ = "psycoev.extras"


class DateTimeTZRange(Range[datetime.datetime]):
    """A ``tstzrange``."""

    __module__ = "psycoev.extras"


class RangeAdapter:
    """Adapts a range to a call of its type's constructor, whose name is ``name``."""

    name: str | None = None

    def __init__(self, adapted: Range[Any]) -> None:
        self.adapted = adapted
        self._conn: Any = None

    def __conform__(self, protocol: object) -> Self | None:
        return self if protocol is ISQLQuote else None

    def prepare(self, conn: Any) -> None:
        """Take from *conn* how values are quoted."""
        self._conn = conn

    def _quoted_bound(self, value: Any) -> bytes:
        if value is None:
            return b"NULL"
        adapted = adapt(value)
        if self._conn is not None and hasattr(adapted, "prepare"):
            adapted.prepare(self._conn)
        return adapted.getquoted()  # type: ignore[no-any-return]

    def getquoted(self) -> bytes:
        """Return the SQL."""
        if self.name is None:
            raise NotImplementedError("RangeAdapter must be subclassed overriding its 'name'")
        name = self.name.encode("utf8")
        value = self.adapted
        if value._bounds is None:
            return b"'empty'::" + name
        bounds = value._bounds.encode("ascii")
        lower, upper = self._quoted_bound(value.lower), self._quoted_bound(value.upper)
        return b"%s(%s, %s, '%s')" % (name, lower, upper, bounds)


class NumberRangeAdapter(RangeAdapter):
    """Adapts a range of numbers to a literal, since its type is not known."""

    def getquoted(self) -> bytes:
        """Return the SQL."""
        value = self.adapted
        if value._bounds is None:
            return b"'empty'"
        # Not quoted: what a number is adapted to has no character that would need it.
        lower, upper = (
            b"" if bound is None else self._quoted_bound(bound).strip()
            for bound in (value.lower, value.upper)
        )
        bounds = value._bounds.encode("ascii")
        return b"'%s%s,%s%s'" % (bounds[:1], lower, upper, bounds[1:])


class RangeCaster:
    """Casts a range type of the server to a class of ranges, and adapts that.

    What ``register_range()`` makes.
    """

    # Bounds are quoted as fields of composite types are: "" and \\ within quotes.
    _PARSE = re.compile(
        r"""
        (?P<opening>[(\[])
        (?: (?P<no_lower>,) | (?: "(?P<quoted_lower>(?:[^"\\]|""|\\.)*)" | (?P<lower>[^"\\,]+) ) , )
        (?: (?P<no_upper>)(?=[)\]]) | "(?P<quoted_upper>(?:[^"\\]|""|\\.)*)" | (?P<upper>[^"\\)\]]+) )
        (?P<closing>[)\]])
        """,
        re.VERBOSE | re.DOTALL,
    )
    _ESCAPED = re.compile(r'(["\\])(.)', re.DOTALL)

    def __init__(
        self,
        pgrange: str | type[RangeAdapter],
        pyrange: str | type[Range[Any]],
        oid: int,
        subtype_oid: int,
        array_oid: int | None = None,
    ) -> None:
        self.subtype_oid = subtype_oid
        self.adapter, self.range = self._create_ranges(pgrange, pyrange)
        self.typecaster = new_type((oid,), self.adapter.name or "", self.parse)
        self.array_typecaster: Any = None
        if array_oid:
            self.array_typecaster = new_array_type(
                (array_oid,), f"{self.adapter.name}ARRAY", self.typecaster
            )

    @staticmethod
    def _create_ranges(
        pgrange: str | type[RangeAdapter], pyrange: str | type[Range[Any]]
    ) -> tuple[type[RangeAdapter], type[Range[Any]]]:
        if isinstance(pgrange, str):
            adapter = type(pgrange, (RangeAdapter,), {"name": pgrange})
        elif isinstance(pgrange, type) and issubclass(pgrange, RangeAdapter):
            adapter = pgrange
        else:
            raise TypeError("pgrange must be a string or a RangeAdapter strict subclass")
        if isinstance(pyrange, str):
            return adapter, type(pyrange, (Range,), {})
        if isinstance(pyrange, type) and issubclass(pyrange, Range) and pyrange is not Range:
            return adapter, pyrange
        raise TypeError("pyrange must be a type or a range strict subclass")

    @classmethod
    def _from_db(cls, name: Any, pyrange: str | type[Range[Any]], conn_or_curs: Any) -> Self:
        with catalog_cursor(conn_or_curs) as curs:
            as_string = getattr(name, "as_string", None)
            shown = as_string(curs) if as_string is not None else name
            curs.execute(
                "select r.rngtypid, r.rngsubtype, t.typarray"
                " from pg_catalog.pg_range r join pg_catalog.pg_type t on t.oid = r.rngtypid"
                " where t.oid = pg_catalog.to_regtype(%s)",
                (shown,),
            )
            found = curs.fetchone()
        if found is None:
            raise ProgrammingError(f"PostgreSQL range '{shown}' not found")
        oid, subtype_oid, array_oid = found
        return cls(shown, pyrange, oid=oid, subtype_oid=subtype_oid, array_oid=array_oid)

    def parse(self, text: str | None, cur: Any = None) -> Range[Any] | None:
        """Return the range that the server wrote as *text*."""
        if text is None:
            return None
        if text == "empty":
            return self.range(empty=True)
        match = self._PARSE.fullmatch(text)
        if match is None:
            raise InterfaceError(f"failed to parse range: {text!r}")
        lower = self._bound(match, "lower", cur)
        upper = self._bound(match, "upper", cur)
        return self.range(lower, upper, match["opening"] + match["closing"])

    def _bound(self, match: "re.Match[str]", which: str, cur: Any) -> Any:
        text: str | None = match[which]
        if text is None:
            quoted: str | None = match[f"quoted_{which}"]
            text = None if quoted is None else self._ESCAPED.sub(r"\2", quoted)
        return cur.cast(self.subtype_oid, text)

    def _register(self, scope: Any = None) -> None:
        register_type(self.typecaster, scope)
        if self.array_typecaster is not None:
            register_type(self.array_typecaster, scope)
        adapters[self.range, ISQLQuote] = self.adapter


def register_range(
    pgrange: Any, pyrange: str | type[Range[Any]], conn_or_curs: Any, globally: bool = False
) -> RangeCaster:
    """Cast the server's range type *pgrange* to *pyrange*, and adapt that to it.

    Switches: always.

    :param pgrange: the type's name, with its schema if need be, or an ``sql.Identifier``.
    :param pyrange: a subclass of ``Range``, or the name of one to make.
    :param conn_or_curs: where to look the type up, and where to register the cast.
    :param globally: register for all connections.
    :raises ProgrammingError: the server has no such range type.
    """
    caster = RangeCaster._from_db(pgrange, pyrange, conn_or_curs)
    caster._register(None if globally else conn_or_curs)
    return caster


#: The server's own range types, from PostgreSQL's pg_type.dat.
_BUILTIN: tuple[tuple[Any, type[Range[Any]], int, int, int], ...] = (
    (NumberRangeAdapter, NumericRange, 3904, 23, 3905),  # int4range
    (NumberRangeAdapter, NumericRange, 3926, 20, 3927),  # int8range
    (NumberRangeAdapter, NumericRange, 3906, 1700, 3907),  # numrange
    ("daterange", DateRange, 3912, 1082, 3913),
    ("tsrange", DateTimeRange, 3908, 1114, 3909),
    ("tstzrange", DateTimeTZRange, 3910, 1184, 3911),
)


def register_builtin_ranges() -> None:
    """Cast the server's own range types, everywhere.

    Switches: never.
    """
    for pgrange, pyrange, oid, subtype_oid, array_oid in _BUILTIN:
        RangeCaster(pgrange, pyrange, oid, subtype_oid, array_oid)._register()
