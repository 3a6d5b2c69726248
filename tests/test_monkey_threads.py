"""Threads that are coroutines behave as threads: threading, _thread, executors, time.sleep()."""

import pytest
from support_monkey import assert_clean_end, assert_same, scenarios


@pytest.mark.parametrize("scenario", scenarios("threads"))
def test_threads_behave_as_natively(scenario):
    assert_same("threads", scenario)


def test_processes_of_the_scenarios_end_well():
    assert_clean_end("threads")
