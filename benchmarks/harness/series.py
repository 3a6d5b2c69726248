"""Repeated values of one metric, and what they say."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    """The values of one metric, one for each repeat, in order."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """Half the distance of the extremes, as a share of the median."""
        if not self.median:
            return 0.0
        return (max(self.values) - min(self.values)) / 2 / abs(self.median)


def ratio(subject: Sequence[float], peer: Sequence[float]) -> Series:
    """Subject to peer, each repeat against the same repeat of the peer."""
    return Series(tuple(s / p if p else float("inf") for s, p in zip(subject, peer)))
