"""What the measured interpreter has installed."""

from __future__ import annotations

import functools
import subprocess

from harness.settings import NEUTRAL_FOLDER

_VERSION = """
import platform
print(platform.python_implementation(), platform.python_version())
"""
_MODULE = """
import importlib, importlib.metadata, sys
importlib.import_module(sys.argv[1])
try:
    print(importlib.metadata.version(sys.argv[1]))
except importlib.metadata.PackageNotFoundError:
    print("not installed, found on the path")
"""


class InterpreterError(Exception):
    """The interpreter cannot be run."""


def _last_line(python: str, *arguments: str) -> str:
    done = subprocess.run(
        [python, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=NEUTRAL_FOLDER,
    )
    return done.stdout.splitlines()[-1]


@functools.cache
def version(python: str) -> str:
    """Its implementation and version, such as ``CPython 3.12.1``.

    :raises InterpreterError: *python* is not an interpreter.
    """
    try:
        return _last_line(python, "-c", _VERSION)
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        raise InterpreterError(f"cannot run {python}: {error}") from None


@functools.cache
def module_version(python: str, name: str) -> str | None:
    """The version of module *name*; None if it cannot be imported.

    Every module gets a process of its own: some refuse each other's company.
    """
    try:
        return _last_line(python, "-c", _MODULE, name)
    except subprocess.CalledProcessError:
        return None
