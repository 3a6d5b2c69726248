"""Time zones of PostgreSQL's values, for ``cursor.tzinfo_factory``."""

import datetime
import time
from typing import Any, Self

ZERO = datetime.timedelta(0)


class FixedOffsetTimezone(datetime.tzinfo):
    """A zone that is *offset* from UTC, east being positive, all year.

    There is one object for each pair of offset and name, so that zones of values are
    compared by identity.

    :param offset: minutes, or a ``timedelta``; none is UTC.
    :param name: what ``tzname()`` says, instead of the offset.
    """

    _offset = ZERO
    _name: str | None = None
    _known: dict[tuple[datetime.timedelta, str | None], "FixedOffsetTimezone"] = {}

    def __new__(
        cls, offset: datetime.timedelta | float | None = None, name: str | None = None
    ) -> Self:
        if not isinstance(offset, datetime.timedelta):
            offset = datetime.timedelta(minutes=offset or 0)
        if offset == ZERO:
            offset = ZERO
        known = cls._known.get((offset, name))
        if type(known) is cls:
            return known
        zone = super().__new__(cls)
        zone._offset, zone._name = offset, name
        # Who comes second, on another thread, takes what the first has put there.
        return cls._known.setdefault((offset, name), zone) if known is None else zone  # type: ignore[return-value]

    def __init__(
        self, offset: datetime.timedelta | float | None = None, name: str | None = None
    ) -> None:
        pass

    def __repr__(self) -> str:
        # Under psycopg2's name, which is what programs that compare it expect.
        return f"psycopg2.tz.FixedOffsetTimezone(offset={self._offset!r}, name={self._name!r})"

    def __eq__(self, other: object) -> bool:
        return self._offset == other._offset if isinstance(other, FixedOffsetTimezone) else False

    def __hash__(self) -> int:
        return hash(self._offset)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._offset, self._name)

    def utcoffset(self, when: datetime.datetime | None) -> datetime.timedelta:
        """Return how far ahead of UTC the zone is."""
        return self._offset

    def tzname(self, when: datetime.datetime | None) -> str:
        """Return the zone's name, or its offset as ``+01`` or ``-03:30``."""
        if self._name is not None:
            return self._name
        minutes, seconds = divmod(round(self._offset.total_seconds()), 60)
        hours, minutes = divmod(minutes, 60)
        shown = f"{hours:+03d}"
        if minutes or seconds:
            shown += f":{minutes:02d}"
        if seconds:
            shown += f":{seconds:02d}"
        return shown

    def dst(self, when: datetime.datetime | None) -> datetime.timedelta:
        """Return zero: the offset is the same in summer."""
        return ZERO


STDOFFSET = datetime.timedelta(seconds=-time.timezone)
DSTOFFSET = datetime.timedelta(seconds=-time.altzone) if time.daylight else STDOFFSET
DSTDIFF = DSTOFFSET - STDOFFSET


class LocalTimezone(datetime.tzinfo):
    """The zone of this machine, as ``time.localtime()`` knows it."""

    def utcoffset(self, when: datetime.datetime | None) -> datetime.timedelta:
        """Return how far ahead of UTC the zone is at *when*."""
        return DSTOFFSET if self._is_summer(when) else STDOFFSET

    def dst(self, when: datetime.datetime | None) -> datetime.timedelta:
        """Return by how much clocks are advanced at *when*."""
        return DSTDIFF if self._is_summer(when) else ZERO

    def tzname(self, when: datetime.datetime | None) -> str:
        """Return the zone's abbreviation at *when*."""
        return time.tzname[self._is_summer(when)]

    def _is_summer(self, when: datetime.datetime | None) -> bool:
        if when is None:
            return False
        fields = (*when.timetuple()[:8], -1)
        return time.localtime(time.mktime(fields)).tm_isdst > 0


LOCAL = LocalTimezone()
