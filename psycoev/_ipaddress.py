"""``inet`` and ``cidr`` as the classes of the standard library's ``ipaddress``."""

import ipaddress
from collections.abc import Callable
from typing import Any

from ._psycopg import ISQLQuote, QuotedString, adapters, new_array_type, new_type, register_type

_ADAPTED = (
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
)


def _caster(make: Callable[[str], Any]) -> Callable[[str | None, Any], Any]:
    def cast(text: str | None, curs: Any) -> Any:
        return None if text is None else make(text)

    return cast


cast_interface = _caster(ipaddress.ip_interface)
cast_network = _caster(ipaddress.ip_network)

_casters: list[Any] = []


def _make_casters() -> list[Any]:
    inet = new_type((869,), "INET", cast_interface)
    cidr = new_type((650,), "CIDR", cast_network)
    return [
        inet,
        new_array_type((1041,), "INET[]", inet),
        cidr,
        new_array_type((651,), "CIDR[]", cidr),
    ]


def adapt_ipaddress(obj: Any) -> QuotedString:
    """Adapt an address, an interface or a network."""
    return QuotedString(str(obj))


def register_ipaddress(conn_or_curs: Any = None) -> None:
    """Cast ``inet`` to interfaces and ``cidr`` to networks, and adapt both.

    Switches: never.

    :param conn_or_curs: where to cast so; None is everywhere.
    """
    if not _casters:
        _casters[:] = _make_casters()
    for caster in _casters:
        register_type(caster, conn_or_curs)
    for cls in _ADAPTED:
        adapters[cls, ISQLQuote] = adapt_ipaddress
