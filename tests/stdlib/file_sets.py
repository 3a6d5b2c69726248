"""Which files of CPython's tests there are, and which of them belong together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

#: Packages whose files are run one by one, as CPython's own runner does.
SPLIT = frozenset(
    """
    test_asyncio test_concurrent_futures test_gdb test_inspect test_multiprocessing_fork
    test_multiprocessing_forkserver test_multiprocessing_spawn
    """.split()
)

#: The files that gevent, in its repository, runs patched.
GEVENT = frozenset(
    """
    test_asyncore test_context test_contextlib test_ftplib test_httplib test_httpservers
    test_queue test_select test_selectors test_signal test_smtpd test_socket
    test_socketserver test_ssl test_subprocess test_telnetlib test_thread
    test_threadedtempfile test_threading test_threading_local test_timeout test_urllib
    test_urllib2 test_urllib2_localnet test_wsgiref
    """.split()
)

#: The files about what blocks, and about what threads share.
BLOCKING = GEVENT | frozenset(
    """
    test_asynchat test_asyncio test_concurrent_futures test_contextlib_async test_epoll
    test_faulthandler test_file test_fork1 test_gc test_imaplib test_importlib
    test_interpreters test_io test_kqueue test_logging test_monitoring
    test_multiprocessing_fork test_multiprocessing_forkserver test_multiprocessing_spawn
    test_os test_poll test_popen test_poplib test_pty test_sched test_smtplib
    test_sqlite3 test_sys test_sys_setprofile test_sys_settrace test_thread_local_bytecode
    test_threaded_import test_threadsignals test_time test_wait3 test_wait4 test_weakref
    test_xmlrpc test_fcntl test_ioctl test_file_eintr test_eintr test_posix
    test_functools test_decimal test_random test_contextvars
    test_robotparser test_urllib_response test_urlparse test__xxsubinterpreters
    test__interpreters test__interpchannels test_interpreters_channels
    """.split()
)

SETS = {"gevent": GEVENT, "blocking": BLOCKING, "all": None}


def files(tests: Path) -> list[str]:
    """Return the modules below the folder *tests*, dotted from there, sorted."""
    return sorted(_files(tests, ""))


def _files(folder: Path, prefix: str) -> Iterator[str]:
    for path in folder.iterdir():
        name = path.name.removesuffix(".py")
        if not name.startswith("test_"):
            continue
        if path.is_dir() and name in SPLIT:
            yield from _files(path, f"{name}.")
        elif path.suffix == ".py" or (path / "__init__.py").exists():
            yield prefix + name


def choose(present: Iterable[str], wanted: Iterable[str] | None) -> list[str]:
    """Return those of *present* that *wanted* names, itself or by its package."""
    if wanted is None:
        return list(present)
    names = set(wanted)
    return [each for each in present if each in names or each.partition(".")[0] in names]
