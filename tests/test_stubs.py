"""The type stubs: they say what the module does, and mypy understands them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import coev

pytest.importorskip("mypy", reason="the stubs are checked where mypy is installed (extra 'lint')")

TESTS = Path(__file__).resolve().parent
INSTALLED = Path(coev.__file__).resolve().parent.parent


def check(tmp_path, *command):
    environment = dict(os.environ)
    if INSTALLED.name != "site-packages":  # which mypy finds, and does not want to be told
        environment.update(MYPYPATH=str(INSTALLED), PYTHONPATH=str(INSTALLED))
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=tmp_path,  # neither the source tree nor its configuration
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_stubs_say_what_the_modules_have(tmp_path):
    check(tmp_path, "mypy.stubtest", "coev")


@pytest.mark.slow
def test_types_reach_a_program_checked_strictly(tmp_path):
    program = str(TESTS / "typed_program.py")
    check(tmp_path, "mypy", "--strict", "--warn-unused-ignores", "--no-incremental", program)


@pytest.mark.slow
def test_stubs_are_strictly_typed(tmp_path):
    check(tmp_path, "mypy", "--strict", "--no-incremental", "-p", "coev")


@pytest.mark.parametrize("generic", [coev.Coroutine, coev.Queue, coev.Channel])
def test_generic_types_can_be_subscripted_in_annotations(generic):
    assert generic[int].__origin__ is generic
    assert generic[int].__args__ == (int,)
