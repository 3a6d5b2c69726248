from collections.abc import Callable, Iterable
from typing import Any, final

STORED: int
NOT_STORED: int
EXISTS: int
NOT_FOUND: int

SET: int
ADD: int
REPLACE: int
APPEND: int
PREPEND: int
CAS: int
DELETE: int
TOUCH: int
INCR: int
DECR: int

MODULO: int
OLD_MODULO: int
RENDEZVOUS: int

@final
class Pool:
    def __new__(
        cls,
        connect: Callable[[], tuple[int, object | None]],
        max_connections: int,
        pool_timeout: float = -1.0,
        idle_timeout: float = 0.0,
    ) -> Pool: ...
    def close_idle(self) -> None: ...
    def mark_dead(self, seconds: float, /) -> None: ...
    def revive(self) -> None: ...
    def dead_for(self) -> float: ...
    def stats(self) -> dict[str, int]: ...

@final
class Cluster:
    def __new__(
        cls,
        *,
        pools: tuple[Pool, ...],
        names: tuple[str, ...],
        buckets: tuple[int, ...],
        hashing: int = 0,
        hash_function: Callable[[bytes], int] | None = None,
        key_prefix: bytes = b"",
        key_encoder: Callable[[Any], Any] | None = None,
        longest_key: int = 250,
        strict_keys: bool = True,
        unicode_keys: bool = True,
        largest_value: int = 1048576,
        timeout: float = 3.0,
        attempts: int = 0,
        retry_seconds: float = 0.0,
        dead_seconds: float = -1.0,
        flush_on_reconnect: bool = False,
        serialize: Callable[[bytes, Any], tuple[Any, int]] | None = None,
        deserialize: Callable[[Any, bytes, int], Any] | None = None,
        dumps: Callable[[Any], bytes] | None = None,
        loads: Callable[[bytes], Any] | None = None,
        compress: Callable[[bytes], bytes] | None = None,
        decompress: Callable[[bytes], bytes] | None = None,
        encoding: str | None = None,
        raw: bool = False,
        strict_flags: bool = False,
        compressed_from: int = 0,
    ) -> Cluster: ...
    def get(self, key: Any, default: Any, /) -> Any: ...
    def gets(self, key: Any, default: Any, /) -> Any: ...
    def gat(self, key: Any, exptime: float, with_cas: bool, default: Any, /) -> Any: ...
    def store(
        self,
        verb: int,
        key: Any,
        value: Any,
        exptime: float,
        flags: int | None,
        cas: int,
        compressed_from: int,
        noreply: bool,
        /,
    ) -> int: ...
    def change(self, verb: int, key: Any, argument: Any, noreply: bool, /) -> Any: ...
    def get_many(
        self, keys: Iterable[Any], prefix: bytes | None, with_cas: bool, exptime: float | None, /
    ) -> tuple[dict[Any, Any], list[Exception]]: ...
    def store_many(
        self,
        keys: Iterable[Any],
        values: tuple[Any, ...],
        prefix: bytes | None,
        exptime: float,
        flags: int | None,
        compressed_from: int,
        noreply: bool,
        /,
    ) -> tuple[list[Any], list[Exception]]: ...
    def delete_many(
        self, keys: Iterable[Any], prefix: bytes | None, noreply: bool, /
    ) -> tuple[list[Any], list[Exception]]: ...
    def meta(
        self, commands: Iterable[tuple[bytes, Any, bytes, bytes | None]], repeatable: bool, /
    ) -> tuple[list[tuple[str, bytes, bytes | None] | None], list[Exception]]: ...
    def command(self, server: int, request: bytes, end_token: bytes, noreply: bool, /) -> bytes: ...
    def route(self, key: Any, /) -> int: ...
    def decode(self, key: Any, value: bytes, flags: int, /) -> Any: ...
    def encode(self, key: Any, value: Any, /) -> tuple[bytes, int]: ...

def wait(fd: int, events: int, seconds: float, /) -> bool: ...
def murmur3_32(data: bytes, seed: int = 0, /) -> int: ...
