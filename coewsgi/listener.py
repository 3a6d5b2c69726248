"""Listening sockets: TCP, unix (a path or an abstract name), inherited and systemd's."""

import os
import socket
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class ListenError(OSError):
    """An address that cannot be listened on; the message names it and says why."""


@dataclass
class Listener:
    """One listening socket, and what its requests find in environ."""

    socket: socket.socket
    name: str
    path: str | None = None  # of a unix socket that this process made

    def environ(self, tls: bool) -> dict[str, Any]:
        """SERVER_NAME, SERVER_PORT and the scheme (PEP 3333)."""
        scheme = {"wsgi.url_scheme": "https", "HTTPS": "on"} if tls else {"wsgi.url_scheme": "http"}
        address = self.socket.getsockname()
        if self.socket.family == socket.AF_UNIX:
            # CGI wants both; a unix socket has neither.
            return {"SERVER_NAME": "localhost", "SERVER_PORT": "443" if tls else "80", **scheme}
        return {"SERVER_NAME": address[0], "SERVER_PORT": str(address[1]), **scheme}

    def close(self) -> None:
        """Close the socket; remove its path if this process made that."""
        self.socket.close()
        if self.path is not None:
            try:
                os.unlink(self.path)
            except FileNotFoundError:
                pass
            self.path = None


def split_address(address: str) -> tuple[str, int]:
    """HOST and PORT of "HOST:PORT", "[IPV6]:PORT", ":PORT" or "PORT".

    :raises ValueError: it is none of these.
    """
    host, colon, port = address.rpartition(":")
    if not colon and not port.isdigit():
        raise ValueError(f"{address!r} is no address: HOST:PORT, [IPV6]:PORT or unix:PATH")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{address!r}: an IPv6 address needs brackets: [{host}]:{port}")
    if not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{address!r}: {port!r} is no port")
    return host, int(port)


def _is_stale(path: str) -> bool:
    """Whether *path* is a socket that nobody listens on any more."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def _open_unix(name: str, mode: int | None) -> Listener:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if name.startswith("@"):
            sock.bind("\0" + name[1:])
            return Listener(sock, f"unix:{name}")
        if _is_stale(name):
            os.unlink(name)
        # With the mode from the start, because a moment is enough to connect.
        before = os.umask(~(0o666 if mode is None else mode) & 0o777)
        try:
            sock.bind(name)
        finally:
            os.umask(before)
        return Listener(sock, f"unix:{name}", os.path.abspath(name))
    except BaseException:
        sock.close()
        raise


def _open_tcp(address: str, reuse_port: bool) -> Listener:
    host, port = split_address(address)
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, place = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # "[::]" is for both families only if that is all there is to listen on.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host not in ("", "::")))
        sock.bind(place)
    except BaseException:
        sock.close()
        raise
    return Listener(sock, describe(sock))


def describe(sock: socket.socket) -> str:
    """HOST:PORT or unix:PATH of a listening socket."""
    address = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        text = os.fsdecode(address)
        return "unix:" + ("@" + text[1:] if text.startswith("\0") else text)
    host = f"[{address[0]}]" if sock.family == socket.AF_INET6 else address[0]
    return f"{host}:{address[1]}"


def adopt(fd: int) -> Listener:
    """A listener on an inherited descriptor.

    :raises ListenError: it is not a listening stream socket.
    """
    try:
        sock = socket.socket(fileno=fd)
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sock.detach()
            raise ListenError(f"file descriptor {fd} is a socket that does not listen")
    except OSError as error:
        raise ListenError(f"file descriptor {fd} cannot be listened on: {error}") from None
    os.set_inheritable(fd, False)
    return Listener(sock, describe(sock))


def open_listener(
    address: str, *, backlog: int = 2048, reuse_port: bool = False, mode: int | None = None
) -> Listener:
    """Listen on *address*: HOST:PORT, [IPV6]:PORT, unix:PATH, unix:@NAME or fd://N.

    :param mode: permissions of a unix socket's path; 0o666 if not given.
    :raises ListenError: it cannot be listened on.
    :raises ValueError: it is no address.
    """
    if address.startswith("fd://"):
        return adopt(int(address.removeprefix("fd://")))
    try:
        if address.startswith("unix:"):
            listener = _open_unix(address.removeprefix("unix:").removeprefix("//"), mode)
        else:
            listener = _open_tcp(address, reuse_port)
    except OSError as error:
        raise ListenError(f"cannot listen on {address}: {error.strerror or error}") from error
    listener.socket.listen(backlog)
    return listener


def from_systemd(environment: Mapping[str, str] | None = None) -> list[Listener]:
    """The sockets that systemd opened for this process (sd_listen_fds(3)).

    The variables are removed, so that no child takes the sockets for its own.
    """
    environment = os.environ if environment is None else environment
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(environment.get("LISTEN_FDS", "0"))
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    return [adopt(3 + i) for i in range(count)]
