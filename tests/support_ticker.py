"""For scripts: a thread that ticks, to see that others run while a call waits."""

import threading
import time


def _kept_from_the_cpu():
    """Return the seconds in which this OS thread was ready, and the kernel ran others."""
    try:
        with open("/proc/thread-self/schedstat") as file:
            return int(file.read().split()[1]) * 1e-9
    except OSError:  # not with every kernel
        return 0.0


class Ticker:
    """Ticks every 10 ms. ``gaps`` is how long each took, but for what the machine is to blame."""

    def __init__(self):
        self.gaps = []
        threading.Thread(target=self._tick, daemon=True).start()

    def _tick(self):
        last, kept = time.monotonic(), _kept_from_the_cpu()
        while True:
            time.sleep(0.01)
            now, kept_now = time.monotonic(), _kept_from_the_cpu()
            self.gaps.append(now - last - (kept_now - kept))
            last, kept = now, kept_now
