"""What the command line chose, and where things lie."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

BENCHMARKS_FOLDER = Path(__file__).resolve().parent.parent
#: Where what is measured runs: in the project's own folder it would import the sources there.
NEUTRAL_FOLDER = "/"


@dataclass(frozen=True)
class Settings:
    """The choices that every trial sees."""

    python: str
    repeat: int
    quick: bool

    def scaled(self, count: int) -> int:
        """*count*, or a tenth of it when a quick run was asked for."""
        return max(1, count // 10) if self.quick else count


def measured_core() -> int:
    """The core on which what is measured runs."""
    return min(os.sched_getaffinity(0))


def load_core() -> int:
    """The core of the load generator: another one, where there is another."""
    return max(os.sched_getaffinity(0))
