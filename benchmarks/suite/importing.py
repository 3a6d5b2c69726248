"""What importing coev.monkey adds to the start of a program."""

from __future__ import annotations

from harness.benchmark import Bar, Benchmark, Metrics, Variant
from harness.command import command_of
from harness.process import run_for_metrics
from harness.repeat import one_by_one
from harness.settings import Settings, measured_core


def _trial(variant: Variant, settings: Settings) -> Metrics:
    return run_for_metrics(command_of(variant, settings), core=measured_core(), timeout=60)


IMPORTING = Benchmark(
    name="import",
    summary="import socket, ssl, subprocess, threading; then coev.monkey",
    units={"bare": "ms", "coev": "ms"},
    variants=(Variant("coev", ("coev",), (), "workers/importing.py"),),
    repeat=one_by_one(_trial),
    bars=(Bar("coev", "coev", 30),),
)
