"""A server, and the program that loads it, each on a core of its own."""

from __future__ import annotations

from harness.benchmark import Variant
from harness.command import command_of
from harness.native import compiled
from harness.process import Child
from harness.settings import Settings, load_core, measured_core

#: From the start of the first server to the last turn of the last one.
_TIME_LIMIT_S = 300.0


def start_server(variant: Variant, settings: Settings, *arguments: object) -> Child:
    """A server on the measured core; its first line will be its port."""
    command = command_of(variant, settings, *arguments)
    return Child(command, core=measured_core(), timeout=_TIME_LIMIT_S)


def start_load(server: Child, source: str, *arguments: object) -> Child:
    """A load on the other core; *source* is the C file that says what it does."""
    words = [compiled(source), server.read_line(), *arguments, server.pid]
    return Child([*map(str, words)], core=load_core(), timeout=_TIME_LIMIT_S)
