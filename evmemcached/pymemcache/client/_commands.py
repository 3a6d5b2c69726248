"""pymemcache's methods, on a cluster of any number of servers."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from ... import _memcached
from ..._exceptions import (
    MemcacheError,
    MemcacheIllegalInputError,
    MemcacheServerRestingError,
    MemcacheUnexpectedCloseError,
    MemcacheUnknownError,
)
from ..._memcached import (
    ADD,
    APPEND,
    CAS,
    DECR,
    DELETE,
    INCR,
    NOT_FOUND,
    PREPEND,
    REPLACE,
    SET,
    STORED,
    TOUCH,
)
from ..._meta import MetaCommands
from ._statistics import read_statistics

_T = TypeVar("_T")


def check_integer(value: Any, name: str) -> int:
    """*value*, if it is an integer.

    :raises MemcacheIllegalInputError: it is none.
    """
    if not isinstance(value, int):
        raise MemcacheIllegalInputError(f"{name} must be integer, got bad value: {value!r}")
    return value


def check_cas(cas: Any) -> int:
    """The number that :meth:`Commands.gets` gave.

    :raises MemcacheIllegalInputError: it is no such number.
    """
    if not isinstance(cas, (int, str, bytes)):
        raise MemcacheIllegalInputError(
            f"cas must be integer, string, or bytes, got bad value: {cas!r}"
        )
    digits = cas.decode("ascii", "replace") if isinstance(cas, bytes) else str(cas)
    if not (digits.isascii() and digits.isdigit()):
        raise MemcacheIllegalInputError(
            f"cas must only contain values in 0-9, got bad value: {cas!r}"
        )
    return int(digits)


class Commands(MetaCommands):
    """The methods that all clients have. Each that asks a server switches: always.

    :raises MemcacheError: unlike python-memcached's, these methods raise what failed; with
        ``ignore_exc`` a read gives what it would give for a key that is not there.
    """

    __slots__ = ()

    _cluster: _memcached.Cluster
    _compressed_from: int
    default_noreply: bool
    ignore_exc: bool
    encoding: str

    # What a HashClient does otherwise.

    def _reading(self, run: Callable[[], _T], otherwise: _T) -> _T:
        """What *run* gives, or *otherwise* if it fails and failures are ignored."""
        try:
            return run()
        except MemcacheServerRestingError:
            return otherwise
        except MemcacheError:
            if not self.ignore_exc:
                raise
            return otherwise

    def _writing(self, run: Callable[[], _T], otherwise: _T) -> _T:
        return run()

    def _key(self, key: Any) -> Any:
        return key

    def _keys(self, keys: Iterable[Any]) -> Any:
        return keys

    def _original(self, key: Any) -> Any:
        return key

    # --- one key -----------------------------------------------------------------------

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of *key*, or *default*."""
        try:
            return self._cluster.get(self._key(key), default)
        except MemcacheServerRestingError:
            return default
        except MemcacheError:
            if not self.ignore_exc:
                raise
            return default

    def gets(self, key: Any, default: Any = None, cas_default: Any = None) -> tuple[Any, Any]:
        """The value of *key* and the number that :meth:`cas` takes, as bytes."""
        found = self._reading(lambda: self._cluster.gets(self._key(key), None), None)
        return (default, cas_default) if found is None else (found[0], b"%d" % found[1])

    def gat(self, key: Any, expire: int = 0, default: Any = None) -> Any:
        """As :meth:`get`, and have the value expire *expire* seconds from now."""
        return self._reading(
            lambda: self._cluster.gat(self._key(key), expire, False, default), default
        )

    def gats(
        self, key: Any, expire: int = 0, default: Any = None, cas_default: Any = None
    ) -> tuple[Any, Any]:
        """As :meth:`gets`, and have the value expire *expire* seconds from now."""
        found = self._reading(lambda: self._cluster.gat(self._key(key), expire, True, None), None)
        return (default, cas_default) if found is None else (found[0], b"%d" % found[1])

    def _store(
        self,
        verb: int,
        key: Any,
        value: Any,
        expire: int,
        noreply: bool | None,
        flags: int | None,
        cas: int = 0,
    ) -> int:
        return self._cluster.store(
            verb,
            self._key(key),
            value,
            check_integer(expire, "expire"),
            flags,
            cas,
            self._compressed_from,
            self.default_noreply if noreply is None else noreply,
        )

    def set(
        self,
        key: Any,
        value: Any,
        expire: int = 0,
        noreply: bool | None = None,
        flags: int | None = None,
    ) -> bool:
        """Keep *value* under *key*. Gives whether it is stored.

        :param expire: seconds until it expires; 0: never.
        :param noreply: do not wait for what the server says; None: ``default_noreply``.
        :param flags: what the server keeps beside the value; None: what the serde says.
        """
        return self._writing(
            lambda: self._store(SET, key, value, expire, noreply, flags) == STORED, False
        )

    def add(
        self,
        key: Any,
        value: Any,
        expire: int = 0,
        noreply: bool | None = None,
        flags: int | None = None,
    ) -> bool:
        """As :meth:`set`, but only if there is no *key* yet."""
        return self._writing(
            lambda: self._store(ADD, key, value, expire, noreply, flags) == STORED, False
        )

    def replace(
        self,
        key: Any,
        value: Any,
        expire: int = 0,
        noreply: bool | None = None,
        flags: int | None = None,
    ) -> bool:
        """As :meth:`set`, but only if there is a *key* already."""
        return self._writing(
            lambda: self._store(REPLACE, key, value, expire, noreply, flags) == STORED, False
        )

    def append(
        self,
        key: Any,
        value: Any,
        expire: int = 0,
        noreply: bool | None = None,
        flags: int | None = None,
    ) -> bool:
        """Add *value* at the end of what *key* has."""
        return self._writing(
            lambda: self._store(APPEND, key, value, expire, noreply, flags) == STORED, False
        )

    def prepend(
        self,
        key: Any,
        value: Any,
        expire: int = 0,
        noreply: bool | None = None,
        flags: int | None = None,
    ) -> bool:
        """Add *value* before what *key* has."""
        return self._writing(
            lambda: self._store(PREPEND, key, value, expire, noreply, flags) == STORED, False
        )

    def cas(
        self,
        key: Any,
        value: Any,
        cas: int | str | bytes,
        expire: int = 0,
        noreply: bool = False,
        flags: int | None = None,
    ) -> bool | None:
        """As :meth:`set`, but only if *cas* is still its number. None: there is no *key*."""

        unstored: bool | None = False

        def run() -> bool | None:
            said = self._store(CAS, key, value, expire, noreply, flags, check_cas(cas))
            return None if said == NOT_FOUND else said == STORED

        return self._writing(run, unstored)

    def _change(self, verb: int, key: Any, argument: Any, noreply: bool | None) -> Any:
        noreply = self.default_noreply if noreply is None else noreply
        return self._cluster.change(verb, self._key(key), argument, noreply)

    def delete(self, key: Any, noreply: bool | None = None) -> bool:
        """Delete *key*. Gives whether it was there."""
        return self._writing(lambda: bool(self._change(DELETE, key, None, noreply)), False)

    def touch(self, key: Any, expire: int = 0, noreply: bool | None = None) -> bool:
        """Have *key* expire *expire* seconds from now. Gives whether it was there."""
        seconds = check_integer(expire, "expire")
        return self._writing(lambda: bool(self._change(TOUCH, key, seconds, noreply)), False)

    def incr(self, key: Any, value: int, noreply: bool | None = False) -> int | None:
        """Add *value* to the number under *key*; None: there is none."""
        return self._count(INCR, key, value, noreply)

    def decr(self, key: Any, value: int, noreply: bool | None = False) -> int | None:
        """Take *value* off the number under *key*, which does not fall below 0."""
        return self._count(DECR, key, value, noreply)

    def _count(self, verb: int, key: Any, value: int, noreply: bool | None) -> int | None:
        if check_integer(value, "value") < 0:
            raise MemcacheIllegalInputError(f"value must not be negative: {value}")
        return self._writing(lambda: self._change(verb, key, value, bool(noreply)), False)

    # --- many keys ---------------------------------------------------------------------

    def _get_many(self, keys: Iterable[Any], with_cas: bool) -> dict[Any, Any]:
        values, failures = self._cluster.get_many(self._keys(keys), None, with_cas, None)
        self._raise_first(failures)
        return values

    def _raise_first(self, failures: list[Exception]) -> None:
        for failure in failures:
            if not isinstance(failure, MemcacheServerRestingError):
                raise failure

    def get_many(self, keys: Iterable[Any]) -> dict[Any, Any]:
        """The values of all *keys* that have one. All servers are asked at once."""
        return self._reading(lambda: self._get_many(keys, False), {})

    get_multi = get_many

    def gets_many(self, keys: Iterable[Any]) -> dict[Any, tuple[Any, bytes]]:
        """As :meth:`gets` for many keys."""
        nothing: dict[Any, Any] = {}
        found = self._reading(lambda: self._get_many(keys, True), nothing)
        return {key: (value, b"%d" % cas) for key, (value, cas) in found.items()}

    gets_multi = gets_many

    def set_many(
        self,
        values: Mapping[Any, Any],
        expire: int = 0,
        noreply: bool | None = None,
        flags: int | None = None,
    ) -> list[Any]:
        """As :meth:`set` for many keys. Gives those that are not stored."""
        failed, failures = self._cluster.store_many(
            self._keys(values),
            tuple(values.values()),
            None,
            check_integer(expire, "expire"),
            flags,
            self._compressed_from,
            self.default_noreply if noreply is None else noreply,
        )
        self._writing(lambda: self._raise_first(failures), None)
        return [self._original(key) for key in failed]

    set_multi = set_many

    def delete_many(self, keys: Iterable[Any], noreply: bool | None = None) -> bool:
        """Delete many keys. Gives True, whatever was there."""
        noreply = self.default_noreply if noreply is None else noreply
        _, failures = self._cluster.delete_many(self._keys(keys), None, noreply)
        self._writing(lambda: self._raise_first(failures), None)
        return True

    delete_multi = delete_many

    # --- a server ----------------------------------------------------------------------

    def _line(self, command: bytes, server: int = 0, *, noreply: bool = False) -> bytes:
        return self._cluster.command(server, command + b"\r\n", b"\r\n", noreply)

    def stats(self, *args: Any) -> dict[bytes, Any]:
        """What the server says of itself: numbers where they are some."""
        words = [arg.encode() if isinstance(arg, str) else arg for arg in args]
        command = b" ".join([b"stats", *words]) + b"\r\n"
        return self._reading(
            lambda: read_statistics(self._cluster.command(0, command, b"", False)), {}
        )

    def cache_memlimit(self, memlimit: int) -> bool:
        """Have the server use so many megabytes."""
        return self._line(b"cache_memlimit %d" % check_integer(memlimit, "memlimit")) == b"OK"

    def version(self) -> bytes:
        """The version of the server."""
        line = self._line(b"version")
        word, _, version = line.partition(b" ")
        if word != b"VERSION":
            raise MemcacheUnknownError(f"Received unexpected response: {line!r}")
        return version

    def raw_command(self, command: str | bytes, end_tokens: str | bytes = "\r\n") -> bytes:
        """Send *command* and give the reply up to *end_tokens*. Any command will do, so
        what it asks for must fit what it is said to end with."""
        command = command.encode() if isinstance(command, str) else command
        end_tokens = end_tokens.encode() if isinstance(end_tokens, str) else end_tokens
        return self._cluster.command(0, command + b"\r\n", end_tokens, False)

    def flush_all(self, delay: int = 0, noreply: bool | None = None) -> bool:
        """Forget all that the servers keep, in *delay* seconds."""
        noreply = self.default_noreply if noreply is None else noreply
        command = b"flush_all %d" % check_integer(delay, "delay")
        reply = self._line(command, noreply=noreply)
        return noreply or reply == b"OK"

    def shutdown(self, graceful: bool = False) -> None:
        """End the server, if it was started with ``-A``."""
        try:
            self._line(b"shutdown graceful" if graceful else b"shutdown")
        except MemcacheUnexpectedCloseError:
            pass

    def __setitem__(self, key: Any, value: Any) -> None:
        self.set(key, value, noreply=True)

    def __getitem__(self, key: Any) -> Any:
        value = self.get(key)
        if value is None:
            raise KeyError
        return value

    def __delitem__(self, key: Any) -> None:
        self.delete(key, noreply=True)
