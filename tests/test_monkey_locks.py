"""Locks, conditions and queues of CPython's own behave the same between coroutines."""

import pytest
from support_monkey import assert_clean_end, assert_same, scenarios


@pytest.mark.parametrize("scenario", scenarios("locks"))
def test_locks_behave_as_natively(scenario):
    assert_same("locks", scenario)


def test_processes_of_the_scenarios_end_well():
    assert_clean_end("locks")
