"""Runs a benchmark.

Every repeat runs every variant once, so that all see the same machine.
"""

from __future__ import annotations

import shutil
import sys
import time

from harness.benchmark import Benchmark, Variant
from harness.interpreter import module_version
from harness.outcome import Outcome
from harness.process import TrialError
from harness.settings import Settings


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _missing(benchmark: Benchmark, variant: Variant, settings: Settings) -> str:
    programs = [name for name in benchmark.programs if shutil.which(name) is None]
    modules = [name for name in variant.modules if module_version(settings.python, name) is None]
    return ", ".join(programs + modules)


def _run_once(outcome: Outcome, variant: Variant, settings: Settings, repeat: int) -> None:
    name, label = outcome.benchmark.name, variant.label
    began = time.monotonic()
    try:
        metrics = outcome.benchmark.trial(variant, settings)
    except TrialError as error:
        outcome.give_up(label, str(error), broken=True)
        _progress(f"{name}: {label}: {error}")
        return
    for metric, value in metrics.items():
        outcome.record(label, metric, value)
    taken = time.monotonic() - began
    _progress(f"{name}: {repeat + 1}/{settings.repeat} {label} ({taken:.1f} s)")


def run(benchmark: Benchmark, settings: Settings) -> Outcome:
    """Run all repeats; a variant that fails once is not tried again."""
    outcome = Outcome(benchmark)
    for variant in benchmark.variants:
        missing = _missing(benchmark, variant, settings)
        if missing:
            outcome.give_up(variant.label, f"missing: {missing}", broken=False)
            _progress(f"{benchmark.name}: {variant.label}: missing: {missing}")
    for repeat in range(settings.repeat):
        for variant in benchmark.variants:
            if variant.label not in outcome.absent:
                _run_once(outcome, variant, settings, repeat)
    return outcome
