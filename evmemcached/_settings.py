"""The settings of a client, and the cluster that clients with equal settings share."""

import pickle
import ssl
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from io import BytesIO
from typing import Any
from zlib import compress, decompress

from . import _memcached
from ._address import Address, parse_address
from ._connecting import Connector, Keepalive
from ._pools import DEFAULT_CONNECTIONS, DEFAULT_IDLE, PoolSettings, pool_for

SERVER_MAX_KEY_LENGTH = 250
SERVER_MAX_VALUE_LENGTH = 1024 * 1024

#: How many clusters are remembered for clients that are made anew again and again.
_REMEMBERED = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a :class:`~evmemcached.Client` was told. Equal settings share everything."""

    servers: tuple[tuple[Address, int], ...]  #: with their weights
    debug: int = 0
    pickle_protocol: int = 0
    pickler: Any = pickle.Pickler
    unpickler: Any = pickle.Unpickler
    compressor: Callable[[bytes], bytes] = compress
    decompressor: Callable[[bytes], bytes] = decompress
    persistent_load: Callable[[Any], Any] | None = None
    persistent_id: Callable[[Any], Any] | None = None
    max_key_length: int = SERVER_MAX_KEY_LENGTH
    max_value_length: int = SERVER_MAX_VALUE_LENGTH
    dead_retry: float = 30.0
    socket_timeout: float | None = 3.0
    connect_timeout: float | None = None
    cache_cas: bool = False
    flush_on_reconnect: bool = False
    check_keys: bool = True
    key_encoder: Callable[[Any], Any] | None = None
    hashing: int = _memcached.MODULO
    hash_function: Callable[[bytes], int] | None = None
    max_connections: int = DEFAULT_CONNECTIONS
    pool_timeout: float | None = None
    idle_timeout: float = DEFAULT_IDLE
    tls_context: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = None
    keepalive: Keepalive | None = None

    def pool_of(self, address: Address) -> PoolSettings:
        """The settings of the pool of one server."""
        timeout = self.socket_timeout if self.connect_timeout is None else self.connect_timeout
        connector = Connector(
            address=address,
            timeout=timeout,
            tls_context=self.tls_context,
            username=self.username,
            password=self.password,
            keepalive=self.keepalive,
        )
        return PoolSettings(connector, self.max_connections, self.pool_timeout, self.idle_timeout)

    def changed(self, **changes: Any) -> "Settings":
        return replace(self, **changes)


def read_servers(servers: Sequence[Any]) -> tuple[tuple[Address, int], ...]:
    """Read ``"host:port"`` and ``("host:port", weight)``.

    :raises ValueError: it is neither.
    """
    found = []
    for server in servers:
        text, weight = server if isinstance(server, (tuple, list)) else (server, 1)
        found.append((parse_address(text), int(weight)))
    return tuple(found)


def cluster_for(settings: Settings) -> tuple[Settings, _memcached.Cluster]:
    """The cluster of these settings, and the one copy of them that clients keep."""
    try:
        hash(settings)
    except TypeError:  # something among them has none
        return settings, _build(settings)
    return _remembered(settings)


@lru_cache(_REMEMBERED)
def _remembered(settings: Settings) -> tuple[Settings, _memcached.Cluster]:
    return settings, _build(settings)


def _build(settings: Settings) -> _memcached.Cluster:
    addresses = list(dict.fromkeys(address for address, _ in settings.servers))
    buckets: list[int] = []
    for address, weight in settings.servers:
        buckets += [addresses.index(address)] * weight
    rendezvous = settings.hashing == _memcached.RENDEZVOUS
    return _memcached.Cluster(
        pools=tuple(pool_for(settings.pool_of(address)) for address in addresses),
        names=tuple(address.name if rendezvous else str(address) for address in addresses),
        buckets=tuple(buckets),
        hashing=settings.hashing,
        hash_function=settings.hash_function,
        key_encoder=settings.key_encoder,
        longest_key=settings.max_key_length,
        largest_value=settings.max_value_length,
        timeout=-1.0 if settings.socket_timeout is None else settings.socket_timeout,
        attempts=0,
        dead_seconds=settings.dead_retry,
        flush_on_reconnect=settings.flush_on_reconnect,
        dumps=_dumps(settings),
        loads=_Loads(settings),
        compress=settings.compressor,
        decompress=settings.decompressor,
        encoding="utf-8",
        strict_flags=True,
    )


def _hooked(factory: Any, name: str, function: Callable[[Any], Any] | None) -> Any:
    """*factory*, whose objects have *function* as their method *name*."""
    if function is None:
        return factory
    if isinstance(factory, type):  # 3.13.0 lets no instance of pickle's own have it alone
        return type(factory.__name__, (factory,), {name: staticmethod(function)})

    def make(*args: Any, **kwargs: Any) -> Any:
        made = factory(*args, **kwargs)
        setattr(made, name, function)
        return made

    return make


def _dumps(settings: Settings) -> Callable[[Any], bytes]:
    if settings.pickler is pickle.Pickler and settings.persistent_id is None:
        return partial(pickle.dumps, protocol=settings.pickle_protocol)
    pickler = _hooked(settings.pickler, "persistent_id", settings.persistent_id)
    return partial(_pickled, pickler, settings.pickle_protocol)


def _pickled(pickler: Any, protocol: int, value: Any) -> bytes:
    file = BytesIO()
    try:
        made = pickler(file, protocol=protocol)
    except TypeError:
        made = pickler(file, protocol)
    made.dump(value)
    return file.getvalue()


class _Loads:
    """Unpickles; what cannot be unpickled is None, and the debug log says why."""

    __slots__ = ("_debug", "_unpickler")

    def __init__(self, settings: Settings) -> None:
        self._debug = settings.debug
        self._unpickler = _hooked(settings.unpickler, "persistent_load", settings.persistent_load)

    def __call__(self, data: bytes) -> Any:
        try:
            if self._unpickler is pickle.Unpickler:
                return pickle.loads(data)
            return self._unpickler(BytesIO(data)).load()
        except Exception as error:
            if self._debug:
                sys.stderr.write(f"MemCached: Pickle error: {error}\n\n")
            return None
