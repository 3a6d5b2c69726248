"""SQLAlchemy's dialect ``postgresql+psycoev``, for SQLAlchemy 1.4 and later.

::

    engine = sqlalchemy.create_engine("postgresql+psycoev://user@host/database")

Everything that the dialect ``postgresql+psycopg2`` does and documents.
"""

from typing import Any

import sqlalchemy
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

import psycoev

from . import extensions, extras

# SQLAlchemy's own types differ between the versions.
_Base: Any = PGDialect_psycopg2


class PGDialect_psycoev(_Base):  # type: ignore[misc]
    """The dialect of psycopg2, on psycoev."""

    driver = "psycoev"
    supports_statement_cache = True

    # Where the base looks for psycopg2's modules: properties, but methods in 1.4.
    if sqlalchemy.__version__.startswith("1."):
        _psycopg2_extensions: Any = staticmethod(lambda: extensions)
        _psycopg2_extras: Any = staticmethod(lambda: extras)
    else:
        _psycopg2_extensions = extensions
        _psycopg2_extras = extras

    @classmethod
    def import_dbapi(cls) -> Any:
        """Return the DB-API module. Switches: never."""
        return psycoev

    if sqlalchemy.__version__.startswith("1."):
        dbapi = import_dbapi

    @classmethod
    def load_provisioning(cls) -> None:
        """Load what SQLAlchemy's tests need of a dialect: the base's. Switches: never."""
        _Base.load_provisioning()


dialect = PGDialect_psycoev
