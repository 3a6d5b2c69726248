"""What the kernel says about a process: CPU time, memory, threads, sockets.

Read from /proc, so that the process measured does nothing for it (Linux only;
see proc(5)).
"""

from __future__ import annotations

import os
from dataclasses import dataclass

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Sample:
    """One look at a process."""

    user_s: float
    system_s: float
    resident_kib: int
    page_tables_kib: int
    peak_resident_kib: int
    os_threads: int

    @property
    def memory_kib(self) -> int:
        """Resident memory and the page tables that thousands of stacks need."""
        return self.resident_kib + self.page_tables_kib


def sample(pid: int) -> Sample:
    """Look at process *pid* once.

    :raises OSError: there is no such process, or no /proc.
    """
    with open(f"/proc/{pid}/stat") as file:
        # The command name may hold spaces: count from the ")" that ends it.
        stat = file.read().rpartition(")")[2].split()
    status = _fields(f"/proc/{pid}/status")
    return Sample(
        user_s=int(stat[11]) / TICKS_PER_S,
        system_s=int(stat[12]) / TICKS_PER_S,
        resident_kib=_resident_kib(pid, status),
        page_tables_kib=status.get("VmPTE", 0),
        peak_resident_kib=status.get("VmHWM", 0),
        os_threads=status.get("Threads", 1),
    )


def count_sockets(pid: int) -> int:
    """How many of the open files of process *pid* are sockets."""
    folder = f"/proc/{pid}/fd"
    return sum(_link(folder, name).startswith("socket:") for name in os.listdir(folder))


def _link(folder: str, name: str) -> str:
    try:
        return os.readlink(os.path.join(folder, name))
    except OSError:
        return ""  # closed meanwhile


def _resident_kib(pid: int, status: dict[str, int]) -> int:
    """Exact where the kernel sums it up; status is off by some pages a thread."""
    try:
        return _fields(f"/proc/{pid}/smaps_rollup")["Rss"]
    except (OSError, KeyError):
        return status.get("VmRSS", 0)


def _fields(path: str) -> dict[str, int]:
    """The numeric "Name: value" lines of a /proc file."""
    fields = {}
    with open(path) as file:
        for line in file:
            name, _, value = line.partition(":")
            words = value.split()
            if words and words[0].isdigit():
                fields[name] = int(words[0])
    return fields
