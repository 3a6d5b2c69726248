"""The command line of a variant's process."""

from __future__ import annotations

from harness.benchmark import Variant
from harness.native import compiled
from harness.settings import BENCHMARKS_FOLDER, Settings

#: Launchers: what an unchanged threading program runs under.
COEV = ("-m", "coev")
GEVENT = (str(BENCHMARKS_FOLDER / "workers/patched.py"), "gevent")
EVENTLET = (str(BENCHMARKS_FOLDER / "workers/patched.py"), "eventlet")


def command_of(variant: Variant, settings: Settings, *arguments: object) -> list[str]:
    """What to execute to run *variant*; *arguments* follow its own."""
    tail = [*variant.arguments, *map(str, arguments)]
    if variant.script.endswith(".c"):
        return [compiled(variant.script), *tail]
    script = str(BENCHMARKS_FOLDER / variant.script)
    return [settings.python, *variant.launcher, script, *tail]
