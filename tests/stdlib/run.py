#!/usr/bin/env python3
"""Run CPython's own tests natively and under coev.monkey, and compare case by case.

    run.py [FILE ...] [--list gevent|blocking|all] [--python PATH ...] [options]

A FILE is the name of a test file (``test_queue``), of one in a package
(``test_asyncio.test_locks``) or of a package. A case that passes natively must pass
under coev, unless differences.txt lists it; one that is listed must not pass. The exit
status is 0 if that is so, 1 if not, 2 if nothing could be run.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import file_sets
import report
from comparison import Comparison, compare, read_list
from process import run_file
from request import Outcome, Outcomes, Settings

HERE = Path(__file__).resolve().parent


def _parser() -> argparse.ArgumentParser:
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", metavar="FILE", nargs="*")
    parser.add_argument("--list", choices=sorted(file_sets.SETS), help="a set of files (all)")
    parser.add_argument("--without", action="append", default=[], metavar="FILE")
    parser.add_argument(
        "--python", default=sys.executable, metavar="PATH", help="the interpreter (this one)"
    )
    parser.add_argument(
        "--coev", type=Path, metavar="FOLDER", help="where coev is, if it is not installed"
    )
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument(
        "--repeat",
        type=int,
        default=2,
        metavar="N",
        help="run a case that differs N times alone before it counts (2)",
    )
    parser.add_argument(
        "--timeout", type=float, default=120, metavar="SECONDS", help="for each case (120)"
    )
    parser.add_argument(
        "-u", "--use", default="", metavar="RESOURCES", help="what the tests may use (nothing)"
    )
    parser.add_argument(
        "--suite", type=Path, metavar="FOLDER", help="test files (the interpreter's own)"
    )
    parser.add_argument(
        "--differences", type=Path, default=HERE / "differences.txt", metavar="FILE"
    )
    parser.add_argument(
        "--record", type=Path, metavar="FOLDER", help="put the results there, as VERSION.json"
    )
    parser.add_argument(
        "--native", type=Path, metavar="FILE", help="keep native outcomes here and use them again"
    )
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep the output of the tests")
    return parser


def _ask(settings: Settings, code: str) -> str:
    """Return what *code* prints in the interpreter under test."""
    environment = dict(os.environ)
    if settings.coev:
        environment["PYTHONPATH"] = str(settings.coev)
    command = [settings.python, "-c", code]
    done = subprocess.run(  # elsewhere, for here may be sources that are not built
        command, capture_output=True, text=True, env=environment, timeout=60, cwd="/"
    )
    if done.returncode:
        print(f"{settings.python} -c {code!r}:\n{done.stderr}", file=sys.stderr)
        raise SystemExit(2)
    return done.stdout.strip()


class NativeOutcomes:
    """What files did natively, kept in a JSON file for the next run if there is one."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._kept: dict[str, dict[str, str]] = {}
        if path and path.exists():
            self._kept = json.loads(path.read_text())

    def of(self, settings: Settings, file: str) -> Outcomes:
        if file not in self._kept:
            outcomes = run_file(settings, file, patched=False)
            self._kept[file] = {case: outcome.state for case, outcome in outcomes.items()}
            if self._path:
                self._path.write_text(json.dumps(self._kept))
        return {case: Outcome(state) for case, state in self._kept[file].items()}


def _run_all(
    settings: Settings,
    files: list[str],
    listed: dict[str, str],
    native: NativeOutcomes,
    jobs: int,
) -> list[Comparison]:
    def run(file: str) -> Comparison:
        begin = time.monotonic()
        result = compare(settings, file, native.of(settings, file), listed)
        result.seconds = time.monotonic() - begin
        return result

    results = []
    with ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(run, file) for file in files]
        for number, each in enumerate(as_completed(running), 1):
            result = each.result()
            results.append(result)
            print(f"[{number}/{len(files)}] {report.row(result)} {result.seconds:7.1f} s")
            print("".join(line + "\n" for line in report.complaints(result)), end="", flush=True)
    return sorted(results, key=lambda each: each.file)


def main() -> int:
    """Run what was asked for."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    # What a shell runs in the background ignores it, and so would every test.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="coev-stdlib-logs-") as logs:
        return _run(options, options.logs or Path(logs))


def _run(options: argparse.Namespace, logs: Path) -> int:
    logs.mkdir(parents=True, exist_ok=True)
    settings = Settings(
        python=options.python,
        coev=options.coev and options.coev.resolve(),
        suite=options.suite and options.suite.resolve(),
        timeout=options.timeout,
        repeat=options.repeat,
        resources=tuple(options.use.split(",")) if options.use else (),
        logs=logs.resolve(),
    )
    python = _ask(settings, "import coev, platform; print(platform.python_version())")
    version = ".".join(python.split(".")[:2])
    folder = settings.suite or Path(_ask(settings, "import test; print(test.__path__[0])"))
    present = file_sets.files(folder)
    wanted = options.files or file_sets.SETS[options.list or "all"]
    chosen = file_sets.choose(present, wanted)
    chosen = [file for file in chosen if file not in file_sets.choose(chosen, options.without)]
    if not chosen:
        print("no such file", file=sys.stderr)
        return 2
    listed = read_list(options.differences, version)
    print(f"Python {python}, {len(chosen)} files, {len(listed)} listed cases", flush=True)
    native = NativeOutcomes(options.native)
    results = _run_all(settings, chosen, listed, native, options.jobs)
    print(report.table(results))
    if options.record:
        report.record(options.record / f"{version}.json", python, results)
    return 0 if all(each.ok for each in results) else 1


if __name__ == "__main__":
    sys.exit(main())
