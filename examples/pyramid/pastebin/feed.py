"""The live feed: every reader is a coroutine that waits for the next paste."""

import threading
from collections import deque
from typing import Any


class Feed:
    """Pastes in the order they came; readers wait for what is newer than they have seen."""

    def __init__(self, kept: int = 100) -> None:
        self._condition = threading.Condition()
        self._pastes: deque[tuple[int, dict[str, Any]]] = deque(maxlen=kept)
        self._newest = 0
        self.readers = 0

    @property
    def newest(self) -> int:
        return self._newest

    def publish(self, paste: dict[str, Any]) -> None:
        with self._condition:
            self._newest += 1
            self._pastes.append((self._newest, paste))
            self._condition.notify_all()

    def wait(self, seen: int, timeout: float) -> list[tuple[int, dict[str, Any]]]:
        """What came after number *seen*; an empty list after *timeout* seconds."""
        with self._condition:
            self.readers += 1
            try:
                self._condition.wait_for(lambda: self._newest > seen, timeout)
            finally:
                self.readers -= 1
            return [entry for entry in self._pastes if entry[0] > seen]
