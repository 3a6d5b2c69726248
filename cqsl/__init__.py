"""Query strings in C++: parse_qs() and parse_qsl() as urllib.parse has them, many times faster.

    from cqsl import parse_qs                 # instead of urllib.parse's
    import cqsl; cqsl.patch()                 # or: the program stays as it is

What a query string means is exactly what CPython 3.13's urllib.parse says, on every version.
No function here switches to another coroutine.
"""

from cqsl._cqsl import parse_qs, parse_qsl, unquote, unquote_plus, unquote_to_bytes
from cqsl._patching import patch, unpatch

__all__ = [
    "parse_qs",
    "parse_qsl",
    "patch",
    "unpatch",
    "unquote",
    "unquote_plus",
    "unquote_to_bytes",
]
