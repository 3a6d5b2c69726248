"""Scenarios of waiting for signals and sending them to threads."""

import os
import signal
import threading
import time

USR1, USR2 = signal.SIGUSR1, signal.SIGUSR2


class _Later:
    """Send signals to this process some time later, all from one thread."""

    def __init__(self, *signals, seconds=0.1):
        self._thread = threading.Thread(target=self._send, args=(signals, seconds))

    def _send(self, signals, seconds):
        for number in signals:
            time.sleep(seconds)
            os.kill(os.getpid(), number)

    def __enter__(self):
        self._blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {USR1, USR2})
        self._thread.start()  # natively it must not be the one that gets the signal
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)

    def __exit__(self, *_):
        self._thread.join()


class _Blocked:
    """Have signals blocked for some time."""

    def __init__(self, *signals):
        self._signals = signals

    def __enter__(self):
        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, self._signals)

    def __exit__(self, *_):
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)


class _Handled:
    """Have a signal handled for some time; count how often."""

    def __init__(self, number, error=None):
        self.number, self.error, self.count = number, error, 0

    def _handle(self, number, frame):
        self.count += 1
        if self.error is not None:
            raise self.error

    def __enter__(self):
        self._before = signal.signal(self.number, self._handle)
        return self

    def __exit__(self, *_):
        signal.signal(self.number, self._before)


def pause_ends_with_the_handler(say):
    with _Handled(USR1) as handled, _Later(USR1):
        say(signal.pause(), handled.count)
    with _Handled(USR1, KeyError("said")), _Later(USR1):
        say(error_of(signal.pause))
    with _Handled(signal.SIGALRM) as handled:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        say(signal.pause(), handled.count)
    say(error_of(signal.pause, 1))


def pause_does_not_end_with_an_ignored_signal(say):
    before = signal.signal(USR2, signal.SIG_IGN)
    with _Handled(USR1) as handled, _Later(USR2, USR1):
        say(signal.pause(), handled.count)
    signal.signal(USR2, before)


def blocked_signals_are_waited_for(say):
    with _Blocked(USR1, USR2), _Handled(USR1) as handled:
        with _Later(USR1):
            say(signal.sigwait({USR1, USR2}))
        with _Later(USR2):
            info = signal.sigwaitinfo([USR1, USR2])
            say(info.si_signo == USR2, info.si_pid == os.getpid(), info.si_code)
        with _Later(USR1):
            say(signal.sigtimedwait({USR1}, 10).si_signo == USR1)
        os.kill(os.getpid(), USR1)
        say(signal.sigpending(), signal.sigwait([USR1]), signal.sigpending())
        say(signal.sigtimedwait([USR1], 0), signal.sigtimedwait([USR1], 0.05))
        say(handled.count)


def handled_signals_are_waited_for_also_where_they_are_not_blocked(say):
    with _Handled(USR1) as handled, _Handled(USR2):
        for number in (USR1, USR2):
            with _Later(number):
                say(signal.sigwait({USR1, USR2}))
        with _Later(USR1):
            info = signal.sigtimedwait([USR1], 10)
            say(info.si_signo == USR1, info.si_pid == os.getpid(), info.si_code)
        reader, writer = os.pipe()
        pid = os.fork()  # what it does with the signal is its own
        if pid == 0:
            os.read(reader, 1)
            os._exit(handled.count)
        with _Later(USR1):
            say(signal.sigwait([USR1]))
        os.kill(pid, USR1)
        os.write(writer, b"x")
        say(os.waitpid(pid, 0)[1] >> 8)
        os.close(reader)
        os.close(writer)
        say(handled.count)
        os.kill(os.getpid(), USR1)
        say(handled.count, signal.pthread_sigmask(signal.SIG_BLOCK, []))


def handlers_of_other_signals_run_meanwhile(say):
    with _Blocked(USR1), _Handled(USR2) as handled, _Later(USR2, USR1):
        say(signal.sigwaitinfo([USR1]).si_signo == USR1, handled.count)
    with _Blocked(USR1), _Handled(USR2) as handled, _Later(USR2):
        began = time.monotonic()
        say(signal.sigtimedwait([USR1], 0.3), handled.count, time.monotonic() - began >= 0.3)
    with _Blocked(USR1), _Handled(USR2, KeyError("said")), _Later(USR2):
        say(error_of(signal.sigwaitinfo, [USR1]))


