"""Run a program with threads as coroutines.

    python -m coev SCRIPT [ARGS ...]
    python -m coev -m MODULE [ARGS ...]
"""

import sys

import coev.monkey  # first, before the program imports anything


def _usage():
    print(__doc__.strip(), file=sys.stderr)
    raise SystemExit(2)


def _run():
    import os
    import runpy

    arguments = sys.argv[1:]
    if not arguments:
        _usage()
    if arguments[0] in ("-h", "--help"):
        print(__doc__.strip())
        return
    if arguments[0] == "-m":
        if len(arguments) < 2:
            _usage()
        sys.argv = arguments[1:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        return
    sys.argv = arguments
    sys.path[0] = os.path.dirname(os.path.abspath(arguments[0]))
    runpy.run_path(arguments[0], run_name="__main__")


_run()
