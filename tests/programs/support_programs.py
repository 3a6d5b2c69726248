"""Run real programs as coroutines, beside a ticker that none of their waits may delay."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import ticker
from run_script import ROOT, describe

HERE = Path(__file__).resolve().parent

#: Where programs would find other authorities and proxies than the tests'.
ELSEWHERE = re.compile(
    r"(REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|SSL_CERT_(FILE|DIR)|\w+_proxy)$", re.I
).match

#: What a tick may be late, in seconds.
LATEST = 0.05


def free_port():
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connect(port, process, timeout=30):
    """Connect to *port* as soon as somebody listens; fail if *process* ends before."""
    end = time.monotonic() + timeout
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 8)
        except OSError:
            assert process.poll() is None, "the server has ended"
            assert time.monotonic() < end, "the server does not listen"
            time.sleep(0.02)


def wait_for_port(port, process):
    """Wait until somebody listens on *port*."""
    connect(port, process).close()


def stop(process, how=signal.SIGKILL):
    """End *process* and what it started; return what it has written since."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(how)
    try:
        return process.communicate(timeout=15)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return process.communicate(timeout=5)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


class Runner:
    """Runs programs in *folder*, with a ticker in each that has coev."""

    def __init__(self, folder):
        self.folder = folder
        self.ticks = folder / "ticks"
        self.ticks.mkdir()

    def write(self, name, text):
        """Put a file into the folder; return its path."""
        path = self.folder / name
        path.write_text(textwrap.dedent(text))
        return path

    def start(self, *arguments, env=None, output=subprocess.PIPE):
        """Start Python with *arguments*, in a session of its own."""
        environment = {name: value for name, value in os.environ.items() if not ELSEWHERE(name)}
        environment.update(
            PYTHONPATH=os.pathsep.join(map(str, [ROOT, HERE, self.folder])),
            PYTHONFAULTHANDLER="1",
            TICKER_FOLDER=str(self.ticks),
        )
        environment.update(env or {})
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def start_module(self, *arguments, **options):
        """Start ``python -m`` *arguments* as coroutines."""
        return self.start("-m", "coev", HERE / "ticking.py", *arguments, **options)

    def finish(self, process, timeout=60):
        """Wait for *process* to end; return it with all that it wrote."""
        try:
            out, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            out, _ = stop(process, signal.SIGABRT)
            raise AssertionError(f"hung for {timeout} s\n{out}") from None
        finally:
            stop(process)
        return subprocess.CompletedProcess(process.args, process.returncode, out, "")

    def run(self, *arguments, timeout=60, env=None):
        """Run Python with *arguments*; return it with all that it wrote."""
        return self.finish(self.start(*arguments, env=env), timeout)

    def check(self, text, *arguments, timeout=60, env=None):
        """Run a program under coev that must end well, with ticks in time; return its output."""
        program = self.write("program.py", "import ticker\n" + textwrap.dedent(text))
        done = self.run("-m", "coev", program, *arguments, timeout=timeout, env=env)
        assert done.returncode == 0, describe(done)
        self.check_ticks()
        return done.stdout

    def check_ticks(self, processes=1):
        """Require that each of at least *processes* ticked, never late for a wait."""
        figures = [ticker.read(path) for path in self.ticks.iterdir()]
        assert len(figures) >= processes, figures
        for ticks, slept in figures:
            assert slept <= (ticker.INTERVAL + LATEST) * 1e9, f"slept {slept / 1e6:.1f} ms"
            assert ticks > 0
