"""Child processes: pinned, timed out, and never left behind."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from types import TracebackType

from harness.settings import NEUTRAL_FOLDER

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class TrialError(Exception):
    """A child process failed, answered nonsense or took too long."""


def _child_setup(core: int | None) -> Callable[[], None]:
    def setup() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if core is not None:
            os.sched_setaffinity(0, {core})

    return setup


class Child:
    """A running program whose output is read line by line, with a deadline.

    A context manager: on leaving, the whole process group is killed.
    """

    def __init__(self, command: Sequence[str], *, core: int | None, timeout: float) -> None:
        self._name = " ".join(os.path.basename(word) for word in command[:4])
        self._deadline = time.monotonic() + timeout
        self._pending = b""
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            start_new_session=True,
            cwd=NEUTRAL_FOLDER,
            preexec_fn=_child_setup(core),
        )

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()

    @property
    def pid(self) -> int:
        """The process id, which is also that of its group."""
        return self._process.pid

    def interrupt(self) -> None:
        """Send what Ctrl-C sends."""
        self._process.send_signal(signal.SIGINT)

    def write_line(self, line: str = "") -> None:
        """Give the child a line on its standard input."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
        except BrokenPipeError:
            raise self._failure("ended early") from None

    def read_line(self) -> str:
        """Wait for the next line of standard output.

        :raises TrialError: the child ended, or the deadline passed.
        """
        assert self._process.stdout is not None
        while b"\n" not in self._pending:
            left = self._deadline - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise self._failure("timed out")
            chunk = self._process.stdout.read(65536)
            if not chunk:
                self._process.wait()
                raise self._failure(f"ended with status {self._process.returncode}")
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        return line.decode()

    def wait_until_ready(self) -> None:
        """Wait for a line that says "ready"."""
        line = self.read_line()
        if line != "ready":
            raise self._failure(f"answered {line!r}")

    def read_metrics(self) -> dict[str, float]:
        """Wait for a line of JSON: metric name to number."""
        line = self.read_line()
        try:
            return {name: float(value) for name, value in json.loads(line).items()}
        except (ValueError, AttributeError, TypeError):
            raise self._failure(f"answered {line!r}") from None

    def wait_for_error_text(self, text: str) -> None:
        """Wait until *text* stands in what the child wrote to standard error."""
        while text not in self._error_text():
            if time.monotonic() > self._deadline or self._process.poll() is not None:
                raise self._failure(f"never wrote {text!r}")
            time.sleep(0.01)

    def finish(self) -> None:
        """Wait for the child to end by itself.

        :raises TrialError: its exit status is not 0, or the deadline passed.
        """
        try:
            self._process.wait(max(0.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise self._failure("did not end in time") from None
        if self._process.returncode not in (0, -signal.SIGINT):
            raise self._failure(f"ended with status {self._process.returncode}")

    def _error_text(self) -> str:
        descriptor = self._errors.fileno()
        size = os.fstat(descriptor).st_size
        return os.pread(descriptor, size, 0).decode(errors="replace")

    def _failure(self, what: str) -> TrialError:
        lines = self._error_text().strip().splitlines()
        return TrialError(": ".join([f"{self._name} {what}", *lines[-1:]]))


def run_for_metrics(
    command: Sequence[str], *, core: int | None, timeout: float
) -> dict[str, float]:
    """Run a worker to its end; its only output is one line of JSON."""
    with Child(command, core=core, timeout=timeout) as child:
        metrics = child.read_metrics()
        child.finish()
        return metrics
