"""A C library that waits by libc, adopted by coev, for the scripts of tests."""

import ctypes
import os
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parent / "libraries" / "waits.c"


def build(folder):
    """Compile the library into *folder*; return its path."""
    path = Path(folder, "libcoevwaits.so.1")
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()
    command = [*compiler, "-shared", "-fPIC", "-O1", "-w", str(SOURCE), "-o", str(path), "-pthread"]
    subprocess.run(command, check=True)
    return path


def load(adopt=True, keep_gil=False):
    """The library, adopted unless told otherwise; *keep_gil* calls it with the GIL."""
    if adopt:
        import coev.libraries

        coev.libraries.adopt("libcoevwaits")
    kind = ctypes.PyDLL if keep_gil else ctypes.CDLL
    library = kind(os.environ["COEV_TEST_WAITS"], use_errno=True)
    for name in ("by_send", "by_write", "by_writev", "by_sendmsg"):
        function = getattr(library, name)
        function.restype = ctypes.c_long
        function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t]
    return library


def last(library):
    """What the library's last function gave back, or -errno."""
    return ctypes.c_long.in_dll(library, "last").value


class Ticker:
    """A thread that counts every 5 ms, while the block runs."""

    def __enter__(self):
        self.count, self._stop = 0, False
        self._thread = threading.Thread(target=self._tick)
        self._thread.start()
        return self

    def _tick(self):
        while not self._stop:
            self.count += 1
            time.sleep(0.005)

    def __exit__(self, *_):
        self._stop = True
        self._thread.join()


def later(function, *arguments, seconds=0.1):
    """Call *function* in a thread after some time."""

    def run():
        time.sleep(seconds)
        function(*arguments)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


if __name__ == "__main__":
    print(build(tempfile.mkdtemp() if len(sys.argv) < 2 else sys.argv[1]))
