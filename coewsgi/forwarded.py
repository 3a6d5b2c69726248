"""What a proxy in front says of its client: Forwarded (RFC 7239) and X-Forwarded-*.

Only what a trusted peer sends counts; the server drops these fields of all others. With
*hops* proxies of ours in a row, the address that the outermost of them saw is the client's:
what stands further left came from outside and may be anything.
"""

import ipaddress
import re
from collections.abc import Callable, Sequence
from wsgiref.types import WSGIEnvironment

from coewsgi._coewsgi import BadRequest

_HOST = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_PAIR = re.compile(r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))\s*')


def trust(peers: Sequence[str]) -> Callable[[str], bool] | None:
    """A function that says whether an address is one of *peers*: addresses, networks or ``*``.

    A unix socket's peer has the address ``""``, which only ``*`` and ``unix`` stand for.

    :returns: ``None`` for no peers: nobody is trusted.
    :raises ValueError: an entry is neither an address nor a network.
    """
    if not peers:
        return None
    if "*" in peers:
        return lambda address: True
    networks = [ipaddress.ip_network(peer, strict=False) for peer in peers if peer != "unix"]
    unix = "unix" in peers
    known: dict[str, bool] = {}

    def is_trusted(address: str) -> bool:
        if not address:
            return unix
        if address not in known:
            if len(known) > 4096:
                known.clear()
            known[address] = _is_within(address, networks)
        return known[address]

    return is_trusted


def _is_within(address: str, networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    try:
        number = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(number, "ipv4_mapped", None)
    return any((mapped or number) in network or number in network for network in networks)


def _nth_from_right(items: list[str], hops: int) -> str:
    return items[-min(hops, len(items))]


def _split(text: str) -> list[str]:
    return [item.strip() for item in text.split(",")]


def _client(node: str) -> tuple[str, str | None]:
    """Address and port of a node identifier (RFC 7239, section 6)."""
    if node.startswith("["):
        host, bracket, rest = node[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise BadRequest(f"bad address {node!r}")
        return host, rest[1:] or None
    host, colon, port = node.partition(":")
    if colon and ":" in port:  # IPv6 without brackets, as X-Forwarded-For has it
        return node, None
    return host, port or None


class Forwarded:
    """The hook of the server: rewrites environ by what the proxy said.

    :param hops: how many proxies of ours a request passes.
    """

    def __init__(self, hops: int = 1) -> None:
        self._hops = hops

    def __call__(self, environ: WSGIEnvironment) -> None:
        standard = environ.get("HTTP_FORWARDED")
        said = self._standard(standard) if standard else self._de_facto(environ)
        if client := said.get("for"):
            self._set_client(environ, client)
        if scheme := said.get("proto"):
            scheme = scheme.lower()
            if scheme not in ("http", "https", "ws", "wss"):
                raise BadRequest(f"bad scheme {scheme!r}")
            environ["wsgi.url_scheme"] = scheme = {"ws": "http", "wss": "https"}.get(scheme, scheme)
            if scheme == "https":
                environ["HTTPS"] = "on"
            else:
                environ.pop("HTTPS", None)
        if host := said.get("host"):
            if not _HOST.fullmatch(host):
                raise BadRequest(f"bad host {host!r}")
            environ["HTTP_HOST"] = host
            self._set_server(environ, host)
        if port := said.get("port"):
            if not port.isdigit() or int(port) > 65535:
                raise BadRequest(f"bad port {port!r}")
            environ["SERVER_PORT"] = port
        if prefix := said.get("prefix"):
            if not prefix.startswith("/") or prefix.startswith("//"):
                raise BadRequest(f"bad prefix {prefix!r}")
            environ["SCRIPT_NAME"] = prefix.rstrip("/")

    def _standard(self, text: str) -> dict[str, str]:
        elements: list[dict[str, str]] = [{}]
        at = 0
        while at < len(text):
            match = _PAIR.match(text, at)
            if match is None:
                raise BadRequest("bad Forwarded field")
            name = match[1].lower()
            value = re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
            if name in elements[-1]:
                raise BadRequest(f"Forwarded names {name!r} twice")
            elements[-1][name] = value
            at = match.end()
            if at < len(text):
                if text[at] == ",":
                    elements.append({})
                elif text[at] != ";":
                    raise BadRequest("bad Forwarded field")
                at += 1
        chosen = elements[-min(self._hops, len(elements))]
        return {name: chosen[name] for name in ("for", "proto", "host") if name in chosen}

    def _de_facto(self, environ: WSGIEnvironment) -> dict[str, str]:
        said = {}
        for name, variable in (
            ("for", "HTTP_X_FORWARDED_FOR"),
            ("proto", "HTTP_X_FORWARDED_PROTO"),
            ("host", "HTTP_X_FORWARDED_HOST"),
            ("port", "HTTP_X_FORWARDED_PORT"),
            ("prefix", "HTTP_X_FORWARDED_PREFIX"),
        ):
            if variable in environ:
                said[name] = _nth_from_right(_split(environ[variable]), self._hops)
        others = {
            environ.get("HTTP_X_FORWARDED_SSL", "").lower(): "on",
            environ.get("HTTP_X_FORWARDED_PROTOCOL", "").lower(): "ssl",
        }
        if any(value and value == yes for value, yes in others.items()):
            if said.setdefault("proto", "https").lower() != "https":
                raise BadRequest("scheme fields contradict one another")
        return said

    def _set_client(self, environ: WSGIEnvironment, node: str) -> None:
        host, port = _client(node)
        if host.lower() == "unknown" or host.startswith("_"):
            return
        try:
            ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            raise BadRequest(f"bad address {host!r}") from None
        environ["REMOTE_ADDR"] = host
        if port is not None and port.isdigit():
            environ["REMOTE_PORT"] = port
        else:
            environ.pop("REMOTE_PORT", None)

    def _set_server(self, environ: WSGIEnvironment, host: str) -> None:
        name, port = _client(host)
        environ["SERVER_NAME"] = name
        default = "443" if environ.get("wsgi.url_scheme") == "https" else "80"
        environ["SERVER_PORT"] = port or default
