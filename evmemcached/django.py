"""The cache backend for Django: ``"BACKEND": "evmemcached.django.EvMemcachedCache"``.

``LOCATION`` and ``OPTIONS`` are those of :class:`evmemcached.Client`. Django makes a client
for each thread or coroutine and disconnects it at the end of each request; the pool of
connections outlives both.
"""

import pickle
from typing import Any

from django.core.cache.backends.memcached import BaseMemcachedCache

import evmemcached


class EvMemcachedCache(BaseMemcachedCache):  # type: ignore[misc, unused-ignore]
    """Django's cache on evmemcached."""

    def __init__(self, server: str | list[str], params: dict[str, Any]) -> None:
        super().__init__(server, params, library=evmemcached, value_not_found_exception=ValueError)
        given: dict[str, Any] = params.get("OPTIONS") or {}
        self._options = {"pickleProtocol": pickle.HIGHEST_PROTOCOL} | given
