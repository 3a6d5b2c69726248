"""Runs other projects' tests, from their source distributions, against evmemcached.

    python memcached_suites.py FOLDER

FOLDER holds python-memcached-*.tar.gz, pymemcache-*.tar.gz and [Dd]jango-*.tar.gz. The first two
are run with evmemcached under their names; Django's tests of caches with its backend of
evmemcached. Fails if a test fails that INAPPLICABLE does not name, or if fewer run than do.
"""

import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from memcached_server import MemcachedServer

ROOT = Path(__file__).resolve().parents[3]

#: Tests that replace private parts of the client that they were written for.
INAPPLICABLE = {
    "python-memcached": {
        "test_touch": "mocks methods of the private _Host",
        "test_touch_unexpected_reply": "mocks methods of the private _Host",
        "test_Socket_Disconnect": "puts a class without descriptors in the place of socket.socket",
    },
    "pymemcache": {},
    "django": {
        "test_pymemcache_highest_pickle_version": "reads private attributes of pymemcache",
        "test_pymemcache_options": "reads private attributes of pymemcache",
    },
}
#: How many tests pass at least.
LEAST = {"python-memcached": 23, "pymemcache": 100, "django": 400}

#: For python-memcached's tests: the module, the private name they import, and what its
#: repository has for them beside the distribution. Servers are dead for all clients of a
#: process, so a test that marks one must not leave that to the next.
MEMCACHE = """
from evmemcached import *
from evmemcached import _server
_Host = _server.Server
"""
MEMCACHE_CONFTEST = """
import evmemcached, pytest
@pytest.fixture(autouse=True)
def _revive():
    yield
    evmemcached.close_pools()
"""
MEMCACHE_UTILS = """
import contextlib, io, sys
@contextlib.contextmanager
def captured_stderr():
    old, sys.stderr = sys.stderr, io.StringIO()
    try:
        yield sys.stderr
    finally:
        sys.stderr = old
"""

#: For pymemcache's tests: every module but the tests is evmemcached's.
PYMEMCACHE_PLUGIN = """
import importlib, os, pkgutil, sys
import evmemcached.pymemcache as ours
names = [m.name for m in pkgutil.walk_packages(ours.__path__, ours.__name__ + ".")]
for name in [ours.__name__, *names]:
    sys.modules[name.removeprefix("evmemcached.")] = importlib.import_module(name)
ours.__path__.append(os.path.join(os.getcwd(), "pymemcache"))  # for its tests
"""

DJANGO_SETTINGS = """
DATABASES = {name: {"ENGINE": "django.db.backends.sqlite3"} for name in ("default", "other")}
SECRET_KEY = "tests"
USE_TZ = False
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "ours": {"BACKEND": "evmemcached.django.EvMemcachedCache", "LOCATION": "%s"},
}
"""


def unpack(folder, name, into):
    pattern = f"[{name[0]}{name[0].upper()}]{name[1:]}-*.tar.gz"
    archive = max(Path(folder).glob(pattern), key=lambda path: path.stat().st_mtime)
    with tarfile.open(archive) as tar:
        tar.extractall(into, filter="data")
    return Path(into, archive.name.removesuffix(".tar.gz"))


def run(command, where):
    # Django itself stands beside its tests.
    paths = os.pathsep.join(map(str, [where, where.parent, ROOT]))
    done = subprocess.run(
        [sys.executable, *command],
        cwd=where,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=1200,
    )
    return done.stdout + done.stderr


def judge(name, output, failed, passed):
    unexpected = sorted(test for test in failed if test not in INAPPLICABLE[name])
    print(f"{name}: {passed} passed, {len(failed)} failed, {len(unexpected)} of them unexpectedly")
    if unexpected or passed < LEAST[name]:
        print(output[-20_000:])
        return False
    return True


def judge_pytest(name, output):
    failed = re.findall(r"^(?:FAILED|ERROR) \S+::(\w+)", output, re.MULTILINE)
    found = re.search(r"(\d+) passed", output)
    return judge(name, output, failed, int(found[1]) if found else 0)


def python_memcached(sources, server):
    (sources / "memcache.py").write_text(MEMCACHE)
    (sources / "conftest.py").write_text(MEMCACHE_CONFTEST)
    (sources / "tests" / "__init__.py").touch()
    (sources / "tests" / "utils.py").write_text(MEMCACHE_UTILS)
    for path in (sources / "tests").glob("test_*.py"):
        path.write_text(path.read_text().replace("127.0.0.1:11211", server.address))
    output = run(["-m", "pytest", "-q", "-c", os.devnull, "--rootdir", ".", "tests"], sources)
    return judge_pytest("python-memcached", output)


def pymemcache(sources, server):
    (sources / "as_pymemcache.py").write_text(PYMEMCACHE_PLUGIN)
    command = ["-m", "pytest", "-q", "-c", os.devnull, "--rootdir", ".", "-p", "as_pymemcache"]
    command += ["-W", "ignore", "--import-mode=importlib", "-m", "integration"]
    command += ["pymemcache/test/test_integration.py"]
    command += ["--server", server.host, "--port", str(server.port)]
    return judge_pytest("pymemcache", run(command, sources))


def django(sources, server):
    tests = sources / "tests"
    (tests / "evmemcached_settings.py").write_text(DJANGO_SETTINGS % server.address)
    path = tests / "cache" / "tests.py"
    text = path.read_text()
    text = text.replace(
        "django.core.cache.backends.memcached.PyMemcacheCache",
        "evmemcached.django.EvMemcachedCache",
    )
    for name in INAPPLICABLE["django"]:  # one of them would leave its settings behind
        text = text.replace(f"def {name}(", f"def inapplicable_{name}(")
    path.write_text(text.replace("cache._lib.exceptions.MemcacheClientError", "ValueError"))
    output = run(["runtests.py", "--settings=evmemcached_settings", "--parallel=1", "cache"], tests)
    failed = re.findall(r"^(?:FAIL|ERROR): (\w+)", output, re.MULTILINE)
    counts = {
        key: int(found[1])
        for key in ("Ran", "skipped=")
        if (found := re.search(rf"{key} ?(\d+)", output))
    }
    passed = counts.get("Ran", 0) - counts.get("skipped=", 0) - len(set(failed))
    return judge("django", output, set(failed), passed)


def main():
    [folder] = sys.argv[1:]
    suites = {"python-memcached": python_memcached, "pymemcache": pymemcache, "django": django}
    good = []
    for name, suite in suites.items():
        server = MemcachedServer("-c", "1024")
        with tempfile.TemporaryDirectory() as into:
            try:
                good.append(suite(unpack(folder, name, into), server))
            finally:
                server.close()
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
