"""select, poll, epoll and the selectors behave the same between coroutines, and let others run."""

import pytest
from run_script import STRESS_SECONDS, check_script
from support_monkey import assert_clean_end, assert_same, scenarios


@pytest.mark.parametrize("scenario", scenarios("polling"))
def test_polling_behaves_as_natively(scenario):
    assert_same("polling", scenario)


def test_processes_of_the_scenarios_end_well():
    assert_clean_end("polling")


# --- who waits, and how -----------------------------------------------------------------------

# What each test waits with: a function of a socket and a timeout in seconds.
WAITS = """
import coev.monkey
import coev, os, select, selectors, signal, socket, sys, threading, time

def wait_select(sock, timeout=None):
    return select.select([sock], [], [], timeout)[0]

def wait_select_urgent(sock, timeout=None):
    return select.select([sock], [], [sock], timeout)[0]

def wait_poll(sock, timeout=None):
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return poll.poll(timeout and timeout * 1000)

def wait_poll_urgent(sock, timeout=None):
    poll = select.poll()
    poll.register(sock, select.POLLIN | select.POLLPRI)
    return poll.poll(timeout and timeout * 1000)

def wait_epoll(sock, timeout=None):
    with select.epoll() as epoll:
        epoll.register(sock, select.EPOLLIN)
        return epoll.poll(timeout)

def wait_selector(sock, timeout=None):
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return selector.select(timeout)

waits = {name[5:]: function for name, function in list(globals().items()) if name[:5] == "wait_"}

def descriptors():
    return len(os.listdir("/proc/self/fd"))
"""


@pytest.mark.realtime
def test_others_run_while_a_call_waits():
    check_script(
        WAITS
        + """
from support_ticker import Ticker
gaps = Ticker().gaps
a, b = socket.socketpair()
for name, wait in waits.items():
    for timeout in (0.15, None):
        for in_main in (True, False):
            del gaps[:]
            if timeout is None:
                timer = threading.Timer(0.15, b.send, (b"x",))
                timer.start()
            if in_main:
                wait(a, timeout)
            else:
                thread = threading.Thread(target=wait, args=(a, timeout))
                thread.start()
                thread.join()
            if len(gaps) < 3 or max(gaps) > 0.05:
                print(name, timeout, in_main, gaps)
            if timeout is None:
                a.recv(1)
                timer.join()
print("done")
""",
        expect="done",
    )


def test_a_loop_that_never_has_to_wait_lets_others_run():
    check_script(
        WAITS
        + """
a, b = socket.socketpair()
b.send(b"x")
for timeout in (0, 5, None):
    for name, wait in waits.items():
        ran = []
        def other():
            time.sleep(0.005)
            ran.append(1)
        threading.Thread(target=other).start()
        deadline = time.monotonic() + 10
        while not ran and time.monotonic() < deadline:
            assert wait(a, timeout), name
        assert ran, (name, timeout)
print("done")
""",
        expect="done",
    )


def test_a_wait_that_is_killed_or_timed_out_leaves_nothing():
    check_script(
        WAITS
        + """
a, b = socket.socketpair()
before = descriptors()
for name, wait in waits.items():
    killed = coev.spawn(wait, a)
    coev.sleep(0.002)
    killed.kill()
    assert isinstance(killed.exception(), coev.CoroutineExit), name
    try:
        with coev.timeout(0.005):
            wait(a)
    except TimeoutError:
        pass
    else:
        raise SystemExit(name)
    del killed
    assert descriptors() == before, name
    b.send(b"x")
    assert len(wait(a)) == 1, name
    a.recv(1)
assert coev.stats()["alive"] == coev.stats()["timers"] == 0, coev.stats()
print("done")
""",
        expect="done",
    )


