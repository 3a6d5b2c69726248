"""The storm of tests/stress for some seconds; ``make stress`` lets it last as long as asked."""

import os
import subprocess
import sys

from run_script import STRESS_SECONDS, TESTS


def test_a_storm_of_kills_signals_forks_and_native_threads_leaves_everything_right():
    command = [sys.executable, str(TESTS / "stress" / "storm.py"), str(5 * STRESS_SECONDS)]
    # As many as a core that is shared with other tests has time for.
    environment = {"COEV_STORM_SIGNALS": "200", **os.environ}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=200, check=False, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
