"""One run: the echo server and the load generator, each a process, in one mode."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from measuring.child import Child
from measuring.meter import Sample, count_sockets, sample
from measuring.progress import Progress

EXAMPLES = Path(__file__).resolve().parent.parent
# What comes before the script in each mode: nothing else differs.
PYTHON = {
    "native": [sys.executable],
    "coev": [sys.executable, "-m", "coev"],
}
TICK_S = 0.25
STOP_TIMEOUT_S = 20.0


class RunError(Exception):
    """The run came to no result; the message says why."""


@dataclass(frozen=True)
class Settings:
    """What is the same for all runs."""

    requests: int
    seconds: float
    hold_s: float
    timeout_s: float
    server_core: int | None
    load_core: int | None
    load_mode: str | None  # None: that of the server


@dataclass
class Result:
    """What one run came to; None where it came to nothing."""

    mode: str
    connections_asked: int
    connections_held: int = 0
    requests: int = 0
    lost: int | None = None
    wrong: int | None = None
    os_threads: int | None = None
    requests_per_s: float | None = None
    user_us_per_request: float | None = None
    system_us_per_request: float | None = None
    kib_per_connection: float | None = None
    peak_resident_mib: float | None = None
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    notes: list[str] = field(default_factory=list)


class Run:
    """Starts both processes, follows the load's phases, samples the server at each."""

    def __init__(self, mode: str, connections: int, settings: Settings, progress: Progress) -> None:
        self._mode = mode
        self._connections = connections
        self._settings = settings
        self._progress = progress
        self._began = time.monotonic()
        self._samples: dict[str, Sample] = {}
        self._result = Result(mode, connections)

    def measure(self) -> Result:
        """Run once. What goes wrong becomes a note in the result."""
        try:
            with Child(self._server_command(), self._settings.server_core) as server:
                self._measure_against(server, self._port_of(server))
                self._stop(server)
        except (RunError, OSError) as error:  # TimeoutError is an OSError
            self._result.notes.append(str(error))
        return self._result

    def _server_command(self) -> list[str]:
        lifetime_s = self._settings.timeout_s + 2 * STOP_TIMEOUT_S
        return [
            *PYTHON[self._mode],
            str(EXAMPLES / "echo_server.py"),
            "--lifetime",
            str(int(lifetime_s)),
        ]

    def _load_command(self, port: int) -> list[str]:
        settings = self._settings
        rounds = max(1, -(-settings.requests // self._connections))
        return [
            *PYTHON[settings.load_mode or self._mode],
            str(EXAMPLES / "load.py"),
            "--port",
            str(port),
            "--connections",
            str(self._connections),
            "--rounds",
            str(rounds),
            "--seconds",
            str(settings.seconds),
            "--hold",
            str(settings.hold_s),
            "--timeout",
            str(settings.timeout_s / 2),
        ]

    def _left_s(self) -> float:
        return self._began + self._settings.timeout_s - time.monotonic()

    def _port_of(self, server: Child) -> int:
        line = server.line(self._left_s())
        if line is None or not line.startswith("listening on "):
            raise RunError(f"the server did not start: {server.last_words()}")
        return int(line.rpartition(":")[2])

    def _measure_against(self, server: Child, port: int) -> None:
        self._samples["before"] = sample(server.pid)
        with Child(self._load_command(port), self._settings.load_core) as load:
            self._take_report(self._follow(load, server))

    def _follow(self, load: Child, server: Child) -> dict[str, Any]:
        """Read what the load says until its report."""
        event: dict[str, Any] = {"phase": "start", "connected": 0, "requests": 0}
        while event["phase"] != "report":
            self._show(event)
            try:
                line = load.line(min(TICK_S, self._left_s()))
            except TimeoutError:
                if self._left_s() <= 0:
                    raise RunError(self._overdue(event)) from None
                continue
            if line is None:
                raise RunError(f"the load generator ended: {load.last_words()}")
            event = {**event, **json.loads(line)}
            if event["phase"] in ("holding", "requests", "closing"):
                self._look(event, server.pid)
        return event

    def _look(self, event: dict[str, Any], pid: int) -> None:
        """Sample the server when the load enters a phase."""
        phase = event["phase"]
        if phase in self._samples:
            return
        self._samples[phase] = sample(pid)
        if phase == "holding":
            self._take_holding(event["connected"], count_sockets(pid) - 1)  # not the listener

    def _show(self, event: dict[str, Any]) -> None:
        self._progress.show(
            f"{self._mode}, {self._connections:,} connections, {event['phase']}",
            f"{event['connected']:,} open, {event['requests']:,} requests done, "
            f"{time.monotonic() - self._began:.1f} s",
        )

    def _overdue(self, event: dict[str, Any]) -> str:
        return (
            f"no result in {self._settings.timeout_s:.0f} s: {event['phase']}, "
            f"{event['connected']:,} connections, {event['requests']:,} requests"
        )

    def _take_holding(self, connected: int, sockets: int) -> None:
        """What the server has while all connections are open and silent."""
        result, holding = self._result, self._samples["holding"]
        result.connections_held = min(connected, sockets)
        result.os_threads = holding.os_threads
        if sockets < connected:
            result.notes.append(f"the server has only {sockets:,} sockets open")
        if result.connections_held:
            grown_kib = holding.memory_kib - self._samples["before"].memory_kib
            result.kib_per_connection = grown_kib / result.connections_held

    def _take_report(self, report: dict[str, Any]) -> None:
        result = self._result
        for name in (
            "requests",
            "lost",
            "wrong",
            "requests_per_s",
            "latency_p50_ms",
            "latency_p99_ms",
        ):
            setattr(result, name, report[name])
        result.notes += [f"{count:,} x {error}" for error, count in report["errors"].items()]
        began, ended = self._samples["requests"], self._samples["closing"]
        result.peak_resident_mib = ended.peak_resident_kib / 1024
        if result.requests:
            microseconds = 1e6 / result.requests
            result.user_us_per_request = (ended.user_s - began.user_s) * microseconds
            result.system_us_per_request = (ended.system_s - began.system_s) * microseconds

    def _stop(self, server: Child) -> None:
        self._progress.show(f"{self._mode}, {self._connections:,} connections", "stopping")
        status, summary = server.terminate(STOP_TIMEOUT_S)
        if status != 0:
            self._result.notes.append(f"the server did not stop cleanly: exit status {status}")
        elif json.loads(summary)["still_open"]:
            self._result.notes.append("the server stopped with connections open")
