"""The suite's own C programs, compiled when first needed."""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

from harness.process import TrialError
from harness.settings import BENCHMARKS_FOLDER


@functools.cache
def _build_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="coev-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def compiled(source: str) -> str:
    """The path of the program built from *source*, relative to ``benchmarks/``.

    :raises TrialError: there is no compiler, or no libev to link with.
    """
    program = _build_folder() / Path(source).stem
    command = ["cc", "-O2", "-Wall", "-Wextra", "-pthread", "-o", str(program)]
    command += [str(BENCHMARKS_FOLDER / source), "-lev"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TrialError(f"cannot compile {source}: {error}") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[0]
        raise TrialError(f"cannot compile {source}: {reason}")
    return str(program)
