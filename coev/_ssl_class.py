"""What becomes of ssl.SSLSocket once TLS suspends coroutines.

A message of TLS costs the class of Lib/ssl.py nearly half of what OpenSSL takes to
encrypt and decrypt it: sendall() makes three views of the bytes, with two contexts,
and recv() passes through three more functions. Where neither is needed, for bytes and
for an object of just this class, the SSL object is called at once, from C.
"""

import sys
from types import FunctionType

from . import _coev

__all__ = ["patch"]

# What the code in Python would use, and the methods in C do not.
_PARTS = ("read", "send", "_checkClosed")
_REPLACED = ("recv", "recv_into", "send", "sendall")


def _is_as_defined(module, cls):
    """Whether *cls* is what Lib/ssl.py defines, and nobody has changed it since."""
    functions = {name: vars(cls).get(name) for name in {*_PARTS, *_REPLACED}}
    return all(
        isinstance(function, FunctionType)
        and function.__globals__ is vars(module)
        and function.__code__.co_qualname == f"SSLSocket.{name}"
        for name, function in functions.items()
    )


def patch():
    """Give methods of ssl.SSLSocket, if it is imported, to C."""
    module = sys.modules.get("ssl")
    cls = getattr(module, "SSLSocket", None)
    if cls is not None and _is_as_defined(module, cls):
        _coev._patch_ssl_class(cls, _PARTS, module.SSLError, module.SSL_ERROR_EOF)
