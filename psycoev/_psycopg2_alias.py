"""``import psycopg2`` gives psycoev: for libraries that import that name themselves."""

import importlib
import sys

#: psycopg2's modules, by the names that programs import.
_MODULES = (
    "_ipaddress",
    "_json",
    "_psycopg",
    "_range",
    "errorcodes",
    "errors",
    "extensions",
    "extras",
    "pool",
    "sql",
    "tz",
)


def install_as_psycopg2() -> None:
    """Make ``psycopg2`` and its modules names of psycoev and of the modules here.

    They are the very same module objects, so that classes are equal under both names. To be
    called before anything imports psycopg2.

    Switches: never.

    :raises ImportError: psycopg2 itself has been imported: there are programs that have its
        names.
    """
    ours = importlib.import_module(f"{__package__}._psycopg")
    if sys.modules.get("psycopg2._psycopg", ours) is not ours:
        raise ImportError("psycopg2 was imported before install_as_psycopg2() was called")
    for name in _MODULES:
        sys.modules[f"psycopg2.{name}"] = importlib.import_module(f"{__package__}.{name}")
    sys.modules["psycopg2"] = sys.modules[__package__]
