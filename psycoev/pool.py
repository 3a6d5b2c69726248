"""psycopg2's pools: ``getconn()`` and ``putconn()``, and an error when all are lent.

``psycoev.connection_pool`` has a pool that waits, and looks after its connections.
"""

from collections.abc import Hashable
from typing import Any

import coev

from . import Error, connect
from . import extensions as ext


class PoolError(Error):
    """A connection pool was used wrongly, or has no connection left."""


class AbstractConnectionPool:
    """What the pools have in common.

    :param minconn: how many connections are made at once, and kept.
    :param maxconn: how many there are at most.
    :param args, kwargs: for ``connect()``.
    """

    def __init__(self, minconn: int, maxconn: int, *args: Any, **kwargs: Any) -> None:
        self.minconn = int(minconn)
        self.maxconn = int(maxconn)
        self.closed = False
        self._args = args
        self._kwargs = kwargs
        self._idle: list[ext.connection] = []
        self._lent: dict[Hashable, ext.connection] = {}
        self._key_of: dict[int, Hashable] = {}  # by id() of a lent connection
        self._last_key = 0
        for _ in range(self.minconn):
            self._idle.append(self._new_connection())

    def _new_connection(self) -> ext.connection:
        return connect(*self._args, **self._kwargs)

    def _getconn(self, key: Hashable = None) -> ext.connection:
        """Lend a connection, the one already lent under *key* if there is that.

        :raises PoolError: *maxconn* are lent, or the pool is closed.
        """
        if self.closed:
            raise PoolError("connection pool is closed")
        if key is None:
            self._last_key += 1
            key = self._last_key
        if key in self._lent:
            return self._lent[key]
        if self._idle:
            conn = self._idle.pop()
        elif len(self._lent) >= self.maxconn:
            raise PoolError("connection pool exhausted")
        else:
            conn = self._new_connection()
        self._lent[key] = conn
        self._key_of[id(conn)] = key
        return conn

    def _putconn(self, conn: ext.connection, key: Hashable = None, close: bool = False) -> None:
        """Take a connection back: rolled back, or closed if there are enough.

        :param key: under which it was lent; None finds that out.
        :param close: close it in any case.
        :raises PoolError: the connection is none of the pool's, or the pool is closed.
        """
        if self.closed:
            raise PoolError("connection pool is closed")
        if key is None:
            key = self._key_of.get(id(conn))
            if key is None:
                raise PoolError("trying to put unkeyed connection")
        if close or len(self._idle) >= self.minconn or not self._is_usable(conn):
            conn.close()
        else:
            self._idle.append(conn)
        # closeall() may have come meanwhile.
        if not self.closed or key in self._lent:
            self._lent.pop(key, None)
            self._key_of.pop(id(conn), None)

    @staticmethod
    def _is_usable(conn: ext.connection) -> bool:
        if conn.closed:
            return False
        status = conn.info.transaction_status
        if status == ext.TRANSACTION_STATUS_UNKNOWN:
            return False
        if status != ext.TRANSACTION_STATUS_IDLE:
            conn.rollback()
        return not conn.closed

    def _closeall(self) -> None:
        """Close all connections, the lent ones too."""
        if self.closed:
            raise PoolError("connection pool is closed")
        for conn in self._idle + list(self._lent.values()):
            try:
                conn.close()
            except Exception:
                pass  # the others are to be closed all the same
        self.closed = True


class SimpleConnectionPool(AbstractConnectionPool):
    """A pool for one thread."""

    def getconn(self, key: Hashable = None) -> ext.connection:
        """Lend a connection. Switches: only if one has to be made."""
        return self._getconn(key)

    def putconn(self, conn: ext.connection, key: Hashable = None, close: bool = False) -> None:
        """Take a connection back. Switches: only if it is in a transaction, or is closed."""
        self._putconn(conn, key, close)

    def closeall(self) -> None:
        """Close all connections. Switches: never."""
        self._closeall()


class ThreadedConnectionPool(AbstractConnectionPool):
    """A pool for many threads, and for coroutines."""

    def __init__(self, minconn: int, maxconn: int, *args: Any, **kwargs: Any) -> None:
        # One of coev's: a coroutine that waits for it does not stop its OS thread, in which
        # the one that has it may be connecting.
        self._lock = coev.Lock()
        super().__init__(minconn, maxconn, *args, **kwargs)

    def getconn(self, key: Hashable = None) -> ext.connection:
        """Lend a connection. Switches: only if one has to be made."""
        with self._lock:
            return self._getconn(key)

    def putconn(self, conn: ext.connection, key: Hashable = None, close: bool = False) -> None:
        """Take a connection back. Switches: only if it is in a transaction, or is closed."""
        with self._lock:
            self._putconn(conn, key, close)

    def closeall(self) -> None:
        """Close all connections. Switches: never."""
        with self._lock:
            self._closeall()
