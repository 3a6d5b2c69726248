"""coverage.py records the same as with threads of the operating system."""

import json
import sys

import pytest
from run_script import describe

PROGRAM = """
import threading
import time
from concurrent.futures import ThreadPoolExecutor


def even(number):
    time.sleep(0.001)
    if number % 2:
        return "odd"
    return "even"


def never():
    return 1


class Worker(threading.Thread):
    def run(self):
        for n in range(20):
            if n == 30:
                never()
            with lock:
                time.sleep(0.001)
                self.total = n
        try:
            raise ValueError
        except ValueError:
            self.failed = True


def generate(n):
    while n:
        yield n
        n -= 1


lock = threading.Lock()
workers = [Worker() for _ in range(5)]
for worker in workers:
    worker.start()
with ThreadPoolExecutor(5) as pool:
    assert sorted(set(pool.map(even, range(40)))) == ["even", "odd"]
    assert list(pool.map(lambda n: sum(generate(n)), range(4))) == [0, 1, 3, 6]
    pool.submit(lambda: time.sleep(0.2)).result()
for worker in workers:
    worker.join()
"""


@pytest.mark.parametrize("core, branches", [("ctrace", True), ("pytrace", True), ("sysmon", False)])
def test_coverage_is_the_same_as_with_native_threads(runner, core, branches):
    if core == "sysmon" and sys.version_info < (3, 12):
        pytest.skip("sys.monitoring came with Python 3.12")
    runner.write("work.py", PROGRAM)
    options = ["--concurrency=thread", *(["--branch"] if branches else []), "work.py"]
    natively = measure(runner, "native", core, runner.start, "-m", "coverage", "run", *options)
    as_coroutines = measure(runner, "coev", core, runner.start_module, "coverage", "run", *options)
    runner.check_ticks()
    assert natively["executed_lines"] and natively["missing_lines"]
    assert as_coroutines == natively


def measure(runner, name, core, start, *arguments):
    environment = {"COVERAGE_FILE": f"{name}.data", "COVERAGE_CORE": core}
    done = runner.finish(start(*arguments, env=environment))
    assert done.returncode == 0 and not done.stdout, describe(done)
    report = ["json", "-q", "--include", "work.py", "-o", f"{name}.json"]
    done = runner.run("-m", "coverage", *report, env=environment)
    assert done.returncode == 0, describe(done)
    return json.loads((runner.folder / f"{name}.json").read_text())["files"]["work.py"]
