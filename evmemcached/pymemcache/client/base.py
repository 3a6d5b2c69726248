"""Clients of one server."""

import socket
import ssl
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

from ... import _memcached
from ..._address import Address, address_of
from ..._connecting import Connector
from ..._connecting import Keepalive as KeepaliveOpts
from ..._pools import DEFAULT_CONNECTIONS, DEFAULT_IDLE, PoolSettings, pool_for
from ..serde import LegacyWrappingSerde, Serde, native_codec
from ._commands import Commands

__all__ = ["Client", "KeepaliveOpts", "PooledClient", "normalize_server_spec"]

ServerSpec = tuple[str, int] | str

#: How many clusters are remembered for clients that are made anew again and again.
_REMEMBERED = 256


def normalize_server_spec(server: Any) -> ServerSpec:
    """A server as ``(host, port)``, or as the path of a unix socket.

    :raises ValueError: it is none.
    """
    if isinstance(server, tuple):
        return server
    address = address_of(server)
    if address.family == socket.AF_UNIX:
        return address.host
    return (address.host, address.port)


@lru_cache(_REMEMBERED)
def _remembered(pools: tuple[PoolSettings, ...], serde: Any, **options: Any) -> _memcached.Cluster:
    return _build(pools, serde, **options)


def _build(pools: tuple[PoolSettings, ...], serde: Serde, **options: Any) -> _memcached.Cluster:
    return _memcached.Cluster(
        pools=tuple(pool_for(settings) for settings in pools),
        names=tuple(settings.connector.address.name for settings in pools),
        buckets=tuple(range(len(pools))),
        strict_keys=False,
        **options,
        **native_codec(serde),
    )


def cluster_of(pools: tuple[PoolSettings, ...], serde: Serde, **options: Any) -> _memcached.Cluster:
    """The cluster of these pools, which clients with equal settings share."""
    try:
        hash((serde, tuple(options.values())))
    except TypeError:
        return _build(pools, serde, **options)
    return _remembered(pools, serde, **options)  # type: ignore[arg-type]


def wrapped_serde(
    serde: Serde | None,
    serializer: Callable[[bytes, Any], tuple[Any, int]] | None,
    deserializer: Callable[[Any, bytes, int], Any] | None,
) -> Serde:
    if serde is not None:
        return serde
    if serializer is None and deserializer is None:
        return _PLAIN
    return LegacyWrappingSerde(serializer, deserializer)


_PLAIN = LegacyWrappingSerde(None, None)


