"""The thread of a ConnectionPool that does what no borrower should wait for."""

import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from ._psycopg import Error

if TYPE_CHECKING:
    from .connection_pool import ConnectionPool

_log = logging.getLogger("psycoev.pool")

#: Seconds between two looks at idle connections, at most.
_LONGEST_REST = 60.0
#: Seconds after which a connection that could not be made is tried again: at first, at most.
_FIRST_RETRY, _LAST_RETRY = 0.5, 30.0
#: Seconds that the making of a connection may take here.
_CONNECT_TIMEOUT = 30.0


def start(pool: "ConnectionPool") -> None:
    """Start the housekeeper of *pool*; it ends when that is closed or is no more.

    Switches: never.
    """
    threading.Thread(
        target=_keep, args=(weakref.ref(pool),), name=f"{pool.name}-housekeeper", daemon=True
    ).start()


def _keep(ref: "weakref.ref[ConnectionPool]") -> None:
    retry = _FIRST_RETRY
    while True:
        pool = ref()
        if pool is None or pool.closed:
            return
        chores = pool._chores
        chores.clear()
        try:
            _close_old(pool)
            _fill(pool)
            retry, rest = _FIRST_RETRY, _rest(pool)
        except Error as error:
            if pool.closed:
                return
            _log.warning("the pool %r cannot connect, tries again: %s", pool.name, error)
            retry, rest = min(retry * 2, _LAST_RETRY), retry
        # Nobody else may have the pool any more.
        del pool
        chores.wait(rest)


def _close_old(pool: "ConnectionPool") -> None:
    """Close what is idle and too old, or idle for too long and one too many."""
    now = time.monotonic()
    old: list[Any] = []
    with pool._lock:
        pool._offer_places()
        kept = []
        spare = len(pool._members) - pool.min_size
        for conn in pool._idle:
            member = pool._members[id(conn)]
            is_spare = pool.max_idle is not None and now - member.idle_since >= pool.max_idle
            too_many = pool._size() - len(old) > pool.max_size
            if member.expires_at <= now or too_many or (is_spare and len(old) < spare):
                old.append(conn)
            else:
                kept.append(conn)
        pool._idle = kept
        for conn in old:
            pool._members.pop(id(conn), None)
    for conn in old:
        conn.close()


def _fill(pool: "ConnectionPool") -> None:
    """Make connections until there are as many as are kept."""
    while True:
        with pool._lock:
            if pool.closed or pool._size() >= pool.min_size:
                pool._filled.set()
                return
            reservation = pool._reserve()
        conn = pool._make(reservation, time.monotonic() + _CONNECT_TIMEOUT)
        with pool._lock:
            pool._members[id(conn)].idle_since = time.monotonic()
            pool._hand_on(conn)
        del conn


def _rest(pool: "ConnectionPool") -> float:
    """Return the seconds until an idle connection may be due, _LONGEST_REST at most."""
    now = time.monotonic()
    # A connection that becomes idle while this thread sleeps is not due sooner than these.
    rest = min(_LONGEST_REST, pool.max_idle or _LONGEST_REST, pool.max_lifetime or _LONGEST_REST)
    with pool._lock:
        has_spare = len(pool._members) > pool.min_size
        for conn in pool._idle:
            member = pool._members[id(conn)]
            rest = min(rest, member.expires_at - now)
            if has_spare and pool.max_idle is not None:
                rest = min(rest, member.idle_since + pool.max_idle - now)
    return max(rest, 0.01)
