"""A pool of connections that waits for one, and looks after them.

::

    pool = ConnectionPool("dbname=shop", min_size=2, max_size=10)
    with pool.connection() as conn:
        conn.cursor().execute(...)

The pool counts the connections that exist, and holds no reference to one that is lent.
Whatever happens to a borrower, at any instruction: a connection that nobody has any more is
closed, and its place is free. So no place is ever lost.
"""

import logging
import os
import random
import select
import time
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, Self

import coev

from . import Error, OperationalError, _pool_housekeeper, connect
from . import extensions as ext

_log = logging.getLogger("psycoev.pool")

_Hook = Callable[[ext.connection], None]

_COUNTS = (
    "requests_num",
    "requests_queued",
    "requests_wait_ms",
    "requests_errors",
    "usage_ms",
    "returns_bad",
    "connections_num",
    "connections_ms",
    "connections_errors",
    "connections_lost",
)


class PoolTimeout(OperationalError):
    """No connection became free in time."""


class PoolClosed(OperationalError):
    """The pool is closed."""


class TooManyRequests(OperationalError):
    """As many borrowers wait as may."""


class _Reservation:
    """A place for a connection that is to be made; free again when this object is gone."""

    __slots__ = ("__weakref__",)


class _Member:
    """What the pool knows of one of its connections."""

    __slots__ = ("ref", "expires_at", "idle_since", "lent_at")

    def __init__(self, ref: "weakref.ref[ext.connection]", expires_at: float) -> None:
        self.ref = ref
        self.expires_at = expires_at
        self.idle_since = 0.0
        self.lent_at: float | None = None


class _Waiter:
    """A borrower in the queue, and what it is given."""

    __slots__ = ("event", "offer", "__weakref__")

    def __init__(self) -> None:
        self.event = coev.Event()
        self.offer: ext.connection | _Reservation | None = None


