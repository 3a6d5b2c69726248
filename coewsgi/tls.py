"""TLS: contexts out of files, a certificate by name (SNI), new certificates while running."""

import ssl
from collections.abc import Mapping
from socket import socket
from typing import Any

from coewsgi.options import OptionError, Options

_REQUIREMENTS = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
    "0": ssl.CERT_NONE,
    "1": ssl.CERT_OPTIONAL,
    "2": ssl.CERT_REQUIRED,
}


def _context(options: Options, certfile: str, keyfile: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certfile, keyfile)
    except (OSError, ssl.SSLError) as error:
        raise OptionError(f"certificate {certfile!r} cannot be used: {error}") from error
    if options.ciphers:
        context.set_ciphers(options.ciphers)
    if options.ca_certs:
        context.load_verify_locations(options.ca_certs)
    context.verify_mode = _REQUIREMENTS[options.cert_reqs]
    if context.verify_mode != ssl.CERT_NONE and not options.ca_certs:
        raise OptionError("client certificates need ca_certs, the authorities to trust")
    return context


class Tls:
    """Wraps accepted sockets by the certificates as they were read last.

    :param context: a context of the caller's instead of the options' files.
    :raises OptionError: a certificate that cannot be used.
    """

    def __init__(self, options: Options, context: ssl.SSLContext | None = None) -> None:
        self._options = options
        self._given = context
        self._context = context if context is not None else self._load()

    def _load(self) -> ssl.SSLContext:
        options = self._options
        if options.certfile is None:
            raise OptionError("sni and keyfile need a certfile for clients that name no host")
        context = _context(options, options.certfile, options.keyfile)
        by_name: dict[str, ssl.SSLContext] = {}
        for entry in options.sni:
            name, equals, files = entry.partition("=")
            certfile, _, keyfile = files.partition(":")
            if not equals or not certfile:
                raise OptionError(f"sni = {entry!r}: write NAME=CERTFILE[:KEYFILE]")
            by_name[name.lower()] = _context(options, certfile, keyfile or None)
        if by_name:

            def choose(sock: ssl.SSLObject, name: str | None, default: ssl.SSLContext) -> None:
                name = (name or "").lower()
                chosen = by_name.get(name) or by_name.get("*." + name.partition(".")[2])
                if chosen is not None:
                    sock.context = chosen

            context.sni_callback = choose
        return context

    def reload(self) -> None:
        """Read the files again; connections that are open keep what they have.

        :raises OptionError: something is wrong with them, and the old ones stay in use.
        """
        if self._given is None:
            self._context = self._load()

    def wrap(self, sock: socket) -> ssl.SSLSocket:
        """For Server.start(tls=...). Switches: never; the server does the handshake."""
        return self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)

    def environ(self, sock: ssl.SSLSocket) -> Mapping[str, Any]:
        """What the connection's environ gets, by the names of Apache's mod_ssl."""
        result: dict[str, Any] = {"SSL_PROTOCOL": sock.version() or ""}
        if cipher := sock.cipher():
            result["SSL_CIPHER"] = cipher[0]
        if self._context.verify_mode == ssl.CERT_NONE:
            return result
        raw = sock.getpeercert(binary_form=True)
        result["SSL_CLIENT_VERIFY"] = "SUCCESS" if raw else "NONE"
        if raw:
            certificate: Any = sock.getpeercert() or {}
            result["SSL_CLIENT_CERT"] = ssl.DER_cert_to_PEM_cert(raw)
            result["SSL_CLIENT_S_DN"] = _distinguished_name(certificate.get("subject", ()))
            result["SSL_CLIENT_I_DN"] = _distinguished_name(certificate.get("issuer", ()))
            result["SSL_CLIENT_M_SERIAL"] = certificate.get("serialNumber", "")
        return result


_SHORT_NAMES = {
    "countryName": "C",
    "stateOrProvinceName": "ST",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "commonName": "CN",
}


def _distinguished_name(parts: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    """By RFC 2253: the last part first, special characters escaped."""
    texts = []
    for part in parts:
        for name, value in part:
            escaped = "".join("\\" + c if c in ',+"\\<>;=' else c for c in value)
            texts.append(f"{_SHORT_NAMES.get(name, name)}={escaped}")
    return ",".join(reversed(texts))
