"""The pools of this process: one for each server and way to connect to it.

They outlive the clients that use them, because a client is made anew for each thread,
coroutine or request, and a connection should not be.
"""

from dataclasses import dataclass

from . import _memcached
from ._connecting import Connector

#: Most connections to a server at a time.
DEFAULT_CONNECTIONS = 32
#: Seconds after which an idle connection is not used any more.
DEFAULT_IDLE = 60.0


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """What makes a pool another one."""

    connector: Connector
    max_connections: int = DEFAULT_CONNECTIONS
    pool_timeout: float | None = None  #: seconds for a connection; None: as the operation's
    idle_timeout: float = DEFAULT_IDLE  #: seconds; 0: without limit


_pools: dict[PoolSettings, _memcached.Pool] = {}


def pool_for(settings: PoolSettings) -> _memcached.Pool:
    """The one pool with these settings."""
    pool = _pools.get(settings)
    if pool is None:
        made = _memcached.Pool(
            settings.connector,
            settings.max_connections,
            -1.0 if settings.pool_timeout is None else settings.pool_timeout,
            settings.idle_timeout,
        )
        pool = _pools.setdefault(settings, made)
    return pool


def close_pools() -> None:
    """Close every idle connection of this process and forget which servers failed.

    Clients go on: the next operation connects anew. Switches: never.
    """
    for pool in list(_pools.values()):
        pool.close_idle()
        pool.revive()


def pool_stats() -> dict[str, dict[str, int]]:
    """Counts of connections by server: ``open``, ``idle``, ``waiting`` (who queues up),
    ``connects``, ``reuses``, ``waits``, ``drops`` (connections given up)."""
    total: dict[str, dict[str, int]] = {}
    for settings, pool in list(_pools.items()):
        counts = total.setdefault(str(settings.connector.address), {})
        for name, number in pool.stats().items():
            counts[name] = counts.get(name, 0) + number
    return total
