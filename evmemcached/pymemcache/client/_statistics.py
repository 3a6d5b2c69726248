"""The reply to ``stats`` as Python objects."""

from collections.abc import Callable
from typing import Any


def _truth(value: bytes) -> bool:
    return int(value) != 0


def _yes(value: bytes) -> bool:
    return value == b"yes"


def _seconds(value: bytes) -> float:
    return float(value.replace(b":", b"."))


def _octal(value: bytes) -> int:
    return int(value, 8)


_TYPES: dict[bytes, Callable[[bytes], Any]] = {
    b"version": bytes,
    b"rusage_user": _seconds,
    b"rusage_system": _seconds,
    b"hash_is_expanding": _truth,
    b"slab_reassign_running": _truth,
    b"inter": bytes,
    b"growth_factor": float,
    b"stat_key_prefix": bytes,
    b"umask": _octal,
    b"detail_enabled": _truth,
    b"cas_enabled": _truth,
    b"auth_enabled_sasl": _yes,
    b"maxconns_fast": _truth,
    b"slab_reassign": _truth,
    b"slab_automove": _truth,
}


def _read(name: bytes, value: bytes) -> Any:
    try:
        return _TYPES.get(name, int)(value)
    except ValueError:
        return value


def read_statistics(reply: bytes) -> dict[bytes, Any]:
    """``STAT name value`` and ``ITEM name ...`` as a dict."""
    found = {}
    for line in reply.splitlines():
        kind, _, rest = line.partition(b" ")
        name, _, value = rest.partition(b" ")
        if kind in (b"STAT", b"ITEM"):
            found[name] = _read(name, value)
    return found
