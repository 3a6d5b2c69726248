"""The demo: unmodified threaded programs, with native threads and under coev.

    python examples/demo.py

Runs echo_server.py and load.py, which know nothing of coev, as two processes:
once as `python SCRIPT` and once as `python -m coev SCRIPT`, with the same
numbers of connections. Measures the server from outside and prints a table.

Exits with 0 if all went well, 1 if a reply was lost or wrong or coev did not
hold the connections asked for, 2 if it could not begin. What native threads
cannot do on this machine is a note in the table, not a failure.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

from fd_limit import raise_fd_limit
from measuring.progress import Progress
from measuring.run import PYTHON, Result, Run, Settings
from measuring.table import format_table, number

DEFAULT_SIZES = [100, 1000, 10_000]
# A server or load generator opens this many files besides its connections.
OTHER_FILES = 64
# Under coev the server is one OS thread and a few for what cannot be awaited.
# More would mean that connections are still served by native threads.
MOST_COEV_OS_THREADS = 32

HEADS = [
    "mode",
    "asked",
    "held",
    "OS threads",
    "requests/s",
    "user us",
    "sys us",
    "KiB/conn",
    "peak MiB",
    "p50 ms",
    "p99 ms",
    "lost",
    "wrong",
]
LEGEND = """\
requests/s and latency are those of server and load generator together: every
connection sends its next line when it has the reply to the last, so the more
there are, the longer each waits. All else is the server process alone:
user/sys us: its CPU time for one request; KiB/conn: what its resident memory
and page tables grew by for one open connection (without what the kernel keeps
for a socket or a thread); OS threads: with all connections open."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Compare native threads and coev with the same unmodified programs."
    )
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument(
        "--sizes",
        type=parse_sizes,
        default=DEFAULT_SIZES,
        metavar="N,N,...",
        help="numbers of connections, one run each (default: 100,1000,10000)",
    )
    sizes.add_argument("--connections", type=positive, metavar="N", help="this size only")
    parser.add_argument(
        "--modes",
        type=parse_modes,
        default=list(PYTHON),
        metavar="MODE,...",
        help="of native and coev (default: both)",
    )
    parser.add_argument(
        "--requests",
        type=positive,
        default=100_000,
        help="requests a run, all connections together (default: 100000)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=10.0,
        help="send no more requests in a run after this long (default: 10)",
    )
    parser.add_argument(
        "--hold",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="hold all connections, silent, before the requests (default: 1)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="give a run up after this long (default: 60)",
    )
    parser.add_argument(
        "--load-mode",
        choices=list(PYTHON),
        help="mode of the load generator (default: that of the server)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    return parser.parse_args()


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def parse_sizes(text: str) -> list[int]:
    return [positive(word) for word in text.split(",")]


def parse_modes(text: str) -> list[str]:
    modes = text.split(",")
    for mode in modes:
        if mode not in PYTHON:
            raise argparse.ArgumentTypeError(f"{mode!r} is none of {', '.join(PYTHON)}")
    return modes


def affordable_sizes(sizes: list[int], fd_limit: int) -> list[int]:
    """*sizes* with those beyond the limit on open files cut down to it."""
    most = fd_limit - OTHER_FILES
    return list(dict.fromkeys(min(size, most) for size in sizes))


def choose_sizes(arguments: argparse.Namespace, progress: Progress) -> list[int]:
    """The sizes to run, after raising the limit on open files for them."""
    asked = [arguments.connections] if arguments.connections else arguments.sizes
    fd_limit = raise_fd_limit(max(asked) + OTHER_FILES)
    progress.say(f"open files: this process and its children may have {fd_limit:,} each")
    sizes = affordable_sizes(asked, fd_limit)
    if sizes != asked:
        progress.say(
            f"that is enough for {fd_limit - OTHER_FILES:,} connections, "
            f"not for {max(asked):,}: going on with what there is"
        )
    return sizes


def choose_cores(progress: Progress) -> tuple[int | None, int | None]:
    """A core for the server and one for the load generator, if there are two."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        progress.say("one core: server and load generator share it")
        return None, None
    progress.say(f"server on core {cores[0]}, load generator on core {cores[1]}")
    return cores[0], cores[1]


def why_no_coev() -> str | None:
    """What keeps this Python from running programs under coev, or None."""
    command = [sys.executable, "-c", "import coev.monkey"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return "import coev.monkey takes longer than 60 s"
    if done.returncode == 0:
        return None
    return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]


def failures(result: Result) -> list[str]:
    """What makes this result a failure of the demo."""
    found = []
    if result.lost or result.wrong:
        found.append(f"{number(result.lost)} replies lost, {number(result.wrong)} wrong")
    if result.mode == "coev":
        if result.connections_held < result.connections_asked:
            found.append(
                f"held {result.connections_held:,} connections, not {result.connections_asked:,}"
            )
        if (result.os_threads or 0) > MOST_COEV_OS_THREADS:
            found.append(f"the server has {result.os_threads:,} OS threads")
        found += result.notes
    return found


def row(result: Result) -> list[str]:
    return [
        result.mode,
        number(result.connections_asked),
        number(result.connections_held),
        number(result.os_threads),
        number(result.requests_per_s),
        number(result.user_us_per_request, 1),
        number(result.system_us_per_request, 1),
        number(result.kib_per_connection, 1),
        number(result.peak_resident_mib, 1),
        number(result.latency_p50_ms, 1),
        number(result.latency_p99_ms, 1),
        number(result.lost),
        number(result.wrong),
    ]


def report(results: list[Result], progress: Progress) -> int:
    """Print the table, the notes and the verdict; return the exit status."""
    progress.say("")
    progress.say(format_table(HEADS, [row(result) for result in results]))
    progress.say(f"\n{LEGEND}\n")
    failed = False
    for result in results:
        name = f"{result.mode}, {result.connections_asked:,} connections"
        found = failures(result)
        failed = failed or bool(found)
        for text in found:
            progress.say(f"FAILED: {name}: {text}")
        for text in result.notes:
            if text not in found:
                progress.say(f"note: {name}: {text}")
    checked = sum(result.requests for result in results)
    if failed or not checked:
        progress.say(f"FAILED: {checked:,} replies were right")
        return 1
    progress.say(f"{checked:,} replies checked, none lost or wrong{held_by_coev(results)}")
    return 0


def held_by_coev(results: list[Result]) -> str:
    held = [result.connections_held for result in results if result.mode == "coev"]
    return f"; coev held {max(held):,} connections at once" if held else ""


def run_all(arguments: argparse.Namespace, progress: Progress) -> list[Result]:
    sizes = choose_sizes(arguments, progress)
    server_core, load_core = choose_cores(progress)
    settings = Settings(
        requests=arguments.requests,
        seconds=arguments.seconds,
        hold_s=arguments.hold,
        timeout_s=arguments.timeout,
        server_core=server_core,
        load_core=load_core,
        load_mode=arguments.load_mode,
    )
    return [
        Run(mode, size, settings, progress).measure() for size in sizes for mode in arguments.modes
    ]


def main() -> int:
    arguments = parse_arguments()
    progress = Progress()
    progress.say(f"Python {platform.python_version()}, Linux {platform.release()}")
    if "coev" in (*arguments.modes, arguments.load_mode) and (reason := why_no_coev()):
        print(
            f"demo: coev cannot be imported ({reason}); install it first, or choose --modes native",
            file=sys.stderr,
        )
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        results = run_all(arguments, progress)
    except KeyboardInterrupt:
        print("\ndemo: interrupted", file=sys.stderr)
        return 130
    if arguments.json:
        text = json.dumps([dataclasses.asdict(result) for result in results], indent=2)
        arguments.json.write_text(text + "\n")
    return report(results, progress)


if __name__ == "__main__":
    sys.exit(main())
