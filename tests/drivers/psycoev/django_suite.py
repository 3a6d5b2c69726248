"""Runs Django's own tests on the backend psycoev.django.

    python django_suite.py <django-*.tar.gz> [label]...

From the source distribution. Fails if any test fails; those that django_inapplicable.txt
names are not run.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from postgres_server import PostgresServer

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent

LABELS = ["backends", "postgres_tests", "transactions", "introspection", "inspectdb",
          "aggregation", "queries", "transaction_hooks"]  # fmt: skip

SETTINGS = """
import psycoev.django
DATABASES = {{
    "default": {default},
    "other": {other},
}}
SECRET_KEY = "for tests"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
TEST_RUNNER = "settings_psycoev.Runner"

from django.test.runner import DiscoverRunner

class Runner(DiscoverRunner):
    def build_suite(self, *args, **kwargs):
        suite = super().build_suite(*args, **kwargs)
        kept = [test for test in suite if test.id() not in {inapplicable}]
        print(suite.countTestCases() - len(kept), "tests are inapplicable")
        return type(suite)(kept)
"""


def settings(server):
    def database(name):
        return {
            "ENGINE": "psycoev.django",
            "NAME": name,
            "USER": "postgres",
            "HOST": "127.0.0.1",
            "PORT": str(server.port),
        }

    lines = (HERE / "django_inapplicable.txt").read_text().splitlines()
    inapplicable = {line.split("  ")[0] for line in lines if line and not line.startswith("#")}
    return SETTINGS.format(
        inapplicable=inapplicable, default=database("django"), other=database("django2")
    )


def main():
    archive, *labels = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder, PostgresServer() as server:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        (sources,) = Path(folder).iterdir()
        tests = sources / "tests"
        (tests / "settings_psycoev.py").write_text(settings(server))
        command = [sys.executable, *sys_options(), "runtests.py", "--settings=settings_psycoev",
                   "--parallel=1", "--noinput", *(labels or LABELS)]  # fmt: skip
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(sources), str(ROOT)]),
        }
        return subprocess.run(command, cwd=tests, env=environment).returncode


def sys_options():
    """With MONKEY=1, the tests run under coev.monkey: their threads are coroutines."""
    return ["-m", "coev"] if os.environ.get("MONKEY") else []


if __name__ == "__main__":
    sys.exit(main())
