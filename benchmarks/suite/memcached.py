"""A memcached client: CPU time of an operation."""

from __future__ import annotations

import os
import socket
import time

from harness.benchmark import Bar, Benchmark, Metrics, Variant
from harness.command import COEV, GEVENT, command_of
from harness.process import Child, TrialError, run_for_metrics
from harness.repeat import one_by_one
from harness.settings import Settings, measured_core

_SCRIPT = "workers/memcached.py"
_START_S = 10


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_until_up(port: int) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.01)
    raise TrialError("memcached does not listen")


def _trial(variant: Variant, settings: Settings) -> Metrics:
    port = _free_port()
    server = ["memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-t", "1", "-m", "64"]
    if os.geteuid() == 0:
        server += ["-u", "nobody"]
    command = command_of(variant, settings, port, settings.scaled(20_000))
    with Child(server, core=max(os.sched_getaffinity(0)), timeout=300):
        _wait_until_up(port)
        return run_for_metrics(command, core=measured_core(), timeout=240)


MEMCACHED = Benchmark(
    name="memcached",
    summary="20 clients of one memcached: the process's CPU for an operation",
    units={"get": "us", "set": "us", "get_multi": "us", "meta": "us", "client": "B"},
    variants=(
        Variant("evmemcached", ("coev",), COEV, _SCRIPT, ("evmemcached",)),
        Variant("evmemcached.pymemcache", ("coev",), COEV, _SCRIPT, ("evmemcached.pymemcache",)),
        Variant("pylibmc, native threads", ("pylibmc",), (), _SCRIPT, ("pylibmc",)),
        Variant("pymemcache, gevent", ("gevent", "pymemcache"), GEVENT, _SCRIPT, ("pymemcache",)),
        Variant("pymemcache, native threads", ("pymemcache",), (), _SCRIPT, ("pymemcache",)),
        Variant("python-memcached, native threads", ("memcache",), (), _SCRIPT, ("memcache",)),
    ),
    repeat=one_by_one(_trial),
    bars=(
        Bar("get", "evmemcached", 0.8, "pylibmc, native threads"),
        Bar("get", "evmemcached", 0.4, "pymemcache, gevent"),
        Bar("get_multi", "evmemcached", 0.8, "pylibmc, native threads"),
        Bar("client", "evmemcached", 500),
    ),
    programs=("memcached",),
)
