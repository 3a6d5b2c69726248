"""TLS as bytes in, bytes out: the native part moves them, and waits."""

import ssl

from ._exceptions import MemcacheConnectionError

_CHUNK = 1 << 16  # bytes


class Tls:
    """One TLS session between two buffers."""

    __slots__ = ("_incoming", "_outgoing", "_session")

    def __init__(self, context: ssl.SSLContext, hostname: str | None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)

    def handshake(self, data: bytes) -> tuple[bytes, bool]:
        """Take what the server sent; give what to send, and whether the handshake is over."""
        self._incoming.write(data)
        try:
            self._session.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            done = False
        return self._outgoing.read(), done

    def encrypt(self, data: bytes) -> bytes:
        """Give what to send for *data*."""
        try:
            view = memoryview(data)
            while view:
                view = view[self._session.write(view) :]
        except ssl.SSLError as error:
            raise MemcacheConnectionError(f"TLS: {error}") from error
        return self._outgoing.read()

    def decrypt(self, data: bytes) -> bytes | None:
        """Give what *data* says, as far as it is whole; None: the server ended the session."""
        self._incoming.write(data)
        parts = []
        try:
            while part := self._session.read(_CHUNK):
                parts.append(part)
            ended = True
        except ssl.SSLWantReadError:
            ended = False
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            ended = True
        except ssl.SSLError as error:
            raise MemcacheConnectionError(f"TLS: {error}") from error
        return None if ended and not parts else b"".join(parts)
