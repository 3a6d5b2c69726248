"""Results as a table and as JSON that changes only where the results do."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from comparison import Comparison

HEADER = f"{'file':44} {'native':>7} {'coev':>7} {'listed':>7} {'unstable':>9} {'differ':>7}"


def row(result: Comparison) -> str:
    """Return a line of the table."""
    return (
        f"{result.file:44} {result.native:7} {result.patched:7} {len(result.listed):7}"
        f" {len(result.unstable):9} {len(result.differ):7}"
    )


def complaints(result: Comparison) -> list[str]:
    """Return what makes a run of the tests fail, a line each."""
    lines = [f"  {case}: {what}" for case, what in sorted(result.differ.items())]
    lines += [f"  {case}: is on the list, and passes" for case in sorted(result.unlisted)]
    return lines


def table(results: Iterable[Comparison]) -> str:
    """Return the rows of all files with passing cases, what is wrong, and the sum."""
    shown = [each for each in results if each.native]
    total = Comparison("all")
    lines = [HEADER]
    for each in shown:
        lines += [row(each), *complaints(each)]
        total.native += each.native
        total.patched += each.patched
        total.listed += each.listed
        total.unstable += each.unstable
        total.differ.update(each.differ)
    return "\n".join([*lines, row(total)])


def record(path: Path, python: str, results: Iterable[Comparison]) -> None:
    """Put *results* into the JSON at *path*; files that were not run stay as they are."""
    files: dict[str, Any] = {}
    if path.exists():
        files = json.loads(path.read_text())["files"]
    for each in results:
        files.pop(each.file, None)
        if each.native:
            files[each.file] = _numbers(each)
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {
        "python": python,
        "native": sum(each["native"] for each in files.values()),
        "coev": sum(each["coev"] for each in files.values()),
        "files": dict(sorted(files.items())),
    }
    path.write_text(json.dumps(whole, indent=1) + "\n")


def _numbers(result: Comparison) -> dict[str, Any]:
    numbers: dict[str, Any] = {"native": result.native, "coev": result.patched}
    for key in ("listed", "unstable", "differ"):
        if getattr(result, key):
            numbers[key] = sorted(getattr(result, key))
    return numbers
