"""The limit on open files of this process (RLIMIT_NOFILE)."""

from __future__ import annotations

import contextlib
import resource


def raise_fd_limit(wanted: int | None = None) -> int:
    """Raise the soft limit as far as the hard one, and return what was got.

    :param wanted: if the hard limit is below this, try to raise that too,
        which only a privileged process may.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        # An infinite limit is refused on some systems: ask for a finite one.
        _set_limit(max(soft, wanted or 1 << 20), hard)
    else:
        _set_limit(hard, hard)
        if wanted is not None and wanted > hard:
            _set_limit(wanted, wanted)
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _set_limit(soft: int, hard: int) -> None:
    with contextlib.suppress(ValueError, OSError):  # not allowed: the caller sees what it has got
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
