"""Runs a benchmark.

Every repeat runs every variant once, so that all see the same machine.
"""

from __future__ import annotations

import shutil
import time

from harness.benchmark import Benchmark, Variant
from harness.interpreter import module_version
from harness.outcome import Outcome
from harness.process import TrialError
from harness.progress import progress
from harness.settings import Settings


def _missing(benchmark: Benchmark, variant: Variant, settings: Settings) -> str:
    programs = [name for name in benchmark.programs if shutil.which(name) is None]
    modules = [name for name in variant.modules if module_version(settings.python, name) is None]
    return ", ".join(programs + modules)


def _repeat_once(outcome: Outcome, settings: Settings, repeat: int) -> None:
    benchmark = outcome.benchmark
    present = [each for each in benchmark.variants if each.label not in outcome.absent]
    began = time.monotonic()
    for variant, result in benchmark.repeat(present, settings):
        if isinstance(result, TrialError):
            outcome.give_up(variant.label, str(result), broken=True)
            progress(f"{benchmark.name}: {variant.label}: {result}")
            continue
        for metric, value in result.items():
            outcome.record(variant.label, metric, value)
        taken = time.monotonic() - began
        progress(
            f"{benchmark.name}: {repeat + 1}/{settings.repeat} {variant.label} ({taken:.1f} s)"
        )


def run(benchmark: Benchmark, settings: Settings) -> Outcome:
    """Run all repeats; a variant that fails once is not tried again."""
    outcome = Outcome(benchmark)
    for variant in benchmark.variants:
        missing = _missing(benchmark, variant, settings)
        if missing:
            outcome.give_up(variant.label, f"missing: {missing}", broken=False)
            progress(f"{benchmark.name}: {variant.label}: missing: {missing}")
    for repeat in range(settings.repeat):
        _repeat_once(outcome, settings, repeat)
    return outcome
