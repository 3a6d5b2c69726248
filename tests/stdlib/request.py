"""What one process of the tests is asked to do, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

#: Outcome of each case by its id: its state, and what it had to say.
Outcomes = dict[str, "Outcome"]

#: What a case does that is as it should be.
GOOD = ("pass", "xfail")


@dataclass(frozen=True)
class Outcome:
    """How a case ended: a state of launch.SEVERITY, "crash" or "hang"."""

    state: str
    text: str = ""

    @property
    def good(self) -> bool:
        return self.state in GOOD


@dataclass(frozen=True)
class Request:
    """What launch.py is asked to run, and where it tells how it went."""

    module: str
    journal: str
    path: str | None = None  # a folder to import from; None: the interpreter's own tests
    only: list[str] = field(default_factory=list)  # cases; none: all
    without: list[str] = field(default_factory=list)
    resources: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Settings:
    """What is the same for every process of one interpreter."""

    python: str
    coev: Path | None  # the folder of the package under test; None: it is installed
    suite: Path | None  # a folder of test files; None: the interpreter's own
    timeout: float  # seconds that one case may take
    repeat: int  # how often a case that differs is run alone
    resources: tuple[str, ...]
    logs: Path

    def module(self, file: str) -> str:
        return file if self.suite else f"test.{file}"
