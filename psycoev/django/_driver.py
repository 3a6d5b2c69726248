"""Django's own backend, imported so that it finds psycoev where it looks for psycopg2."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from django.core.exceptions import ImproperlyConfigured

import psycoev

_BACKEND = "django.db.backends.postgresql"


@contextmanager
def _psycopg_3_hidden() -> Iterator[None]:
    """Have ``import psycopg`` fail, as where it is not installed."""
    missing = object()
    hidden = sys.modules.get("psycopg", missing)
    sys.modules["psycopg"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden is missing:
            del sys.modules["psycopg"]
        else:
            sys.modules["psycopg"] = hidden  # type: ignore[assignment]


def make_driver_of_django() -> None:
    """Make Django's modules for PostgreSQL use psycoev. Needs no settings yet.

    Switches: only if importing does.

    :raises ImproperlyConfigured: they use another driver already.
    """
    try:
        psycoev.install_as_psycopg2()
    except ImportError as error:
        raise _too_late(error) from error
    with _psycopg_3_hidden():
        try:
            chosen = importlib.import_module(f"{_BACKEND}.psycopg_any")
        except ModuleNotFoundError:
            return  # before Django 4.2, which knows psycopg2 alone
    if chosen.is_psycopg3:
        raise _too_late("psycopg 3 is in use")


def import_backend() -> ModuleType:
    """Return Django's module ``base``. Switches: only if importing does.

    :raises ImproperlyConfigured: it uses another driver already.
    """
    with _psycopg_3_hidden():
        base = importlib.import_module(f"{_BACKEND}.base")
    if base.Database is not psycoev:
        raise _too_late(f"{base.Database.__name__} is in use")
    return base


def _too_late(why: object) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"Django has chosen its PostgreSQL driver before psycoev.django was imported ({why}):"
        " put `import psycoev.django` at the top of the settings"
    )