class ConnectionPool:
    """Lends up to *max_size* connections; who comes when all are lent waits for one, in turn.

    For coroutines and for OS threads alike. A borrower whose connection has to be made makes
    it itself, and gets the error if that fails. A thread of the pool keeps *min_size*
    connections, and closes those that are too old.

    :param conninfo: libpq's connection string.
    :param kwargs: more arguments for ``connect()``.
    :param min_size: how many connections are kept.
    :param max_size: how many there are at most.
    :param timeout: seconds that a borrower waits, the making of a connection included.
    :param max_waiting: how many borrowers may wait; 0 is any number.
    :param max_lifetime: seconds after which a connection is replaced (up to a twentieth less,
        so that not all are replaced at once); None is never.
    :param max_idle: seconds of not being lent after which a connection beyond *min_size* is
        closed; None is never.
    :param configure: called with each new connection.
    :param check: called with a connection before it is lent again; an ``Error`` says that it
        is dead, and another one is taken. Without it a connection that the server has closed
        is recognized, one to a host that is gone is not: ``ConnectionPool.check_connection``
        asks the server.
    :param reset: called with a connection that came back, after its rollback; an ``Error``
        closes the connection.
    :param name: for messages.
    """

    def __init__(
        self,
        conninfo: str = "",
        *,
        kwargs: dict[str, Any] | None = None,
        min_size: int = 4,
        max_size: int = 10,
        timeout: float = 30.0,
        max_waiting: int = 0,
        max_lifetime: float | None = 3600.0,
        max_idle: float | None = 600.0,
        configure: _Hook | None = None,
        check: _Hook | None = None,
        reset: _Hook | None = None,
        name: str | None = None,
    ) -> None:
        self.conninfo = conninfo
        self.kwargs = kwargs or {}
        self.timeout = timeout
        self.max_waiting = max_waiting
        self.max_lifetime = max_lifetime
        self.max_idle = max_idle
        self.name = name or f"pool-{id(self):x}"
        self._configure, self._check, self._reset = configure, check, reset
        self._set_sizes(min_size, max_size)
        self._closed = False
        self._start_afresh()
        _pools.add(self)
        self._keep_house()

    def _set_sizes(self, min_size: int, max_size: int) -> None:
        if not 0 <= min_size <= max_size or max_size < 1:
            raise ValueError(f"a pool cannot have {min_size} to {max_size} connections")
        self.min_size, self.max_size = min_size, max_size

    def _start_afresh(self) -> None:
        """Begin with no connection. In a child of fork all there were are the parent's."""
        # One of coev's, as a coroutine must not stop its OS thread when it waits.
        self._lock = coev.Lock()
        self._idle: list[ext.connection] = []  # used last comes last
        # By id() of an object, whose weak reference removes it before the id is used again.
        self._members: dict[int, _Member] = {}
        self._reserved: dict[int, weakref.ref[_Reservation]] = {}
        self._waiters: deque[weakref.ref[_Waiter]] = deque()
        self._chores = coev.Event()  # there is something for the housekeeper
        self._filled = coev.Event()  # there are min_size connections
        self._counts: dict[str, float] = dict.fromkeys(_COUNTS, 0)
        self._housekeeper_pid = 0

    def _keep_house(self) -> None:
        """Start the housekeeper, if this process has none yet."""
        if self._housekeeper_pid != os.getpid():
            self._housekeeper_pid = os.getpid()
            _pool_housekeeper.start(self)

    # Lending

    def connection(self, timeout: float | None = None) -> "_Loan":
        """Lend a connection for a ``with`` block, whose end commits or rolls back.

        Switches: only if no connection is idle; at the end, if there is a transaction.

        :param timeout: seconds; None is the pool's.
        :raises PoolTimeout: (here, and by ``getconn()``) no connection became free in time.
        :raises OperationalError: one had to be made, and no server accepts it.
        """
        return _Loan(self, timeout)

    def getconn(self, timeout: float | None = None) -> ext.connection:
        """Lend a connection, which ``putconn()`` takes back.

        Switches: only if no connection is idle, or there is a *check*.

        :param timeout: seconds; None is the pool's.
        :raises PoolTimeout: no connection became free in time.
        :raises PoolClosed: the pool is closed.
        :raises TooManyRequests: *max_waiting* others wait already.
        :raises OperationalError: one had to be made, and no server accepts it.
        """
        self._keep_house()
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        self._counts["requests_num"] += 1
        try:
            found = self._take()
            if isinstance(found, _Waiter):
                found = self._wait(found, deadline)
            while not isinstance(found, _Reservation):
                if self._is_good(found):
                    return self._lent(found)
                found = self._replacement(found)
            return self._lent(self._make(found, deadline))
        except (PoolTimeout, TooManyRequests):
            self._counts["requests_errors"] += 1
            raise

    def _take(self) -> "ext.connection | _Reservation | _Waiter":
        """Return an idle connection, or a place for a new one, or else a place in the queue."""
        with self._lock:
            if self._closed:
                raise PoolClosed(f"the pool {self.name!r} is closed")
            if self._idle:
                return self._idle.pop()
            if self._size() < self.max_size:
                return self._reserve()
            if self.max_waiting and len(self._waiters) >= self.max_waiting:
                raise TooManyRequests(f"{self.max_waiting} wait for the pool {self.name!r}")
            self._counts["requests_queued"] += 1
            waiter = _Waiter()
            self._waiters.append(weakref.ref(waiter))
            return waiter

    def _wait(self, waiter: _Waiter, deadline: float) -> ext.connection | _Reservation:
        started = time.monotonic()
        try:
            waiter.event.wait(max(deadline - started, 0))
        except BaseException:
            offer = self._leave(waiter)
            if offer is not None:
                with self._lock:
                    self._hand_on(offer)
            raise
        finally:
            self._counts["requests_wait_ms"] += (time.monotonic() - started) * 1000
        offer = self._leave(waiter)
        if offer is not None:
            return offer
        if self._closed:
            raise PoolClosed(f"the pool {self.name!r} was closed")
        raise PoolTimeout(f"no connection of the pool {self.name!r} became free in time")

    def _leave(self, waiter: _Waiter) -> ext.connection | _Reservation | None:
        """Leave the queue, and return what was given there."""
        with self._lock:
            offer, waiter.offer = waiter.offer, None
            if offer is None and (own := weakref.ref(waiter)) in self._waiters:
                self._waiters.remove(own)
        return offer

    def _hand_on(self, offer: ext.connection | _Reservation) -> None:
        """Give *offer* to who waits longest; else a connection is idle. REQUIRES: the lock."""
        while self._waiters:
            waiter = self._waiters.popleft()()
            if waiter is not None:
                waiter.offer = offer
                waiter.event.set()
                return
        if not isinstance(offer, _Reservation):
            self._idle.append(offer)

    def _lent(self, conn: ext.connection) -> ext.connection:
        self._members[id(conn)].lent_at = time.monotonic()
        return conn

    # Places. REQUIRES: the lock, for each of these.

    def _size(self) -> int:
        return len(self._members) + len(self._reserved)

    def _reserve(self) -> _Reservation:
        reservation = _Reservation()
        gone = partial(_forget, weakref.ref(self), "_reserved", id(reservation))
        self._reserved[id(reservation)] = weakref.ref(reservation, gone)
        return reservation

    def _admit(self, conn: ext.connection) -> None:
        expires_at = float("inf")
        if self.max_lifetime is not None:
            expires_at = time.monotonic() + self.max_lifetime * random.uniform(0.95, 1)
        gone = partial(_forget, weakref.ref(self), "_members", id(conn))
        self._members[id(conn)] = _Member(weakref.ref(conn, gone), expires_at)

    def _offer_places(self) -> None:
        """Give those who wait the places that became free."""
        while self._waiters and self._size() < self.max_size:
            self._hand_on(self._reserve())

    # Connections

    def _make(self, reservation: _Reservation, deadline: float) -> ext.connection:
        """Return a new connection, which takes the place of *reservation*."""
        started = time.monotonic()
        self._counts["connections_num"] += 1
        scope = coev.timeout(max(deadline - started, 0))
        try:
            with scope:
                conn = connect(self.conninfo, **self.kwargs)
                if self._configure is not None:
                    self._configure(conn)
                _end_transaction(conn)
        except TimeoutError:
            self._counts["connections_errors"] += 1
            if not scope.expired:
                raise
            raise PoolTimeout(
                f"no new connection of the pool {self.name!r} was made in time"
            ) from None
        except Exception:
            self._counts["connections_errors"] += 1
            raise
        self._counts["connections_ms"] += (time.monotonic() - started) * 1000
        with self._lock:
            if self._closed:
                raise PoolClosed(f"the pool {self.name!r} was closed")
            self._admit(conn)
            self._reserved.pop(id(reservation), None)
        return conn

    def _is_good(self, conn: ext.connection) -> bool:
        """Return whether *conn* may be lent. An interrupted borrower gives it back."""
        try:
            if self._members[id(conn)].expires_at < time.monotonic():
                return False
            if not _is_open(conn):
                self._counts["connections_lost"] += 1
                return False
            if self._check is not None:
                self._check(conn)
                _end_transaction(conn)
        except Error:
            self._counts["connections_lost"] += 1
            return False
        except BaseException:
            self._give_back(conn)
            raise
        return True

    def _replacement(self, conn: ext.connection) -> ext.connection | _Reservation:
        """Discard *conn*, which is dead or old, and return another one or a place for it."""
        with self._lock:
            self._members.pop(id(conn), None)
            found = self._idle.pop() if self._idle else self._reserve()
        conn.close()
        return found

    def _give_back(self, conn: ext.connection) -> None:
        """Keep *conn*, if nothing is under way on it."""
        if conn.closed or conn.info.transaction_status != ext.TRANSACTION_STATUS_IDLE:
            self._discard(conn)
            return
        with self._lock:
            self._hand_on(conn)

    def _discard(self, conn: ext.connection) -> None:
        with self._lock:
            self._members.pop(id(conn), None)
            self._offer_places()
        self._chores.set()
        conn.close()

    # Taking back

    def putconn(self, conn: ext.connection) -> None:
        """Take a connection back: what it had begun is rolled back.

        Switches: only if it is in a transaction, or there is a *reset*.

        :raises ValueError: the connection is none that this pool has lent.
        """
        member = self._members.get(id(conn))
        if member is None or member.lent_at is None:
            raise ValueError(f"not a connection that the pool {self.name!r} has lent")
        now = time.monotonic()
        self._counts["usage_ms"] += (now - member.lent_at) * 1000
        member.lent_at = None
        member.idle_since = now
        try:
            is_good = self._is_clean(conn)
        except BaseException:
            self._discard(conn)
            raise
        if not is_good:
            self._counts["returns_bad"] += 1
        if not is_good or self._closed or member.expires_at < now:
            self._discard(conn)
            return
        with self._lock:
            if not self._closed:
                self._hand_on(conn)
                return
        self._discard(conn)

    def _is_clean(self, conn: ext.connection) -> bool:
        """Return whether *conn* is as if it were new, after it has been made so."""
        try:
            _end_transaction(conn)
            if self._reset is not None and not conn.closed:
                self._reset(conn)
                _end_transaction(conn)
        except Error as error:
            _log.warning("the pool %r closes a connection: %s", self.name, error)
            return False
        return not conn.closed and conn.info.transaction_status == ext.TRANSACTION_STATUS_IDLE

    # The pool as a whole

    @property
    def closed(self) -> bool:
        """Whether ``close()`` was called."""
        return self._closed

    def wait(self, timeout: float = 30.0) -> None:
        """Wait until the pool has *min_size* connections.

        Switches: only if it has fewer.

        :raises PoolTimeout: it had not in *timeout* seconds.
        """
        if not self._filled.wait(timeout):
            raise PoolTimeout(f"the pool {self.name!r} has no {self.min_size} connections yet")

    def resize(self, min_size: int, max_size: int | None = None) -> None:
        """Change how many connections there are; a lent one is closed when it comes back.

        Switches: never.

        :param max_size: None leaves it, or makes it *min_size* if that is more.
        """
        self._set_sizes(min_size, max(self.max_size, min_size) if max_size is None else max_size)
        self._filled.clear()
        self._chores.set()

    def check(self) -> None:
        """Ask the server of each idle connection for a sign of life; close what gives none.

        Switches: always.
        """
        with self._lock:
            idle, self._idle = self._idle, []
        while idle:
            conn = idle.pop()
            try:
                self.check_connection(conn)
            except Error:
                self._counts["connections_lost"] += 1
                self._discard(conn)
            except BaseException:
                self._discard(conn)
                for other in idle:
                    self._discard(other)
                raise
            else:
                with self._lock:
                    self._hand_on(conn)

    @staticmethod
    def check_connection(conn: ext.connection) -> None:
        """Ask the server for a sign of life. For the parameter *check*.

        Switches: always.

        :raises Error: there was none.
        """
        with conn.cursor(cursor_factory=ext.cursor) as curs:
            curs.execute("SELECT 1")
        _end_transaction(conn)

    def close(self) -> None:
        """Close the idle connections, and each lent one when it comes back.

        Who waits gets ``PoolClosed``. Switches: never.
        """
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for ref in self._waiters:
                if (waiter := ref()) is not None:
                    waiter.event.set()
            self._waiters.clear()
        self._chores.set()
        for conn in idle:
            self._members.pop(id(conn), None)
            conn.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get_stats(self) -> dict[str, int]:
        """Return figures: sizes now, and sums since the pool was made (times in ms).

        ``requests_`` are borrowers (``queued`` had to wait), ``connections_`` what was made,
        ``lost`` what was found dead, ``returns_bad`` what came back and had to be closed.
        """
        return {
            "pool_min": self.min_size,
            "pool_max": self.max_size,
            "pool_size": len(self._members),
            "pool_available": len(self._idle),
            "requests_waiting": len(self._waiters),
            **{name: round(count) for name, count in self._counts.items()},
        }

    def pop_stats(self) -> dict[str, int]:
        """Return ``get_stats()``, and begin the sums anew."""
        stats = self.get_stats()
        self._counts = dict.fromkeys(_COUNTS, 0)
        return stats


