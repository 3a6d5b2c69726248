"""Scenarios of waiting for child processes."""

import _imp
import os
import pty
import signal
import subprocess
import sys
import threading
import time

EXITED = os.WEXITED


def _child(seconds=0.05, code=3):
    pid = os.fork()
    if pid == 0:
        time.sleep(seconds)
        os._exit(code)
    return pid


def _in_threads(*functions):
    results = [None] * len(functions)

    def run(i):
        results[i] = error_of(functions[i])

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def each_function_returns_the_status(say):
    pid = _child()
    say(os.waitpid(pid, 0) == (pid, 3 << 8))
    pid = _child()
    say(os.wait() == (pid, 3 << 8))
    pid = _child()
    say(os.wait3(0)[:2] == (pid, 3 << 8))
    pid = _child()
    say(os.wait3(options=0)[:2] == (pid, 3 << 8))
    pid = _child()
    say(os.wait4(pid, 0)[:2] == (pid, 3 << 8))
    pid = _child()
    say(os.wait4(pid=pid, options=os.WUNTRACED)[:2] == (pid, 3 << 8))
    pid = _child()
    found = os.waitid(os.P_PID, pid, EXITED)
    say(found.si_pid == pid, found.si_status, found.si_code == os.CLD_EXITED)
    pid = _child()
    say(os.waitpid(0, 0) == (pid, 3 << 8))
    pid = _child()
    say(os.waitpid(-os.getpgrp(), 0) == (pid, 3 << 8))
    pid = _child()
    say(os.waitid(os.P_ALL, 0, EXITED).si_pid == pid)


def a_zombie_is_found_at_once(say):
    pid = _child(0)
    os.waitid(os.P_PID, pid, EXITED | os.WNOWAIT)
    say(os.waitpid(pid, 0) == (pid, 3 << 8))
    say(error_of(os.waitpid, pid, 0))


def looking_does_not_take_the_child(say):
    pid = _child()
    for _ in range(2):
        say(os.waitid(os.P_PID, pid, EXITED | os.WNOWAIT).si_pid == pid)
    say(os.waitid(os.P_PID, pid, EXITED).si_pid == pid)


def not_waiting_says_so(say):
    pid = _child(0.2)
    say(os.waitpid(pid, os.WNOHANG))
    say(os.wait3(os.WNOHANG)[:2])
    say(os.waitid(os.P_PID, pid, EXITED | os.WNOHANG))
    os.waitpid(pid, 0)


def without_children_there_is_an_error(say):
    say(error_of(os.wait))
    say(error_of(os.waitpid, -1, 0))
    say(error_of(os.waitpid, os.getpid(), 0))
    say(error_of(os.wait3, 0))
    say(error_of(os.wait4, 1, 0))
    say(error_of(os.waitid, os.P_ALL, 0, EXITED))
    say(error_of(os.waitid, os.P_ALL, 0, 0))


def wrong_arguments_are_refused(say):
    say(error_of(os.waitpid))
    say(error_of(os.waitpid, "1", 0))
    say(error_of(os.waitpid, 1, 0, 0))
    say(error_of(os.waitpid, 2**70, 0))
    say(error_of(os.waitpid, -1, 1 << 20))
    say(error_of(os.wait, 1))
    say(error_of(os.wait3))
    say(error_of(os.wait3, flags=0))
    say(error_of(os.wait4, 1))
    say(error_of(os.waitid, os.P_ALL, 0))
    say(error_of(os.system))
    say(error_of(os.system, 1))
    say(error_of(os.system, "a\0b"))


def one_of_two_waiters_gets_the_child(say):
    pid = _child(0.1)
    say(*sorted(_in_threads(lambda: os.waitpid(pid, 0)[1], lambda: os.waitpid(pid, 0)[1])))
    pid = _child(0.1)
    say(*sorted(_in_threads(lambda: os.wait()[1], lambda: os.wait()[1])))


def each_waiter_gets_its_own_child(say):
    pids = [_child(0.05 * i, i) for i in range(4)]
    say(*_in_threads(*(lambda pid=pid: os.waitpid(pid, 0)[1] >> 8 for pid in reversed(pids))))


def waiters_for_any_child_share_them(say):
    for i in range(3):
        _child(0.05 * i, i)
    say(*sorted(_in_threads(*[lambda: os.wait()[1] >> 8] * 3)))


def a_child_that_comes_later_is_seen(say):
    first = _child(0.3, 1)

    def fork_another():
        time.sleep(0.05)
        _child(0.05, 2)

    thread = threading.Thread(target=fork_another)
    thread.start()
    say(os.wait()[1] >> 8)
    say(os.wait() == (first, 1 << 8))
    thread.join()


def stops_and_continues_are_seen(say):
    pid = _child(0.4)
    threading.Timer(0.05, os.kill, (pid, signal.SIGSTOP)).start()
    status = os.waitpid(pid, os.WUNTRACED)[1]
    say(os.WIFSTOPPED(status), os.WSTOPSIG(status))
    threading.Timer(0.05, os.kill, (pid, signal.SIGCONT)).start()
    say(os.WIFCONTINUED(os.waitpid(pid, os.WCONTINUED)[1]))
    os.kill(pid, signal.SIGSTOP)
    say(os.waitid(os.P_PID, pid, os.WSTOPPED).si_code == os.CLD_STOPPED)
    os.kill(pid, signal.SIGCONT)
    say(os.waitpid(pid, 0)[1] >> 8)


