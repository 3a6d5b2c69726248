"""Echo servers over TLS."""

from __future__ import annotations

import functools
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.benchmark import Bar, Benchmark, Variant
from harness.command import COEV, GEVENT
from harness.load import start_load, start_server
from harness.process import Child
from harness.repeat import TURN_S, by_turns
from harness.settings import Settings

_CONNECTIONS = 50
_THREADS = "servers/tls_threads.py"
_ASYNCIO = "servers/tls_asyncio.py"
_LIMIT = "servers/tls_libev.c"


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="coev-bench-")


@functools.cache
def _certificate() -> Path:
    """A self-signed certificate with its key, in one file."""
    path = Path(_folder().name, "certificate.pem")
    words = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost".split()
    subprocess.run(
        [*words, "-keyout", path, "-out", path], check=True, capture_output=True, timeout=60
    )
    return path


@contextmanager
def _load(variant: Variant, settings: Settings) -> Iterator[Child]:
    with (
        start_server(variant, settings, _certificate()) as server,
        start_load(server, "load/tls.c", _CONNECTIONS, 1.0, TURN_S) as client,
    ):
        yield client


TLS = Benchmark(
    name="tls",
    summary=f"1 KiB echo over TLS 1.3, {_CONNECTIONS} connections; the server's CPU each",
    units={"user": "us", "system": "us", "cpu": "us", "rate": "1/s"},
    variants=(
        Variant("coev", ("coev",), COEV, _THREADS),
        Variant("gevent", ("gevent",), (), "servers/tls_gevent.py"),
        Variant("gevent patched", ("gevent",), GEVENT, _THREADS),
        Variant("asyncio protocol", (), (), _ASYNCIO, ("asyncio",)),
        Variant("uvloop protocol", ("uvloop",), (), _ASYNCIO, ("uvloop",)),
        Variant("native threads", (), (), _THREADS),
        Variant("C OpenSSL", (), (), _LIMIT, is_limit=True),
        Variant("C OpenSSL read-ahead", (), (), _LIMIT, ("read-ahead",)),
    ),
    repeat=by_turns(_load),
    bars=(Bar("cpu", "coev", 1 / 2, "gevent"),),
    programs=("openssl", "cc"),
)
