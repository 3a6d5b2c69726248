"""Waiting for child processes: as natively, and only for the coroutine."""

import pytest
from run_script import check_script
from support_monkey import assert_clean_end, assert_same, scenarios

PREPARE = """
import coev.monkey
import coev, os, signal, support_os_threads, threading, time

def child(seconds, code=0):
    pid = os.fork()
    if pid == 0:
        time.sleep(seconds)
        os._exit(code)
    return pid

def descriptors():
    return sorted(os.listdir("/proc/self/fd"))
"""

WAITS = {
    "waitpid": "os.waitpid(child(0.3), 0)",
    "wait": "child(0.3); os.wait()",
    "wait3": "child(0.3); os.wait3(0)",
    "wait4": "os.wait4(child(0.3), 0)",
    "waitid": "os.waitid(os.P_PID, child(0.3), os.WEXITED)",
    "group": "child(0.3); os.waitpid(0, 0)",
    "stops": "os.waitpid(child(0.3), os.WUNTRACED)",
    "system": "os.system('exec sleep 0.3')",
    "popen": "os.popen('sleep 0.3').close()",
}


@pytest.mark.parametrize("scenario", scenarios("processes"))
def test_processes_are_waited_for_as_natively(scenario):
    assert_same("processes", scenario)


def test_processes_of_the_scenarios_end_well():
    assert_clean_end("processes")


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_others_run_while_one_waits(wait):
    check_script(
        PREPARE
        + f"""
def tick():
    while running:
        began = time.monotonic()
        time.sleep(0.01)
        ticks.append(time.monotonic() - began)

running, ticks = True, []
ticker = threading.Thread(target=tick)
ticker.start()
{wait}
running = False
ticker.join()
assert len(ticks) > 15, len(ticks)
"""
    )


@pytest.mark.parametrize("wait", [wait for name, wait in WAITS.items() if name != "popen"])
def test_given_up_wait_leaves_nothing_behind(wait):
    check_script(
        PREPARE
        + f"""
def wait():
    {wait.replace("0.3", "30")}

time.sleep(0.01)
before = descriptors()
waiting = coev.spawn(wait)
time.sleep(0.1)
waiting.kill()
waiting.join()
assert descriptors() == before, (descriptors(), before)
assert support_os_threads.are_left(1)

try:
    with coev.timeout(0.1):
        wait()
except TimeoutError:
    pass
else:
    raise AssertionError("the wait did not end")
assert descriptors() == before
assert support_os_threads.are_left(1)
children = open(f"/proc/self/task/{{os.getpid()}}/children").read().split()
for pid in map(int, children):
    os.kill(pid, signal.SIGKILL)
    assert os.waitpid(pid, 0) == (pid, signal.SIGKILL)
"""
    )


def test_killed_waiter_for_system_takes_the_shell_along():
    check_script(
        PREPARE
        + """
waiting = coev.spawn(os.system, "exec sleep 30")
time.sleep(0.1)
waiting.kill()
waiting.join()
assert not open(f"/proc/self/task/{os.getpid()}/children").read()
"""
    )


def test_descriptor_of_a_wait_is_not_in_a_forked_child():
    check_script(
        PREPARE
        + """
time.sleep(0.01)
before = descriptors()
slow = child(0.3)
waiting = threading.Thread(target=os.waitpid, args=(slow, 0))
waiting.start()
time.sleep(0.05)
pid = os.fork()
if pid == 0:
    os._exit(descriptors() != before)
assert os.waitpid(pid, 0) == (pid, 0)
waiting.join()
"""
    )


def test_wait_survives_the_loss_of_its_descriptor():
    check_script(
        PREPARE
        + """
pid = child(0.3, 5)
statuses = []
waiting = threading.Thread(target=lambda: statuses.append(os.waitpid(pid, 0)))
before = set(descriptors())
waiting.start()
time.sleep(0.05)
for fd in set(descriptors()) - before:
    try:
        os.close(int(fd))
    except OSError:
        pass  # that of the directory
waiting.join()
assert statuses == [(pid, 5 << 8)], statuses
"""
    )


def test_hundred_children_are_waited_for_at_once():
    check_script(
        PREPARE
        + """
pids = [child(0.2, i) for i in range(100)]
statuses = {}
threads = [
    threading.Thread(target=lambda p=pid: statuses.update([os.waitpid(p, 0)])) for pid in pids
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert statuses == {pid: i << 8 for i, pid in enumerate(pids)}
assert support_os_threads.are_left(1)
"""
    )


def test_daemon_that_waits_does_not_hold_up_the_exit():
    check_script(
        PREPARE
        + """
reader, writer = os.pipe()
if os.fork() == 0:
    os.close(writer)
    os.read(reader, 1)  # until the parent is gone
    os._exit(0)
for wait in (os.wait, lambda: os.waitpid(-1, os.WUNTRACED)):
    threading.Thread(target=wait, daemon=True).start()
time.sleep(0.05)
"""
    )
