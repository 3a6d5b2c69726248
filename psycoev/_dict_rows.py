"""Cursors whose rows are addressed by column name."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ._psycopg import connection, cursor


class _RowsOfOurOwn(cursor):
    """A cursor that makes other rows out of the tuples of its base.

    A subclass says in ``_row_maker()`` how, once for each result. A ``row_factory`` that
    the program sets goes first.
    """

    # The description that _make was made for. A description is one object while its result
    # is the cursor's, and is not freed while it stands here.
    _made_for: Any = None
    _make: Callable[[tuple[Any, ...]], Any]

    def _row_maker(self, names: list[str]) -> Callable[[tuple[Any, ...]], Any]:
        raise NotImplementedError

    def _current_maker(self) -> Callable[[tuple[Any, ...]], Any]:
        description = self.description
        if description is not self._made_for:
            self._make = self._row_maker([column[0] for column in description or ()])
            self._made_for = description
        return self._make

    def fetchone(self) -> Any:
        row = super().fetchone()
        if row is None or self.row_factory is not None:
            return row
        return self._current_maker()(row)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        rows = super().fetchmany() if size is None else super().fetchmany(size)
        return self._made(rows)

    def fetchall(self) -> list[Any]:
        return self._made(super().fetchall())

    def _made(self, rows: list[Any]) -> list[Any]:
        if not rows or self.row_factory is not None:
            return rows
        return list(map(self._current_maker(), rows))

    def __next__(self) -> Any:
        row = super().__next__()
        return row if self.row_factory is not None else self._current_maker()(row)


class _CursorsByDefault(connection):
    """A connection whose cursors are of another class, unless the program says which."""

    _default_cursor: type[cursor]

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("cursor_factory", self.cursor_factory or self._default_cursor)
        return super().cursor(*args, **kwargs)


class DictCursorBase(_RowsOfOurOwn):
    """What cursors with rows of a class of one's own are made from.

    :param row_factory: called with the cursor for each row, which it then fills by
        position.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "row_factory" not in kwargs:
            raise NotImplementedError("DictCursorBase can't be instantiated without a row factory.")
        row_factory = kwargs.pop("row_factory")
        super().__init__(*args, **kwargs)
        if row_factory not in (DictRow, RealDictRow):
            self.row_factory = row_factory


class DictConnection(_CursorsByDefault):
    """A connection whose cursors are ``DictCursor``."""


class DictCursor(DictCursorBase):
    """A cursor whose rows are lists that know their columns' names too: ``DictRow``."""

    #: The position of each column of the last result that rows were fetched of.
    index: dict[str, int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("row_factory", DictRow)
        super().__init__(*args, **kwargs)
        self.index = OrderedDict()

    def _row_maker(self, names: list[str]) -> Callable[[tuple[Any, ...]], Any]:
        index = self.index = OrderedDict((name, place) for place, name in enumerate(names))

        def make(values: tuple[Any, ...]) -> DictRow:
            row = DictRow.__new__(DictRow)
            list.__init__(row, values)
            row._index = index
            return row

        return make


class DictRow(list[Any]):
    """A row: a list, whose values are found by column name as well as by position."""

    __slots__ = ("_index",)

    _index: dict[str, int]

    def __init__(self, cursor: DictCursor) -> None:
        super().__init__([None] * len(cursor.description or ()))
        self._index = cursor.index

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, (int, slice)):
            key = self._index[key]
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(key, (int, slice)):
            key = self._index[key]
        super().__setitem__(key, value)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Iterate over pairs of column name and value."""
        return ((name, self[place]) for name, place in self._index.items())

    def keys(self) -> Iterator[str]:
        """Iterate over the columns' names."""
        return iter(self._index)

    def values(self) -> Iterator[Any]:
        """Iterate over the values."""
        return (self[place] for place in self._index.values())

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a column, or *default* if there is no such column."""
        place = self._index.get(key)
        return default if place is None else self[place]

    def copy(self) -> "OrderedDict[str, Any]":  # type: ignore[override]
        """Return a dictionary of the row."""
        return OrderedDict(self.items())

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored_dict_row, (list(self), dict(self._index))


def _restored_dict_row(values: Iterable[Any], index: dict[str, int]) -> DictRow:
    row = DictRow.__new__(DictRow)
    list.__init__(row, values)
    row._index = OrderedDict(index)
    return row


class RealDictConnection(_CursorsByDefault):
    """A connection whose cursors are ``RealDictCursor``."""


class RealDictCursor(DictCursorBase):
    """A cursor whose rows are dictionaries, ``RealDictRow``: no access by position."""

    #: The columns' names of the last result that rows were fetched of.
    column_mapping: list[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("row_factory", RealDictRow)
        super().__init__(*args, **kwargs)
        self.column_mapping = []

    def _row_maker(self, names: list[str]) -> Callable[[tuple[Any, ...]], Any]:
        self.column_mapping = names

        def make(values: tuple[Any, ...]) -> RealDictRow:
            return RealDictRow(zip(names, values))

        return make


class RealDictRow(OrderedDict[str, Any]):
    """A row: a dictionary of its columns, in their order."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args and isinstance(args[0], cursor):  # with all values still missing
            super().__init__((column[0], None) for column in args[0].description or ())
        else:
            super().__init__(*args, **kwargs)


DictConnection._default_cursor = DictCursor
RealDictConnection._default_cursor = RealDictCursor
