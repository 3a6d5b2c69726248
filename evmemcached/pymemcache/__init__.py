"""evmemcached under pymemcache's names: ``import evmemcached.pymemcache as pymemcache``."""

from . import exceptions, fallback, serde
from .client import (
    Client,
    HashClient,
    KeepaliveOpts,
    MemcacheClientError,
    MemcacheError,
    MemcacheIllegalInputError,
    MemcacheServerError,
    MemcacheUnexpectedCloseError,
    MemcacheUnknownCommandError,
    MemcacheUnknownError,
    PooledClient,
    RetryingClient,
)
from .fallback import FallbackClient

__all__ = [
    "Client",
    "FallbackClient",
    "HashClient",
    "KeepaliveOpts",
    "MemcacheClientError",
    "MemcacheError",
    "MemcacheIllegalInputError",
    "MemcacheServerError",
    "MemcacheUnexpectedCloseError",
    "MemcacheUnknownCommandError",
    "MemcacheUnknownError",
    "PooledClient",
    "RetryingClient",
    "exceptions",
    "fallback",
    "serde",
]
