#!/usr/bin/env python3
"""Measure coev next to its peers, and hold the results against the bars."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from harness import report, results
from harness.benchmark import Benchmark
from harness.interpreter import InterpreterError, version
from harness.outcome import FAIL, judge
from harness.runner import run
from harness.settings import Settings
from suite import BENCHMARKS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    names = [benchmark.name for benchmark in BENCHMARKS]
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        choices=names,
        help=f"run just this one; may be repeated; one of: {', '.join(names)}",
    )
    parser.add_argument("--full", action="store_true", help="run the large ones too")
    parser.add_argument("--bars", action="store_true", help="run only what the bars compare")
    parser.add_argument("--quick", action="store_true", help="two short repeats; proves nothing")
    parser.add_argument("--repeat", type=int, metavar="N", help="repeats of each variant (5)")
    parser.add_argument(
        "--python",
        default=sys.executable,
        metavar="PATH",
        help="the interpreter that runs what is measured (this one)",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="the JSON file")
    return parser


def _chosen(options: argparse.Namespace) -> list[Benchmark]:
    if options.only:
        chosen = [each for each in BENCHMARKS if each.name in options.only]
    else:
        chosen = [each for each in BENCHMARKS if options.full or not each.only_when_full]
    return [each.with_bars_only() for each in chosen] if options.bars else chosen


def main() -> int:
    """Run what was asked for; 1 if a bar was missed, 2 if Python cannot run."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    repeat = options.repeat or (2 if options.quick else 5)
    # It will run elsewhere; a name without a folder is looked up on the path.
    python = os.path.abspath(options.python) if os.sep in options.python else options.python
    settings = Settings(python, repeat, options.quick)
    try:
        print(f"{version(settings.python)}, {repeat} repeats: median ± half the range")
    except InterpreterError as error:
        print(error, file=sys.stderr)
        return 2
    path = options.output or results.default_path(settings)
    failed = False
    for benchmark in _chosen(options):
        outcome = run(benchmark, settings)
        results.store(outcome, settings, path)
        print("\n" + "\n".join(report.lines(outcome)), flush=True)
        verdicts = [judge(outcome, bar) for bar in benchmark.bars]
        failed |= any(verdict.word == FAIL for verdict in verdicts)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