def test_a_poll_object_whose_wait_was_killed_can_poll_again():
    check_script(
        WAITS
        + """
a, b = socket.socketpair()
poll = select.poll()
poll.register(a, select.POLLIN)
killed = coev.spawn(poll.poll)
coev.sleep(0.001)
killed.kill()
killed.join()
print(poll.poll(1))
""",
        expect="[]",
    )


def test_a_poll_object_polled_by_another_thread_is_free_in_the_child_of_a_fork():
    check_script(
        WAITS
        + """
a, b = socket.socketpair()
poll = select.poll()
poll.register(a, select.POLLIN)
thread = threading.Thread(target=poll.poll, args=(100,))
thread.start()
pid = os.fork()
if pid == 0:
    os._exit(7 if poll.poll(1) == [] else 1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
thread.join()
""",
        expect="7",
    )


# --- closed meanwhile -------------------------------------------------------------------------


def test_closing_a_descriptor_ends_the_waits_for_it():
    check_script(
        WAITS
        + """
def outcome(wait, close):
    a, b = socket.socketpair()
    said = []
    def run():
        try:
            said.append([event for _, event in wait(a, 5)])
        except Exception as error:
            said.append(f"{type(error).__name__} {getattr(error, 'errno', '')}")
    thread = threading.Thread(target=run)
    thread.start()
    coev.sleep(0.005)
    close(a)
    thread.join()
    return said[0]

for name in ("select", "select_urgent", "poll", "poll_urgent"):
    print(name, outcome(waits[name], socket.socket.close))
    print(name, outcome(waits[name], lambda a: os.close(a.detach())))

for with_block in (False, True):
    epoll = select.epoll()
    def run():
        try:
            epoll.poll(5)
        except ValueError as error:
            print(error)
    thread = threading.Thread(target=run)
    thread.start()
    coev.sleep(0.005)
    if with_block:
        with epoll: pass
    else:
        epoll.close()
    thread.join()
""",
        expect="""select OSError 9
select OSError 9
select_urgent OSError 9
select_urgent OSError 9
poll [32]
poll [32]
poll_urgent [32]
poll_urgent [32]
I/O operation on closed epoll object
I/O operation on closed epoll object""",
    )


def test_a_descriptor_closed_behind_our_back_harms_nobody():
    check_script(
        WAITS
        + """
import ctypes
close = ctypes.CDLL(None).close
for name, wait in waits.items():
    for reopen in (False, True):
        a, b = socket.socketpair()
        c, d = socket.socketpair()
        waiter = coev.spawn(wait, a, 0.02)
        other = coev.spawn(wait, c)
        coev.sleep(0.005)
        fd = a.detach()
        near, far = socket.socketpair()
        close(fd)
        if reopen:
            os.dup2(near.fileno(), fd)
        waiter.exception()
        d.send(b"x")
        assert len(other.result(5)) == 1
        if reopen:
            new = socket.socket(fileno=fd)
            coev.spawn(far.send, b"y")
            assert new.recv(1) == b"y"
            new.close()
        for each in (b, c, d, near, far):
            each.close()
print("done")
""",
        expect="done",
    )


def test_descriptors_reused_at_random_wake_whom_they_should():
    check_script(
        WAITS
        + """
import random
random.seed(3)
end = time.monotonic() + float(sys.argv[1])
counts = {"woken": 0, "closed": 0, "timed out": 0}

def visitor():
    while time.monotonic() < end:
        a, b = socket.socketpair()
        wait = random.choice(list(waits.values()))
        fate = random.randrange(4)
        if fate == 0:
            coev.spawn(b.send, b"x")
        elif fate == 1:
            coev.spawn(b.close)
        elif fate == 2:
            coev.spawn(a.close)
        # An epoll forgets what is closed.
        forgets = fate == 2 and wait in (wait_epoll, wait_selector)
        start = time.monotonic()
        try:
            found = wait(a, 0.01 if fate == 3 or forgets else 5)
        except (OSError, ValueError):
            assert fate == 2
            counts["closed"] += 1
        else:
            took = time.monotonic() - start
            assert took < 4, (fate, wait, took)
            if fate in (0, 1):
                assert found, (fate, wait)
            if found and fate == 0:
                assert a.recv(1) == b"x"
            counts["woken" if found else "timed out"] += 1
        a.close()
        b.close()

threads = [threading.Thread(target=visitor) for _ in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert all(counts.values()), counts
print("done")
""",
        STRESS_SECONDS,
        expect="done",
        timeout=30 + 2 * STRESS_SECONDS,
    )


