"""C libraries that wait in the scheduler, unmodified.

``import coev.monkey`` has the libraries of a table wait as coroutines do: libpq, libmariadb,
libmemcached, libcurl, libzmq and the extension modules above them, also those that wheels
bring along. The functions of libc that they call to wait (``poll``, ``recv``, ``connect``,
``nanosleep``, ``getaddrinfo``, ``pthread_mutex_lock``, ...) are ours, in their import tables
alone; no other caller sees a change. docs/libraries.md says how, and what is left.

``COEV_LIBRARIES=off`` in the environment switches that off; ``COEV_LIBRARIES=libfoo,-libzmq``
adds one library and takes another one off the table.
"""

from typing import NamedTuple

from . import _coev

__all__ = ["Library", "adopt", "adopted", "release"]


class Library(NamedTuple):
    """A library that is loaded and was to wait in the scheduler."""

    #: By which it was asked for.
    name: str
    #: The file, as the dynamic linker knows it.
    path: str
    #: The functions of libc that are ours in its import table.
    functions: list[str]
    #: Why nothing was changed; ``None`` if it waits in the scheduler.
    problem: str | None


def adopt(name: str) -> list[Library]:
    """Have the library *name* wait in the scheduler, now or when it is loaded.

    Only a library that runs no threads of its own on the calls that wait, or was tried with
    them. Needs ``coev.monkey``. Switches: never.

    :param name: the file's name up to a dot or a hyphen, as ``libfoo`` for
        ``libfoo-1a2b3c4d.so.5``; with a folder before it, as ``package/_module``, to tell an
        extension module from others of that name.
    :returns: what is loaded under that name.
    :raises ValueError: coev itself, or the interpreter, waits by that library.
    """
    _coev._libraries_adopt(name)
    return [library for library in adopted() if library.name == name]


def adopted() -> list[Library]:
    """The libraries that are loaded and were to be adopted. Switches: never."""
    return [Library(*entry) for entry in _coev._libraries_adopted()]


def release(name: str) -> None:
    """Have the library *name* wait by libc again. Calls that wait now end as they began.

    Switches: never.
    """
    _coev._libraries_release(name)
