"""How many files a child process may open."""

from __future__ import annotations

import resource

_SPARE = 200


def allow_descriptors(count: int) -> None:
    """Raise this process's limit, which its children inherit, to fit *count*.

    Where that is not permitted, it is raised as far as it is.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _SPARE
    if soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    except (ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
