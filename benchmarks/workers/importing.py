"""Time to import what a threaded program needs anyway, and coev.monkey after it.

Usage: importing.py
"""

from __future__ import annotations

import time

from rounds import report


def main() -> None:
    """One cold import: a process can only do it once."""
    began = time.perf_counter_ns()
    import socket, ssl, subprocess, threading  # noqa: E401, F401, I001

    bare = time.perf_counter_ns()
    import coev.monkey  # noqa: F401

    ended = time.perf_counter_ns()
    report(bare=(bare - began) / 1e6, coev=(ended - bare) / 1e6)


if __name__ == "__main__":
    main()
