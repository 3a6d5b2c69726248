"""py-spy sees every coroutine of a process from outside."""

import shutil
import subprocess
import sys
from pathlib import Path

from support_programs import stop

PROGRAM = """
import threading
import time
import coev

def sleeps_in_a_thread(event):
    event.wait()

def waits_in_a_coroutine():
    coev.sleep(100)

event = threading.Event()
for n in range(20):
    threading.Thread(target=sleeps_in_a_thread, args=(event,), daemon=True, name=f"t{n}").start()
for n in range(5):
    coev.spawn(waits_in_a_coroutine)
time.sleep(0.1)
print("up", flush=True)
time.sleep(100)
"""


def py_spy():
    beside = Path(sys.executable).parent / "py-spy"
    return str(beside) if beside.exists() else shutil.which("py-spy")


def test_a_dump_shows_every_coroutine(runner):
    program = runner.write("program.py", "import ticker\n" + PROGRAM)
    process = runner.start("-m", "coev", program)
    try:
        assert process.stdout.readline() == "up\n"
        done = subprocess.run(
            [py_spy(), "dump", "--pid", str(process.pid)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    finally:
        stop(process)
    assert done.stdout.count("sleeps_in_a_thread (") == 20, done.stdout
    assert done.stdout.count("waits_in_a_coroutine (") == 5, done.stdout
    runner.check_ticks()