def ignoring_sigchld_leaves_nothing_to_wait_for(say):
    previous = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        for wait in (
            lambda pid: os.wait(),
            lambda pid: os.waitpid(pid, 0),
            lambda pid: os.wait3(0),
        ):
            began = time.monotonic()
            say(error_of(wait, _child(0.1)), time.monotonic() - began >= 0.1)
    finally:
        signal.signal(signal.SIGCHLD, previous)


def a_blocked_or_handled_sigchld_changes_nothing(say):
    handled = []
    previous = signal.signal(signal.SIGCHLD, lambda *_: handled.append(1))
    try:
        pid = _child()
        say(os.wait() == (pid, 3 << 8), len(handled))
        with_mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = _child()
        say(os.wait() == (pid, 3 << 8))
        pid = _child()
        say(os.waitpid(pid, 0) == (pid, 3 << 8))
        signal.pthread_sigmask(signal.SIG_SETMASK, with_mask)
    finally:
        signal.signal(signal.SIGCHLD, previous)


def a_signal_handler_runs_and_the_wait_goes_on(say):
    handled = []
    previous = signal.signal(signal.SIGALRM, lambda *_: handled.append(1))
    try:
        for wait in (lambda pid: os.waitpid(pid, 0), lambda pid: os.wait()):
            pid = _child(0.2)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            say(wait(pid) == (pid, 3 << 8), len(handled))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        say(os.system("sleep 0.2"))
    finally:
        signal.signal(signal.SIGALRM, previous)


def a_signal_handler_that_raises_ends_the_wait(say):
    def fail(*_):
        raise KeyError("handled")

    previous = signal.signal(signal.SIGALRM, fail)
    try:
        for wait in (lambda pid: os.waitpid(pid, 0), lambda pid: os.wait()):
            pid = _child(0.2)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            say(error_of(wait, pid))
            say(os.waitpid(pid, 0) == (pid, 3 << 8))
    finally:
        signal.signal(signal.SIGALRM, previous)


def system_returns_the_status_of_the_shell(say):
    say(os.system("exit 5"))
    say(os.system(b"sleep 0.05; kill -9 $$"))
    say(os.system(command="true"))
    say(_in_threads(lambda: os.system("exit 1"), lambda: os.system("sleep 0.05; exit 2")))
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    say(os.system("kill -USR1 $$; exit 3"))
    signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def popen_and_subprocess_wait(say):
    with os.popen("sleep 0.05; echo said; exit 7") as pipe:
        say(pipe.read())
    pipe = os.popen("exit 7")
    say(pipe.close() >> 8)
    process = subprocess.Popen(["sh", "-c", "sleep 0.05; exit 4"])
    say(process.wait(), process.returncode)
    say(error_of(subprocess.Popen(["sh", "-c", "exit 4"]).wait, timeout=5))
    process = subprocess.Popen(["sleep", "5"])
    say(error_of(process.wait, timeout=0.05).replace(str(process.pid), "pid"))
    process.kill()
    say(process.wait())
    done = subprocess.run(["cat"], input=b"x" * 200_000, capture_output=True, check=True)
    say(len(done.stdout))
    process = subprocess.Popen(["sleep", "0.1"])
    say(*_in_threads(process.wait, process.wait))


def spawned_processes_are_waited_for(say):
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "sleep 0.05; exit 6"], os.environ)
    say(os.waitpid(pid, 0) == (pid, 6 << 8))
    say(os.spawnv(os.P_WAIT, "/bin/sh", ["sh", "-c", "exit 8"]))
    pid = os.spawnv(os.P_NOWAIT, sys.executable, ["python", "-c", "raise SystemExit(9)"])
    say(os.waitpid(pid, 0) == (pid, 9 << 8))


def each_way_to_fork_leaves_only_the_forking_thread(say):
    other = threading.Event()
    thread = threading.Thread(target=other.wait)
    thread.start()

    def in_thread():
        for fork in (os.fork, lambda: os.forkpty()[0], lambda: pty.fork()[0]):
            pid = fork()
            if pid == 0:
                time.sleep(0.01)
                alone = threading.enumerate() == [threading.current_thread()]
                os._exit(not alone or threading.current_thread() is not threading.main_thread())
            yield os.waitpid(pid, 0)[1]

    say(*_in_threads(lambda: list(in_thread())))
    say(list(_statuses_in_main()))
    other.set()
    thread.join()


def _wait_status(fork):
    pid = fork()
    if pid == 0:
        worker = threading.Thread(target=time.sleep, args=(0.01,))
        worker.start()
        worker.join()
        os._exit(len(threading.enumerate()))
    return os.waitpid(pid, 0)[1] >> 8


def _statuses_in_main():
    for fork in (os.fork, lambda: os.forkpty()[0], lambda: pty.fork()[0]):
        yield _wait_status(fork)


def a_fork_waits_for_the_import_lock(say):
    importing, order = threading.Event(), []

    def import_slowly():
        _imp.acquire_lock()
        _imp.acquire_lock()
        importing.set()
        time.sleep(0.1)
        _imp.release_lock()
        order.append("imported")
        _imp.release_lock()

    thread = threading.Thread(target=import_slowly)
    thread.start()
    importing.wait()
    say(error_of(_imp.release_lock), _imp.lock_held())
    pid = os.fork()
    if pid == 0:
        _imp.acquire_lock()
        _imp.release_lock()
        os._exit(0 if order == ["imported"] and not _imp.lock_held() else 1)
    thread.join()
    say(os.waitpid(pid, 0)[1], _imp.lock_held())
    threads = [threading.Thread(target=import_slowly) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say(order, error_of(_imp.release_lock))
