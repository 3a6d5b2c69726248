"""Runs an unchanged script after a peer's monkey patch.

Usage: patched.py gevent|eventlet SCRIPT ARGUMENTS...
"""

from __future__ import annotations

import os
import runpy
import sys


def patch(peer: str) -> None:
    """Patch the standard library the way *peer* recommends."""
    if peer == "gevent":
        from gevent import monkey

        monkey.patch_all()
    elif peer == "eventlet":
        import eventlet

        eventlet.monkey_patch()
    else:
        raise SystemExit(f"unknown peer: {peer}")


if __name__ == "__main__":
    _, peer, script, *arguments = sys.argv
    patch(peer)
    sys.argv = [script, *arguments]
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    runpy.run_path(script, run_name="__main__")
