"""A line echo server: plain blocking sockets, one thread for each connection.

    python examples/echo_server.py --port 7000

It answers every line with the same line. When accept() runs out of file
descriptors, or no further thread can be started, it says so and goes on with
the connections it has. SIGINT or SIGTERM ends it: clients see the end of the
stream, and the last line on stdout is a summary in JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import signal
import socket
import sys
import threading
import time

from fd_limit import raise_fd_limit

# accept() fails with these while the process or the system is short of
# something; the connection stays in the backlog and can be accepted later.
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
EXHAUSTED_PAUSE_S = 0.05
LONGEST_LINE_BYTES = 1 << 16
STOP_TIMEOUT_S = 10.0


def log(message: str) -> None:
    """Write one line to stderr."""
    print(f"echo_server: {message}", file=sys.stderr, flush=True)


class Connection:
    """One client: reads lines and writes each back, until the client ends."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.requests = 0
        self.failure: str | None = None

    def serve(self) -> None:
        """Echo lines until the end of the stream; keep what went wrong."""
        try:
            self._echo_lines()
        except OSError as error:
            self.failure = type(error).__name__

    def _echo_lines(self) -> None:
        pending = b""
        while data := self._sock.recv(4096):
            pending += data
            end = pending.rfind(b"\n") + 1
            if end:
                self._sock.sendall(pending[:end])
                self.requests += pending.count(b"\n")
                pending = pending[end:]
            elif len(pending) > LONGEST_LINE_BYTES:
                self.failure = "LineTooLong"
                return

    def end_input(self) -> None:
        """Make the blocked recv() of this connection see the end of the stream."""
        with contextlib.suppress(OSError):  # the client has gone already
            self._sock.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        self._sock.close()


class EchoServer:
    """Accepts connections and serves each in its own thread.

    The threads share only the table of open connections and the totals, which
    the lock guards; nothing is shared while lines are echoed.
    """

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._lock = threading.Lock()
        self._threads: dict[Connection, threading.Thread] = {}
        self._accepted = 0
        self._open = 0
        self._peak_open = 0
        self._requests = 0
        self._refused = 0
        self._accept_failures = 0
        self._failures_in_a_row = 0
        self._failures: dict[str, int] = {}

    def serve_forever(self) -> None:
        """Accept until an exception, such as KeyboardInterrupt, ends it."""
        while True:
            sock = self._accept()
            if sock is not None:
                self._start(Connection(sock))

    def _accept(self) -> socket.socket | None:
        try:
            sock, _ = self._listener.accept()
        except ConnectionAbortedError:
            return None  # the client left before its turn came
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise
            self._pause(error)
            return None
        if self._failures_in_a_row:
            log(f"accept works again after {self._failures_in_a_row} failures")
            self._failures_in_a_row = 0
        return sock

    def _pause(self, error: OSError) -> None:
        if not self._failures_in_a_row:
            log(f"accept: {error}; going on with {len(self._threads)} connections")
        self._failures_in_a_row += 1
        self._accept_failures += 1
        time.sleep(EXHAUSTED_PAUSE_S)

    def _start(self, connection: Connection) -> None:
        thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
        with self._lock:
            self._accepted += 1
            self._threads[connection] = thread
        try:
            thread.start()
        except RuntimeError as error:  # "can't start new thread"
            self._refuse(connection, error)

    def _refuse(self, connection: Connection, error: RuntimeError) -> None:
        with self._lock:
            del self._threads[connection]
            self._refused += 1
        connection.close()
        if self._refused == 1:
            log(f"{error}; refusing connections, {len(self._threads)} are served")

    def _serve(self, connection: Connection) -> None:
        with self._lock:
            self._open += 1
            self._peak_open = max(self._peak_open, self._open)
        connection.serve()
        with self._lock:
            self._open -= 1
            del self._threads[connection]
            self._requests += connection.requests
            if connection.failure:
                seen = self._failures.get(connection.failure, 0)
                self._failures[connection.failure] = seen + 1
        # Only after it has left the table: stop() never sees a closed socket.
        connection.close()

    def stop(self) -> None:
        """End every connection and wait for the threads, for a limited time."""
        self._listener.close()
        with self._lock:
            threads = dict(self._threads)
            for connection in threads:
                connection.end_input()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for thread in threads.values():
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def summary(self) -> dict[str, object]:
        """The totals of connections that have ended."""
        with self._lock:
            return {
                "accepted": self._accepted,
                "peak_open": self._peak_open,
                "still_open": len(self._threads),
                "requests": self._requests,
                "refused": self._refused,
                "accept_failures": self._accept_failures,
                "failures": dict(self._failures),
            }


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Line echo server, a thread per connection.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 lets the system choose")
    parser.add_argument("--backlog", type=int, default=4096)
    parser.add_argument(
        "--lifetime",
        type=int,
        default=0,
        metavar="SECONDS",
        help="stop after this long (default: run until a signal)",
    )
    return parser.parse_args()


def stop_on_signals(lifetime: int) -> None:
    """Make SIGTERM, and the end of *lifetime*, do what Ctrl-C does."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, signal.default_int_handler)
    signal.alarm(lifetime)


def ignore_signals() -> None:
    """Let the stop that has begun run to its end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


def main() -> int:
    arguments = parse_arguments()
    log(f"may open {raise_fd_limit()} files")
    listener = socket.create_server((arguments.host, arguments.port), backlog=arguments.backlog)
    server = EchoServer(listener)
    stop_on_signals(arguments.lifetime)
    try:
        host, port = listener.getsockname()[:2]
        print(f"listening on {host}:{port}", flush=True)
        server.serve_forever()
    except KeyboardInterrupt:
        ignore_signals()
        log("stopping")
    finally:
        server.stop()
    print(json.dumps(server.summary()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
