"""The connection loop of coewsgi: HTTP/1.1 by RFC 9112 and 9110, WSGI by PEP 3333.

A :class:`Server` accepts connections and serves each one in a coroutine of its own.
It knows no command line, no process model and no log format: the Python side of coewsgi
gives it listeners, an environ template and hooks.
"""

import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final, Self, final
from wsgiref.types import WSGIApplication, WSGIEnvironment

_Headers = list[tuple[str, str]]
#: ``access_log(environ, status, headers, body_bytes, started, seconds)``, see Server.
_AccessLog = Callable[[WSGIEnvironment, str, _Headers, int, float, float], object]

class RequestTimeout(TimeoutError):
    """Raised in the application when a request has taken longer than ``request_timeout``.

    The application may catch it and answer; a second one follows after the time has
    passed again. Uncaught, and before the head of a response was sent, it becomes a 503.
    """

class BadRequest(ValueError):
    """What the hook ``forwarded`` raises to have a request refused with 400."""

class ClientDisconnected(ConnectionError):
    """The client is gone, or sent a body that breaks its framing.

    Raised by ``wsgi.input``, ``write()`` and a taken-over connection's methods in the
    application. Uncaught, it ends the connection without a traceback.
    """

@final
class Server:
    """A WSGI server without listeners: give it some with :meth:`start`.

    Belongs to the OS thread that calls :meth:`start`. Sizes are in bytes, times in
    seconds; 0 switches a limit or a deadline off where that is said.

    :param app: the WSGI application.

    Limits of a request; what exceeds one is answered with the status in brackets, and
    the connection ends:

    :param limit_request_line: with its CRLF (414).
    :param limit_request_field_size: name, colon, value and CRLF (431).
    :param limit_request_fields: number of fields, at most 1000 (431).
    :param limit_request_head: request line and fields together (431).
    :param limit_request_body: Content-Length, or decoded chunks (413); 0: no limit.
    :param spill_bytes: 0: the application reads the body from the connection, as it
        arrives. Otherwise the body is received before the application is called, in
        memory up to this size and in an unnamed temporary file above.
    :param header_map: for field names with an underscore, which CGI cannot tell from
        a hyphen: ``"drop"``, ``"refuse"`` (400) or ``"dangerous"`` (passed on).

    Deadlines; each ends the connection:

    :param handshake_timeout: TLS handshake and PROXY header, together.
    :param head_timeout: from the first byte of a head (of a new connection: from its
        accept) to the last (408 if there was a byte).
    :param body_timeout: grace for a body; the whole of it must arrive within
        ``body_timeout + received / body_min_rate``.
    :param body_min_rate: bytes a second.
    :param write_timeout: without any progress of a response.
    :param keepalive_timeout: between a response and the next request.
    :param request_timeout: from the head to the end of the response:
        :class:`RequestTimeout` is raised in the application; 0: never.

    Caps:

    :param max_connections: no connection is accepted above; they wait in the backlog.
    :param max_connections_per_address: closed at once above; 0: no cap. Unix
        sockets have no address.
    :param max_buffered_bytes: of heads and pipelined requests, over all connections
        (503 for the connection that asks for more).
    :param max_requests: after so many requests ``on_max_requests`` is called, once;
        0: never.

    Hooks:

    :param environ: what every environ begins with. The server itself sets
        REQUEST_METHOD, PATH_INFO, QUERY_STRING, REQUEST_URI, RAW_URI, SERVER_PROTOCOL,
        REMOTE_ADDR, REMOTE_PORT, CONTENT_TYPE, CONTENT_LENGTH, HTTP_*, wsgi.version,
        wsgi.input, wsgi.input_terminated (True), wsgi.file_wrapper,
        wsgi.early_hints (a callable that takes a list of headers and sends a 103) and
        coewsgi.client_disconnected (a callable that returns a bool and never switches);
        SCRIPT_NAME is "" and wsgi.errors is ``sys.stderr`` unless given. After a body
        with trailers ``wsgi.trailers`` is a list of (name, value); it is filled when the
        end of the body has been read.
    :param access_log: called after each response, also those to refused requests:
        ``access_log(environ, status, headers, body_bytes, started, seconds)``. *status*
        is ``"200 OK"``; *headers* is the list the application gave; *started* is
        ``time.time()`` of the head's end. For a refused request environ has only
        REMOTE_ADDR, REMOTE_PORT and ``coewsgi.refused_head`` (bytes, at most 4096).
        An exception it raises is reported as unraisable. ``None`` costs nothing.
    :param on_error: ``on_error(environ, exception)``, for an exception that the
        application raised. ``None``: the traceback goes to ``environ["wsgi.errors"]``.
    :param trusted_peer: ``trusted_peer(address) -> bool``, asked once a connection.
        Forwarded, X-Forwarded-*, and X-Real-IP of a peer that is not trusted are
        dropped. ``None`` trusts nobody.
    :param forwarded: ``forwarded(environ)``, for each request of a trusted peer, before
        the application: may change environ, or raise :class:`BadRequest`.
    :param upgrade: ``upgrade(environ, request)``, for each request with
        ``Upgrade: websocket`` in its Connection-listed Upgrade field, before the
        application; *request* is an :class:`UpgradeRequest`. It sets
        ``environ["coewsgi.websocket"]`` or lets it be. ``None``: such fields mean nothing.
    :param on_max_requests: called without arguments; usually ends in :meth:`drain`.
    :param server_header: value of the Server field of responses that bring none;
        ``None`` sends none.
    """

    def __new__(
        cls,
        app: WSGIApplication,
        *,
        limit_request_line: int = 8190,
        limit_request_field_size: int = 8190,
        limit_request_fields: int = 100,
        limit_request_head: int = 65536,
        limit_request_body: int = 0,
        spill_bytes: int = 0,
        header_map: str = "drop",
        handshake_timeout: float = 10.0,
        head_timeout: float = 10.0,
        body_timeout: float = 20.0,
        body_min_rate: int = 500,
        write_timeout: float = 20.0,
        keepalive_timeout: float = 60.0,
        request_timeout: float = 0.0,
        max_connections: int = 10000,
        max_connections_per_address: int = 0,
        max_buffered_bytes: int = 67108864,
        max_requests: int = 0,
        environ: Mapping[str, Any] | None = None,
        access_log: _AccessLog | None = None,
        on_error: Callable[[WSGIEnvironment, BaseException], object] | None = None,
        trusted_peer: Callable[[str], bool] | None = None,
        forwarded: Callable[[WSGIEnvironment], object] | None = None,
        upgrade: Callable[[WSGIEnvironment, UpgradeRequest], object] | None = None,
        on_max_requests: Callable[[], object] | None = None,
        server_header: str | None = "coewsgi",
    ) -> Self: ...
    def start(
        self,
        listener: socket.socket,
        *,
        environ: Mapping[str, Any] | None = None,
        tls: Callable[[socket.socket], ssl.SSLSocket] | None = None,
        tls_environ: Callable[[ssl.SSLSocket], Mapping[str, Any] | None] | None = None,
        proxy_protocol: bool = False,
    ) -> None:
        """Begin to accept on *listener*, in a coroutine of its own; callable several times.

        Switches: never.

        :param listener: a listening stream socket (TCP or unix); made non-blocking. Kept
            open until its accept loop has ended, closed by whoever made it. TCP_NODELAY and
            TCP_NOTSENT_LOWAT (128 KiB) are set on it and inherited by what is accepted.
        :param environ: added to the server's, for requests of this listener:
            SERVER_NAME, SERVER_PORT, wsgi.url_scheme, HTTPS, ...
        :param tls: called with each accepted socket, and whatever it returns is spoken
            to; usually ``context.wrap_socket(sock, server_side=True,
            do_handshake_on_connect=False)``. The server does the handshake. Reloading
            certificates is returning a socket of another context. ``None``: plain.
        :param tls_environ: after the handshake, adds to this connection's environ
            (SSL_CLIENT_CERT, ...).
        :param proxy_protocol: each connection must begin with a PROXY header, version 1
            or 2, which gives REMOTE_ADDR and REMOTE_PORT. A connection without one
            is closed. Of a peer that ``trusted_peer`` does not trust it is closed, too,
            unless that hook is ``None``.
        :raises RuntimeError: the server is draining.
        """

    def drain(self, timeout: float | None = None) -> None:
        """Stop accepting and finish: graceful shutdown. Callable in a signal handler.

        Connections that wait for a request end at once, the others after their response,
        which says ``Connection: close``. After *timeout* seconds those left are
        killed (``coev.CoroutineExit`` in the application); ``None`` waits without limit.
        A second call may only bring the end forward.

        Switches: never.
        """

    def join(self, timeout: float | None = None) -> bool:
        """Wait until every accept loop and every connection has ended.

        Switches: only if one has not.

        :returns: whether they have ended; ``False`` after *timeout* seconds.
        """

    def serve(
        self,
        listener: socket.socket,
        *,
        environ: Mapping[str, Any] | None = None,
        tls: Callable[[socket.socket], ssl.SSLSocket] | None = None,
        tls_environ: Callable[[ssl.SSLSocket], Mapping[str, Any] | None] | None = None,
        proxy_protocol: bool = False,
    ) -> None:
        """:meth:`start` and :meth:`join`; returns after :meth:`drain`. Switches: always."""

    @property
    def draining(self) -> bool: ...
    def counters(self) -> dict[str, int]:
        """What happened since the server was made, and what is open now.

        ``accepts``, ``requests``, ``responses_1xx`` ... ``responses_5xx``, ``bad_requests``,
        ``timeouts`` (head, body, write, keep-alive and handshake), ``request_timeouts``,
        ``exceptions`` (of the application), ``read_errors``, ``refused_connections`` (by a cap),
        ``accept_pauses`` (out of file descriptors or memory), ``received_bytes``,
        ``sent_bytes``; now: ``connections``, ``idle``, ``in_flight`` (requests),
        ``buffered_bytes``.
        """

    def latency(self, quantile: float, /) -> float:
        """Seconds within which *quantile* (0 to 1) of all requests were answered, from the
        end of the head to the end of the response; an upper bound, 25 % too large at
        most. 0.0 before the first."""

