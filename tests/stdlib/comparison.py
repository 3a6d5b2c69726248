"""Compare the two runs of a file, case by case, and hold them against the list."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from process import run_file
from request import Outcome, Outcomes, Settings

MISSING = Outcome("missing", "the patched run does not have this case")


@dataclass
class Comparison:
    """One file: how its cases went natively and patched."""

    file: str
    native: int = 0  # cases that are good natively
    patched: int = 0  # of these, how many are good patched
    listed: list[str] = field(default_factory=list)  # differ, as the list says
    differ: dict[str, str] = field(default_factory=dict)  # case: what became of it
    unlisted: list[str] = field(default_factory=list)  # listed, yet good: an error
    unstable: list[str] = field(default_factory=list)  # differed once, good when repeated
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return not self.differ and not self.unlisted


def read_list(path: Path, version: str) -> dict[str, str]:
    """Return the reason of each case that *path* lists for *version* ("3.13").

    A line is a case, the versions with commas between them, and the reason.
    """
    listed: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines() if path.exists() else (), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            versions, case, reason = line.split(None, 2)
        except ValueError:
            raise SystemExit(f"{path}:{number}: expected versions, case and reason") from None
        if version in versions.split(","):
            listed[case] = reason
    return listed


def compare(settings: Settings, file: str, native: Outcomes, listed: dict[str, str]) -> Comparison:
    """Run *file* patched and say what differs from *native*."""
    result = Comparison(file)
    good = [case for case, outcome in native.items() if outcome.good]
    if not good:
        return result
    patched = run_file(settings, file, patched=True)
    for case in good:
        result.native += 1
        outcome = patched.get(case, MISSING)
        if _same(native[case], outcome):
            _agreed(settings, result, case, listed)
        elif case.replace(" ", "_") in listed:
            result.listed.append(case)
        elif _differs_again(settings, file, case, native):
            result.differ[case] = f"{outcome.state}: {_last_line(outcome.text)}"
        else:
            result.patched += 1
            result.unstable.append(case)
    return result


def _same(native: Outcome, patched: Outcome) -> bool:
    return native.state == patched.state


def _agreed(settings: Settings, result: Comparison, case: str, listed: dict[str, str]) -> None:
    result.patched += 1
    if case.replace(" ", "_") in listed:
        again = run_file(settings, result.file, patched=True, only=[case])
        if again.get(case, MISSING).good:
            result.unlisted.append(case)


def _differs_again(settings: Settings, file: str, case: str, native: Outcomes) -> bool:
    """Whether *case*, alone, is never as natively in as many runs as there may be."""
    alone = [] if "(" in case else [case]  # what is about a class or file has no own run
    for _ in range(settings.repeat):
        if _same(
            native[case], run_file(settings, file, patched=True, only=alone).get(case, MISSING)
        ):
            return False
    if not settings.repeat or not alone:
        return True
    if _same(native[case], run_file(settings, file, patched=False, only=alone).get(case, MISSING)):
        return True
    # It needs the cases before it, or the machine has changed: the whole file decides.
    again = run_file(settings, file, patched=True).get(case, MISSING)
    return not _same(native[case], again) and _same(
        native[case], run_file(settings, file, patched=False).get(case, MISSING)
    )


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:200] if lines else ""
