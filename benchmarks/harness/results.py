"""The result file: the newest run of each benchmark, as JSON."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from typing import Any

from harness.interpreter import module_version, version
from harness.outcome import Outcome, Verdict, judge
from harness.settings import BENCHMARKS_FOLDER, Settings


def default_path(settings: Settings) -> Path:
    """One file for each Python; a quick run goes to a file git ignores."""
    name, number = version(settings.python).lower().split()
    minor = ".".join(number.split(".")[:2])
    ending = "quick.tmp" if settings.quick else "json"
    file = f"{name}-{minor}-{platform.machine()}.{ending}"
    return BENCHMARKS_FOLDER / "results" / file


def _verdict(verdict: Verdict) -> dict[str, Any]:
    reached = verdict.reached
    return {
        "metric": verdict.bar.metric,
        "subject": verdict.bar.subject,
        "peer": verdict.bar.peer,
        "limit": verdict.bar.limit,
        "reached": reached.median if reached else None,
        "repeats": list(reached.values) if reached else [],
        "verdict": verdict.word,
    }


def _entry(outcome: Outcome, settings: Settings) -> dict[str, Any]:
    benchmark = outcome.benchmark
    needed = {module for each in benchmark.variants for module in each.modules}
    return {
        "summary": benchmark.summary,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": version(settings.python),
        "versions": {name: module_version(settings.python, name) for name in needed},
        "kernel": platform.release(),
        "cores": len(os.sched_getaffinity(0)),
        "units": dict(benchmark.units),
        "values": outcome.values,
        "absent": outcome.absent,
        "bars": [_verdict(judge(outcome, bar)) for bar in benchmark.bars],
    }


def store(outcome: Outcome, settings: Settings, path: Path) -> None:
    """Put *outcome* into the file at *path*; other benchmarks' entries stay."""
    try:
        entries = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        entries = {}
    entries[outcome.benchmark.name] = _entry(outcome, settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".tmp")
    partial.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n")
    partial.replace(path)