@final
class UpgradeRequest:
    """A request that may leave HTTP, given to the hook ``upgrade``."""

    def take_over(self, head: bytes) -> tuple[socket.socket, bytes]:
        """Send *head* (``b"HTTP/1.1 101 ...\\r\\n...\\r\\n\\r\\n"``, checked by nobody) and
        take the connection out of the server's hands.

        The socket is a plain one or the TLS socket, and belongs to the caller; the bytes are
        what the client sent behind its head. What the application then returns is closed
        and not sent. The connection counts as one until the application has returned.
        When the server drains, ``draining`` of the server tells; the socket is shut for
        reading at the drain's end only.

        Switches: only if the head does not fit the kernel's buffer.

        :raises RuntimeError: a response was begun, the request is over, or this was called.
        :raises ClientDisconnected: the client is gone.
        """

@final
class FileWrapper:
    """``wsgi.file_wrapper`` (PEP 3333): sent by ``sendfile(2)`` where the file has a
    descriptor of a regular file and the connection is plain, else read block by block."""

    def __new__(cls, filelike: Any, blksize: int = 65536, /) -> Self: ...
    def __iter__(self) -> FileWrapper: ...
    def __next__(self) -> bytes: ...
    def close(self) -> None: ...

@final
class FrameDecoder:
    """Websocket frames out of a stream of bytes (RFC 6455, section 5).

    Checks what a single frame can get wrong: reserved bits and opcodes, masking, lengths
    in their shortest form, control frames of at most 125 bytes that are not fragmented.
    Fragments, text and compression are the caller's.

    :param masked: whether frames must be masked (from a client) or must not be.
    :param max_frame: payloads above are refused by their header, before they arrive.
    :param rsv1: whether the first frame of a message may set RSV1 (permessage-deflate).
    """

    def __new__(
        cls, *, masked: bool = True, max_frame: int = 1048576, rsv1: bool = False
    ) -> Self: ...
    def feed(self, data: bytes, /) -> list[tuple[int, bool, bool, bytes]]:
        """The frames that *data* completes: (opcode, fin, rsv1, unmasked payload).

        :raises FrameError: the stream is broken from here on; ``close_code`` says why,
            and ``frames`` has those that were whole before.
        """

