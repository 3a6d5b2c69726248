"""What servers say of themselves: ``stats`` in its forms, and ``flush_all``."""

from typing import Any

from . import _memcached
from ._exceptions import MemcacheError
from ._settings import Settings


def lines_of(cluster: _memcached.Cluster, server: int, command: str) -> list[str] | None:
    """The lines that *command* gives up to its end; None: the server does not answer."""
    try:
        reply = cluster.command(server, command.encode() + b"\r\n", b"", False)
    except MemcacheError:
        return None
    return reply.decode("utf-8", "replace").splitlines()


def named_servers(settings: Settings) -> list[tuple[int, str]]:
    """The servers with the names that statistics give them."""
    addresses = list(dict.fromkeys(address for address, _ in settings.servers))
    return [
        (addresses.index(address), f"{address.name} ({weight})")
        for address, weight in settings.servers
    ]


def plain(lines: list[str]) -> dict[str, str]:
    """``STAT name value`` as a dict."""
    found = {}
    for line in lines:
        parts = line.split(" ", 2)
        if len(parts) > 1:
            found[parts[1]] = parts[2] if len(parts) > 2 else ""
    return found


def by_slab(lines: list[str]) -> dict[str, Any]:
    """``STAT slab:name value`` as a dict of dicts, beside what is about all slabs."""
    found: dict[str, Any] = {}
    for name, value in plain(lines).items():
        slab, colon, rest = name.partition(":")
        if colon:
            found.setdefault(slab, {})[rest] = value
        else:
            found[name] = value
    return found


def items_by_slab(lines: list[str]) -> dict[str, Any]:
    """``STAT items:slab:name value`` as a dict of dicts."""
    found: dict[str, Any] = {}
    for name, value in plain(lines).items():
        parts = name.split(":", 2)
        if len(parts) == 3:
            found.setdefault(parts[1], {})[parts[2]] = value
    return found
