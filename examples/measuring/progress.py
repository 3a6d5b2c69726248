"""One line that tells what goes on: rewritten on a terminal, repeated elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TextIO

REWRITE_INTERVAL_S = 0.2
REPEAT_INTERVAL_S = 2.0


class Progress:
    """Shows the latest state; what must stay to be read goes through say()."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._live = out.isatty()
        self._shown_at = 0.0
        self._topic = ""

    def show(self, topic: str, state: str) -> None:
        """Show "topic: state", at once if the topic is new, else now and then."""
        interval = REWRITE_INTERVAL_S if self._live else REPEAT_INTERVAL_S
        now = time.monotonic()
        if topic == self._topic and now - self._shown_at < interval:
            return
        self._topic, self._shown_at = topic, now
        text = f"{topic}: {state}"
        self._write(f"\r{text}\x1b[K" if self._live else f"{text}\n")

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._write(f"\r\x1b[K{text}\n" if self._live else f"{text}\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
