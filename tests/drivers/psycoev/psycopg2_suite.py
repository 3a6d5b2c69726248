"""Runs psycopg2's own tests, from its source distribution, against psycoev.

    python psycopg2_suite.py <psycopg2-*.tar.gz> [threads|monkey|green]...

threads: no coroutines; monkey: under coev.monkey, so that the threads of the tests are
coroutines; green: with psycopg2.extras.wait_select as the wait callback. All have a server
with two-phase commit, hstore and replication. PSYCOPG2_TESTS selects tests, as unittest
names them (tests.test_copy).

Fails if a test fails that psycopg2_inapplicable.txt does not name, or if more tests are
skipped than psycopg2 itself skips.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from postgres_server import PostgresServer

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent

#: The tests that psycopg2 2.9.12 skips here: for other servers, or for CockroachDB. In
#: green mode it skips large objects, COPY and replication too.
MOST_SKIPPED = {"threads": 9, "monkey": 9, "green": 82}
LEAST_RUN = 749

#: Runs in the process under test, and writes what came of each test to a file.
RUNNER = """
import json, os, sys
if os.environ["WAY"] == "monkey":
    import coev.monkey
import unittest, tests

class Result(unittest.TextTestResult):
    def startTest(self, test):
        super().startTest(test)
        if os.environ.get("VERBOSE"):
            print(test.id(), file=sys.stderr, flush=True)

names = os.environ.get("PSYCOPG2_TESTS", "").split() or ["tests.test_suite"]
suite = unittest.defaultTestLoader.loadTestsFromNames(names)
result = unittest.TextTestRunner(resultclass=Result, failfast=False).run(suite)
with open(os.environ["RESULT"], "w") as file:
    json.dump({
        "run": result.testsRun,
        "failed": [test.id() for test, _ in result.failures + result.errors]
        + [test.id() for test in result.unexpectedSuccesses],
        "skipped": [[test.id(), reason] for test, reason in result.skipped],
    }, file)
"""


def inapplicable():
    lines = (HERE / "psycopg2_inapplicable.txt").read_text().splitlines()
    return {line.split("  ")[0] for line in lines if line and not line.startswith("#")}


def unpack(archive, folder):
    with tarfile.open(archive) as tar:
        tests = [m for m in tar.getmembers() if "/tests/" in m.name]
        tar.extractall(folder, members=tests, filter="data")
    return Path(folder, tests[0].name.split("/")[0])


def environment(server, sources, way, result):
    paths = [str(HERE / "psycopg2_alias"), str(sources), str(ROOT)]
    own = {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONFAULTHANDLER": "1",
        "PSYCOPG2_TESTDB": "test",
        "PSYCOPG2_TESTDB_HOST": "127.0.0.1",
        "PSYCOPG2_TESTDB_PORT": str(server.port),
        "PSYCOPG2_TESTDB_USER": "postgres",
        "PSYCOPG2_TEST_REPL_DSN": "",  # the same server
        "WAY": way,
        "RESULT": result,
    }
    if way == "green":
        own["PSYCOPG2_TEST_GREEN"] = "1"
    return {**os.environ, **own}


def run(server, sources, way):
    """Run the suite one way; return whether all is well."""
    with tempfile.NamedTemporaryFile() as result:
        command = [sys.executable, "-c", RUNNER]
        done = subprocess.run(
            command, cwd=sources, env=environment(server, sources, way, result.name), timeout=600
        )
        text = Path(result.name).read_text()
    if not text:
        print(f"{way}: the tests ended with status {done.returncode}")
        return False
    outcome = json.loads(text)
    failed = sorted(set(outcome["failed"]) - inapplicable())
    skipped = outcome["skipped"]
    print(f"{way}: {outcome['run']} run, {len(failed)} failed, {len(skipped)} skipped")
    for name in failed:
        print("   failed:", name)
    whole = "PSYCOPG2_TESTS" not in os.environ
    too_many = len(skipped) > MOST_SKIPPED[way]
    if too_many:
        for name, reason in skipped:
            print(f"   skipped: {name}: {reason}")
    return not failed and not (whole and (too_many or outcome["run"] < LEAST_RUN))


def main():
    archive, *ways = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        sources = unpack(archive, folder)
        good = []
        for way in ways or MOST_SKIPPED:
            with PostgresServer() as server:
                good.append(run(server, sources, way))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
