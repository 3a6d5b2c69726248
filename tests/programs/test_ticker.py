"""The measure itself: it finds what blocks the OS thread, and nothing else."""

import pytest

BLOCKS = "import ctypes, time; time.sleep(0.5); ctypes.CDLL(None).usleep(150_000);"


def test_it_finds_a_program_that_blocks_its_os_thread(runner):
    with pytest.raises(AssertionError, match="slept"):
        runner.check(BLOCKS + "time.sleep(0.1)")


def test_it_finds_a_block_at_the_very_end(runner):
    with pytest.raises(AssertionError, match="slept"):
        runner.check(BLOCKS)


def test_it_lets_a_program_compute(runner):
    runner.check("import time; time.sleep(0.1); sorted(range(5_000_000), key=lambda n: -n)")
