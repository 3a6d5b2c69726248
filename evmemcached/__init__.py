"""A memcached client for thousands of coroutines.

``import evmemcached as memcache`` takes the place of python-memcached; the module
:mod:`evmemcached.pymemcache` that of pymemcache. All clients of a process share one pool of
connections for each server, so a client costs a few hundred bytes.

Works with and without ``coev.monkey``, in coroutines and in OS threads that have none;
after a fork the child opens its own connections.
"""

from binascii import crc32
from collections.abc import Callable

from ._client import Client
from ._connecting import Keepalive
from ._exceptions import (
    MemcacheClientError,
    MemcacheConnectionError,
    MemcacheConnectionRefusedError,
    MemcachedKeyCharacterError,
    MemcachedKeyError,
    MemcachedKeyLengthError,
    MemcachedKeyNoneError,
    MemcachedKeyTypeError,
    MemcacheError,
    MemcacheIllegalInputError,
    MemcacheNoServerError,
    MemcachePoolError,
    MemcacheServerError,
    MemcacheServerRestingError,
    MemcacheTimeoutError,
    MemcacheUnexpectedCloseError,
    MemcacheUnknownCommandError,
    MemcacheUnknownError,
    MemcacheValueLengthError,
)
from ._meta import MetaCommand, MetaReply
from ._pools import close_pools, pool_stats
from ._settings import SERVER_MAX_KEY_LENGTH, SERVER_MAX_VALUE_LENGTH


def cmemcache_hash(key: bytes) -> int:
    """The hash of a key that chooses its server."""
    return (crc32(key) >> 16) & 0x7FFF


#: The hash that clients use which are made from now on.
serverHashFunction: Callable[[bytes], int] = cmemcache_hash


def useOldServerHashFunction() -> None:
    """Have clients made from now on use all of CRC-32, as python-memcached once did."""
    global serverHashFunction
    serverHashFunction = crc32


__all__ = [
    "SERVER_MAX_KEY_LENGTH",
    "SERVER_MAX_VALUE_LENGTH",
    "Client",
    "Keepalive",
    "MemcacheClientError",
    "MemcacheConnectionError",
    "MemcacheConnectionRefusedError",
    "MemcacheError",
    "MemcacheIllegalInputError",
    "MemcacheNoServerError",
    "MemcachePoolError",
    "MemcacheServerError",
    "MemcacheServerRestingError",
    "MemcacheTimeoutError",
    "MemcacheUnexpectedCloseError",
    "MemcacheUnknownCommandError",
    "MemcacheUnknownError",
    "MemcacheValueLengthError",
    "MemcachedKeyCharacterError",
    "MemcachedKeyError",
    "MemcachedKeyLengthError",
    "MemcachedKeyNoneError",
    "MemcachedKeyTypeError",
    "MetaCommand",
    "MetaReply",
    "close_pools",
    "cmemcache_hash",
    "crc32",
    "pool_stats",
    "serverHashFunction",
    "useOldServerHashFunction",
]
