"""SQL put together out of parts, so that no part is taken for another.

::

    query = sql.SQL("select {} from {} where id = %s").format(
        sql.Identifier("name"), sql.Identifier("my schema", "people")
    )
    cursor.execute(query, (10,))

A part is a piece of SQL, an identifier, a literal or a placeholder; ``as_string()`` quotes
each by the rules of the connection.
"""

import string
from collections.abc import Iterable, Iterator
from typing import Any

from . import extensions as ext

_Context = ext.connection | ext.cursor

_formatter = string.Formatter()


def _connection_of(context: _Context) -> ext.connection:
    if isinstance(context, ext.connection):
        return context
    if isinstance(context, ext.cursor):
        return context.connection  # type: ignore[no-any-return]
    raise TypeError(f"context must be a connection or a cursor, not {type(context).__name__}")


class Composable:
    """A part of an SQL statement: what all others are."""

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._wrapped!r})"

    def as_string(self, context: _Context) -> str:
        """Return the SQL, quoted as the connection (or the cursor's connection) has it."""
        raise NotImplementedError

    def __add__(self, other: "Composable") -> "Composed":
        if isinstance(other, Composable):
            return Composed([*_parts(self), *_parts(other)])
        return NotImplemented

    def __mul__(self, n: int) -> "Composed":
        return Composed([self] * n)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._wrapped == other._wrapped

    def __hash__(self) -> int:
        return hash((type(self), repr(self._wrapped)))


def _parts(composable: Composable) -> "Iterable[Composable]":
    return composable if isinstance(composable, Composed) else (composable,)


class Composed(Composable):
    """Parts one after the other: what ``format()``, ``join()`` and ``+`` give."""

    def __init__(self, seq: Iterable[Composable]) -> None:
        parts = list(seq)
        for part in parts:
            if not isinstance(part, Composable):
                raise TypeError(f"Composed elements must be Composable, got {part!r} instead")
        super().__init__(parts)

    @property
    def seq(self) -> list[Composable]:
        """The parts."""
        return list(self._wrapped)

    def as_string(self, context: _Context) -> str:
        return "".join(part.as_string(context) for part in self._wrapped)

    def __iter__(self) -> Iterator[Composable]:
        return iter(self._wrapped)

    def join(self, joiner: "str | SQL") -> "Composed":
        """Return the parts with *joiner* between each two."""
        if isinstance(joiner, str):
            joiner = SQL(joiner)
        elif not isinstance(joiner, SQL):
            raise TypeError("Composed.join() argument must be a string or an SQL")
        return joiner.join(self)


class SQL(Composable):
    """A piece of SQL as it stands. Never make one out of what a user typed."""

    def __init__(self, string: str) -> None:
        if not isinstance(string, str):
            raise TypeError("SQL values must be strings")
        super().__init__(string)

    @property
    def string(self) -> str:
        """The SQL."""
        return self._wrapped  # type: ignore[no-any-return]

    def as_string(self, context: _Context) -> str:
        return self.string

    def format(self, *args: Composable, **kwargs: Composable) -> Composed:
        """Put parts where the text has ``{}``, ``{0}`` or ``{name}``; ``{{`` is a brace.

        Switches: never.

        :raises IndexError, KeyError: there is no such argument.
        :raises TypeError: an argument is not Composable.
        :raises ValueError: a conversion or a format is asked for, or numbered and
            unnumbered fields are mixed.
        """
        parts: list[Composable] = []
        numbers: Iterator[int] | None = None
        numbered = False
        for text, field, spec, conversion in _formatter.parse(self.string):
            if text:
                parts.append(SQL(text))
            if field is None:
                continue
            if spec:
                raise ValueError("no format specification supported by SQL")
            if conversion:
                raise ValueError("no format conversion supported by SQL")
            if field == "":
                if numbered:
                    raise ValueError("cannot switch from manual field to automatic numbering")
                numbers = numbers or iter(range(len(args) + 1))
                parts.append(args[next(numbers)])
            elif field.isdigit():
                if numbers:
                    raise ValueError("cannot switch from automatic numbering to manual field")
                numbered = True
                parts.append(args[int(field)])
            else:
                parts.append(kwargs[field])
        return Composed(parts)

    def join(self, seq: Iterable[Composable]) -> Composed:
        """Return the parts *seq* with this SQL between each two."""
        parts: list[Composable] = []
        for part in seq:
            if parts:
                parts.append(self)
            parts.append(part)
        return Composed(parts)


class Identifier(Composable):
    """A name, or the names of something within something: a schema, its table."""

    def __init__(self, *strings: str) -> None:
        if not strings:
            raise TypeError("Identifier cannot be empty")
        for name in strings:
            if not isinstance(name, str):
                raise TypeError("SQL identifier parts must be strings")
        super().__init__(strings)

    @property
    def strings(self) -> tuple[str, ...]:
        """The names, from the outermost."""
        return self._wrapped  # type: ignore[no-any-return]

    @property
    def string(self) -> str:
        """The name, if there is only one."""
        if len(self._wrapped) == 1:
            return self._wrapped[0]  # type: ignore[no-any-return]
        raise AttributeError("the Identifier wraps more than one string")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._wrapped))})"

    def as_string(self, context: _Context) -> str:
        return ".".join(ext.quote_ident(name, context) for name in self._wrapped)


class Literal(Composable):
    """A value that the statement contains, adapted as an argument of ``execute()`` is."""

    @property
    def wrapped(self) -> Any:
        """The value."""
        return self._wrapped

    def as_string(self, context: _Context) -> str:
        connection = _connection_of(context)
        adapted = ext.adapt(self._wrapped)
        if hasattr(adapted, "prepare"):
            adapted.prepare(connection)
        quoted = adapted.getquoted()
        return (
            quoted if isinstance(quoted, str) else quoted.decode(ext.encodings[connection.encoding])
        )


class Placeholder(Composable):
    """Where ``execute()`` puts an argument: ``%s``, or ``%(name)s``."""

    def __init__(self, name: str | None = None) -> None:
        if name is not None and not isinstance(name, str):
            raise TypeError(f"expected string or None as name, got {name!r}")
        if name is not None and ")" in name:
            raise ValueError(f"invalid name: {name!r}")
        super().__init__(name)

    @property
    def name(self) -> str | None:
        """The name, or none for the next argument of a sequence."""
        return self._wrapped  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'' if self._wrapped is None else repr(self._wrapped)})"

    def as_string(self, context: _Context) -> str:
        return "%s" if self._wrapped is None else f"%({self._wrapped})s"


NULL = SQL("NULL")
DEFAULT = SQL("DEFAULT")
