#!/usr/bin/env python3
"""Write the recorded results into docs/stdlib.md, between its two markers.

Shows the sum of each version, and every file in which anything is listed, unstable or
different; the files in which all cases pass are counted only.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from comparison import read_list

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent.parent / "docs" / "stdlib.md"
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"
KEYS = ("listed", "unstable", "differ")


def _sums(versions: list[dict[str, Any]]) -> list[str]:
    lines = ["| Python | files | pass natively | pass under coev | listed | unstable | differ |"]
    lines.append("|---|---|---|---|---|---|---|")
    for each in versions:
        files = each["files"].values()
        counts = [sum(len(file.get(key, ())) for file in files) for key in KEYS]
        cells = [each["python"], len(files), each["native"], each["coev"], *counts]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines


def _cases(versions: list[dict[str, Any]]) -> list[str]:
    """Return a line for each case that is not as natively, with its reason if listed."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for each in versions:
        version = ".".join(each["python"].split(".")[:2])
        reasons = read_list(HERE / "differences.txt", version)
        for file in each["files"].values():
            for key in KEYS:
                for case in file.get(key, ()):
                    reason = reasons.get(case.replace(" ", "_"), "")
                    found.setdefault((key, case, reason), []).append(version)
    lines = ["| | case | versions | reason |", "|---|---|---|---|"]
    for (key, case, reason), names in sorted(found.items()):
        lines.append(f"| {key} | `{case.removeprefix('test.')}` | {', '.join(names)} | {reason} |")
    return lines


def main() -> None:
    """Rewrite the page."""
    paths = sorted((HERE / "results").glob("*.json"))
    versions = [json.loads(path.read_text()) for path in paths]
    head, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    lines = [*_sums(versions), "", *_cases(versions), ""]
    PAGE.write_text(head + BEGIN + "\n".join(lines) + END + tail)


if __name__ == "__main__":
    main()
