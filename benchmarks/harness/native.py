"""The suite's own C programs, compiled when first needed."""

from __future__ import annotations

import atexit
import functools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from harness.process import TrialError
from harness.settings import BENCHMARKS_FOLDER

_OPTIONS = re.compile(r"^// Compile with: (.*)$", re.MULTILINE)


@functools.cache
def _build_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="coev-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def compiled(source: str) -> str:
    """The path of what is built from *source*, which is relative to ``benchmarks/``.

    What it needs beyond the usual, such as libraries, it says itself in a line
    ``// Compile with: ...``.

    :raises TrialError: there is no compiler, or a library to link with is missing.
    """
    program = _build_folder() / Path(source).stem
    path = BENCHMARKS_FOLDER / source
    command = ["cc", "-O2", "-Wall", "-Wextra", "-pthread", "-o", str(program), str(path)]
    for options in _OPTIONS.findall(path.read_text()):
        command += options.split()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TrialError(f"cannot compile {source}: {error}") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[0]
        raise TrialError(f"cannot compile {source}: {reason}")
    return str(program)