class Client(Commands):
    """A client of one memcached server, with pymemcache's methods.

    It is cheap to make and any number of coroutines and threads may use one at once: the
    connections are those of the pool that all clients of the server share.

    :param server: ``(host, port)``, ``"host:port"``, ``"unix:/path"`` or ``"/path"``.
    :param connect_timeout: seconds; None: without limit.
    :param timeout: seconds for one exchange with the server; None: without limit.
    :param ignore_exc: reads that fail give what they would give for a key that is not there.
    :param socket_module: not used.
    :param options: ``max_connections`` (32), ``pool_timeout`` (seconds to wait for a
        connection while all are in use; None: as *timeout*), ``idle_timeout`` (seconds, 60),
        ``username`` and ``password`` (memcached's ``-Y``), ``max_value_length`` (bytes; 0:
        whatever the server takes).
    """

    __slots__ = (
        "__weakref__",
        "_cluster",
        "_compressed_from",
        "_pool",
        "allow_unicode_keys",
        "default_noreply",
        "encoding",
        "ignore_exc",
        "key_prefix",
        "serde",
        "server",
        "timeout",
    )

    def __init__(
        self,
        server: ServerSpec,
        serde: Serde | None = None,
        serializer: Callable[[bytes, Any], tuple[Any, int]] | None = None,
        deserializer: Callable[[Any, bytes, int], Any] | None = None,
        connect_timeout: float | None = None,
        timeout: float | None = None,
        no_delay: bool = False,
        ignore_exc: bool = False,
        socket_module: ModuleType = socket,
        socket_keepalive: KeepaliveOpts | None = None,
        key_prefix: str | bytes = b"",
        default_noreply: bool = True,
        allow_unicode_keys: bool = False,
        encoding: str = "ascii",
        tls_context: ssl.SSLContext | None = None,
        **options: Any,
    ) -> None:
        self.server = normalize_server_spec(server)
        self.serde = wrapped_serde(serde, serializer, deserializer)
        self.timeout = timeout
        self.ignore_exc = ignore_exc
        self.key_prefix = checked_prefix(key_prefix)
        self.default_noreply = default_noreply
        self.allow_unicode_keys = allow_unicode_keys
        self.encoding = encoding
        largest_value = options.pop("max_value_length", 0)
        self._pool = pool_settings(
            address_of(self.server),
            connect_timeout,
            tls_context,
            checked_keepalive(socket_keepalive),
            **options,
        )
        self._compressed_from = getattr(self.serde, "min_compress_len", 0)
        self._cluster = cluster_of(
            (self._pool,),
            self.serde,
            key_prefix=self.key_prefix,
            unicode_keys=allow_unicode_keys,
            largest_value=largest_value,
            timeout=-1.0 if timeout is None else timeout,
            encoding=encoding,
        )

    @property
    def connect_timeout(self) -> float | None:
        return self._pool.connector.timeout

    @property
    def tls_context(self) -> ssl.SSLContext | None:
        return self._pool.connector.tls_context

    def check_key(self, key: Any, key_prefix: bytes = b"") -> bytes:
        """*key* as it is sent. Switches: never.

        :raises MemcacheIllegalInputError: it cannot be sent.
        """
        self._cluster.route(key)
        return key_prefix + (key.encode() if isinstance(key, str) else key)

    def close(self) -> None:
        """Nothing: the connections belong to all clients. See :func:`evmemcached.close_pools`."""

    disconnect_all = close

    def quit(self) -> None:
        """Close the connections to the server that nobody uses. Switches: never."""
        pool_for(self._pool).close_idle()


class PooledClient(Client):
    """As :class:`Client`, whose connections are pooled as well.

    :param max_pool_size: most connections at a time; None: 32. Who finds all in use waits.
    :param pool_idle_timeout: seconds after which an idle connection is closed; 0: never.
    :param lock_generator: not used.
    """

    __slots__ = ()

    def __init__(
        self,
        server: ServerSpec,
        *args: Any,
        max_pool_size: int | None = None,
        pool_idle_timeout: float = 0,
        lock_generator: object = None,
        **kwargs: Any,
    ) -> None:
        if max_pool_size is not None:
            kwargs["max_connections"] = max_pool_size
        super().__init__(server, *args, idle_timeout=pool_idle_timeout, **kwargs)


def checked_prefix(prefix: Any) -> bytes:
    """A key prefix as bytes.

    :raises TypeError: it is none.
    """
    if isinstance(prefix, str):
        prefix = prefix.encode("ascii")
    if not isinstance(prefix, bytes):
        raise TypeError("key_prefix should be bytes.")
    return prefix


def checked_keepalive(keepalive: Any) -> KeepaliveOpts | None:
    """Options of TCP's keep-alive.

    :raises ValueError: they are none.
    """
    if keepalive is not None and not isinstance(keepalive, KeepaliveOpts):
        raise ValueError("socket_keepalive must be a KeepaliveOpts object.")
    return keepalive


def pool_settings(
    address: Address,
    connect_timeout: float | None,
    tls_context: ssl.SSLContext | None,
    keepalive: KeepaliveOpts | None,
    *,
    username: str | None = None,
    password: str | None = None,
    max_connections: int = DEFAULT_CONNECTIONS,
    pool_timeout: float | None = None,
    idle_timeout: float = DEFAULT_IDLE,
) -> PoolSettings:
    """What a client's pool of one server is made with."""
    connector = Connector(address, connect_timeout, tls_context, username, password, keepalive)
    return PoolSettings(connector, max_connections, pool_timeout, idle_timeout)
