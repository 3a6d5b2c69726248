"""What of this process is in memory, as the kernel counts it."""

from __future__ import annotations

import time

_SETTLE_STEP_S = 0.05
_SETTLE_STEPS = 100


def status_kib(field: str) -> int:
    """A field of /proc/self/status in KiB: ``VmRSS``, ``VmPTE``, ``VmSize``."""
    with open("/proc/self/status") as lines:
        for line in lines:
            name, _, rest = line.partition(":")
            if name == field:
                return int(rest.split()[0])
    raise LookupError(field)


def settled_rss_kib() -> int:
    """The resident size once it has stopped changing."""
    last, same = status_kib("VmRSS"), 0
    for _ in range(_SETTLE_STEPS):
        time.sleep(_SETTLE_STEP_S)
        now = status_kib("VmRSS")
        same = same + 1 if now == last else 0
        last = now
        if same == 3:
            break
    return last
