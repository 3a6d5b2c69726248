"""Run the text of a script in a Python of its own.

Crashes, interpreter exits, signals and everything that imports ``coev.monkey``
are tested so, in a process that nothing else shares.
"""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import coev

# Where the coev under test is, which need not be where its sources are.
ROOT = Path(coev.__file__).resolve().parent.parent
TESTS = Path(__file__).resolve().parent

#: How long the stress tests last, in seconds.
STRESS_SECONDS = float(os.environ.get("COEV_STRESS_SECONDS", "1"))


def run_script(text, *args, timeout=30, env=None, flags=(), stdin=None):
    """Run *text* and return its CompletedProcess, whatever its exit status.

    Text is dedented. A script that does not end in *timeout* seconds gets
    SIGABRT, so that faulthandler says where it hung, and is killed.
    """
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), str(TESTS)]))
    environment["PYTHONFAULTHANDLER"] = "1"
    environment.pop("PYTHONUNBUFFERED", None)
    environment.update(env or {})
    command = [sys.executable, *flags, "-c", textwrap.dedent(text), *map(str, args)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL if stdin is None else stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        out, err = _abort(process)
        raise AssertionError(
            f"the script hung for {timeout} s\n--- stdout\n{out}\n--- stderr\n{err}"
        ) from None
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def check_script(text, *args, expect=None, **options):
    """Run *text*, require exit status 0 and an empty stderr, and return its stdout.

    *expect*, if given, is what stdout must be, without the white space around it.
    """
    done = run_script(text, *args, **options)
    assert done.returncode == 0 and not done.stderr, describe(done)
    if expect is not None:
        assert done.stdout.strip() == expect, describe(done)
    return done.stdout


def describe(done):
    """Return what a script did, for the message of a failed assertion."""
    return (
        f"exit status {_status(done.returncode)}"
        f"\n--- stdout\n{done.stdout}\n--- stderr\n{done.stderr}"
    )


def _status(code):
    return code if code >= 0 else signal.Signals(-code).name


def _abort(process):
    try:
        os.kill(process.pid, signal.SIGABRT)
        return process.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        pass
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)  # with what it started
        except ProcessLookupError:
            pass
    return process.communicate()
