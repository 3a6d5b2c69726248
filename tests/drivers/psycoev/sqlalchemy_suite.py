"""Runs SQLAlchemy's own tests of its PostgreSQL dialects on psycoev.

    python sqlalchemy_suite.py <sqlalchemy-*.tar.gz>...

From each source distribution: the dialect compliance suite as postgresql+psycoev, and both
that and test/dialect/postgresql as postgresql+psycopg2 with psycoev under that name, because
many of these tests ask for their driver by name. Fails if any test fails that
sqlalchemy_inapplicable.txt does not name.
"""

import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from postgres_server import PostgresServer

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent

TESTS = {
    "psycoev": ["test/dialect/test_suite.py"],
    "psycopg2": ["test/dialect/test_suite.py", "test/dialect/postgresql"],
}

#: Registers the dialect as its entry point does, which a source tree may not have installed.
PLUGIN = """
from sqlalchemy.dialects import registry
registry.register("postgresql.psycoev", "psycoev.sqlalchemy", "PGDialect_psycoev")
"""


def inapplicable():
    lines = (HERE / "sqlalchemy_inapplicable.txt").read_text().splitlines()
    return [line.split("  ")[0] for line in lines if line and not line.startswith("#")]


def unpack(archive, folder):
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    (sources,) = Path(folder).iterdir()
    (sources / "psycoev_dialect.py").write_text(PLUGIN)
    return sources


def prepare(server):
    for schema in ("test_schema", "test_schema_2"):
        server.sql(f"create schema {schema}", "test")
    for extension in ("citext", "hstore"):
        server.sql(f"create extension if not exists {extension}", "test")
    server.sql("create collation \"en_US\" (locale = 'C.UTF-8')", "test")
    server.sql("alter database test set default_text_search_config to 'pg_catalog.english'")


def run(sources, server, driver):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "psycoev_dialect", "-rf",
               "-p", "no:cacheprovider", "--tb=short", "--maxfail=1000",
               "--dburi", server.url(f"postgresql+{driver}"), *TESTS[driver]]  # fmt: skip
    paths = [str(sources), str(sources / "lib"), str(HERE / "psycopg2_alias"), str(ROOT)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(command, cwd=sources, env=environment, capture_output=True, text=True)
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    known = inapplicable()
    failed = [name for name in failed if not any(part in name for part in known)]
    lines = done.stdout.strip().splitlines()
    print(f"{sources.name} postgresql+{driver}: {lines[-1] if lines else done.stderr}")
    for name in failed:
        print("   failed:", name)
    if os.environ.get("VERBOSE"):
        print(done.stdout, done.stderr)
    return not failed and done.returncode in (0, 1) and "passed" in (lines or [""])[-1]


def main():
    good = []
    for archive in sys.argv[1:]:
        for driver in os.environ.get("DRIVERS", " ".join(TESTS)).split():
            with tempfile.TemporaryDirectory() as folder, PostgresServer() as server:
                prepare(server)
                good.append(run(unpack(archive, folder), server, driver))
    return 0 if good and all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
