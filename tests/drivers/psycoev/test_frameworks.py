"""psycoev under psycopg2's name, in SQLAlchemy and in Django: what the projects' own tests skip."""

import pytest
from run_script import check_script


def test_import_of_psycopg2_gives_the_very_same_modules():
    check_script(
        """
        import psycoev
        psycoev.install_as_psycopg2()
        import importlib
        import psycopg2
        import psycopg2.extensions
        from psycopg2 import extras, sql
        from psycopg2._range import Range
        from psycopg2.errors import UniqueViolation

        assert psycopg2 is psycoev and extras is psycoev.extras and sql is psycoev.sql
        assert psycopg2.extensions is psycoev.extensions
        assert Range is psycoev.extras.Range and UniqueViolation is psycoev.errors.UniqueViolation
        assert importlib.reload(psycopg2.errorcodes).UNIQUE_VIOLATION == "23505"
        """
    )


def test_psycopg2_that_was_imported_before_is_not_replaced(tmp_path):
    package = tmp_path / "psycopg2"
    package.mkdir()
    (package / "__init__.py").write_text("from . import _psycopg")
    (package / "_psycopg.py").write_text("")
    check_script(
        """
        import sys
        sys.path.insert(0, sys.argv[1])
        import psycopg2, psycoev
        try:
            psycoev.install_as_psycopg2()
        except ImportError as error:
            assert "imported before" in str(error)
        else:
            raise AssertionError
        """,
        tmp_path,
    )


SQLALCHEMY = """
import coev.monkey
import sys, threading
import sqlalchemy
from sqlalchemy.dialects import registry

registry.register("postgresql.psycoev", "psycoev.sqlalchemy", "PGDialect_psycoev")
engine = sqlalchemy.create_engine(sys.argv[1], pool_size=3, max_overflow=0)
results = []

def work(n):
    with engine.connect() as conn:
        results.append(conn.execute(sqlalchemy.text("select :n, pg_sleep(0.05)"), {"n": n}).scalar())

threads = [threading.Thread(target=work, args=(n,)) for n in range(9)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert sorted(results) == list(range(9)), results
assert engine.dialect.driver == "psycoev"

with engine.connect() as conn:
    pid = conn.execute(sqlalchemy.text("select pg_backend_pid()")).scalar()
    conn.commit()
    other = engine.connect()
    other.execute(sqlalchemy.text("select pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    other.commit()
    other.close()
    try:
        conn.execute(sqlalchemy.text("select 1"))
    except sqlalchemy.exc.DBAPIError as error:
        assert error.connection_invalidated
    else:
        raise AssertionError
with engine.connect() as conn:  # the pool has replaced it
    assert conn.execute(sqlalchemy.text("select 2")).scalar() == 2
engine.dispose()
"""


def test_sqlalchemy_shares_its_pool_among_coroutines_and_sees_what_is_disconnected(postgres):
    pytest.importorskip("sqlalchemy", reason="make sqlalchemy-suite installs SQLAlchemy")
    check_script(SQLALCHEMY, postgres.url("postgresql+psycoev"))


DJANGO = """
import coev.monkey
import sys, threading
import psycoev.django
from django.conf import settings
import django

port, options = int(sys.argv[1]), eval(sys.argv[2])
settings.configure(
    DATABASES={"default": {
        "ENGINE": "psycoev.django", "NAME": "test", "USER": "postgres", "HOST": "127.0.0.1",
        "PORT": port, "OPTIONS": options}},
    INSTALLED_APPS=["django.contrib.postgres"],
)
django.setup()
from django.db import connection, transaction
from django.db.utils import ProgrammingError
from django.db.backends.postgresql import psycopg_any

assert connection.Database is psycoev and not psycopg_any.is_psycopg3
pids = set()

def work(n):
    with connection.cursor() as cur:
        cur.execute("select %s, pg_backend_pid(), pg_sleep(0.02)", [n])
        row = cur.fetchone()
        assert row[0] == n
        pids.add(row[1])
    connection.close()

threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(pids) <= (2 if options else 8), pids
with transaction.atomic():
    with connection.cursor() as cur:
        try:
            with transaction.atomic():
                cur.execute("select nothing")
        except ProgrammingError as error:
            assert error.__cause__.pgcode == "42703"
        cur.execute("select 1")
        assert cur.fetchone() == (1,)
connection.close()
"""


@pytest.mark.parametrize(
    "options", ["{}", "{'pool': {'max_size': 2, 'timeout': 20}}"], ids=["", "pool"]
)
def test_django_runs_on_psycoev_though_psycopg_3_is_there(postgres, tmp_path, options):
    pytest.importorskip("django", reason="make django-suite installs Django")
    # A psycopg 3 that must not be taken.
    (tmp_path / "psycopg.py").write_text("raise RuntimeError('psycopg 3 was imported')")
    check_script(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + DJANGO,
        postgres.port,
        options,
    )


def test_django_that_has_chosen_another_driver_says_what_to_do(tmp_path):
    pytest.importorskip("django", reason="make django-suite installs Django")
    package = tmp_path / "psycopg2"
    package.mkdir()
    (package / "__init__.py").write_text("from . import _psycopg")
    (package / "_psycopg.py").write_text("")
    check_script(
        """
        import sys
        sys.path.insert(0, sys.argv[1])
        import psycopg2
        from django.core.exceptions import ImproperlyConfigured
        try:
            import psycoev.django
        except ImproperlyConfigured as error:
            assert "top of the settings" in str(error)
        else:
            raise AssertionError
        """,
        tmp_path,
    )
