"""Cursors whose rows are named tuples."""

import re
from collections import namedtuple
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from ._dict_rows import _CursorsByDefault, _RowsOfOurOwn

_NOT_OF_A_NAME = re.compile(r"\W")


def field_names(columns: Sequence[str]) -> list[str]:
    """Return names that fields of a named tuple may have, for columns that have any.

    What is not of a name becomes ``_``, and a name that begins with ``_`` or a digit gets an
    ``f`` before it, as in psycopg2.

    Switches: never.
    """
    names = []
    for column in columns:
        name = _NOT_OF_A_NAME.sub("_", column)
        names.append(f"f{name}" if name[:1] == "_" or name[:1].isdigit() else name)
    return names


class NamedTupleConnection(_CursorsByDefault):
    """A connection whose cursors are ``NamedTupleCursor``."""


class NamedTupleCursor(_RowsOfOurOwn):
    """A cursor whose rows are named tuples.

    Results with the same columns have one class of rows, so long as the 512 classes that
    were used last contain it.
    """

    def _row_maker(self, names: list[str]) -> Callable[[tuple[Any, ...]], Any]:
        return self._make_nt()._make  # type: ignore[no-any-return]

    def _make_nt(self) -> Any:
        key = tuple(column[0] for column in self.description or ())
        return self._cached_make_nt(key)

    @classmethod
    @lru_cache(512)
    def _cached_make_nt(cls, key: tuple[str, ...]) -> Any:
        return namedtuple("Record", field_names(key))


NamedTupleConnection._default_cursor = NamedTupleCursor
