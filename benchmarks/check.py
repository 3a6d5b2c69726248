#!/usr/bin/env python3
"""Count the instructions of hot paths, and hold them against the committed numbers.

callgrind counts what a path executes, in two runs of different length: their difference,
divided by that of the lengths, is free of everything that happens once. Of paths named
"lines" it counts how many cache lines of data have to come from memory, in a simulated
cache that is too small for what a crowd of coroutines touches. Neither depends on the
machine's speed or load, but on the compiler and on how the interpreter was built; numbers
are kept for each such combination. Of one that is not known nothing can be said, and that
is not a failure.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
_WORKER = FOLDER / "workers/instructions.py"
_KINDS = (
    "switch",
    "yield",
    "spawn",
    "thread",
    "lock",
    "hand-over",
    "ready",
    "echo",
    "accept",
    "connection",
    "echo-lines",
    "yield-lines",
    "timer",
    "queue",
)
_SHORT, _LONG = 1_000, 3_000
_MOST_GROWTH = 0.05
_MOST_GROWTH_OF_LINES = 0.15  # where things lie depends on the environment's size, too
_EVENTS = re.compile(r"Events    : (.*)\n.*Collected : (.*)")
_CACHE = ["--cache-sim=yes", "--D1=32768,8,64", "--LL=262144,16,64"]  # bytes, ways, bytes a line
_IDENTITY = """
import json, platform, re, sysconfig
import coev._coev
with open(coev._coev.__file__, "rb") as file:
    # Compilers leave their names in the section .comment.
    compilers = sorted(set(re.findall(rb"(?:GCC: \\(|clang version )[^\\0]+", file.read())))
flags = sysconfig.get_config_var("PY_CFLAGS") or ""
print(json.dumps({
    "python": platform.python_version(),
    "machine": platform.machine(),
    "key": "; ".join([
        platform.python_version(),
        platform.python_compiler(),
        " ".join(re.findall(r"-O\\S|-fno-semantic-interposition|-flto\\S*", flags)),
        *(compiler.decode() for compiler in compilers),
    ]),
}))
"""


def identity(python: str) -> dict[str, str]:
    """What the numbers depend on: the interpreter, the machine, the compilers."""
    done = subprocess.run(
        [python, "-c", _IDENTITY],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",  # here may be sources that are not built for it
    )
    names: dict[str, str] = json.loads(done.stdout)
    return names


def _counts_lines(kind: str) -> bool:
    return kind.endswith("lines")


def collected(python: str, kind: str, count: int) -> int:
    """The instructions, or lines, of one run.

    :raises RuntimeError: the worker or callgrind failed.
    """
    words = ["setarch", "-R", "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    words += _CACHE if _counts_lines(kind) else []
    words += [python, "-m", "coev", str(_WORKER), kind, str(count)]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=300, env=environment, cwd="/"
    )
    found = _EVENTS.search(done.stderr)
    if done.returncode or not found:
        raise RuntimeError(f"{kind}: status {done.returncode}\n{done.stderr}")
    events: dict[str, int] = dict(zip(found[1].split(), map(int, found[2].split())))
    return events["DLmr"] + events["DLmw"] if _counts_lines(kind) else events["Ir"]


def per_operation(python: str, kinds: tuple[str, ...], jobs: int) -> dict[str, float]:
    """Instructions, or lines, of one operation of each kind."""
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        totals = {
            (kind, count): pool.submit(collected, python, kind, count)
            for kind in kinds
            for count in (_SHORT, _LONG)
        }
    return {
        kind: (totals[kind, _LONG].result() - totals[kind, _SHORT].result()) / (_LONG - _SHORT)
        for kind in kinds
    }


def _number(count: float) -> str:
    return f"{count:10.0f}" if count >= 100 else f"{count:10.1f}"


def compare(now: dict[str, float], known: dict[str, float]) -> tuple[list[str], bool]:
    """The lines of the table; whether every path has a number and none grew too much."""
    good = True
    lines = [f"{'instructions':12} {'committed':>10} {'now':>10}"]
    for kind, count in now.items():
        if kind in known:
            growth = count / known[kind] - 1
            most = _MOST_GROWTH_OF_LINES if _counts_lines(kind) else _MOST_GROWTH
            word = "GREW" if growth > most else ""
            line = f"{kind:12} {_number(known[kind])} {_number(count)} {growth:+7.1%}  {word}"
        else:
            word = "NEW: keep its number with --update"
            line = f"{kind:12} {'-':>10} {_number(count)}           {word}"
        good &= not word
        lines.append(line.rstrip())
    return lines, good


def main() -> int:
    """Count and compare; 1 if a path grew by more than a twentieth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, metavar="PATH")
    parser.add_argument("--only", metavar="KIND", action="append", choices=_KINDS)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    parser.add_argument("--update", action="store_true", help="keep the numbers as the new ones")
    options = parser.parse_args()

    names = identity(options.python)
    minor = ".".join(names["python"].split(".")[:2])
    path = FOLDER / f"instructions/cpython-{minor}-{names['machine']}.json"
    table = json.loads(path.read_text()) if path.exists() else {}
    known = table.get(names["key"], {})
    now = per_operation(options.python, tuple(options.only or _KINDS), options.jobs)

    print(names["key"])
    lines, good = compare(now, known)
    print("\n".join(lines))
    if options.update:
        table[names["key"]] = {**known, **{kind: round(count, 1) for kind, count in now.items()}}
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")
        print(f"kept in {path.relative_to(FOLDER.parent)}")
        return 0
    if not known:
        print("No numbers of this combination are committed: nothing to compare with (--update)")
        return 0
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
