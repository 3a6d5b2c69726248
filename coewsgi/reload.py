"""Noticing that a file of the program has changed."""

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable


def watched_files(extra: Iterable[str] = ()) -> set[str]:
    """The files of every loaded module, and *extra*; folders in *extra* are walked."""
    files = set()
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and os.path.isabs(path):
            files.add(path)
    for path in extra:
        if os.path.isdir(path):
            files.update(
                os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names
            )
        else:
            files.add(path)
    return files


def files_of(error: BaseException) -> set[str]:
    """The files that *error* passed through, and that with the wrong syntax."""
    files = {frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)}
    if isinstance(error, SyntaxError) and error.filename:
        files.add(error.filename)
    return {path for path in files if os.path.isabs(path)}


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


class Watch:
    """Remembers what files looked like. A file that is new or gone has changed, too."""

    def __init__(self, extra: Iterable[str] = ()) -> None:
        self._extra = tuple(extra)
        self._stamps = {path: _stamp(path) for path in watched_files(self._extra)}

    def changed(self) -> str | None:
        """A file that looks different than before, if there is one."""
        for path in watched_files(self._extra):
            # A module imported since is remembered as it is now.
            if self._stamps.setdefault(path, _stamp(path)) != _stamp(path):
                return path
        return None

    def wait(self, stop: Callable[[], bool] = lambda: False, interval: float = 0.5) -> str | None:
        """Look every *interval* seconds until a file has changed, or *stop* says so.

        :returns: the file. Switches: always.
        """
        while not stop():
            if (path := self.changed()) is not None:
                return path
            time.sleep(interval)
        return None
