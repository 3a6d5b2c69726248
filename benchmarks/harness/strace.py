"""Counts system calls with strace."""

from __future__ import annotations

import collections
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.process import Child, TrialError

_CALL = re.compile(r"^(?:\d+\s+)?(\w+)\(", re.MULTILINE)
_SUMMARY_LINE = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$")

Calls = collections.Counter[str]


def calls_between_marks(
    command: Sequence[str], calls: Sequence[str], mark: str, *, core: int
) -> tuple[Calls, dict[str, float]]:
    """Run *command*; count *calls* between the two times it made call *mark*.

    :return: the counts, and the metrics that the command printed.
    :raises TrialError: there were not two marks.
    """
    with tempfile.TemporaryDirectory(prefix="coev-bench-") as folder:
        log = Path(folder, "calls")
        trace = "trace=" + ",".join([*calls, mark])
        # The filter runs in the kernel: calls not counted keep their speed.
        options = ["-f", "--seccomp-bpf", "-qq", "-e", trace, "-e", "signal=none"]
        words = ["strace", *options, "-o", str(log), *command]
        with Child(words, core=core, timeout=300) as child:
            metrics = child.read_metrics()
            child.finish()
        names = _CALL.findall(log.read_text())
    marks = [at for at, name in enumerate(names) if name == mark]
    if len(marks) != 2:
        raise TrialError(f"{len(marks)} marks in the log of calls, expected 2")
    return collections.Counter(names[marks[0] + 1 : marks[1]]), metrics


@contextmanager
def counting(pid: int, calls: Calls) -> Iterator[None]:
    """Attach to process *pid*; what it called inside is added to *calls* on leaving."""
    with tempfile.TemporaryDirectory(prefix="coev-bench-") as folder:
        table = Path(folder, "table")
        words = ["strace", "-c", "-f", "-p", str(pid), "-o", str(table)]
        with Child(words, core=None, timeout=120) as child:
            child.wait_for_error_text("attached")
            yield
            child.interrupt()
            child.finish()
        for line in table.read_text().splitlines():
            found = _SUMMARY_LINE.match(line)
            if found and found[2] != "total":
                calls[found[2]] += int(found[1])
