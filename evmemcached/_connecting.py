"""How a connection to a server is made: resolve, connect, TLS, the authentication token.

Nothing here blocks a thread: each wait is one of coev's scheduler, with or without
``coev.monkey``.
"""

import errno
import os
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import coev

from ._address import Address
from ._exceptions import (
    MemcacheConnectionError,
    MemcacheConnectionRefusedError,
    MemcacheServerError,
    MemcacheTimeoutError,
)
from ._memcached import wait
from ._tls import Tls

_LONGEST_LINE = 1024  # bytes


@dataclass(frozen=True, slots=True)
class Keepalive:
    """TCP's keep-alive: seconds until the first probe and between probes, and how many."""

    idle: int = 1
    intvl: int = 1
    cnt: int = 5

    def __post_init__(self) -> None:
        for name in ("idle", "intvl", "cnt"):
            if getattr(self, name) < 1:
                raise ValueError(f"The {name} parameter must be greater or equal to 1.")


@dataclass(frozen=True, slots=True)
class Connector:
    """Makes connections to one server; what it says of the server is part of a pool's name."""

    address: Address
    timeout: float | None = 3.0  #: seconds for all of it; None: without limit
    tls_context: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = None
    keepalive: Keepalive | None = None
    no_delay: bool = True

    def __call__(self) -> tuple[int, Tls | None]:
        """Give a connected fd, which its caller owns, and the TLS session on it.

        Switches: always.

        :raises MemcacheConnectionError: it cannot be had.
        """
        deadline = None if self.timeout is None else time.monotonic() + self.timeout
        error: OSError | None = None
        for family, place in self._places():
            try:
                sock = socket.socket(family, socket.SOCK_STREAM)
            except OSError as failure:
                error = failure
                continue
            exchange = _Setup(self, sock, deadline)
            try:
                error = exchange.connect(place)
                if error is None:
                    tls = exchange.begin_tls()
                    exchange.authenticate()
                    return sock.detach(), tls
            finally:  # a kill may come at any point
                exchange.close()
        raise self.failure(error or OSError(errno.EADDRNOTAVAIL, "no address"))

    def failure(self, error: OSError) -> MemcacheConnectionError:
        """The exception that *error* becomes."""
        if isinstance(error, MemcacheConnectionError):
            return error
        kind = MemcacheConnectionError
        if isinstance(error, ConnectionRefusedError):
            kind = MemcacheConnectionRefusedError
        elif isinstance(error, TimeoutError):
            kind = MemcacheTimeoutError
        text = f"{self.address}: {error.strerror or error}"
        made = kind(error.errno, text) if error.errno else kind(text)
        made.__cause__ = error
        return made

    def _places(self) -> Iterator[tuple[int, Any]]:
        address = self.address
        if address.family == socket.AF_UNIX:
            yield socket.AF_UNIX, address.host
            return
        arguments = (address.host, address.port, address.family, socket.SOCK_STREAM, 0)
        try:  # a number needs no thread to find out
            found = socket.getaddrinfo(*arguments, socket.AI_NUMERICHOST)
        except socket.gaierror:
            try:
                found = coev.offload(socket.getaddrinfo, *arguments)
            except socket.gaierror as error:
                raise self.failure(error) from error
        for family, _, _, _, place in found:
            yield family, place


class _Setup:
    """What is said on a connection before it is anybody's."""

    def __init__(self, connector: Connector, sock: socket.socket, deadline: float | None) -> None:
        self._connector = connector
        self._sock = sock
        self._deadline = deadline
        self._tls: Tls | None = None
        sock.setblocking(False)

    def close(self) -> None:
        if self._sock.fileno() >= 0:
            self._sock.close()

    def connect(self, place: Any) -> OSError | None:
        """Connect; give the error that another address may not have."""
        code = self._sock.connect_ex(place)
        if code in (errno.EINPROGRESS, errno.EAGAIN):
            # A unix socket with a full backlog says EAGAIN and never becomes ready.
            if code == errno.EAGAIN:
                return OSError(code, os.strerror(code))
            if not self._wait(coev.WRITABLE):
                return TimeoutError(errno.ETIMEDOUT, "timed out")
            code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            return OSError(code, os.strerror(code))
        if self._sock.family != socket.AF_UNIX:
            self._set_options()
        return None

    def _set_options(self) -> None:
        sock, keepalive = self._sock, self._connector.keepalive
        if self._connector.no_delay:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if keepalive is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keepalive.idle)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, keepalive.intvl)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, keepalive.cnt)

    def _wait(self, events: int) -> bool:
        left = -1.0 if self._deadline is None else max(0.0, self._deadline - time.monotonic())
        return wait(self._sock.fileno(), events, left)

    def _wait_or_fail(self, events: int) -> None:
        if not self._wait(events):
            raise MemcacheTimeoutError(f"{self._connector.address}: timed out while connecting")

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self._sock.send(view) :]
            except BlockingIOError:
                self._wait_or_fail(coev.WRITABLE)
            except OSError as error:
                raise self._connector.failure(error) from error

    def _receive(self) -> bytes:
        while True:
            self._wait_or_fail(coev.READABLE)
            try:
                data = self._sock.recv(1 << 16)
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._connector.failure(error) from error
            if not data:
                raise self._connector.failure(
                    ConnectionResetError(errno.ECONNRESET, "closed while connecting")
                )
            return data

    def begin_tls(self) -> Tls | None:
        context = self._connector.tls_context
        if context is None:
            return None
        address = self._connector.address
        is_unix = address.family == socket.AF_UNIX
        tls = Tls(context, None if is_unix else address.host)
        data, done = b"", False
        while not done:
            try:
                answer, done = tls.handshake(data)
            except ssl.SSLError as error:
                raise self._connector.failure(error) from error
            self._send(answer)
            if not done:
                data = self._receive()
        self._tls = tls
        return tls

    def authenticate(self) -> None:
        """Send the authentication token, which memcached started with ``-Y`` asks for first."""
        connector, tls = self._connector, self._tls
        if connector.username is None:
            return
        token = f"{connector.username} {connector.password or ''}".encode()
        request = b"set auth 0 0 %d\r\n%s\r\n" % (len(token), token)
        self._send(tls.encrypt(request) if tls else request)
        reply = b""
        while not reply.endswith(b"\r\n") and len(reply) < _LONGEST_LINE:
            data = self._receive()
            reply += (tls.decrypt(data) or b"") if tls else data
        if reply != b"STORED\r\n":
            text = reply.decode("ascii", "replace").strip()
            raise MemcacheConnectionError(
                f"{connector.address}: not authenticated: {text}"
            ) from MemcacheServerError(text)
