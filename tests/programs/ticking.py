"""Run a module beside a ticker: python -m coev ticking.py MODULE [ARGS ...]"""

import runpy
import sys

import ticker  # noqa: F401 - starts it

if __name__ == "__main__":
    del sys.argv[0]
    sys.path[0] = ""  # as -m does
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
