"""The reply parser under a fuzzer with AddressSanitizer."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent
SOURCES = FOLDER.parents[2] / "src" / "evmemcached"

#: How long to look, in seconds.
SECONDS = os.environ.get("COEV_FUZZ_SECONDS", "5")


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory):
    compiler = os.environ.get("CXX", "g++").split()
    if shutil.which(compiler[0]) is None:
        pytest.skip("no C++ compiler")
    program = tmp_path_factory.mktemp("fuzz") / "fuzz_protocol"
    flags = ["-std=c++20", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover"]
    sources = [FOLDER / "fuzz_protocol.cpp", SOURCES / "protocol.cpp", SOURCES / "buffer.cpp"]
    done = subprocess.run(
        [*compiler, *flags, f"-I{SOURCES}", *sources, "-o", program], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return program


@pytest.mark.parametrize("seed", [1, 2])
def test_parser_reads_no_byte_too_many_and_splits_change_nothing(fuzzer, seed):
    done = subprocess.run([fuzzer, SECONDS, str(seed)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 1000