class _Loan:
    """What ``ConnectionPool.connection()`` returns."""

    def __init__(self, pool: ConnectionPool, timeout: float | None) -> None:
        self._pool = pool
        self._timeout = timeout
        self._conn: ext.connection | None = None

    def __enter__(self) -> ext.connection:
        self._conn = conn = self._pool.getconn(self._timeout)
        return conn

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        conn, self._conn = self._conn, None
        if conn is None:
            return
        try:
            # A broken connection must not hide what broke it.
            if exc_type is None:
                conn.commit()
            elif not conn.closed:
                conn.rollback()
        except Error:
            if exc_type is None:
                raise
        finally:
            if id(conn) in self._pool._members:  # not so in a child of fork
                self._pool.putconn(conn)


def _is_open(conn: ext.connection) -> bool:
    """Return whether the server has not closed *conn*, as far as can be seen from here.

    An idle connection has nothing to read, but for notifications and for the server's farewell.
    """
    if conn.closed:
        return False
    poller = select.poll()
    poller.register(conn.fileno(), select.POLLIN)
    # The end of the stream is seen by the read after the one that gives the farewell.
    for _ in range(3):
        if conn.closed or not poller.poll(0):
            break
        conn.poll()
    return not conn.closed


def _end_transaction(conn: ext.connection) -> None:
    if not conn.closed and conn.info.transaction_status != ext.TRANSACTION_STATUS_IDLE:
        conn.rollback()


def _forget(
    pool: "weakref.ref[ConnectionPool]", where: str, key: int, ref: "weakref.ref[Any]"
) -> None:
    """Take a connection or a reservation that is no more out of the pool.

    Called whenever an object is freed, also while this coroutine has the pool's lock: who
    waits is therefore told by the housekeeper.
    """
    alive = pool()
    if alive is not None and getattr(alive, where).pop(key, None) is not None:
        alive._chores.set()


_pools: "weakref.WeakSet[ConnectionPool]" = weakref.WeakSet()


def _start_afresh_in_child() -> None:
    for pool in list(_pools):
        pool._start_afresh()


os.register_at_fork(after_in_child=_start_afresh_in_child)
