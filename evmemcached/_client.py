"""The client, with the methods and the manners of python-memcached 1.62."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from . import _exceptions, _memcached, _statistics
from ._memcached import ADD, APPEND, CAS, DECR, DELETE, INCR, PREPEND, REPLACE, SET, STORED, TOUCH
from ._meta import MetaCommands
from ._server import Server
from ._settings import Settings, cluster_for, read_servers

_T = TypeVar("_T")

#: What a server said instead of STORED, by the number of the native part.
_SAID = {
    _memcached.NOT_STORED: "NOT_STORED",
    _memcached.EXISTS: "EXISTS",
    _memcached.NOT_FOUND: "NOT_FOUND",
}
_FAILURES = (
    _exceptions.MemcacheServerError,
    _exceptions.MemcacheClientError,
    _exceptions.MemcacheUnknownError,
    _exceptions.MemcacheNoServerError,
)
_DEFAULTS = Settings(servers=())


class _Setting:
    """A setting of a client: to change it makes the client use another cluster."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, client: "Client | None", owner: object = None) -> Any:
        return self if client is None else getattr(client._settings, self._name)

    def __set__(self, client: "Client", value: object) -> None:
        client._use(client._settings.changed(**{self._name: value}))


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


class Client(MetaCommands):
    """A client of one or more memcached servers.

    It is cheap to make and any number of coroutines and threads may use one at once: the
    connections are those of the pools that all clients of the process share. A server that
    fails never raises: the methods give 0, None, or the keys that failed.

    Every method that asks a server switches: always.

    :param servers: ``"host:port"``, ``"inet6:[::1]:port"``, ``"unix:/path"``, or a pair of
        such a text and a weight.
    :param debug: whether failures are written to ``sys.stderr``.
    :param dead_retry: seconds for which a server that failed is not asked.
    :param socket_timeout: seconds for one exchange with a server; None: without limit.
    :param options: the other parameters of python-memcached's ``Client``, and
        ``connect_timeout`` (seconds; as *socket_timeout*), ``max_connections`` (to one
        server, 32), ``pool_timeout`` (seconds to wait for a connection while all are in
        use; as *socket_timeout*), ``idle_timeout`` (seconds, 60), ``tls_context``,
        ``username`` and ``password`` (memcached's ``-Y``), ``keepalive``, ``hashing``
        (``"modulo"`` as python-memcached, or ``"rendezvous"`` as pymemcache).
    """

    __slots__ = ("_cas_ids", "_cluster", "_settings", "__weakref__")

    _FLAG_PICKLE = 1 << 0
    _FLAG_INTEGER = 1 << 1
    _FLAG_LONG = 1 << 2
    _FLAG_COMPRESSED = 1 << 3
    _FLAG_TEXT = 1 << 4

    MemcachedKeyError = _exceptions.MemcachedKeyError
    MemcachedKeyLengthError = _exceptions.MemcachedKeyLengthError
    MemcachedKeyCharacterError = _exceptions.MemcachedKeyCharacterError
    MemcachedKeyNoneError = _exceptions.MemcachedKeyNoneError
    MemcachedKeyTypeError = _exceptions.MemcachedKeyTypeError
    MemcachedStringEncodingError = _exceptions.MemcachedKeyTypeError

    debug = _Setting("debug")
    dead_retry = _Setting("dead_retry")
    socket_timeout = _Setting("socket_timeout")
    flush_on_reconnect = _Setting("flush_on_reconnect")
    cache_cas = _Setting("cache_cas")
    do_check_key = _Setting("check_keys")
    pickleProtocol = _Setting("pickle_protocol")
    pickler = _Setting("pickler")
    unpickler = _Setting("unpickler")
    compressor = _Setting("compressor")
    decompressor = _Setting("decompressor")
    persistent_load = _Setting("persistent_load")
    persistent_id = _Setting("persistent_id")
    server_max_key_length = _Setting("max_key_length")
    server_max_value_length = _Setting("max_value_length")
    key_encoder = _Setting("key_encoder")

    def __init__(
        self,
        servers: Sequence[Any],
        debug: int = 0,
        pickleProtocol: int = 0,
        pickler: Any = _DEFAULTS.pickler,
        unpickler: Any = _DEFAULTS.unpickler,
        compressor: Callable[[bytes], bytes] = _DEFAULTS.compressor,
        decompressor: Callable[[bytes], bytes] = _DEFAULTS.decompressor,
        pload: Callable[[Any], Any] | None = None,
        pid: Callable[[Any], Any] | None = None,
        server_max_key_length: int | None = None,
        server_max_value_length: int | None = None,
        dead_retry: float = 30,
        socket_timeout: float | None = 3,
        cache_cas: bool = False,
        flush_on_reconnect: int = 0,
        check_keys: bool = True,
        key_encoder: Callable[[Any], Any] | None = None,
        **options: Any,
    ) -> None:
        hashing = options.pop("hashing", "modulo")
        if hashing not in ("modulo", "rendezvous"):
            raise ValueError(f"hashing must be 'modulo' or 'rendezvous', not {hashing!r}")
        if hashing == "rendezvous":
            options["hashing"] = _memcached.RENDEZVOUS
        else:
            options["hashing"], options["hash_function"] = _chosen_hashing()
        if server_max_key_length is not None:
            options["max_key_length"] = server_max_key_length
        if server_max_value_length is not None:
            options["max_value_length"] = server_max_value_length
        self._use(
            Settings(
                servers=read_servers(servers),
                debug=debug,
                pickle_protocol=pickleProtocol,
                pickler=pickler,
                unpickler=unpickler,
                compressor=compressor,
                decompressor=decompressor,
                persistent_load=pload,
                persistent_id=pid,
                dead_retry=dead_retry,
                socket_timeout=socket_timeout,
                cache_cas=cache_cas,
                flush_on_reconnect=bool(flush_on_reconnect),
                check_keys=check_keys,
                key_encoder=key_encoder,
                **options,
            )
        )
        self._cas_ids: dict[bytes, int] | None = None

    def _use(self, settings: Settings) -> None:
        self._settings, self._cluster = cluster_for(settings)

    @property
    def stats(self) -> dict[str, int]:
        """Always empty: calls are not counted. See :func:`evmemcached.pool_stats`."""
        return {}

    # --- servers ---------------------------------------------------------------------

    @property
    def servers(self) -> list[Server]:
        """The servers, each with ``mark_dead(reason)``, ``deaduntil``, ``ip`` and ``port``."""
        from ._pools import pool_for

        settings = self._settings
        return [
            Server(
                address,
                pool_for(settings.pool_of(address)),
                weight,
                settings.dead_retry,
                settings.debug,
            )
            for address, weight in settings.servers
        ]

    @property
    def buckets(self) -> list[Server]:
        """The servers, each as often as its weight says."""
        return [server for server in self.servers for _ in range(server.weight)]

    def set_servers(self, servers: Sequence[Any]) -> None:
        """Use other servers. Switches: never."""
        self._use(self._settings.changed(servers=read_servers(servers)))

    def forget_dead_hosts(self) -> None:
        """Ask servers again that failed. Switches: never."""
        for server in self.servers:
            server.revive()

    def disconnect_all(self) -> None:
        """Nothing: the connections belong to all clients of the process.

        See :func:`evmemcached.close_pools`.
        """

    def quit_all(self) -> None:
        """Close the connections that nobody uses. Switches: never."""
        for server in self.servers:
            server.close_idle()

    def flush_all(self) -> None:
        """Forget all that the servers keep."""
        for index in range(len(dict(self._settings.servers))):
            try:
                self._cluster.command(index, b"flush_all\r\n", b"", False)
            except _FAILURES as error:
                self._failed(error, None)

    def get_stats(self, stat_args: str | None = None) -> list[tuple[str, dict[str, str]]]:
        """``stats`` of each server that answers, with the server's name."""
        command = f"stats {stat_args}" if stat_args else "stats"
        return self._statistics(command, _statistics.plain)

    def get_slab_stats(self) -> list[tuple[str, dict[str, Any]]]:
        """``stats slabs`` of each server that answers, by slab."""
        return self._statistics("stats slabs", _statistics.by_slab)

    def get_slabs(self) -> list[tuple[str, dict[str, Any]]]:
        """``stats items`` of each server that answers, by slab."""
        return self._statistics("stats items", _statistics.items_by_slab)

    def _statistics(
        self, command: str, read: Callable[[list[str]], dict[str, _T]]
    ) -> list[tuple[str, dict[str, _T]]]:
        data = []
        for index, name in _statistics.named_servers(self._settings):
            lines = _statistics.lines_of(self._cluster, index, command)
            if lines is not None:
                data.append((name, read(lines)))
        return data

    # --- failures ----------------------------------------------------------------------

    def debuglog(self, text: str) -> None:
        """Write to ``sys.stderr`` if ``debug`` is set."""
        if self._settings.debug:
            sys.stderr.write(f"MemCached: {text}\n")

    def _failed(self, error: Exception, result: _T) -> _T:
        """Log *error* and give *result*; what the caller did wrong is raised."""
        if isinstance(error, _exceptions.MemcacheValueLengthError):
            return result
        if isinstance(error, _exceptions.MemcacheIllegalInputError):
            raise error
        if isinstance(error, _exceptions.MemcacheConnectionError):
            self.debuglog(f"MemCache: {error}.  Marking dead.")
        else:
            self.debuglog(f"MemCache: {_said(error)}")
        return result

    def _log_failures(self, failures: list[Exception]) -> None:
        for error in failures:
            self._failed(error, None)

    # --- one key -----------------------------------------------------------------------

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of *key*, or *default*.

        :raises Client.MemcachedKeyError: *key* cannot be one.
        """
        try:
            return self._cluster.get(key, default)
        except _FAILURES as error:
            return self._failed(error, default)

    def gets(self, key: Any) -> Any:
        """As :meth:`get`; with ``cache_cas`` a later :meth:`cas` knows what was read."""
        try:
            found = self._cluster.gets(key, None)
        except _FAILURES as error:
            return self._failed(error, None)
        if found is None:
            return None
        value, cas = found
        if self._settings.cache_cas:
            self.cas_ids[self._cas_key(key)] = cas
        return value

    def gat(self, key: Any, time: int = 0, default: Any = None) -> Any:
        """As :meth:`get`, and have the value expire *time* seconds from now."""
        try:
            return self._cluster.gat(key, time, False, default)
        except _FAILURES as error:
            return self._failed(error, default)

    def _store(
        self, verb: int, key: Any, val: Any, time: float, compress: int, noreply: bool, cas: int = 0
    ) -> int:
        try:
            said = self._cluster.store(verb, key, val, time, None, cas, compress, noreply)
        except _exceptions.MemcacheConnectionError as error:
            return self._failed(error, 0)
        except (_exceptions.MemcacheServerError, _exceptions.MemcacheClientError) as error:
            if isinstance(error, _exceptions.MemcacheIllegalInputError):
                return self._failed(error, 0)
            self._unexpected("STORED", _said(error))
            return False
        except _FAILURES as error:
            return self._failed(error, 0)
        if said == STORED:
            return True
        self._unexpected("STORED", _SAID[said])
        return False

    def _unexpected(self, expected: str, said: str) -> None:
        self.debuglog(f"while expecting {expected!r}, got unexpected response {said!r}")

    def set(
        self, key: Any, val: Any, time: float = 0, min_compress_len: int = 0, noreply: bool = False
    ) -> int:
        """Keep *val* under *key*. Gives nonzero if it is stored.

        :param time: seconds until it expires, a point of time after 1970 in seconds if it is
            more than 30 days; 0: never.
        :param min_compress_len: values of more bytes are compressed; 0: never.
        :param noreply: do not wait for what the server says.
        :raises Client.MemcachedKeyError: *key* cannot be one.
        """
        return self._store(SET, key, val, time, min_compress_len, noreply)

    def add(
        self, key: Any, val: Any, time: float = 0, min_compress_len: int = 0, noreply: bool = False
    ) -> int:
        """As :meth:`set`, but only if there is no *key* yet."""
        return self._store(ADD, key, val, time, min_compress_len, noreply)

    def replace(
        self, key: Any, val: Any, time: float = 0, min_compress_len: int = 0, noreply: bool = False
    ) -> int:
        """As :meth:`set`, but only if there is a *key* already."""
        return self._store(REPLACE, key, val, time, min_compress_len, noreply)

    def append(
        self, key: Any, val: Any, time: float = 0, min_compress_len: int = 0, noreply: bool = False
    ) -> int:
        """Add *val* at the end of what *key* has."""
        return self._store(APPEND, key, val, time, min_compress_len, noreply)

    def prepend(
        self, key: Any, val: Any, time: float = 0, min_compress_len: int = 0, noreply: bool = False
    ) -> int:
        """Add *val* before what *key* has."""
        return self._store(PREPEND, key, val, time, min_compress_len, noreply)

    def cas(
        self, key: Any, val: Any, time: float = 0, min_compress_len: int = 0, noreply: bool = False
    ) -> int:
        """As :meth:`set`, but only if nobody changed *key* after :meth:`gets` read it."""
        cas = (self._cas_ids or {}).get(self._cas_key(key))
        if cas is None:
            return self._store(SET, key, val, time, min_compress_len, noreply)
        return self._store(CAS, key, val, time, min_compress_len, noreply, cas)

    @property
    def cas_ids(self) -> dict[bytes, int]:
        """What :meth:`gets` has read, by key."""
        if self._cas_ids is None:
            self._cas_ids = {}
        return self._cas_ids

    def reset_cas(self) -> None:
        """Forget what :meth:`gets` has read. Switches: never."""
        self._cas_ids = None

    def _cas_key(self, key: Any) -> bytes:
        key = key[1] if isinstance(key, tuple) else key
        encoder = self._settings.key_encoder
        return _bytes(encoder(key) if encoder else key)

    def delete(self, key: Any, noreply: bool = False) -> int:
        """Delete *key*. Gives nonzero if it was there."""
        try:
            if self._cluster.change(DELETE, key, None, noreply):
                return 1
        except _FAILURES as error:
            return self._failed(error, 0)
        self.debuglog("delete expected DELETED, got: b'NOT_FOUND'")
        return 0

    def touch(self, key: Any, time: float = 0, noreply: bool = False) -> int:
        """Have *key* expire *time* seconds from now. Gives nonzero if it was there."""
        try:
            if self._cluster.change(TOUCH, key, time, noreply):
                return 1
        except _FAILURES as error:
            return self._failed(error, 0)
        self.debuglog("touch expected TOUCHED, got: b'NOT_FOUND'")
        return 0

    def incr(self, key: Any, delta: int = 1, noreply: bool = False) -> int | None:
        """Add *delta* to the number under *key*; None: there is none.

        :raises ValueError: what is there is no number, or *delta* is negative.
        """
        return self._count(INCR, key, delta, noreply)

    def decr(self, key: Any, delta: int = 1, noreply: bool = False) -> int | None:
        """Take *delta* off the number under *key*, which does not fall below 0.

        :raises ValueError: what is there is no number, or *delta* is negative.
        """
        return self._count(DECR, key, delta, noreply)

    def _count(self, verb: int, key: Any, delta: int, noreply: bool) -> int | None:
        try:
            number: int | None = self._cluster.change(verb, key, int(delta), noreply)
            return number
        except OverflowError:
            raise ValueError(f"invalid numeric delta argument: {delta}") from None
        except _exceptions.MemcacheIllegalInputError:
            raise
        except _exceptions.MemcacheClientError as error:
            raise ValueError(_said(error)) from error
        except _FAILURES as error:
            return self._failed(error, None)

    # --- many keys ---------------------------------------------------------------------

    def get_multi(self, keys: Iterable[Any], key_prefix: str | bytes = "") -> dict[Any, Any]:
        """The values of all *keys* that have one. All servers are asked at once.

        :param key_prefix: what stands before each key at the server, but not in the result.
        """
        values, failures = self._cluster.get_many(keys, _bytes(key_prefix), False, None)
        if failures:
            self._log_failures(failures)
        return values

    def set_multi(
        self,
        mapping: Mapping[Any, Any],
        time: float = 0,
        key_prefix: str | bytes = "",
        min_compress_len: int = 0,
        noreply: bool = False,
    ) -> list[Any]:
        """As :meth:`set` for many keys. Gives those that are not stored."""
        failed, failures = self._cluster.store_many(
            tuple(mapping),
            tuple(mapping.values()),
            _bytes(key_prefix),
            time,
            None,
            min_compress_len,
            noreply,
        )
        if failures:
            self._log_failures(failures)
        return failed

    def delete_multi(
        self,
        keys: Iterable[Any],
        time: int | None = None,
        key_prefix: str | bytes = "",
        noreply: bool = False,
    ) -> int:
        """Delete many keys. Gives 1 if every server answered, whatever was there.

        *time* is not used: servers refuse it.
        """
        missing, failures = self._cluster.delete_many(keys, _bytes(key_prefix), noreply)
        if failures:
            self._log_failures(failures)
            return 0
        if self._settings.debug:
            for _ in missing:
                self._unexpected("DELETED", "NOT_FOUND")
        return 1

    def check_key(self, key: Any, key_extra_len: int = 0) -> None:
        """Raise what an operation with *key* would raise. Switches: never.

        :raises Client.MemcachedKeyError: *key* cannot be one.
        """
        key = key[1] if isinstance(key, tuple) else key
        if key is None:
            raise self.MemcachedKeyNoneError("Key is None")
        if key in ("", b"") and key_extra_len:
            return
        if not isinstance(key, bytes):
            raise self.MemcachedKeyTypeError("Key must be a binary string")
        self._cluster.route(key)
        longest = self._settings.max_key_length
        if longest and len(key) + key_extra_len > longest:
            raise self.MemcachedKeyLengthError(f"Key length is > {longest}")


def _said(error: Exception) -> str:
    """The line of the server that *error* was made from."""
    text = error.args[0] if error.args else ""
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    if isinstance(error, _exceptions.MemcacheServerError):
        return f"SERVER_ERROR {text}"
    if isinstance(error, _exceptions.MemcacheUnknownCommandError):
        return text
    return f"CLIENT_ERROR {text}" if isinstance(error, _exceptions.MemcacheClientError) else text


def _chosen_hashing() -> tuple[int, Callable[[bytes], int] | None]:
    """What ``evmemcached.serverHashFunction`` stands for."""
    import evmemcached

    function = evmemcached.serverHashFunction
    if function is evmemcached.cmemcache_hash:
        return _memcached.MODULO, None
    if function is evmemcached.crc32:
        return _memcached.OLD_MODULO, None
    return _memcached.MODULO, function
