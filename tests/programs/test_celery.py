"""A Celery worker with its pool of threads, which takes its jobs from Redis."""

import signal
import time

from support_programs import stop

TASKS = """
import os
import time
from celery import Celery

url = os.environ["REDIS_URL"]
app = Celery("tasks", broker=url, backend=url)
app.conf.broker_connection_retry_on_startup = True

@app.task
def slow(number):
    time.sleep(0.3)
    return number * 2

@app.task
def fails():
    raise ValueError("on purpose")

@app.task(bind=True, max_retries=3)
def retries(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0.1)
    return self.request.retries

@app.task
def on_a_coroutine():
    import coev
    return coev.current() is not coev.main()
"""

CLIENT = """
import time
from celery import group
from tasks import fails, on_a_coroutine, retries, slow

assert slow.delay(21).get(timeout=30) == 42
began = time.monotonic()
assert group(slow.s(n) for n in range(60)).delay().get(timeout=30) == [2 * n for n in range(60)]
assert time.monotonic() - began < 9  # one after the other: 18
assert on_a_coroutine.delay().get(timeout=30)
assert retries.delay().get(timeout=30) == 2
assert slow.apply_async((1,), countdown=1).get(timeout=30) == 2
try:
    fails.delay().get(timeout=30)
except ValueError as error:
    assert str(error) == "on purpose"
"""


def test_a_worker_runs_tasks_in_coroutines(runner, redis_port):
    environment = {"REDIS_URL": f"redis://127.0.0.1:{redis_port}/1"}
    runner.write("tasks.py", TASKS)
    client = runner.write("client.py", CLIENT)
    log = runner.folder / "log"
    command = "celery -A tasks worker -P threads -c 20 -l info".split()
    with open(log, "w") as output:
        worker = runner.start_module(*command, env=environment, output=output)
    try:
        end = time.monotonic() + 30
        while "ready." not in log.read_text():
            assert worker.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        done = runner.run(client, env=environment)
        assert done.returncode == 0, done.stdout + log.read_text()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0, log.read_text()
    finally:
        stop(worker)
    assert "Warm shutdown" in log.read_text()
    runner.check_ticks()
