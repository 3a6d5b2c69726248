"""Parity: the same scenario must say the same natively and as coroutines."""

import functools
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from run_script import ROOT, describe

PARITY = Path(__file__).resolve().parent / "parity"


def scenarios(unit):
    """Return the names of the scenarios in ``parity/<unit>.py``."""
    text = (PARITY / f"{unit}.py").read_text()
    return re.findall(r"^def ([a-z]\w*)\(say\):", text, re.MULTILINE)


@functools.cache
def outcomes(unit, mode):
    """Run every scenario of *unit* in one process; return what each said, and the process."""
    command = [sys.executable, str(PARITY / "harness.py"), mode, str(PARITY / f"{unit}.py")]
    environment = dict(os.environ, PYTHONPATH=str(ROOT), PYTHONFAULTHANDLER="1")
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=environment, check=False
    )
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    return dict(said), done  # a process that crashed or hung has said what it came to


def assert_same(unit, scenario):
    """Require that *scenario* ran, and said the same in both modes."""
    native, native_process = outcomes(unit, "native")
    assert scenario in native, describe(native_process)
    coroutines, process = outcomes(unit, "coev")
    assert scenario in coroutines, describe(process)
    differences = [
        f"natively: {expected}\nas coroutines: {got}"
        for expected, got in itertools.zip_longest(native[scenario], coroutines[scenario])
        if expected != got
    ]
    assert not differences, "\n".join(differences)
    assert native[scenario], "a scenario that says nothing proves nothing"


def assert_clean_end(unit):
    """Require that both processes ended well, with every thread and nothing else said."""
    for mode in ("native", "coev"):
        said, process = outcomes(unit, mode)
        assert process.returncode == 0, describe(process)
        assert "left behind" not in said, said["left behind"]
        assert not process.stderr, describe(process)
