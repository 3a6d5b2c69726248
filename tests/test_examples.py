"""The example programs, run as a user runs them, with native threads and under coev."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
ECHO_SERVER = EXAMPLES / "echo_server.py"
LOAD = EXAMPLES / "load.py"
DEMO = EXAMPLES / "demo.py"
TIMEOUT_S = 60.0
PYTHON = {"native": [sys.executable], "coev": [sys.executable, "-m", "coev"]}

Answer = Callable[[int, bytes], "bytes | None"]


@functools.cache
def coev_imports() -> bool:
    command = [sys.executable, "-c", "import coev.monkey"]
    return subprocess.run(command, capture_output=True, timeout=TIMEOUT_S).returncode == 0


@pytest.fixture(params=list(PYTHON))
def mode(request: pytest.FixtureRequest) -> str:
    if request.param == "coev" and not coev_imports():
        pytest.skip("coev is not built")
    return str(request.param)


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)


def limited(limit: str, command: list[str]) -> list[str]:
    """*command* under a `ulimit`; of the hard limit, too, so that it stays."""
    return ["sh", "-c", f'ulimit {limit} && exec "$@"', "sh", *command]


class Server:
    """A running echo_server.py."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        line = process.stdout.readline()
        assert line.startswith("listening on 127.0.0.1:"), line
        self.port = int(line.rpartition(":")[2])

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S)

    def stop(self, number: int = signal.SIGTERM) -> dict[str, Any]:
        """Send a signal, expect a clean end, and return the summary."""
        self.process.send_signal(number)
        try:
            out, self.errors = self.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            # Natively a signal just before accept() is heeded after the next connection.
            self.connect().close()
            out, self.errors = self.process.communicate(timeout=TIMEOUT_S)
        assert self.process.returncode == 0, self.errors
        assert "Traceback" not in self.errors
        summary: dict[str, Any] = json.loads(out.splitlines()[-1])
        return summary


