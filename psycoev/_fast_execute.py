"""Many sets of arguments in few round trips."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from . import extensions as ext

T = TypeVar("T")


def _paginate(seq: Iterable[T], page_size: int) -> Iterator[list[T]]:
    """Give the elements of *seq* in lists of *page_size*, and what is left over."""
    elements = iter(seq)
    while page := list(islice(elements, page_size)):
        yield page


def execute_batch(cur: Any, sql: Any, argslist: Iterable[Any], page_size: int = 100) -> None:
    """Execute *sql* for each set of arguments, *page_size* statements a round trip.

    Switches: always, if there are any arguments.

    :param argslist: sequences or mappings, as ``execute()`` takes them.
    """
    for page in _paginate(argslist, page_size):
        cur.execute(b";".join([cur.mogrify(sql, args) for args in page]))


def execute_values(
    cur: Any,
    sql: Any,
    argslist: Iterable[Any],
    template: str | bytes | None = None,
    page_size: int = 100,
    fetch: bool = False,
) -> list[Any] | None:
    """Execute *sql* with a ``VALUES`` list, *page_size* sets of arguments a statement.

    Switches: always, if there are any arguments.

    :param sql: has one ``%s``, where the list goes; ``%%`` is a percent sign.
    :param argslist: sequences or mappings.
    :param template: what one set of arguments becomes, with placeholders for them; None is
        as many ``%s`` as the first set has, within parentheses.
    :param fetch: return the rows of all statements (of ``RETURNING``), in a list.
    :raises ValueError: *sql* has no ``%s``, or more, or any other placeholder.
    """
    if hasattr(sql, "as_string"):
        sql = sql.as_string(cur)
    if not isinstance(sql, bytes):
        sql = sql.encode(ext.encodings[cur.connection.encoding])
    before, after = _split_sql(sql)
    rows: list[Any] | None = [] if fetch else None
    for page in _paginate(argslist, page_size):
        if template is None:
            template = b"(" + b",".join([b"%s"] * len(page[0])) + b")"
        values = b",".join([cur.mogrify(template, args) for args in page])
        cur.execute(before + values + after)
        if rows is not None:
            rows.extend(cur.fetchall())
    return rows


_PLACEHOLDER = re.compile(rb"%(.?)", re.DOTALL)


def _split_sql(sql: bytes) -> tuple[bytes, bytes]:
    """Return what *sql* has before its one ``%s``, and after it."""
    parts = [b""]
    end = 0
    for match in _PLACEHOLDER.finditer(sql):
        parts[-1] += sql[end : match.start()]
        end = match.end()
        if match[1] == b"%":
            parts[-1] += b"%"
        elif match[1] != b"s":
            shown = match[1].decode("latin-1")
            raise ValueError(f"unsupported format character: '{shown}'")
        elif len(parts) > 1:
            raise ValueError("the query contains more than one '%s' placeholder")
        else:
            parts.append(b"")
    parts[-1] += sql[end:]
    if len(parts) == 1:
        raise ValueError("the query doesn't contain any '%s' placeholder")
    return parts[0], parts[1]
