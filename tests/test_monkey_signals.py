"""Waiting for signals: as natively, and only for the coroutine."""

import pytest
from run_script import check_script, run_script
from support_monkey import assert_clean_end, assert_same, scenarios

PREPARE = """
import coev.monkey
import coev, faulthandler, os, signal, sys, threading, time

ME, USR1, USR2 = os.getpid(), signal.SIGUSR1, signal.SIGUSR2
handled = []
signal.signal(USR1, lambda number, frame: handled.append(number))

def later(number, seconds=0.3):
    threading.Timer(seconds, os.kill, (ME, number)).start()

def descriptors():
    return sorted(os.listdir("/proc/self/fd"))
"""

BLOCK = "signal.pthread_sigmask(signal.SIG_BLOCK, [USR2])\n"
WAITS = {
    "pause": "signal.pause()",
    "sigwait": "signal.sigwait([USR1])",
    "sigwaitinfo": "signal.sigwaitinfo([USR1])",
    "sigtimedwait": "signal.sigtimedwait([USR1], 10)",
}


@pytest.mark.parametrize("scenario", scenarios("signals"))
def test_signals_are_waited_for_as_natively(scenario):
    assert_same("signals", scenario)


def test_processes_of_the_scenarios_end_well():
    assert_clean_end("signals")


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
later(USR1)
{wait}
running = False
ticker.join()
assert len(ticks) > 15, len(ticks)
"""
    )


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_threads_wait_for_signals_too(wait):
    check_script(
        PREPARE
        + f"""
thread = threading.Thread(target=lambda: {wait})
thread.start()
later(USR1, 0.1)
thread.join(10)
print(thread.is_alive(), len(handled))
""",
        expect="False 1" if "pause" in wait else "False 0",
    )


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_given_up_wait_leaves_nothing_behind(wait):
    check_script(
        PREPARE
        + f"""
time.sleep(0.01)
before = descriptors()
waiting = coev.spawn(lambda: {wait})
time.sleep(0.05)
waiting.kill()
waiting.join()
try:
    with coev.timeout(0.05):
        {wait}
except TimeoutError:
    pass
else:
    raise AssertionError("the wait did not end")
assert descriptors() == before
assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()
os.kill(ME, USR1)
time.sleep(0.01)
print(len(handled))
""",
        expect="1",
    )


def test_each_signal_goes_to_one_of_many_waiters():
    check_script(
        PREPARE
        + BLOCK
        + """
taken = []
threads = [
    threading.Thread(target=lambda: taken.append(int(signal.sigwait([USR1, USR2]))))
    for _ in range(6)
]
for thread in threads:
    thread.start()
for number in (USR1, USR2) * 3:
    time.sleep(0.02)
    os.kill(ME, number)
for thread in threads:
    thread.join(10)
print(sorted(taken), handled)
""",
        expect="[10, 10, 10, 12, 12, 12] []",
    )


def test_handler_set_during_a_wait_stays():
    check_script(
        PREPARE
        + """
def change():
    time.sleep(0.05)
    signal.signal(USR1, lambda *_: handled.append("new"))
    os.kill(ME, USR1)
    time.sleep(0.05)
    assert handled == ["new"], handled
    waiting.kill()

waiting = coev.spawn(signal.sigwait, [USR1])
change()
waiting.join()
os.kill(ME, USR1)
time.sleep(0.01)
print(handled)
""",
        expect="['new', 'new']",
    )


def test_signals_that_come_together_are_handled_together():
    check_script(
        PREPARE
        + """
signal.signal(USR2, lambda number, frame: handled.append(number))

def busy():
    while 10 not in handled or 12 not in handled:
        handled.append("busy")
        coev.yield_now()

import ctypes  # for the mask of the OS thread, whoever runs
both = (ctypes.c_ulong * 16)(1 << (USR1 - 1) | 1 << (USR2 - 1))
change_mask = ctypes.CDLL(None).pthread_sigmask

def compute():
    change_mask(signal.SIG_BLOCK, both, None)
    os.kill(ME, USR2)
    os.kill(ME, USR1)
    change_mask(signal.SIG_UNBLOCK, both, None)

threading.Thread(target=busy).start()
threading.Thread(target=compute).start()
time.sleep(0.1)
print(handled[handled.index(10):][:2] == [10, 12])
""",
        expect="True",
    )


def test_thread_that_blocks_all_signals_keeps_none_from_the_rest():
    check_script(
        PREPARE
        + """
def serve():
    print(signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()))
    stop.wait()

stop = threading.Event()
thread = threading.Thread(target=serve)
thread.start()
os.kill(ME, USR1)
time.sleep(0.01)
print(len(handled), signal.pthread_sigmask(signal.SIG_BLOCK, []))
stop.set()
thread.join()
""",
        expect="set()\n1 set()",
    )


def test_signal_to_a_thread_that_has_ended_is_refused():
    check_script(
        PREPARE
        + """
thread = threading.Thread(target=print)
thread.start()
thread.join()
for function in (lambda: signal.pthread_kill(thread.ident, 0),
                 lambda: time.pthread_getcpuclockid(thread.ident)):
    try:
        function()
    except ProcessLookupError as error:
        print(error.errno)
""",
        expect="3\n3",
    )


def test_signal_reaches_the_os_thread_of_a_coroutine():
    check_script(
        PREPARE
        + """
stop = threading.Event()
thread = threading.Thread(target=stop.wait)
thread.start()
signal.pthread_kill(thread.ident, USR1)
time.sleep(0.01)
print(len(handled))
stop.set()
thread.join()
""",
        expect="1",
    )


def test_faulthandler_names_coroutines_when_asked_by_a_signal_or_a_timer():
    done = run_script(
        PREPARE
        + """
def sleeping_coroutine():
    stop.wait(10)

stop = threading.Event()
thread = threading.Thread(target=sleeping_coroutine)
thread.start()
faulthandler.register(USR2, all_threads=True)
os.kill(ME, USR2)
faulthandler.unregister(USR2)
sys.stderr.write("--\\n")
faulthandler.dump_traceback_later(0.05)
time.sleep(0.2)
faulthandler.cancel_dump_traceback_later()
stop.set()
"""
    )
    assert done.returncode == 0
    for dump in done.stderr.split("--\n"):
        assert "in sleeping_coroutine" in dump, done.stderr