@contextlib.contextmanager
def echo_server(mode: str, limit: str = "-c 0") -> Iterator[Server]:
    command = [*PYTHON[mode], str(ECHO_SERVER), "--lifetime", str(int(TIMEOUT_S))]
    with subprocess.Popen(
        limited(limit, command),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Server(process)
        finally:
            process.kill()


def ask(sock: socket.socket, data: bytes, replies: int = 1) -> bytes:
    """Send *data* and return as many lines as there should be replies."""
    sock.sendall(data)
    reply = b""
    while reply.count(b"\n") < replies:
        received = sock.recv(4096)
        if not received:
            break
        reply += received
    return reply


@contextlib.contextmanager
def answering_server(answer: Answer) -> Iterator[int]:
    """A server of one connection at a time that may answer wrongly; yields its port.

    *answer* gets the number of the line and the line; None ends the connection.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=answer_clients, args=(listener, answer))
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(TIMEOUT_S)
        listener.close()


def answer_clients(listener: socket.socket, answer: Answer) -> None:
    with contextlib.suppress(OSError):  # the listener was shut down
        while True:
            sock, _ = listener.accept()
            with sock, sock.makefile("rb") as lines:
                for number, line in enumerate(lines):
                    reply = answer(number, line)
                    if reply is None:
                        break
                    sock.sendall(reply)


def load_report(mode: str, port: int, *options: str) -> tuple[int, dict[str, Any]]:
    done = run(
        [
            *PYTHON[mode],
            str(LOAD),
            "--port",
            str(port),
            "--connections",
            "1",
            "--rounds",
            "5",
            "--timeout",
            "1",
            *options,
        ]
    )
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


# The programs are what the project promises to run unmodified.


@pytest.mark.parametrize("program", [ECHO_SERVER, LOAD])
def test_program_is_a_plain_threaded_one(program: Path) -> None:
    source = program.read_text()
    assert "threading.Thread(" in source
    for word in ("coev", "async", "select", "epoll", "setblocking", "settimeout"):
        assert word not in source


# The demo


def test_demo_holds_all_connections_and_loses_no_reply(mode: str, tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    done = run(
        [
            sys.executable,
            str(DEMO),
            "--modes",
            mode,
            "--sizes",
            "10,50",
            "--requests",
            "500",
            "--hold",
            "0.1",
            "--json",
            str(file),
        ]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    small, large = json.loads(file.read_text())
    assert (small["connections_held"], large["connections_held"]) == (10, 50)
    assert small["requests"] == large["requests"] == 500
    for result in (small, large):
        assert result["mode"] == mode
        assert result["lost"] == result["wrong"] == 0
        assert result["notes"] == []
        assert result["kib_per_connection"] > 0
    assert "requests/s" in done.stdout
    assert "1,000 replies checked, none lost or wrong" in done.stdout


def test_demo_counts_the_os_threads_of_the_server(mode: str, tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    done = run(
        [
            sys.executable,
            str(DEMO),
            "--modes",
            mode,
            "--connections",
            "50",
            "--requests",
            "50",
            "--hold",
            "0.1",
            "--json",
            str(file),
        ]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [result] = json.loads(file.read_text())
    if mode == "native":
        assert result["os_threads"] == 51
    else:
        assert result["os_threads"] < 50


def test_demo_fails_if_a_reply_is_lost_or_wrong() -> None:
    assert demo_failures("native", connections_held=1, lost=1)
    assert demo_failures("native", connections_held=1, wrong=1)
    assert not demo_failures("native", connections_held=1)


def test_demo_fails_if_coev_holds_too_few_but_not_if_native_threads_do() -> None:
    assert demo_failures("coev", connections_held=0)
    assert not demo_failures("coev", connections_held=1)
    assert not demo_failures("native", connections_held=0)


def test_demo_notes_that_native_threads_ran_out_and_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    # Enough address space for the programs, but not for 300 stacks of 8 MiB.
    done = run(
        limited(
            "-s 8192 && ulimit -v 1500000",
            [
                sys.executable,
                str(DEMO),
                "--modes",
                "native",
                "--connections",
                "300",
                "--requests",
                "600",
                "--hold",
                "0.1",
                "--json",
                str(file),
            ],
        )
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [result] = json.loads(file.read_text())
    assert 0 < result["connections_held"] < 300
    assert result["requests"] == 2 * result["connections_held"]
    assert "can't start new thread" in " ".join(result["notes"])
    assert "note: native, 300 connections: " in done.stdout


def test_demo_fails_if_no_run_came_to_a_result() -> None:
    done = run(
        [
            sys.executable,
            str(DEMO),
            "--modes",
            "native",
            "--connections",
            "5",
            "--hold",
            "30",
            "--timeout",
            "1",
        ]
    )
    assert done.returncode == 1
    assert "note: native, 5 connections: no result in 1 s: holding" in done.stdout


def test_demo_fails_if_coev_serves_with_native_threads() -> None:
    assert demo_failures("coev", connections_held=1, os_threads=1000)


def test_demo_cuts_sizes_down_to_the_limit_on_open_files() -> None:
    code = "import demo; print(demo.affordable_sizes([100, 1000, 10000, 20000], 1024))"
    assert run_in_examples(code) == "[100, 960]"


def demo_failures(mode: str, **fields: int) -> list[str]:
    code = (
        "import demo; from measuring.run import Result; import json; "
        f"print(json.dumps(demo.failures(Result({mode!r}, 1, **{fields!r}))))"
    )
    found: list[str] = json.loads(run_in_examples(code))
    return found


def run_in_examples(code: str) -> str:
    """Run *code* where the demo's modules are found: they are not a package."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=EXAMPLES,
        text=True,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    return done.stdout.strip()


def test_interrupted_demo_leaves_no_process_behind() -> None:
    with subprocess.Popen(
        [sys.executable, str(DEMO), "--modes", "native", "--connections", "5", "--hold", "50"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        while "holding" not in demo.stdout.readline():
            pass
        children = children_of(demo.pid)
        demo.terminate()
        _, errors = demo.communicate(timeout=TIMEOUT_S)
    assert demo.returncode == 130
    assert "Traceback" not in errors
    assert len(children) == 2
    for pid in children:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


# The load generator notices what a broken server does.


def test_load_reports_every_connection_and_request(mode: str) -> None:
    with echo_server(mode) as server:
        status, report = load_report(mode, server.port, "--connections", "20")
        summary = server.stop()
    assert status == 0
    assert report["connections_held"] == 20
    assert report["requests"] == 100
    assert report["lost"] == report["wrong"] == 0
    assert report["errors"] == {}
    assert 0 < report["latency_p50_ms"] <= report["latency_p99_ms"] <= report["latency_max_ms"]
    assert summary["requests"] == 120  # each connection's first line, too
    assert summary["peak_open"] == 20


def test_load_begins_no_request_after_the_given_seconds(mode: str) -> None:
    with echo_server(mode) as server:
        status, report = load_report(
            mode, server.port, "--rounds", "1000000000", "--seconds", "0.3", "--think", "0.01"
        )
    assert status == 0
    assert report["elapsed_s"] < 5
    assert report["lost"] == 0


def altered(number: int, line: bytes) -> bytes:
    return line.replace(b"x", b"y", 1) if number == 3 else line


def of_another_request(number: int, line: bytes) -> bytes:
    return line.replace(b" 3 ", b" 2 ") if number == 3 else line


def repeated(number: int, line: bytes) -> bytes:
    return line * 2 if number == 3 else line


@pytest.mark.parametrize("answer", [altered, of_another_request, repeated])
def test_load_fails_on_a_wrong_reply(mode: str, answer: Answer) -> None:
    with answering_server(answer) as port:
        status, report = load_report(mode, port)
    assert status == 1
    assert report["wrong"] == 1
    assert report["lost"] == 0
    assert report["requests"] == 2


def swallowed(number: int, line: bytes) -> bytes:
    return b"" if number == 3 else line


def cut_short(number: int, line: bytes) -> bytes:
    return line[:-1] if number == 3 else line


def connection_ended(number: int, line: bytes) -> bytes | None:
    return None if number == 3 else line


@pytest.mark.parametrize("answer", [swallowed, cut_short, connection_ended])
def test_load_fails_on_a_lost_reply(mode: str, answer: Answer) -> None:
    with answering_server(answer) as port:
        status, report = load_report(mode, port)
    assert status == 1
    assert report["lost"] == 1
    assert report["wrong"] == 0
    assert report["requests"] == 2


def test_load_fails_if_a_connection_is_refused(mode: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and never listens
        status, report = load_report(mode, unused.getsockname()[1])
    assert status == 1
    assert report["connections_held"] == 0
    assert list(report["errors"]) == ["ConnectionRefusedError: Connection refused"]


# The server survives what clients and the system do to it.


def test_server_goes_on_after_it_ran_out_of_file_descriptors(mode: str) -> None:
    with echo_server(mode, "-n 40") as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(60)]
        assert ask(clients[0], b"first\n") == b"first\n"
        clients[-1].settimeout(0.3)
        with pytest.raises(TimeoutError):
            ask(clients[-1], b"last\n")  # still in the backlog
        for client in clients[:30]:
            client.close()
        clients[-1].settimeout(TIMEOUT_S)
        assert ask(clients[-1], b"more\n", replies=2) == b"last\nmore\n"
        summary = server.stop()
    assert summary["accepted"] == 60
    assert summary["accept_failures"] > 0
    assert "Too many open files" in server.errors
    assert "accept works again" in server.errors


@pytest.mark.xfail(
    sys.version_info[:3] == (3, 11, 2),
    reason="on Debian's 3.11.2 the native server refuses nobody under this limit; not explained",
    strict=False,
)
def test_server_goes_on_after_it_could_start_no_more_threads() -> None:
    limit = "-s 8192 && ulimit -v 1000000"
    with echo_server("native", limit) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(200)]
        assert ask(clients[0], b"served\n") == b"served\n"
        with contextlib.suppress(ConnectionError):
            assert clients[-1].recv(1) == b""
        summary = server.stop()
    assert 0 < summary["refused"] < summary["accepted"]
    assert "can't start new thread; refusing connections" in server.errors


def test_server_goes_on_after_a_client_resets_its_connection(mode: str) -> None:
    with echo_server(mode) as server:
        for _ in range(5):
            client = server.connect()
            assert ask(client, b"hello\n") == b"hello\n"
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        with server.connect() as client:
            assert ask(client, b"still there\n") == b"still there\n"
        summary = server.stop()
    assert summary["requests"] == 6
    assert summary["failures"] == {"ConnectionResetError": 5}


def test_server_answers_a_line_that_comes_in_pieces(mode: str) -> None:
    with echo_server(mode) as server, server.connect() as client:
        for piece in (b"one ", b"line\nand", b" half"):
            client.sendall(piece)
            time.sleep(0.02)
        assert ask(client, b" of one\n", replies=2) == b"one line\nand half of one\n"
        assert server.stop()["requests"] == 2


def test_server_ends_a_connection_whose_line_never_ends(mode: str) -> None:
    with echo_server(mode) as server, server.connect() as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(b"x" * 200_000)
        with contextlib.suppress(ConnectionError):
            assert client.recv(1) == b""
        assert server.stop()["failures"] == {"LineTooLong": 1}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_server_stops_cleanly_with_connections_open(mode: str, number: int) -> None:
    with echo_server(mode) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(10)]
        for client in clients:
            assert ask(client, b"hello\n") == b"hello\n"
        summary = server.stop(number)
        assert [client.recv(1) for client in clients] == [b""] * 10
    assert summary["peak_open"] == summary["requests"] == 10
    assert summary["still_open"] == 0
