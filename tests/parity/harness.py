"""Runs the scenarios of one file, natively or as coroutines, and prints what each said.

    python harness.py native|coev FILE

A scenario is a public function of the file that takes ``say``; what it says must
not depend on timing. The outcomes are one line of JSON each on standard output.
"""

import sys

if sys.argv[1] == "coev":
    import coev.monkey  # noqa: F401

import faulthandler
import inspect
import json
import re
import runpy
import signal
import threading

SCENARIO_SECONDS = 20


def normalized(value):
    """Return *value* as text without what differs from run to run: addresses."""
    return re.sub(r"0x[0-9a-f]+", "0x", value if isinstance(value, str) else repr(value))


def error_of(function, *args, **kwargs):
    """Call *function* and return its exception as text, or its result."""
    try:
        result = function(*args, **kwargs)
    except BaseException as error:
        number = getattr(error, "errno", None)
        text = f"{type(error).__module__}.{type(error).__qualname__}: {error}"
        return normalized(text if number is None else f"{text} (errno {number})")
    return normalized(result)


def run(function):
    said = []

    def say(*values):
        said.append(" ".join(normalized(value) for value in values))

    try:
        function(say)
    except BaseException as error:
        say(f"raised {type(error).__name__}: {error}")
    return said


def end_if_it_hangs():
    # The thread that watches must get no signal that a scenario waits for, also not
    # before it has come to blocking them itself.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    faulthandler.dump_traceback_later(SCENARIO_SECONDS, exit=True)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def main():
    path = sys.argv[2]
    namespace = runpy.run_path(path, init_globals={"error_of": error_of}, run_name="scenarios")
    out = sys.stdout
    for name, function in namespace.items():
        if not inspect.isfunction(function) or name.startswith("_"):
            continue
        if list(inspect.signature(function).parameters) != ["say"]:
            continue
        end_if_it_hangs()
        print(json.dumps([name, run(function)]), file=out, flush=True)
    faulthandler.cancel_dump_traceback_later()
    for thread in threading.enumerate():
        if thread.daemon or thread is threading.main_thread():
            continue
        thread.join(1)  # a Timer may still be on its way out
        if thread.is_alive():
            print(json.dumps(["left behind", repr(thread)]), file=out, flush=True)


main()
