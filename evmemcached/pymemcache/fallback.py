"""Several caches, of which the first has what is new and the others what was."""

from collections.abc import Iterable, Sequence
from typing import Any


class FallbackClient:
    """Writes to the first cache, reads from each in turn until one has the key.

    For a move to new servers: ``FallbackClient((new, old))``.
    """

    def __init__(self, caches: Sequence[Any]) -> None:
        if not caches:
            raise ValueError("a FallbackClient needs a cache")
        self.caches = caches

    def close(self) -> None:
        for cache in self.caches:
            cache.close()

    def set(self, key: Any, value: Any, expire: int = 0, noreply: bool = True) -> None:
        self.caches[0].set(key, value, expire, noreply)

    def add(self, key: Any, value: Any, expire: int = 0, noreply: bool = True) -> None:
        self.caches[0].add(key, value, expire, noreply)

    def replace(self, key: Any, value: Any, expire: int = 0, noreply: bool = True) -> None:
        self.caches[0].replace(key, value, expire, noreply)

    def append(self, key: Any, value: Any, expire: int = 0, noreply: bool = True) -> None:
        self.caches[0].append(key, value, expire, noreply)

    def prepend(self, key: Any, value: Any, expire: int = 0, noreply: bool = True) -> None:
        self.caches[0].prepend(key, value, expire, noreply)

    def cas(self, key: Any, value: Any, cas: Any, expire: int = 0, noreply: bool = True) -> None:
        self.caches[0].cas(key, value, cas, expire, noreply)

    def _first(self, method: str, argument: Any, otherwise: Any, *, unless: Any) -> Any:
        for cache in self.caches:
            result = getattr(cache, method)(argument)
            if result not in unless:
                return result
        return otherwise

    def get(self, key: Any) -> Any:
        return self._first("get", key, None, unless=(None,))

    def get_many(self, keys: Iterable[Any]) -> Any:
        return self._first("get_many", list(keys), [], unless=({}, []))

    def gets(self, key: Any) -> Any:
        return self._first("gets", key, None, unless=(None, (None, None)))

    def gets_many(self, keys: Iterable[Any]) -> Any:
        return self._first("gets_many", list(keys), [], unless=({}, []))

    def delete(self, key: Any, noreply: bool = True) -> None:
        self.caches[0].delete(key, noreply)

    def incr(self, key: Any, value: int, noreply: bool = True) -> None:
        self.caches[0].incr(key, value, noreply)

    def decr(self, key: Any, value: int, noreply: bool = True) -> None:
        self.caches[0].decr(key, value, noreply)

    def touch(self, key: Any, expire: int = 0, noreply: bool = True) -> None:
        self.caches[0].touch(key, expire, noreply)

    def stats(self) -> None:
        pass

    def flush_all(self, delay: int = 0, noreply: bool = True) -> None:
        self.caches[0].flush_all(delay, noreply)

    def quit(self) -> None:
        pass
