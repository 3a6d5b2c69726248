"""Ways to run one trial of each variant.

``one_by_one`` is for what measures itself from its start to its end. Servers under load
take turns instead: all of them are up, and the load goes to one of them after the other,
again and again, so that a machine that is slow for some seconds is slow for all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from harness.benchmark import Metrics, Trial, Variant
from harness.process import Child, TrialError
from harness.progress import progress
from harness.settings import Settings

#: How long one turn is.
TURN_S = 0.5


def one_by_one(
    trial: Callable[[Variant, Settings], Metrics],
) -> Callable[[Sequence[Variant], Settings], Iterator[Trial]]:
    """Run *trial* on one variant after the other."""

    def repeat(variants: Sequence[Variant], settings: Settings) -> Iterator[Trial]:
        for variant in variants:
            try:
                yield variant, trial(variant, settings)
            except TrialError as error:
                yield variant, error

    return repeat


def by_turns(
    load: Callable[[Variant, Settings], contextlib.AbstractContextManager[Child]],
    turns: int = 8,
) -> Callable[[Sequence[Variant], Settings], Iterator[Trial]]:
    """Let the variants' servers be up side by side, and under load by turns.

    *load* starts a server and its load, ends both on leaving, and gives the load: a child
    that says "ready", and for each line it is given measures for ``TURN_S`` and answers
    with the metrics of all its turns so far.
    """

    def repeat(variants: Sequence[Variant], settings: Settings) -> Iterator[Trial]:
        loads: dict[Variant, Child] = {}
        results: dict[Variant, Metrics | TrialError] = {}
        with contextlib.ExitStack() as stack:
            for variant in variants:
                try:
                    loads[variant] = stack.enter_context(load(variant, settings))
                    loads[variant].wait_until_ready()
                    progress(f"  {variant.label} is up")
                except TrialError as error:
                    results[variant] = error
            for turn in range(settings.scaled(turns)):
                # There and back, so that none always comes after the same one.
                for variant in variants[:: -1 if turn % 2 else 1]:
                    if isinstance(results.get(variant), TrialError):
                        continue
                    try:
                        loads[variant].write_line()
                        results[variant] = loads[variant].read_metrics()
                    except TrialError as error:
                        results[variant] = error
        yield from results.items()

    return repeat
