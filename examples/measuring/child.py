"""A child process whose stdout is read line by line, every wait bounded."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from types import TracebackType

KILL_TIMEOUT_S = 30.0


class Child:
    """A process started on a core of its own choice; killed on leaving `with`.

    stderr goes to a temporary file, for :meth:`last_words`.
    """

    def __init__(self, command: list[str], core: int | None = None) -> None:
        self._stderr = tempfile.TemporaryFile()
        self._process = _start_on_core(command, core, self._stderr.fileno())
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait(KILL_TIMEOUT_S)
        self._reader.join(KILL_TIMEOUT_S)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._stderr.close()

    def line(self, timeout: float) -> str | None:
        """Return the next line of stdout, or None once there will be no more.

        :raises TimeoutError: none came in time.
        """
        try:
            line = self._lines.get(timeout=max(0.0, timeout))
        except queue.Empty:
            raise TimeoutError(f"no output for {timeout:.0f} s") from None
        if line is None:
            self._lines.put(None)  # for whoever asks again
        return line

    def terminate(self, timeout: float) -> tuple[int | None, str]:
        """Send SIGTERM; return the exit status (None: did not end) and last line."""
        self._process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + timeout
        last = ""
        try:
            while (line := self.line(deadline - time.monotonic())) is not None:
                last = line
            return self._process.wait(max(0.1, deadline - time.monotonic())), last
        except (TimeoutError, subprocess.TimeoutExpired):
            return None, last

    def last_words(self) -> str:
        """The last line written to stderr."""
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)


def _start_on_core(command: list[str], core: int | None, stderr: int) -> subprocess.Popen[str]:
    """Start *command*; pinned from its first instruction, as all its threads will be.

    A child inherits the affinity of the thread that forks it, and a thread
    that of its parent: setting it afterwards would miss early threads.
    """
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,  # Ctrl-C is for the demo, which stops them in order
        )
    finally:
        os.sched_setaffinity(0, before)
