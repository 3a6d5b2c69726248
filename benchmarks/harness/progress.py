"""What is going on, for whoever waits for it."""

from __future__ import annotations

import sys


def progress(text: str) -> None:
    """Show *text* at once; standard output is for the report."""
    print(text, file=sys.stderr, flush=True)
