"""The servers and clients of the standard library: as natively, and only the coroutine waits."""

import pytest
from run_script import check_script
from support_monkey import PARITY, assert_clean_end, assert_same, scenarios

pytestmark = pytest.mark.usefixtures("certificates")


@pytest.mark.parametrize("scenario", scenarios("servers"))
def test_servers_and_clients_meet_as_natively(scenario):
    assert_same("servers", scenario)


def test_processes_of_the_scenarios_end_well():
    assert_clean_end("servers")


@pytest.mark.realtime
def test_others_run_while_servers_and_clients_wait():
    check_script(
        """
        import coev.monkey
        import runpy, sys
        from support_ticker import Ticker

        def error_of(function, *args, **kwargs):
            try:
                return repr(function(*args, **kwargs))
            except Exception as error:
                return repr(error)

        path, *names = sys.argv[1:]
        scenarios = runpy.run_path(path, init_globals={"error_of": error_of})
        ticker = Ticker()
        for name in names:
            ticker.gaps.clear()
            scenarios[name](lambda *values: None)
            # A process that forks stands still for as long as that takes.
            if max(ticker.gaps) > (0.2 if "forking" in name else 0.06):
                print(name, max(ticker.gaps))
        """,
        PARITY / "servers.py",
        *scenarios("servers"),
        expect="",
    )
