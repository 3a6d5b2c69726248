"""What can go wrong. The names are pymemcache's, the key errors python-memcached's.

All that is about a server that cannot be reached is an :class:`OSError` as well. A
``TimeoutError`` that is no :class:`MemcacheError` is not ours: it comes from a timeout
scope around the call, and nothing here ever takes it for a server's fault.
"""


class MemcacheError(Exception):
    """The base of all exceptions of evmemcached."""


class MemcacheClientError(MemcacheError):
    """The server says ``CLIENT_ERROR``: it does not accept the request."""


class MemcacheUnknownCommandError(MemcacheClientError):
    """The server says ``ERROR``: it does not know the command."""


class MemcacheIllegalInputError(MemcacheClientError):
    """A key or a value cannot be sent. Nothing was sent."""


class MemcachedKeyError(MemcacheIllegalInputError):
    """A key cannot be sent."""


class MemcachedKeyLengthError(MemcachedKeyError):
    """A key is too long."""


class MemcachedKeyCharacterError(MemcachedKeyError):
    """A key holds a blank, a line end or another control character."""


class MemcachedKeyNoneError(MemcachedKeyError):
    """A key is None or empty."""


class MemcachedKeyTypeError(MemcachedKeyError):
    """A key is neither str nor bytes."""


class MemcacheValueLengthError(MemcacheIllegalInputError):
    """A value is longer than the servers keep."""


class MemcacheServerError(MemcacheError):
    """The server says ``SERVER_ERROR``, or does not answer as it should."""


class MemcacheConnectionError(MemcacheServerError, OSError):
    """The server cannot be reached, or the connection to it broke."""


class MemcacheConnectionRefusedError(MemcacheConnectionError, ConnectionRefusedError):
    """Nobody listens at the server's address."""


class MemcacheTimeoutError(MemcacheConnectionError, TimeoutError):
    """The server did not answer in time."""


class MemcachePoolError(MemcacheTimeoutError):
    """No connection of the server's pool became free in time."""


class MemcacheUnexpectedCloseError(MemcacheConnectionError, ConnectionError):
    """The server closed the connection before it had answered."""


class MemcacheServerRestingError(MemcacheConnectionError):
    """The server has just failed and is not asked again yet."""


class MemcacheNoServerError(MemcacheError):
    """All servers are dead."""


class MemcacheUnknownError(MemcacheError):
    """The reply is none that belongs to the request. The connection is closed."""
