"""The module as the compiler left it."""

import platform
import re
import shutil
import subprocess

import pytest

from coev import _coev

PREFETCH = {"x86_64": r"\bprefetcht0\b", "aarch64": r"\bprfm\b"}


# It leaves no trace but time, and GCC once took it for something without effect.
def test_what_coroutines_will_touch_is_fetched_in_advance():
    if shutil.which("objdump") is None or platform.machine() not in PREFETCH:
        pytest.skip("needs objdump, and a processor whose instruction for it is known here")
    command = ["objdump", "-d", "--no-show-raw-insn", _coev.__file__]
    listing = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert len(re.findall(PREFETCH[platform.machine()], listing.stdout)) > 8
