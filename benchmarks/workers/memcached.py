"""Operations on a memcached from 20 threads, each with a client of its own.

Plain threading code: the launcher (``-m coev``, gevent's) decides what a thread is.

Usage: memcached.py MODULE PORT COUNT
"""

from __future__ import annotations

import resource
import sys
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

from rounds import report

_CLIENTS = 20
_KEYS = [f"key:{number:012}" for number in range(100)]
_VALUE = "v" * 100

Make = Callable[[], Any]


def maker(module: str, port: int) -> Make:
    """What makes a client, set up so that each reads and writes text."""
    address = f"127.0.0.1:{port}"
    if module == "pylibmc":
        import pylibmc

        return lambda: pylibmc.Client([address], behaviors={"tcp_nodelay": True})
    if module == "memcache":
        import memcache

        return lambda: memcache.Client([address])
    if module == "evmemcached":
        import evmemcached

        return lambda: evmemcached.Client([address])
    if module == "pymemcache":
        import pymemcache
    else:
        import evmemcached.pymemcache as pymemcache
    serde = pymemcache.serde.pickle_serde
    return lambda: pymemcache.Client(
        ("127.0.0.1", port), serde=serde, no_delay=True, default_noreply=False
    )


def get(client: Any, count: int) -> None:
    for _ in range(count):
        client.get(_KEYS[0])


def set_one(client: Any, count: int) -> None:
    for _ in range(count):
        client.set(_KEYS[1], _VALUE)


def get_multi(client: Any, count: int) -> None:
    for _ in range(count):
        assert len(client.get_multi(_KEYS)) == len(_KEYS)


def meta(client: Any, count: int) -> None:
    """A pipelined meta get of as many keys."""
    commands = [("mg", key, ("v",)) for key in _KEYS]
    for _ in range(count):
        assert len(client.meta(commands)) == len(_KEYS)


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def measure(make: Make, operation: Callable[[Any, int], None], count: int) -> float:
    """CPU time of an operation, in microseconds, with all clients at work."""
    each = max(1, count // _CLIENTS)
    clients = [make() for _ in range(_CLIENTS)]
    for client in clients:
        operation(client, 1)  # connects
    threads = [threading.Thread(target=operation, args=(client, each)) for client in clients]
    began = cpu_seconds()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (cpu_seconds() - began) / (each * _CLIENTS) * 1e6


def bytes_of_a_client(make: Make) -> float:
    """Memory of a client that has not connected, as Python counts it."""
    make()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    clients = [make() for _ in range(1000)]
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / len(clients)


if __name__ == "__main__":
    make, count = maker(sys.argv[1], int(sys.argv[2])), int(sys.argv[3])
    for key in _KEYS:
        make().set(key, _VALUE)
    metrics = {
        "get": measure(make, get, count),
        "set": measure(make, set_one, count),
        "get_multi": measure(make, get_multi, count // 20),
        "client": bytes_of_a_client(make),
    }
    if hasattr(make(), "meta"):
        metrics["meta"] = measure(make, meta, count // 20)
    report(**metrics)