# --- scale --------------------------------------------------------------------------------------


def test_many_coroutines_wait_at_once():
    check_script(
        WAITS
        + """
pairs = [socket.socketpair() for _ in range(150)]
woken = []
def watch(i, wait):
    wait(pairs[i][0])
    woken.append(i)
chosen = [(i, wait) for i in range(150) for wait in waits.values()]
threads = [threading.Thread(target=watch, args=each) for each in chosen]
for thread in threads: thread.start()
for _, b in pairs: b.send(b"x")
for thread in threads: thread.join()
print(len(woken) == len(chosen))
""",
        expect="True",
    )


def test_one_call_waits_for_many_descriptors():
    check_script(
        WAITS
        + """
pairs = [socket.socketpair() for _ in range(450)]
near = [a for a, _ in pairs]
poll = select.poll()
for a in near: poll.register(a, select.POLLIN)
for i in (0, 449, 77):
    timer = threading.Timer(0.005, pairs[i][1].send, (b"x",))
    timer.start()
    assert select.select(near, [], [], 10)[0] == [near[i]]
    assert poll.poll(10_000) == [(near[i].fileno(), select.POLLIN)]
    near[i].recv(1)
    timer.join()
print("done")
""",
        expect="done",
    )


def test_selecting_uses_no_descriptor_of_its_own():
    check_script(
        WAITS
        + """
import resource
pairs = [socket.socketpair() for _ in range(20)]
near = [a for a, _ in pairs]
threads = [threading.Thread(target=select.select, args=(near, [], [])) for _ in range(30)]
for thread in threads: thread.start()
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors(), hard))
print(select.select(near, [], [], 0.01))
print(select.select(near, [], near, 0.01))  # POLLPRI needs one, and does without
pairs[3][1].send(b"x")
for thread in threads: thread.join()
""",
        expect="([], [], [])\n([], [], [])",
    )


# --- the end ----------------------------------------------------------------------------------


def test_the_interpreter_ends_while_daemons_wait():
    check_script(
        WAITS
        + """
a, b = socket.socketpair()
for wait in waits.values():
    threading.Thread(target=wait, args=(a,), daemon=True).start()
    coev.spawn(wait, a)
coev.sleep(0.01)
print("done")
""",
        expect="done",
    )


def test_a_finalizer_may_look_but_not_wait_between_two_coroutines():
    check_script(
        WAITS
        + """
import gc
a, b = socket.socketpair()
b.send(b"x")
said = []
class Last:
    def __del__(self):
        for wait in waits.values():
            said.append(len(wait(a, 0)))
local = threading.local()
def run():
    local.last = Last()
coev.spawn(run).join()
gc.collect()
print(said)
""",
        expect="[1, 1, 1, 1, 1, 1]",
    )


def test_a_thread_of_the_operating_system_polls_by_itself():
    check_script(
        """
import select, socket, threading, time, warnings
a, b = socket.socketpair()
go = threading.Event()
woken = []
def native():
    while not go.is_set():
        time.sleep(0.005)
    for _ in range(20):
        woken.append(select.select([a], [], [], 5)[0] == [a])
        a.recv(1)
thread = threading.Thread(target=native)
thread.start()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import coev.monkey
go.set()
for _ in range(20):
    time.sleep(0.005)
    b.send(b"x")
thread.join()
print(sum(woken))
""",
        expect="20",
    )
