#!/usr/bin/env python3
"""Put the results into docs/performance.md: tables, verdicts and plots.

The text between the marks ``<!-- results -->`` and ``<!-- end of results -->`` is
replaced; the plots go to docs/plots/.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.settings import BENCHMARKS_FOLDER

_DOCS = BENCHMARKS_FOLDER.parent / "docs"
_MARKS = re.compile(r"(<!-- results -->\n).*(<!-- end of results -->)", re.DOTALL)

Entry = dict[str, Any]


def _number(value: float) -> str:
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _cell(values: list[float] | None) -> str:
    if not values:
        return "-"
    median = statistics.median(values)
    spread = (max(values) - min(values)) / 2 / abs(median) if median else 0.0
    return f"{_number(median)} ±{spread:.0%}"


def _table(entry: Entry) -> Iterator[str]:
    units = entry["units"]
    yield "| | " + " | ".join(f"{metric} [{unit}]" for metric, unit in units.items()) + " |"
    yield "|---|" + "---:|" * len(units)
    for label, metrics in entry["values"].items():
        cells = (_cell(metrics.get(metric)) for metric in units)
        yield f"| {label} | " + " | ".join(cells) + " |"


def _of_peer(bar: Entry) -> str:
    return f" of {bar['peer']}" if bar["peer"] else ""


def _verdicts(entry: Entry) -> Iterator[str]:
    for bar in entry["bars"]:
        reached = "not measured" if bar["reached"] is None else _number(bar["reached"])
        word = {"pass": "reached", "FAIL": "**missed**"}.get(bar["verdict"], bar["verdict"])
        yield (
            f"- {bar['subject']}, {bar['metric']}: {reached}{_of_peer(bar)}; "
            f"the bar is {_number(bar['limit'])}: {word}"
        )


def _bar_name(name: str, bar: Entry) -> str:
    return f"{name}: {bar['subject']}, {bar['metric']} | {_number(bar['limit'])}{_of_peer(bar)}"


def _bars_at_a_glance(results: dict[str, dict[str, Entry]]) -> Iterator[str]:
    """Every bar, and what each interpreter reached."""
    pythons = sorted({python for entries in results.values() for python in entries})
    yield "| | at most | " + " | ".join(pythons) + " |"
    yield "|---|---:|" + "---:|" * len(pythons)
    for name, entries in results.items():
        reached: dict[str, dict[str, str]] = {}
        for python, entry in entries.items():
            for bar in entry["bars"]:
                if bar["reached"] is None:
                    continue
                number = _number(bar["reached"])
                cell = number if bar["verdict"] == "pass" else f"**{number}**, missed"
                reached.setdefault(_bar_name(name, bar), {})[python] = cell
        for bar_name, cells in reached.items():
            yield f"| {bar_name} | " + " | ".join(cells.get(each, "-") for each in pythons) + " |"


def _section(name: str, entries: dict[str, Entry]) -> Iterator[str]:
    summary = next(iter(entries.values()))["summary"]
    yield f"### {name}\n\n{summary}. `python benchmarks/run.py --only {name}`\n"
    for python, entry in entries.items():
        yield f"{python}, {entry['time'][:10]}:\n"
        yield "\n".join(_table(entry))
        yield ""
        verdicts = list(_verdicts(entry))
        if verdicts:
            yield "\n".join(verdicts) + "\n"


def _medians(entry: Entry, metric: str) -> dict[str, float]:
    return {
        label: statistics.median(metrics[metric])
        for label, metrics in entry["values"].items()
        if metric in metrics
    }


def _plot(entry: Entry, metrics: tuple[str, ...], unit: str, title: str, path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "coev"  # the same file from the same numbers
    from matplotlib import pyplot

    columns = {metric: _medians(entry, metric) for metric in metrics}
    labels = sorted(columns[metrics[0]], key=lambda label: -sum(c[label] for c in columns.values()))
    figure, axes = pyplot.subplots(figsize=(7, 0.4 * len(labels) + 1))
    left = [0.0] * len(labels)
    for metric, column in columns.items():
        widths = [column[label] for label in labels]
        axes.barh(labels, widths, left=left, label=metric)
        left = [a + b for a, b in zip(left, widths)]
    axes.set_xlabel(unit)
    axes.set_title(title)
    if len(metrics) > 1:
        axes.legend(loc="lower right")
    figure.tight_layout()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


#: Benchmark, its metrics that add up, unit, title.
_PLOTS = (
    ("echo-100", ("user", "system"), "us of CPU a request", "Echo, 100 connections"),
    ("echo-8000", ("user", "system"), "us of CPU a request", "Echo, 8,000 connections"),
    ("memory-2000", ("resident",), "KiB", "Blocked in recv: resident memory of each"),
)


def main() -> int:
    """Read the result files, write the page; 2 if there is nothing to show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, default=_DOCS / "performance.md", metavar="FILE")
    options = parser.parse_args()
    files = sorted((BENCHMARKS_FOLDER / "results").glob("*.json"))
    results: dict[str, dict[str, Entry]] = {}
    for file in files:
        for name, entry in json.loads(file.read_text()).items():
            results.setdefault(name, {})[entry["python"]] = entry
    if not results:
        print("no results: run benchmarks/run.py first", file=sys.stderr)
        return 2
    parts = ["\n".join(_bars_at_a_glance(results)) + "\n"]
    for name, metrics, unit, title in _PLOTS:
        if name in results:
            python, entry = next(iter(results[name].items()))
            path = options.page.parent / "plots" / f"{name}.svg"
            _plot(entry, metrics, unit, f"{title} ({python})", path)
            parts.append(f"![{title}](plots/{name}.svg)\n")
    for name, entries in results.items():
        parts.extend(_section(name, entries))
    text = "\n".join(parts)
    page = options.page.read_text()
    options.page.write_text(_MARKS.sub(lambda marks: f"{marks[1]}\n{text}\n{marks[2]}", page))
    return 0


if __name__ == "__main__":
    sys.exit(main())
