"""Websockets for blocking code (RFC 6455, and RFC 7692 for compression).

    def application(environ, start_response):
        websocket = environ.get("coewsgi.websocket")
        if websocket is None:
            start_response("426 Upgrade Required", [("Upgrade", "websocket")])
            return [b"This is a websocket.\\n"]
        for message in websocket:
            websocket.send(message)
        return []

The connection is upgraded when the application first uses the websocket, or by
:meth:`WebSocket.accept`. An application that answers without using it, with 403 for
instance, refuses it.
"""

import base64
import hashlib
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from socket import socket
from typing import Any, Protocol
from wsgiref.types import WSGIEnvironment

from coewsgi._coewsgi import ClientDisconnected, FrameDecoder, FrameError, encode_frame

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_TAIL = b"\x00\x00\xff\xff"
#: Close codes that may stand in a frame (RFC 6455, section 7.4).
_CODES = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


class WebSocketClosed(ConnectionError):
    """Raised by :meth:`WebSocket.send` when the websocket is closed.

    ``code`` and ``reason`` are the close frame's; 1006 when the connection was lost.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"websocket closed: {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class _Broken(Exception):
    """The client broke the protocol."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Upgrade(Protocol):
    """What the server gives to the hook: a connection that may be taken over."""

    def take_over(self, head: bytes, /) -> tuple[socket, bytes]: ...


