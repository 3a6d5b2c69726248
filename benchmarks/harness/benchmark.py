"""What a benchmark is: variants measured side by side, and bars they must meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.process import TrialError
from harness.settings import Settings

#: What one trial of one variant measured, by metric name.
Metrics = Mapping[str, float]


@dataclass(frozen=True)
class Variant:
    """One contender: coev, or a peer doing the same work."""

    label: str
    #: Modules that the measured interpreter must have.
    modules: tuple[str, ...] = ()
    #: Options that the interpreter gets before the script, e.g. ``-m coev``.
    launcher: tuple[str, ...] = ()
    #: The script, relative to ``benchmarks/``, or a ``.c`` file to compile.
    script: str = ""
    arguments: tuple[str, ...] = ()
    #: Shows what the machine allows: runs even where only the bars are asked for.
    is_limit: bool = False


#: A variant, and what it measured or how it failed.
Trial = tuple[Variant, Metrics | TrialError]


@dataclass(frozen=True)
class Bar:
    """``subject`` may reach at most ``limit``, times ``peer`` where one is given."""

    metric: str
    subject: str
    limit: float
    peer: str | None = None


@dataclass(frozen=True)
class Benchmark:
    """A named question, answered by running *repeat* on all variants several times."""

    name: str
    summary: str
    #: Metric name to unit, in the order of the report.
    units: Mapping[str, str]
    variants: tuple[Variant, ...]
    #: One trial of each: see ``harness/repeat.py``.
    repeat: Callable[[Sequence[Variant], Settings], Iterator[Trial]]
    bars: tuple[Bar, ...] = ()
    #: Programs that the machine must have, such as a C compiler.
    programs: tuple[str, ...] = ()
    #: Left out unless ``--full`` or ``--only`` asks for it.
    only_when_full: bool = False

    def with_bars_only(self) -> Benchmark:
        """The same with just the variants that its bars compare, and the machine's limit."""
        named = {label for bar in self.bars for label in (bar.subject, bar.peer)}
        variants = tuple(each for each in self.variants if each.is_limit or each.label in named)
        return replace(self, variants=variants)
