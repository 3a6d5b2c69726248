"""A load generator for the line echo server: one thread for each connection.

    python examples/load.py --port 7000 --connections 10000 --rounds 10

Only when every connection is open and has had a first reply do they all begin
to ask: each sends a line, waits for the reply, compares it byte for byte, and
sends the next (a closed loop). Each line carries the number of its connection
and its own, so a reply that was lost, repeated, altered or sent to the wrong
connection is noticed. Prints a JSON object a line, of which the last is the
report; exits with 1 if anything in it is not as asked.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import enum
import json
import random
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fd_limit import raise_fd_limit

# One source address has some 28,000 ports to connect from; each further
# batch of connections comes from 127.0.0.2, 127.0.0.3 and so on.
CONNECTIONS_PER_SOURCE = 20_000
# Linux: choose the source port at connect(), not at bind(), so that ports in
# TIME_WAIT to other servers can be taken. The constant is in Python from 3.12.
IP_BIND_ADDRESS_NO_PORT = 24

PROGRESS_INTERVAL_S = 0.5
POLL_INTERVAL_S = 0.1
# Connections stay open this long after the last reply, so that an observer
# told "closing" still finds them open.
LINGER_S = 0.25


class State(enum.Enum):
    """Where a connection is in its life."""

    CONNECTING = "connecting"
    HELD = "held"  # connected, and the first reply was right
    FINISHED = "finished"  # every round was answered
    FAILED = "failed"


class WrongReplyError(Exception):
    """The server sent something other than the line it was sent."""


class ConnectionEndedError(Exception):
    """The server closed the connection while a reply was awaited."""


@dataclass
class Plan:
    """What every connection does, and the events that pace it."""

    host: str
    port: int
    rounds: int
    line_bytes: int
    think_s: float
    seconds: float
    opening: threading.Semaphore
    go: threading.Event = field(default_factory=threading.Event)
    close: threading.Event = field(default_factory=threading.Event)
    stop_at: float = 0.0  # set before go; no new request after it


class Client:
    """One connection and the thread that talks on it.

    Only that thread writes the fields; the main thread reads them.
    """

    def __init__(self, number: int, plan: Plan) -> None:
        self._number = number
        self._plan = plan
        self._sock: socket.socket | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.state = State.CONNECTING
        self.was_held = False
        self.latencies_s: list[float] = []
        self.ended_at = 0.0
        self.wrong = 0
        self.lost = 0
        self.error: str | None = None

    def abort(self) -> None:
        """From the main thread: end a wait for a reply that does not come."""
        sock = self._sock
        if sock is not None:
            with contextlib.suppress(OSError):  # closed meanwhile
                sock.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        try:
            self._guarded(self._open)
        finally:
            self._plan.opening.release()
        if self.state is State.HELD:
            self._plan.go.wait()
            self._guarded(self._talk)
            self._plan.close.wait()
        if self._sock is not None:
            self._sock.close()

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except WrongReplyError as error:
            self.wrong += 1
            self._fail(str(error))
        except ConnectionEndedError as error:
            self._fail(str(error))
        except OSError as error:
            self._fail(f"{type(error).__name__}: {error.strerror or error}")

    def _fail(self, reason: str) -> None:
        self.error = reason
        self.ended_at = time.perf_counter()
        self.state = State.FAILED

    def _open(self) -> None:
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        batch = self._number // CONNECTIONS_PER_SOURCE
        if batch:
            self._sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            self._sock.bind((f"127.0.0.{1 + batch}", 0))
        self._sock.connect((self._plan.host, self._plan.port))
        self._ask(self._line(0))
        self.was_held = True
        self.state = State.HELD

    def _talk(self) -> None:
        for sequence in range(1, self._plan.rounds + 1):
            if self._plan.think_s:
                time.sleep(random.uniform(0, 2 * self._plan.think_s))
            started = time.perf_counter()
            if started >= self._plan.stop_at:
                break
            self.lost = 1  # until its reply is here
            self._ask(self._line(sequence))
            self.lost = 0
            self.ended_at = time.perf_counter()
            self.latencies_s.append(self.ended_at - started)
        self.state = State.FINISHED

    def _line(self, sequence: int) -> bytes:
        text = f"{self._number} {sequence} "
        return text.ljust(self._plan.line_bytes - 1, "x").encode() + b"\n"

    def _ask(self, line: bytes) -> None:
        assert self._sock is not None
        self._sock.sendall(line)
        reply = self._sock.recv(4096)
        while reply and not reply.endswith(b"\n"):
            more = self._sock.recv(4096)
            if not more:
                break
            reply += more
        if not reply.endswith(b"\n"):
            raise ConnectionEndedError("connection ended before the reply")
        if reply != line:
            self.lost = 0  # it came, but wrong
            raise WrongReplyError(f"sent {line[:40]!r}, got {reply[:40]!r}")


class Load:
    """All connections: opens them, holds them, lets them talk, closes them."""

    def __init__(self, plan: Plan, connections: int, timeout_s: float) -> None:
        self._plan = plan
        self._asked = connections
        self._timeout_s = timeout_s
        self._clients: list[Client] = []
        self._not_started: str | None = None
        self._began = time.perf_counter()
        self._went = 0.0
        self._said = 0.0

    def run(self, hold_s: float) -> dict[str, object]:
        """Go through all phases and return the report."""
        try:
            self._start_clients()
            self._wait("connecting", {State.CONNECTING})
            held = self._count(State.HELD)
            self._say("holding")
            time.sleep(hold_s)
            self._say("requests")
            self._went = time.perf_counter()
            self._plan.stop_at = self._went + self._plan.seconds
            self._plan.go.set()
            self._wait("requests", {State.HELD})
            self._say("closing")
            time.sleep(LINGER_S)
        finally:
            self._plan.go.set()
            self._plan.close.set()
        self._join()
        return self._report(held)

    def _start_clients(self) -> None:
        for number in range(self._asked):
            # As many connects at once as the server's backlog takes: more
            # would be dropped by the kernel and tried again a second later.
            if not self._plan.opening.acquire(timeout=self._timeout_s):
                self._not_started = "the server accepts no more connections"
                return
            client = Client(number, self._plan)
            try:
                client.thread.start()
            except RuntimeError as error:  # "can't start new thread"
                self._plan.opening.release()
                self._not_started = f"{error} (load generator)"
                return
            self._clients.append(client)
            self._say_sometimes("connecting")

    def _wait(self, phase: str, pending: set[State]) -> None:
        """Wait until no client is in *pending*; end those that stop moving."""
        last, last_moved = (-1, -1), 0.0
        while waiting := [c for c in self._clients if c.state in pending]:
            self._say_sometimes(phase)
            now = time.perf_counter()
            moved = (len(waiting), self._requests())
            if moved != last:
                last, last_moved = moved, now
            elif now - last_moved > self._timeout_s:
                for client in waiting:
                    client.abort()
                last_moved = now
            time.sleep(POLL_INTERVAL_S)

    def _join(self) -> None:
        deadline = time.perf_counter() + self._timeout_s
        for client in self._clients:
            client.thread.join(max(0.0, deadline - time.perf_counter()))

    def _count(self, state: State) -> int:
        return sum(client.state is state for client in self._clients)

    def _requests(self) -> int:
        return sum(len(client.latencies_s) for client in self._clients)

    def _say_sometimes(self, phase: str) -> None:
        if time.perf_counter() - self._said >= PROGRESS_INTERVAL_S:
            self._say(phase)

    def _say(self, phase: str) -> None:
        self._said = time.perf_counter()
        connected = sum(c.was_held and c.state is not State.FAILED for c in self._clients)
        say(
            {
                "phase": phase,
                "connected": connected,
                "requests": self._requests(),
                "elapsed_s": round(self._said - self._began, 3),
            }
        )

    def _report(self, held: int) -> dict[str, object]:
        latencies_s = sorted(s for client in self._clients for s in client.latencies_s)
        ended_at = max((c.ended_at for c in self._clients if c.was_held), default=0.0)
        errors = collections.Counter(c.error for c in self._clients if c.error)
        if self._not_started:
            errors[self._not_started] += self._asked - len(self._clients)
        elapsed_s = max(0.0, ended_at - self._went)
        return {
            "connections_asked": self._asked,
            "connections_held": held,
            "requests": len(latencies_s),
            "lost": sum(client.lost for client in self._clients),
            "wrong": sum(client.wrong for client in self._clients),
            "elapsed_s": round(elapsed_s, 4),
            "requests_per_s": round(len(latencies_s) / elapsed_s, 1) if elapsed_s else 0.0,
            "latency_p50_ms": percentile_ms(latencies_s, 0.50),
            "latency_p99_ms": percentile_ms(latencies_s, 0.99),
            "latency_max_ms": percentile_ms(latencies_s, 1.0),
            "errors": dict(errors.most_common(10)),
        }


def percentile_ms(ascending_s: list[float], share: float) -> float | None:
    """The nearest-rank percentile, in milliseconds; None of an empty list."""
    if not ascending_s:
        return None
    index = min(len(ascending_s) - 1, int(len(ascending_s) * share))
    return round(ascending_s[index] * 1000, 3)


def say(what: dict[str, object]) -> None:
    """Print one JSON line at once."""
    print(json.dumps(what), flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Load generator for echo_server.py, a thread per connection."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=100, help="requests per connection")
    parser.add_argument(
        "--seconds",
        type=float,
        default=float("inf"),
        help="begin no request after this long, whatever --rounds says",
    )
    parser.add_argument("--line-bytes", type=int, default=64)
    parser.add_argument(
        "--think",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="mean pause of a connection before each request",
    )
    parser.add_argument(
        "--hold",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="keep all connections open and silent this long first",
    )
    parser.add_argument(
        "--opening", type=int, default=256, help="connections in the making at one time"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="give a reply up as lost when nothing has moved for so long",
    )
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    say({"phase": "start", "fd_limit": raise_fd_limit()})
    plan = Plan(
        host=arguments.host,
        port=arguments.port,
        rounds=arguments.rounds,
        line_bytes=arguments.line_bytes,
        think_s=arguments.think,
        seconds=arguments.seconds,
        opening=threading.Semaphore(arguments.opening),
    )
    load = Load(plan, arguments.connections, arguments.timeout)
    report = load.run(arguments.hold)
    say({"phase": "report", **report})
    as_asked = report["connections_held"] == arguments.connections
    return 0 if as_asked and not report["errors"] else 1


if __name__ == "__main__":
    sys.exit(main())