class FrameError(ValueError):
    """A frame that ends a websocket. ``close_code``: 1002 protocol error, 1009 too big."""

    close_code: int
    frames: list[tuple[int, bool, bool, bytes]]

def encode_frame(
    opcode: int, payload: bytes, fin: bool = True, rsv1: bool = False, mask: bytes | None = None, /
) -> bytes:
    """One websocket frame; *mask* is 4 bytes, of a client only."""

def parse_requests(
    data: bytes,
    /,
    *,
    limit_request_line: int = 8190,
    limit_request_field_size: int = 8190,
    limit_request_fields: int = 100,
    limit_request_head: int = 65536,
    header_map: str = "drop",
    require_host: bool = True,
) -> tuple[list[tuple[str, str, int, list[tuple[str, str]], bytes, _Headers, bool]], int]:
    """What the server reads in *data*, without a server: for tests and tools.

    Requests as (method, target, minor version, fields that are passed on, body, trailers,
    keep-alive), and a status: 0 all was read, 1 the last head is incomplete, 2 the
    last body is, from 400 on what the request after those listed is refused with.
    """

def parse_proxy_header(data: bytes, /) -> tuple[int, str | None, int]:
    """Read a PROXY header (version 1 or 2): its size, the client's address and port.

    The size is 0 where *data* ends within the header; the address is ``None`` for LOCAL
    and UNKNOWN.

    :raises ValueError: that is none.
    """

SERVER_SOFTWARE: Final[str]
