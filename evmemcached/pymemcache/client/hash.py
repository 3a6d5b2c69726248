"""A client of several servers."""

import socket
import ssl
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any, TypeVar

from ... import _memcached
from ..._address import address_of
from ..._exceptions import MemcacheError, MemcacheServerRestingError
from ..._pools import PoolSettings, pool_for
from ..serde import Serde
from ._commands import Commands
from .base import (
    Client,
    KeepaliveOpts,
    ServerSpec,
    checked_keepalive,
    checked_prefix,
    cluster_of,
    normalize_server_spec,
    pool_settings,
    wrapped_serde,
)
from .rendezvous import RendezvousHash

_T = TypeVar("_T")


class HashClient(Commands):
    """A client of several memcached servers, which share the keys by their hash.

    Which servers failed is known to all clients of the process.

    :param servers: each as :class:`~evmemcached.pymemcache.Client` takes it.
    :param hasher: a class like :class:`RendezvousHash`: ``add_node(name)``,
        ``remove_node(name)``, ``get_node(key)``.
    :param retry_attempts: how many failures in a row a server may have before it is dead.
    :param retry_timeout: seconds after a failure in which a server is not asked: reads give
        nothing then.
    :param dead_timeout: seconds for which a dead server's keys go to others.
    :param ignore_exc: operations that fail give False, None or nothing.
    :param use_pooling: not used; connections are pooled in any case.
    """

    client_class = Client

    def __init__(
        self,
        servers: Iterable[ServerSpec],
        hasher: Callable[[], Any] = RendezvousHash,
        serde: Serde | None = None,
        serializer: Callable[[bytes, Any], tuple[Any, int]] | None = None,
        deserializer: Callable[[Any, bytes, int], Any] | None = None,
        connect_timeout: float | None = None,
        timeout: float | None = None,
        no_delay: bool = False,
        socket_module: ModuleType = socket,
        socket_keepalive: KeepaliveOpts | None = None,
        key_prefix: str | bytes = b"",
        max_pool_size: int | None = None,
        pool_idle_timeout: float = 0,
        lock_generator: object = None,
        retry_attempts: int = 2,
        retry_timeout: float = 1,
        dead_timeout: float = 60,
        use_pooling: bool = False,
        ignore_exc: bool = False,
        allow_unicode_keys: bool = False,
        default_noreply: bool = True,
        encoding: str = "ascii",
        tls_context: ssl.SSLContext | None = None,
        **options: Any,
    ) -> None:
        self.serde = wrapped_serde(serde, serializer, deserializer)
        self.key_prefix = checked_prefix(key_prefix)
        self.ignore_exc = ignore_exc
        self.default_noreply = default_noreply
        self.allow_unicode_keys = allow_unicode_keys
        self.encoding = encoding
        self.timeout = timeout
        self.retry_attempts = retry_attempts
        self.retry_timeout = retry_timeout
        self.dead_timeout = dead_timeout
        self.hasher = None if hasher is RendezvousHash else hasher()
        self._largest_value = options.pop("max_value_length", 0)
        self._pool_options = options | {
            "connect_timeout": connect_timeout,
            "tls_context": tls_context,
            "keepalive": checked_keepalive(socket_keepalive),
            "idle_timeout": pool_idle_timeout,
        }
        if max_pool_size is not None:
            self._pool_options["max_connections"] = max_pool_size
        self._compressed_from = getattr(self.serde, "min_compress_len", 0)
        self._pools: dict[str, PoolSettings] = {}
        for server in servers:
            self._add(server)
        self._choose_cluster()

    def _add(self, server: Any) -> None:
        address = address_of(normalize_server_spec(server))
        name = (
            address.host if address.family == socket.AF_UNIX else f"{address.host}:{address.port}"
        )
        self._pools[name] = pool_settings(address, **self._pool_options)
        if self.hasher is not None:
            self.hasher.add_node(name)

    def _choose_cluster(self) -> None:
        self._names = list(self._pools)
        self._cluster = cluster_of(
            tuple(self._pools.values()),
            self.serde,
            hashing=_memcached.MODULO if self.hasher is not None else _memcached.RENDEZVOUS,
            key_prefix=self.key_prefix,
            unicode_keys=self.allow_unicode_keys,
            largest_value=self._largest_value,
            timeout=-1.0 if self.timeout is None else self.timeout,
            attempts=self.retry_attempts,
            retry_seconds=self.retry_timeout,
            dead_seconds=self.dead_timeout,
            encoding=self.encoding,
        )

    def add_server(self, server: Any, port: int | None = None) -> None:
        """Share the keys with one more server. Switches: never."""
        self._add((server, port) if port is not None else server)
        self._choose_cluster()

    def remove_server(self, server: Any, port: int | None = None) -> None:
        """Share the keys with one server fewer. Switches: never.

        :raises KeyError: it is none of them.
        """
        place = (server, port) if port is not None else normalize_server_spec(server)
        name = "{}:{}".format(*place) if isinstance(place, tuple) else place
        del self._pools[name]
        if self.hasher is not None:
            self.hasher.remove_node(name)
        self._choose_cluster()

    @property
    def clients(self) -> dict[str, Client]:
        """A client of each server alone, by name."""
        connector = self._pool_options
        return {
            name: self.client_class(
                name,
                serde=self.serde,
                connect_timeout=connector["connect_timeout"],
                timeout=self.timeout,
                key_prefix=self.key_prefix,
                default_noreply=self.default_noreply,
                allow_unicode_keys=self.allow_unicode_keys,
                encoding=self.encoding,
                tls_context=connector["tls_context"],
            )
            for name in self._pools
        }

    # --- a hasher in Python --------------------------------------------------------------

    def _key(self, key: Any) -> Any:
        if self.hasher is None:
            return key
        for name in self._names:  # what others have found out since
            dead = pool_for(self._pools[name]).dead_for() > 0
            nodes = getattr(self.hasher, "nodes", None)
            if nodes is not None and dead == (name in nodes):
                (self.hasher.remove_node if dead else self.hasher.add_node)(name)
        name = self.hasher.get_node(key)
        if name is None:
            raise MemcacheError("All servers seem to be down right now")
        return (self._names.index(name), key)

    def _keys(self, keys: Iterable[Any]) -> Any:
        return keys if self.hasher is None else [self._key(key) for key in keys]

    def _original(self, key: Any) -> Any:
        return key if self.hasher is None else key[1]

    def _get_many(self, keys: Iterable[Any], with_cas: bool) -> dict[Any, Any]:
        values, failures = self._cluster.get_many(self._keys(keys), None, with_cas, None)
        if not self.ignore_exc:
            self._raise_first(failures)
        if self.hasher is None:
            return values
        return {key: value for (_, key), value in values.items()}

    # --- failures ------------------------------------------------------------------------

    def _writing(self, run: Callable[[], _T], otherwise: _T) -> _T:
        return self._reading(run, otherwise)

    # --- all servers ---------------------------------------------------------------------

    def _on_each(self, run: Callable[[int], object]) -> None:
        for index in range(len(self._names)):
            try:
                run(index)
            except MemcacheServerRestingError:
                continue
            except MemcacheError:
                if not self.ignore_exc:
                    raise

    def flush_all(self, delay: int = 0, noreply: bool | None = None) -> bool:
        """Forget all that the servers keep, in *delay* seconds."""
        noreply = self.default_noreply if noreply is None else noreply
        command = b"flush_all %d" % delay
        self._on_each(lambda index: self._line(command, index, noreply=noreply))
        return True

    def close(self) -> None:
        """Nothing: the connections belong to all clients. See :func:`evmemcached.close_pools`."""

    disconnect_all = close

    def quit(self) -> None:
        """Close the connections to the servers that nobody uses. Switches: never."""
        for settings in self._pools.values():
            pool_for(settings).close_idle()