def _tokens(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


class _Deflate:
    """permessage-deflate as it was agreed: one compressor, one decompressor."""

    def __init__(self, offer: dict[str, str | None]) -> None:
        self._keep_ours = "server_no_context_takeover" not in offer
        self._keep_theirs = "client_no_context_takeover" not in offer
        bits = offer.get("server_max_window_bits") or "15"
        if not bits.isdigit() or not 8 <= int(bits) <= 15:
            raise ValueError("server_max_window_bits")
        # zlib makes no raw stream with a window of 8 bits: 9 would break the promise.
        if int(bits) == 8:
            raise ValueError("server_max_window_bits")
        self._bits = int(bits)
        self._compressor: Any = None
        self._decompressor: Any = None

    def response(self) -> str:
        parts = ["permessage-deflate"]
        if not self._keep_ours:
            parts.append("server_no_context_takeover")
        if not self._keep_theirs:
            parts.append("client_no_context_takeover")
        if self._bits != 15:
            parts.append(f"server_max_window_bits={self._bits}")
        return "; ".join(parts)

    def compress(self, payload: bytes) -> bytes:
        if self._compressor is None or not self._keep_ours:
            self._compressor = zlib.compressobj(wbits=-self._bits)
        data: bytes = self._compressor.compress(payload)
        data += self._compressor.flush(zlib.Z_SYNC_FLUSH)
        return data[: -len(_TAIL)]

    def decompress(self, payload: bytes, limit: int) -> bytes:
        """At most *limit* bytes come to be, whatever the client claims."""
        if self._decompressor is None or not self._keep_theirs:
            self._decompressor = zlib.decompressobj(wbits=-15)
        try:
            data: bytes = self._decompressor.decompress(payload + _TAIL, limit + 1)
        except zlib.error as error:
            raise _Broken(1007, f"bad compressed data: {error}") from None
        if len(data) > limit:
            raise _Broken(1009, "message too big")
        if self._decompressor.eof:
            self._decompressor = None  # the client ended its stream; the next one is new
        return data


def _offers(field: str) -> Iterator[tuple[str, dict[str, str | None]]]:
    for item in _tokens(field):
        name, *parameters = (part.strip() for part in item.split(";"))
        pairs: dict[str, str | None] = {}
        for parameter in parameters:
            key, equals, value = parameter.partition("=")
            pairs[key.strip()] = value.strip().strip('"') if equals else None
        yield name, pairs


def _agree(field: str) -> _Deflate | None:
    """The first offer of permessage-deflate that can be kept, if there is one."""
    known = {
        "server_no_context_takeover",
        "client_no_context_takeover",
        "server_max_window_bits",
        "client_max_window_bits",
    }
    for name, pairs in _offers(field):
        if name == "permessage-deflate" and pairs.keys() <= known:
            try:
                return _Deflate(pairs)
            except ValueError:
                continue
    return None


class WebSocket:
    """One websocket, seen from the server. One thread receives; any thread may send.

    :ivar subprotocols: those the client offers.
    :ivar subprotocol: the one agreed on, or ``None``.
    :ivar max_message: bytes of a message, before and after decompression; more closes the
        websocket with code 1009. Set it before the first use.
    :ivar close_code: of the close frame that came, or 1006; ``None`` while it is open.
    """

    def __init__(self, environ: WSGIEnvironment, upgrade: Upgrade) -> None:
        self._upgrade = upgrade
        self._key = environ["HTTP_SEC_WEBSOCKET_KEY"]
        self._extensions = environ.get("HTTP_SEC_WEBSOCKET_EXTENSIONS", "")
        self.subprotocols = _tokens(environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", ""))
        self.subprotocol: str | None = None
        self.max_message = 1 << 20
        self.close_code: int | None = None
        self.close_reason = ""
        self._socket: socket | None = None
        self._sending = threading.Lock()
        self._sent_close = False
        self._deflate: _Deflate | None = None
        self._fragments: list[bytes] = []
        self._fragment_bytes = 0
        self._kind = 0
        self._compressed = False
        self._frames: list[tuple[int, bool, bool, bytes]] = []
        self._last_heard = 0.0

    # --- opening ----------------------------------------------------------------------

    def accept(
        self,
        subprotocol: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        *,
        compress: bool = True,
        ping_interval: float = 0.0,
    ) -> None:
        """Upgrade the connection, if that has not been done.

        Switches: only if the answer does not fit the kernel's buffer.

        :param subprotocol: one of :attr:`subprotocols`.
        :param headers: more fields of the answer, as cookies.
        :param compress: whether to agree to permessage-deflate if the client offers that.
        :param ping_interval: seconds between pings; a client that has sent nothing for two
            of these is given up. 0: none.
        :raises ValueError: a subprotocol that was not offered, or a field with a line break.
        :raises coewsgi.ClientDisconnected: the client is gone.
        """
        if self._socket is not None:
            return
        if subprotocol is not None and subprotocol not in self.subprotocols:
            raise ValueError(f"the client does not offer subprotocol {subprotocol!r}")
        self.subprotocol = subprotocol
        self._deflate = _agree(self._extensions) if compress else None
        self._socket, rest = self._upgrade.take_over(self._head(headers))
        self._socket.settimeout(None)
        self._decoder = FrameDecoder(
            masked=True, max_frame=self.max_message, rsv1=self._deflate is not None
        )
        self._last_heard = time.monotonic()
        self._feed(rest)
        if ping_interval > 0:
            threading.Thread(target=self._keep_alive, args=(ping_interval,), daemon=True).start()

    def _head(self, headers: Iterable[tuple[str, str]]) -> bytes:
        digest = hashlib.sha1(self._key.encode("latin-1") + _GUID).digest()
        fields = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", base64.b64encode(digest).decode()),
        ]
        if self.subprotocol is not None:
            fields.append(("Sec-WebSocket-Protocol", self.subprotocol))
        if self._deflate is not None:
            fields.append(("Sec-WebSocket-Extensions", self._deflate.response()))
        lines = ["HTTP/1.1 101 Switching Protocols"]
        for name, value in (*fields, *headers):
            if any(c in name + value for c in "\r\n\0"):
                raise ValueError(f"field {name!r} contains a line break")
            lines.append(f"{name}: {value}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def _keep_alive(self, interval: float) -> None:
        while self.close_code is None:
            time.sleep(interval)
            if time.monotonic() - self._last_heard > 2 * interval:
                self._lose()
                return
            try:
                self._send(_PING, b"")
            except WebSocketClosed:
                return

    # --- receiving --------------------------------------------------------------------

    def receive(self, timeout: float | None = None) -> str | bytes | None:
        """The next message: a str or bytes; ``None`` when the websocket has been closed.

        Pings are answered on the way. Switches: only if no message is there.

        :param timeout: seconds; ``None`` waits without limit.
        :raises TimeoutError: no message came in time; nothing is lost.
        """
        self.accept()
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            while self.close_code is None:
                while self._frames:
                    message = self._handle(*self._frames.pop(0))
                    if message is not None:
                        return message
                    if self.close_code is not None:
                        return None
                self._fill(deadline)
        except _Broken as error:
            self._fail(error.code, error.reason)
        return None

    def __iter__(self) -> Iterator[str | bytes]:
        while (message := self.receive()) is not None:
            yield message

    def _fill(self, deadline: float | None) -> None:
        assert self._socket is not None
        try:
            if deadline is not None:
                # Not 0, which would mean a socket that does not block.
                self._socket.settimeout(max(deadline - time.monotonic(), 1e-6))
            data = self._socket.recv(65536)
        except TimeoutError:
            raise TimeoutError("no message came in time") from None
        except OSError:
            data = b""
        finally:
            if deadline is not None:
                self._socket.settimeout(None)
        if not data:
            self._lose()
            return
        self._last_heard = time.monotonic()
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        try:
            self._frames += self._decoder.feed(data)
        except FrameError as error:
            raise _Broken(error.close_code, str(error)) from None

    def _handle(self, opcode: int, fin: bool, rsv1: bool, payload: bytes) -> str | bytes | None:
        if opcode == _PING:
            self._answer(_PONG, payload)
        elif opcode == _CLOSE:
            self._handle_close(payload)
        elif opcode != _PONG:
            return self._handle_data(opcode, fin, rsv1, payload)
        return None

    def _handle_data(
        self, opcode: int, fin: bool, rsv1: bool, payload: bytes
    ) -> str | bytes | None:
        if (opcode == _CONTINUATION) != bool(self._kind):
            raise _Broken(1002, "fragments out of order")
        if opcode != _CONTINUATION:
            self._kind, self._compressed = opcode, rsv1
        elif rsv1:
            raise _Broken(1002, "RSV1 in a later fragment")
        self._fragment_bytes += len(payload)
        if self._fragment_bytes > self.max_message:
            raise _Broken(1009, "message too big")
        self._fragments.append(payload)
        if not fin:
            return None
        data = b"".join(self._fragments)
        kind, self._kind = self._kind, 0
        self._fragments, self._fragment_bytes = [], 0
        if self._compressed:
            assert self._deflate is not None
            data = self._deflate.decompress(data, self.max_message)
        if kind == _BINARY:
            return data
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            raise _Broken(1007, "text that is not UTF-8") from None

    def _handle_close(self, payload: bytes) -> None:
        code, reason = 1005, ""
        if payload:
            code = int.from_bytes(payload[:2], "big")
            if len(payload) == 1 or code not in _CODES:
                raise _Broken(1002, "bad close frame")
            try:
                reason = payload[2:].decode("utf-8")
            except UnicodeDecodeError:
                raise _Broken(1007, "close reason that is not UTF-8") from None
        self.close_code, self.close_reason = code, reason
        self._send_close(payload[:2])
        self._end()

    # --- sending ----------------------------------------------------------------------

    def send(self, message: str | bytes) -> None:
        """Send one message; a str as text, bytes as binary.

        Switches: only if the kernel's buffer is full, or another coroutine sends.

        :raises WebSocketClosed: the websocket is closed.
        """
        self.accept()
        kind = _TEXT if isinstance(message, str) else _BINARY
        payload = message.encode() if isinstance(message, str) else bytes(message)
        with self._sending:
            if self._deflate is not None:
                # Under the lock, because the client inflates in the order of the frames.
                self._send_locked(kind, self._deflate.compress(payload), rsv1=True)
            else:
                self._send_locked(kind, payload)

    def ping(self, payload: bytes = b"") -> None:
        """Send a ping; at most 125 bytes. Switches: as :meth:`send`."""
        if len(payload) > 125:
            raise ValueError("a ping has at most 125 bytes")
        self.accept()
        self._send(_PING, payload)

    def _send(self, opcode: int, payload: bytes) -> None:
        with self._sending:
            self._send_locked(opcode, payload)

    def _send_locked(self, opcode: int, payload: bytes, rsv1: bool = False) -> None:
        if self._sent_close or self.close_code is not None:
            raise WebSocketClosed(self.close_code or 1006, self.close_reason)
        assert self._socket is not None
        try:
            self._socket.sendall(encode_frame(opcode, payload, True, rsv1))
        except OSError:
            self._lose()
            raise WebSocketClosed(1006, "the connection was lost") from None
        except BaseException:
            # Part of a frame may be sent: nothing that follows would be understood.
            self._lose()
            raise

    def _answer(self, opcode: int, payload: bytes) -> None:
        try:
            self._send(opcode, payload)
        except WebSocketClosed:
            pass

    # --- closing ----------------------------------------------------------------------

    def close(self, code: int = 1000, reason: str = "", timeout: float = 5.0) -> None:
        """Send a close frame and wait for the client's.

        Switches: always, unless it is closed already.

        :param timeout: seconds to wait; then the connection is simply ended.
        :raises ValueError: a code that may not be sent, or a reason above 123 bytes.
        """
        text = reason.encode()
        if code not in _CODES or len(text) > 123:
            raise ValueError(f"a websocket cannot be closed with {code}, {reason!r}")
        if self._socket is None or self.close_code is not None:
            return
        self._send_close(code.to_bytes(2, "big") + text)
        deadline = time.monotonic() + timeout
        try:
            while self.close_code is None and time.monotonic() < deadline:
                if self.receive(deadline - time.monotonic()) is None:
                    break
        except TimeoutError:
            pass
        self._end()

    def _send_close(self, payload: bytes) -> None:
        with self._sending:
            if self._sent_close or self._socket is None:
                return
            self._sent_close = True
            try:
                self._socket.sendall(encode_frame(_CLOSE, payload))
            except OSError:
                pass

    def _fail(self, code: int, reason: str) -> None:
        self._send_close(code.to_bytes(2, "big") + reason.encode()[:123])
        self.close_code, self.close_reason = code, reason
        self._end()

    def _lose(self) -> None:
        if self.close_code is None:
            self.close_code = 1006
        self._end()

    def _end(self) -> None:
        if self._socket is not None:
            try:
                self._socket.shutdown(2)
            except OSError:
                pass

    def __enter__(self) -> "WebSocket":
        self.accept()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self.close(1000 if error is None else 1011)


def upgrade(environ: WSGIEnvironment, request: Upgrade) -> None:
    """The server's hook: gives environ a websocket if the request is a proper handshake.

    Else the application sees an ordinary request (RFC 6455, section 4.2.1).
    """
    key = environ.get("HTTP_SEC_WEBSOCKET_KEY", "")
    try:
        sound = len(base64.b64decode(key, validate=True)) == 16
    except ValueError:
        sound = False
    if (
        sound
        and environ.get("REQUEST_METHOD") == "GET"
        and environ.get("HTTP_SEC_WEBSOCKET_VERSION") == "13"
    ):
        environ["coewsgi.websocket"] = WebSocket(environ, request)


__all__ = ["ClientDisconnected", "WebSocket", "WebSocketClosed", "upgrade"]
