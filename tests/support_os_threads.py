"""How many OS threads a process has, for the scripts of tests."""

import os
import time


def are_left(count, seconds=5):
    """Whether the OS threads of this process become *count* within *seconds*.

    The kernel lists a thread for a moment after it has been joined.
    """
    deadline = time.monotonic() + seconds
    while len(os.listdir("/proc/self/task")) != count:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True
