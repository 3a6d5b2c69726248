"""What accept() and close() of socket.socket do once sockets suspend coroutines.

The class of Lib/socket.py spends more on an accepted connection than the kernel's calls
take: it looks up two enums, to make plain numbers of them again, and asks the kernel
whether what it has just accepted is a socket. While the class is as that file defines
it, this is done in C.
"""

import sys
from _socket import getdefaulttimeout
from _socket import socket as _base
from types import FunctionType

from . import _coev
from ._rewriting import rewrite

__all__ = ["patch"]

# What the code in Python would use, and the functions in C do not.
_PARTS = (
    "__new__",
    "__init__",
    "_accept",
    "family",
    "type",
    "proto",
    "gettimeout",
    "setblocking",
    "_closed",
    "_io_refs",
    "_real_close",
)


class socket:
    """A socket.socket whose accept() and close() ask C first."""

    def accept(self):
        accept_connection = "$accept_connection"
        accepted = accept_connection(self, socket, getdefaulttimeout)
        if accepted is not None:
            return accepted
        fd, addr = self._accept()
        sock = socket(self.family, self.type, self.proto, fileno=fd)
        if getdefaulttimeout() is None and self.gettimeout():
            sock.setblocking(True)
        return sock, addr

    def close(self):
        close_socket = "$close_socket"
        if not close_socket(self):
            self._closed = True
            if self._io_refs <= 0:
                self._real_close()


def _is_as_defined(module, cls):
    """Whether *cls* is what Lib/socket.py defines, and nobody has changed it since."""
    if type(cls) is not type or cls.__bases__ != (_base,):
        return False
    own = vars(cls)
    functions = {name: own.get(name) for name in ("__init__", "accept", "close", "_real_close")}
    functions |= {name: getattr(own.get(name), "fget", None) for name in ("family", "type")}
    return not own.keys() & {"__new__", "proto", "gettimeout", "setblocking"} and all(
        isinstance(function, FunctionType)
        and function.__globals__ is vars(module)
        and function.__code__.co_qualname == f"socket.{name}"
        for name, function in functions.items()
    )


def patch():
    """Give two methods of socket.socket the code of those here, as soon as there is one."""
    module = sys.modules.get("socket")
    if not hasattr(module, "create_server"):  # not imported, or not to its end
        _coev._when_socket_made(patch)
    elif _is_as_defined(module, module.socket):
        _coev._know_socket_class(module.socket, _PARTS)
        rewrite(module.socket.accept, socket.accept, accept_connection=_coev._accept_connection)
        rewrite(module.socket.close, socket.close, close_socket=_coev._close_socket)