def many_signals_are_taken_one_by_one(say):
    with _Blocked(USR1, USR2, signal.SIGHUP):
        for number in (signal.SIGHUP, USR2, USR1, USR1):
            os.kill(os.getpid(), number)
        say(*(signal.sigwait([signal.SIGHUP, USR1, USR2]) for _ in range(3)))
        say(signal.sigtimedwait([signal.SIGHUP, USR1, USR2], 0))
        for value in (signal.SIGRTMIN, signal.SIGRTMIN, signal.SIGRTMIN + 1):
            with _Blocked(value):
                os.kill(os.getpid(), value)
                say(signal.sigwait([value]) == value)


def wrong_arguments_are_refused(say):
    say(error_of(signal.sigwait), error_of(signal.sigwait, 5), error_of(signal.sigwait, [99]))
    say(error_of(signal.sigwait, [0]), error_of(signal.sigwait, ["x"]))
    say(error_of(signal.sigwaitinfo, [1, 2**70]), error_of(signal.sigwaitinfo, [1], [2]))
    say(error_of(signal.sigtimedwait, [1], -1), error_of(signal.sigtimedwait, [1], "x"))
    say(error_of(signal.sigtimedwait, [1]), error_of(signal.sigtimedwait, [1], float("nan")))


def signals_of_a_process_reach_waiters(say):
    pid = os.fork()
    if pid == 0:
        time.sleep(0.1)
        os.kill(os.getppid(), USR1)
        os._exit(0)
    with _Blocked(USR1):
        say(signal.sigwaitinfo([USR1]).si_pid == pid)
    os.waitpid(pid, 0)


def two_signals_at_once_are_both_handled(say):
    with _Handled(USR1) as one, _Handled(USR2) as other:

        def send():
            with _Blocked(USR1, USR2):
                os.kill(os.getpid(), USR1)
                os.kill(os.getpid(), USR2)

        thread = threading.Thread(target=send)
        thread.start()
        time.sleep(0.1)
        thread.join()
        say(one.count, other.count)


def threads_are_sent_signals(say):
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    with _Handled(USR1) as handled:
        say(signal.pthread_kill(thread.ident, 0))
        signal.pthread_kill(thread.ident, USR1)
        while not handled.count:
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident, USR1)
        signal.raise_signal(USR1)
        say(handled.count)
    say(error_of(signal.pthread_kill, thread.ident, 99))
    stop.set()
    thread.join()


def timers_and_interruption_stay_what_they_are(say):
    with _Handled(signal.SIGALRM) as handled:
        say(signal.siginterrupt(signal.SIGALRM, False), signal.alarm(0))
        signal.setitimer(signal.ITIMER_REAL, 0.03, 0.03)
        time.sleep(0.2)
        say(handled.count >= 3, signal.setitimer(signal.ITIMER_REAL, 0)[1] == 0.03)
        signal.siginterrupt(signal.SIGALRM, True)


def threads_have_masks_of_their_own(say):
    def change():
        say(signal.pthread_sigmask(signal.SIG_BLOCK, [USR1, USR2]))
        say(signal.pthread_sigmask(signal.SIG_UNBLOCK, {USR2, signal.SIGHUP}))
        say(signal.pthread_sigmask(signal.SIG_SETMASK, iter([signal.SIGHUP])))
        say(signal.pthread_sigmask(signal.SIG_BLOCK, []))
        for arguments in ((99, []), (0, [0]), (0, [99]), (0, ["x"]), (0, 5), ("x", []), (0,)):
            say(error_of(signal.pthread_sigmask, *arguments))
        say(
            error_of(signal.pthread_sigmask, 0, [2**70]),
            error_of(signal.pthread_sigmask, 2**70, []),
        )

    with _Blocked(signal.SIGUSR1):
        thread = threading.Thread(target=change)
        thread.start()
        thread.join()
        say(signal.pthread_sigmask(signal.SIG_BLOCK, []))
