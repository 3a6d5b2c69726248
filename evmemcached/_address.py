"""The addresses of servers, as python-memcached and pymemcache write them."""

import re
import socket
from dataclasses import dataclass

DEFAULT_PORT = 11211

_HOST = re.compile(
    r"(?:(?P<kind>inet|inet6):)?(?:\[(?P<bracketed>[^\[\]]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>[0-9]+))?"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    family: int  #: ``AF_UNIX``, ``AF_INET``, ``AF_INET6``, or ``AF_UNSPEC``: whatever a name gives
    host: str  #: a name, a number, or the path of a unix socket
    port: int = 0

    def __str__(self) -> str:
        if self.family == socket.AF_UNIX:
            return f"unix:{self.host}"
        kind = "inet6" if self.family == socket.AF_INET6 else "inet"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{kind}:{host}:{self.port}"

    @property
    def name(self) -> str:
        """As python-memcached names a server in its statistics."""
        if self.family == socket.AF_UNIX:
            return f"unix:{self.host}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read ``host``, ``host:port``, ``[::1]:port``, ``inet6:[::1]:port``, ``unix:/path``
    or ``/path``.

    :raises ValueError: it is none of them.
    """
    if text.startswith("unix:"):
        return Address(socket.AF_UNIX, text[len("unix:") :])
    if text.startswith("/"):
        return Address(socket.AF_UNIX, text)
    match = _HOST.fullmatch(text)
    if match is None:
        raise ValueError(f'Unable to parse connection string: "{text}"')
    host = match["bracketed"] or match["host"]
    families = {"inet": socket.AF_INET, "inet6": socket.AF_INET6, None: socket.AF_UNSPEC}
    family = socket.AF_INET6 if ":" in host else families[match["kind"]]
    return Address(family, host, int(match["port"] or DEFAULT_PORT))


def address_of(server: str | tuple[str, int]) -> Address:
    """Read a server as pymemcache takes it: text, or ``(host, port)``.

    :raises ValueError: it is neither.
    """
    if isinstance(server, str):
        return parse_address(server)
    if isinstance(server, (tuple, list)) and len(server) == 2:
        host, port = server
        family = socket.AF_INET6 if ":" in host else socket.AF_UNSPEC
        return Address(family, host, int(port))
    raise ValueError(f"Unsupported server specification: {server!r}")
