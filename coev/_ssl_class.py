"""What recv() and sendall() of ssl.SSLSocket do once TLS suspends coroutines.

A message of TLS costs the class of Lib/ssl.py nearly half of what OpenSSL takes to
encrypt and decrypt it: sendall() makes three views of the bytes, with two contexts,
and recv() passes through three more functions. Where neither is needed, for bytes and
for an object of just this class, the SSL object is called here and now.
"""

import sys
from types import FunctionType

from ._rewriting import rewrite

__all__ = ["patch"]

_USED = ("recv", "read", "send", "sendall", "_checkClosed")  # by one another


class SSLSocket:
    """A ssl.SSLSocket that calls its SSL object at once where nothing is unusual."""

    def recv(self, buflen=1024, flags=0):
        if type(self) is __class__ and flags == 0:
            connection = self._sslobj
            if connection is not None:
                try:
                    return connection.read(buflen)
                except SSLError as x:  # noqa: F821, a global of ssl
                    if x.args[0] == SSL_ERROR_EOF and self.suppress_ragged_eofs:  # noqa: F821
                        return b""
                    raise
        original = "$original"
        return original(self, buflen, flags)

    def sendall(self, data, flags=0):
        if type(self) is __class__ and type(data) is bytes and flags == 0:
            connection = self._sslobj
            if connection is not None and data:
                sent = connection.write(data)
                if sent == len(data):
                    return
                data = memoryview(data)[sent:]
        original = "$original"
        original(self, data, flags)


def _is_as_defined(module, cls):
    """Whether *cls* is what Lib/ssl.py defines, and nobody has changed it since."""
    functions = {name: vars(cls).get(name) for name in _USED}
    return all(
        isinstance(function, FunctionType)
        and function.__globals__ is vars(module)
        and function.__code__.co_qualname == f"SSLSocket.{name}"
        for name, function in functions.items()
    )


def _copy(function):
    return FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )


def patch():
    """Give two methods of ssl.SSLSocket the code of those here, if it is imported."""
    module = sys.modules.get("ssl")
    cls = getattr(module, "SSLSocket", None)
    if cls is not None and _is_as_defined(module, cls):
        for method, replacement in (cls.recv, SSLSocket.recv), (cls.sendall, SSLSocket.sendall):
            rewrite(method, replacement, original=_copy(method))
