"""The printed table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.benchmark import Bar
from harness.outcome import Outcome, Verdict, judge


def _number(value: float) -> str:
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _cells(outcome: Outcome) -> Iterator[list[str]]:
    units = outcome.benchmark.units
    yield ["", *(f"{metric} [{unit}]" for metric, unit in units.items())]
    for variant in outcome.benchmark.variants:
        row = [variant.label]
        for metric in units:
            series = outcome.series(variant.label, metric)
            spread = f" ±{series.spread:4.0%}" if series else ""
            row.append(f"{_number(series.median)}{spread}" if series else "-")
        yield row


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    for first, *rest in rows:
        cells = (cell.rjust(width) for cell, width in zip(rest, widths[1:]))
        yield "  ".join(["  " + first.ljust(widths[0]), *cells])


def _bar_text(bar: Bar) -> str:
    peer = f" to {bar.peer}" if bar.peer else ""
    return f"{bar.subject}{peer}: {bar.metric} at most {_number(bar.limit)}"


def _verdict_line(verdict: Verdict) -> str:
    line = f"  [{verdict.word}] {_bar_text(verdict.bar)}"
    if verdict.reached is None:
        return line
    low, high = min(verdict.reached.values), max(verdict.reached.values)
    median = _number(verdict.reached.median)
    return f"{line}; is {median} ({_number(low)} to {_number(high)})"


def lines(outcome: Outcome) -> Iterator[str]:
    """The report of one benchmark: a table, absences, verdicts."""
    yield f"{outcome.benchmark.name}: {outcome.benchmark.summary}"
    yield from _aligned(list(_cells(outcome)))
    for label, reason in outcome.absent.items():
        yield f"  {label}: {reason}"
    for bar in outcome.benchmark.bars:
        yield _verdict_line(judge(outcome, bar))
