"""Run one file in processes of its own until each of its cases has an outcome.

A process has a session, a folder for temporary files and a working folder of its own,
and no input. One that crashes or hangs costs the case it was at: the next process
goes on with the cases that are left.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from request import Outcome, Outcomes, Request, Settings

LAUNCHER = Path(__file__).with_name("launch.py")

#: Processes that one file gets before the rest of its cases is given up.
PROCESSES = 12


def run_file(settings: Settings, file: str, *, patched: bool, only: Sequence[str] = ()) -> Outcomes:
    """Return the outcomes of *only*, or of all cases of *file*."""
    outcomes: Outcomes = {}
    for attempt in range(PROCESSES):
        done = [case for case in outcomes if not _belongs_to_process(case)]
        ended = _run_process(settings, file, patched, only, done, outcomes, attempt)
        if ended:
            break
    return outcomes


def _belongs_to_process(case: str) -> bool:
    return case.endswith(("(exit)", "(import)", "(environment)", "(between cases)"))


def _run_process(
    settings: Settings,
    file: str,
    patched: bool,
    only: Sequence[str],
    done: list[str],
    outcomes: Outcomes,
    attempt: int,
) -> bool:
    """Add to *outcomes*; return whether there is nothing left to run."""
    folder = Path(tempfile.mkdtemp(prefix="coev-stdlib-"))
    work = folder / "work"
    work.mkdir()
    request = Request(
        settings.module(file),
        str(folder / "journal"),
        str(settings.suite) if settings.suite else None,
        list(only),
        done,
        list(settings.resources),
    )
    launcher = [*(["-m", "coev"] if patched else []), str(LAUNCHER)]
    command = [settings.python, *launcher, json.dumps(asdict(request))]
    log = settings.logs / f"{file}.{'patched' if patched else 'native'}.log"
    try:
        with open(log, "ab" if attempt or only else "wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=work,
                env=_environment(settings, folder),
                start_new_session=True,
            )
            hung = _wait(process, Path(request.journal), settings.timeout)
        return _read(Path(request.journal), request.module, hung, process.returncode, outcomes)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _environment(settings: Settings, folder: Path) -> dict[str, str]:
    environment = {key: value for key, value in os.environ.items() if key[:6] != "PYTHON"}
    if settings.coev:
        environment["PYTHONPATH"] = str(settings.coev)
    environment["TMPDIR"] = str(folder)
    return environment


def _wait(process: subprocess.Popen[bytes], journal: Path, timeout: float) -> bool:
    """Wait for the end; return whether the journal stood still for too long."""
    hung = False
    size = 0
    since = time.monotonic()
    try:
        while not hung:
            try:
                process.wait(0.2)
                break
            except subprocess.TimeoutExpired:
                now = journal.stat().st_size if journal.exists() else 0
                if now != size:
                    size, since = now, time.monotonic()
                hung = time.monotonic() - since > timeout
        if hung:
            process.send_signal(signal.SIGABRT)  # faulthandler tells where it is
            process.wait(5)
    except subprocess.TimeoutExpired:
        pass
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)  # with all that it left running
        except ProcessLookupError:
            pass
        process.wait()
    return hung


def _read(journal: Path, module: str, hung: bool, status: int, outcomes: Outcomes) -> bool:
    """Add what *journal* says to *outcomes*; return whether the file was finished."""
    under_way = f"{module} (import)"
    for line in journal.read_text().splitlines() if journal.exists() else ():
        entry = json.loads(line)
        case, state = entry["case"], entry["state"]
        if state == "run":
            under_way = case
        else:
            if case not in outcomes or outcomes[case].good:
                outcomes[case] = Outcome(state, entry["text"])
            under_way = f"{module} (between cases)"
    if hung:
        outcomes[under_way] = Outcome("hang")
    elif status < 0:
        outcomes[under_way] = Outcome("crash", signal.Signals(-status).name)
    elif status > 0:
        outcomes[under_way] = Outcome("error", f"exit status {status}")
    elif under_way.endswith("(exit)"):
        outcomes[under_way] = Outcome("pass")
    else:  # something called os._exit(0)
        outcomes[under_way] = Outcome("crash", "the process ended")
    return under_way.endswith(("(exit)", "(import)"))
