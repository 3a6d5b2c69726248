"""What came out of a benchmark: values, absences and verdicts."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.benchmark import Bar, Benchmark
from harness.series import Series, ratio

PASS, FAIL, NOT_MEASURED = "pass", "FAIL", "not measured"


@dataclass
class Outcome:
    """The values that the repeats of one benchmark gave."""

    benchmark: Benchmark
    #: Variant label to metric to one value for each repeat.
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    #: Variant label to why it has no values.
    absent: dict[str, str] = field(default_factory=dict)
    #: Those absent because they broke, not because they are not installed.
    broken: set[str] = field(default_factory=set)

    def record(self, label: str, metric: str, value: float) -> None:
        """Add what one repeat measured."""
        self.values.setdefault(label, {}).setdefault(metric, []).append(value)

    def give_up(self, label: str, reason: str, *, broken: bool) -> None:
        """Say why *label* has no values; those it had are dropped."""
        self.values.pop(label, None)
        self.absent[label] = reason
        if broken:
            self.broken.add(label)

    def series(self, label: str, metric: str) -> Series | None:
        """The repeats of one metric, if it was measured."""
        values = self.values.get(label, {}).get(metric)
        return Series(tuple(values)) if values else None


@dataclass(frozen=True)
class Verdict:
    """A bar, what stands against it, and whether it is met."""

    bar: Bar
    reached: Series | None
    word: str


def judge(outcome: Outcome, bar: Bar) -> Verdict:
    """Hold *outcome* against *bar*; a subject that broke has failed."""
    subject = outcome.series(bar.subject, bar.metric)
    if subject is None:
        broken = bar.subject in outcome.broken
        return Verdict(bar, None, FAIL if broken else NOT_MEASURED)
    if bar.peer is not None:
        peer = outcome.series(bar.peer, bar.metric)
        if peer is None:
            return Verdict(bar, None, NOT_MEASURED)
        subject = ratio(subject.values, peer.values)
    return Verdict(bar, subject, PASS if subject.median <= bar.limit else FAIL)
