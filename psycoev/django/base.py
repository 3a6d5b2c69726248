"""The class that Django looks for in an ENGINE."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured

from psycoev.connection_pool import ConnectionPool

from ._driver import import_backend

_backend = import_backend()

#: The pools of this process, by the alias of the database.
_pools: dict[str, "_Pool"] = {}


class _Pool(ConnectionPool):
    """A pool, with what Django asks of one besides."""

    def open(self) -> None:
        """Do nothing: the pool is open."""


class DatabaseWrapper(_backend.DatabaseWrapper):  # type: ignore[misc, name-defined]
    """Django's PostgreSQL database, whose waits let other coroutines run."""

    settings_dict: dict[str, Any]
    connection: Any

    def _pool_options(self) -> Any:
        return self.settings_dict["OPTIONS"].get("pool")

    @property
    def pool(self) -> "_Pool | None":
        """The pool of the database, or None: connections are then made and closed."""
        options = self._pool_options()
        if not options or self.settings_dict["NAME"] is None:
            return None
        pool = _pools.get(self.alias)
        if pool is None:
            if not hasattr(_backend.DatabaseWrapper, "pool"):
                raise ImproperlyConfigured("a pool needs Django 5.1 or later")
            if self.settings_dict.get("CONN_MAX_AGE", 0) != 0:
                raise ImproperlyConfigured("Pooling doesn't support persistent connections.")
            pool = _pools.setdefault(self.alias, self._make_pool(options))
        return pool

    def _make_pool(self, options: Any) -> "_Pool":
        arguments = dict(options) if isinstance(options, dict) else {}
        if self.settings_dict.get("CONN_HEALTH_CHECKS"):
            arguments.setdefault("check", ConnectionPool.check_connection)
        arguments.setdefault("min_size", 0)

        def configure(conn: Any) -> None:
            conn.autocommit = True
            self._configure_connection(conn)

        return _Pool(
            kwargs=self.get_connection_params(),
            configure=configure,
            reset=_reset,
            name=f"django-{self.alias}",
            **arguments,
        )

    def close_pool(self) -> None:
        """Close the pool; the next connection makes another one."""
        pool = _pools.pop(self.alias, None)
        if pool is not None:
            pool.close()

    def get_connection_params(self) -> dict[str, Any]:
        """Return what ``connect()`` is given."""
        settings = self.settings_dict
        options = {key: value for key, value in settings["OPTIONS"].items() if key != "pool"}
        self.settings_dict = {**settings, "OPTIONS": options}
        try:
            return super().get_connection_params()  # type: ignore[no-any-return]
        finally:
            self.settings_dict = settings

    def _close(self) -> None:
        if self.connection is None or self.pool is None:
            return super()._close()  # type: ignore[no-any-return]
        with self.wrap_database_errors:
            conn, self.connection = self.connection, None
            try:
                self.pool.putconn(conn)
            except ValueError:  # the pool that lent it was closed, and another one made
                conn.close()


def _reset(conn: Any) -> None:
    conn.autocommit = True
