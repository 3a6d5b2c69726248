"""What is read often, kept in memcached for some seconds."""

from collections.abc import Callable
from typing import Any

import evmemcached


class Cache:
    """One client for all coroutines: its connections are shared."""

    def __init__(self, servers: str, seconds: int) -> None:
        self._client = evmemcached.Client(servers.split(), socket_timeout=1)
        self._seconds = seconds

    def get_or_make(self, key: str, make: Callable[[], Any]) -> Any:
        """The cached value of *key*, or a new one. Without memcached always a new one."""
        value = self._client.get(key)
        if value is None:
            value = make()
            self._client.set(key, value, time=self._seconds)
        return value

    def forget(self, *keys: str) -> None:
        self._client.delete_multi(keys)

    def stats(self) -> Any:
        return self._client.get_stats()
