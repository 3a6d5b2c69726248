"""Several processes: a master that opens the sockets, starts workers and starts them again.

Each worker has a listening socket of its own (SO_REUSEPORT) that the master has open as
well. A connection that waits on the socket of a worker that dies is therefore not lost:
the worker that follows accepts it.

Signals of the master: TERM ends all gracefully, INT and QUIT at once; HUP starts new
workers, which load the application anew, and then ends the old ones; TTIN and TTOU: one
worker more, one less; USR1: logs are opened again.
"""

import mmap
import os
import random
import select
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from types import FrameType
from wsgiref.types import WSGIApplication

from coewsgi import logs, privileges
from coewsgi.listener import Listener, from_systemd, open_listener
from coewsgi.notify import notify
from coewsgi.options import Options
from coewsgi.worker import Worker, prepare_process

#: Exit statuses of a worker: what the master does is another thing for each.
LOAD_FAILED = 3
CONFIG_CHANGED = 4

_FIRST_BACKOFF = 0.5
_LONGEST_BACKOFF = 30.0
#: A worker that lived for so long has started well.
_SOUND_SECONDS = 5.0


class Heartbeats:
    """The moment, for each worker's place, at which its coroutines last ran; shared memory."""

    _FORMAT = struct.Struct("d")

    def __init__(self, places: int) -> None:
        self._memory = mmap.mmap(-1, places * self._FORMAT.size)

    def beat(self, place: int) -> None:
        self._FORMAT.pack_into(self._memory, place * self._FORMAT.size, time.monotonic())

    def last(self, place: int) -> float:
        """When it was, by time.monotonic()."""
        value: float = self._FORMAT.unpack_from(self._memory, place * self._FORMAT.size)[0]
        return value


class _Child:
    def __init__(self, pid: int, place: int, generation: int) -> None:
        self.pid = pid
        self.place = place
        self.generation = generation
        self.started = time.monotonic()
        self.ending = False  # it was asked to end


class Master:
    """Keeps ``options.workers`` workers alive.

    :param load: loads the application, in each worker (once, with preload_app).
    """

    MOST_WORKERS = 512

    def __init__(self, load: Callable[[], WSGIApplication], options: Options) -> None:
        self._load = load
        self._options = options
        self._wanted = options.workers
        self._generation = 0
        self._children: dict[int, _Child] = {}
        self._places: list[list[Listener]] = []
        self._heartbeats = Heartbeats(2 * self.MOST_WORKERS)
        self._application: WSGIApplication | None = None
        self._backoff = 0.0
        self._not_before = 0.0
        self._stopping: float | None = None
        self._deadline = 0.0
        self._pending: list[int] = []
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._first = from_systemd() or [
            open_listener(a, backlog=options.backlog, reuse_port=True, mode=options.unix_mode)
            for a in options.bind
        ]

    # --- sockets ----------------------------------------------------------------------

    def _listeners_of(self, place: int) -> list[Listener]:
        """The sockets of a worker's place; those of the first place are the first ones."""
        while len(self._places) <= place:
            self._places.append(self._more_listeners() if self._places else self._first)
        return self._places[place]

    def _more_listeners(self) -> list[Listener]:
        more = []
        for listener in self._first:
            if listener.path is not None or listener.name.startswith(("unix:", "fd:")):
                more.append(listener)  # one socket, shared: there is no port to reuse
                continue
            try:
                more.append(
                    open_listener(listener.name, backlog=self._options.backlog, reuse_port=True)
                )
            except OSError:
                more.append(listener)  # an inherited socket without SO_REUSEPORT
        return more

    # --- life -------------------------------------------------------------------------

    def run(self) -> int:
        """Serve until a signal ends it. Returns the exit status.

        :raises OSError: an address cannot be listened on.
        """
        logs.ERROR.info("listening on %s", ", ".join(item.name for item in self._first))
        if self._options.preload_app:
            self._application = self._load()
        for number in self._signals():
            signal.signal(number, self._note)
        try:
            status = self._supervise()
        finally:
            for listener in {id(x): x for place in self._places for x in place}.values():
                listener.close()
        return status

    def _signals(self) -> tuple[signal.Signals, ...]:
        names = ("TERM", "INT", "QUIT", "HUP", "TTIN", "TTOU", "USR1", "CHLD")
        return tuple(getattr(signal, f"SIG{name}") for name in names)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._pending.append(number)
        try:
            os.write(self._wake, b".")
        except BlockingIOError:
            pass  # it is full of reasons to wake

    def _supervise(self) -> int:
        ready = False
        while True:
            while self._pending:
                self._act(self._pending.pop(0))
            failed = self._reap()
            if failed and self._stopping is None and not self._children and not ready:
                return failed  # not one worker ever served
            if self._stopping is not None:
                if not self._children:
                    return 0
                if time.monotonic() > self._deadline:
                    self._signal_all(signal.SIGKILL)
            else:
                self._fill()
                self._kill_silent()
                if not ready and self._is_ready():
                    ready = notify("READY=1") or True
            self._sleep()

    def _sleep(self) -> None:
        # A pipe, because a signal that comes just before a sleep would not end it.
        select.select([self._woken], [], [], 0.25)
        try:
            os.read(self._woken, 4096)
        except BlockingIOError:
            pass

    def _is_ready(self) -> bool:
        return any(self._heartbeats.last(c.place) > c.started for c in self._children.values())

    def _act(self, number: int) -> None:
        if number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            self._stop(graceful=number == signal.SIGTERM)
        elif number == signal.SIGHUP:
            logs.ERROR.info("reloading: new workers first, then the old ones end")
            self._generation += 1
            if self._options.preload_app:
                logs.ERROR.warning("preload_app: the application stays as it is")
            logs.reopen()
        elif number == signal.SIGTTIN:
            self._wanted = min(self._wanted + 1, self.MOST_WORKERS)
        elif number == signal.SIGTTOU:
            self._wanted = max(self._wanted - 1, 1)
        elif number == signal.SIGUSR1:
            logs.reopen()
            self._signal_all(signal.SIGUSR1)

    def _stop(self, graceful: bool) -> None:
        notify("STOPPING=1")
        now = time.monotonic()
        self._stopping = now
        self._deadline = now + (self._options.graceful_timeout + 2 if graceful else 2)
        self._signal_all(signal.SIGTERM if graceful else signal.SIGQUIT)

    def _signal_all(self, number: int) -> None:
        for child in list(self._children.values()):
            self._signal(child, number)

    def _signal(self, child: _Child, number: int) -> None:
        child.ending |= number in (signal.SIGTERM, signal.SIGQUIT)
        try:
            os.kill(child.pid, number)
        except ProcessLookupError:
            pass  # it has ended, and _reap() will see that

    def _reap(self) -> int:
        """Forget the children that have ended. Returns LOAD_FAILED if one could not begin."""
        failed = 0
        for pid in list(self._children):
            try:
                ended, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                ended, status = pid, 0
            if ended == 0:
                continue
            child = self._children.pop(pid)
            code = os.waitstatus_to_exitcode(status)
            if child.ending or code in (0, CONFIG_CHANGED):
                continue
            failed = failed or (code if code == LOAD_FAILED else 0)
            self._note_failure(child, code)
        return failed

    def _note_failure(self, child: _Child, code: int) -> None:
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
        sound = time.monotonic() - child.started > _SOUND_SECONDS
        self._backoff = (
            0.0 if sound else min(max(2 * self._backoff, _FIRST_BACKOFF), _LONGEST_BACKOFF)
        )
        self._not_before = time.monotonic() + self._backoff * random.uniform(0.8, 1.2)
        logs.ERROR.error(
            "worker %d ended %s; the next one in %.1f s", child.pid, how, self._backoff
        )

    def _kill_silent(self) -> None:
        limit = self._options.worker_timeout
        for child in list(self._children.values()):
            silence = time.monotonic() - max(self._heartbeats.last(child.place), child.started)
            if limit and silence > limit:
                logs.ERROR.critical("worker %d stood still for %.0f s", child.pid, silence)
                self._signal(child, signal.SIGKILL)
                child.started = time.monotonic()  # once, while its end is on the way

    def _fill(self) -> None:
        """Start workers that are missing, end those too many or of an older generation."""
        current = [
            c for c in self._children.values() if not c.ending and c.generation == self._generation
        ]
        taken = {child.place for child in self._children.values()}
        if time.monotonic() >= self._not_before:
            for _ in range(self._wanted - len(current)):
                place = next(p for p in range(2 * self.MOST_WORKERS) if p not in taken)
                taken.add(place)
                self._spawn(place)
        for child in sorted(current, key=lambda c: c.place)[self._wanted :]:
            self._signal(child, signal.SIGTERM)
        new = [c for c in self._children.values() if c.generation == self._generation]
        if len([c for c in new if time.monotonic() - c.started > 1.0]) >= self._wanted:
            for child in list(self._children.values()):
                if child.generation != self._generation and not child.ending:
                    self._signal(child, signal.SIGTERM)

    # --- a worker ---------------------------------------------------------------------

    def _spawn(self, place: int) -> None:
        # With as many sockets as workers are wanted; a place above shares one of them.
        listeners = self._listeners_of(place % self._wanted)
        self._heartbeats.beat(place)
        generation = self._generation
        pid = os.fork()
        if pid:
            self._children[pid] = _Child(pid, place, generation)
            return
        status = 1
        try:
            status = self._work(place, listeners)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _work(self, place: int, listeners: list[Listener]) -> int:
        for number in self._signals():
            signal.signal(number, signal.SIG_DFL)
        random.seed()
        options = self._options
        try:
            prepare_process(options)
            privileges.drop(options.user, options.group)
            application = self._application or self._load()
        except Exception as error:
            logs.ERROR.error("the application cannot be loaded:\n%s", traceback.format_exc())
            return LOAD_FAILED if not options.reload else self._wait_for_change(error)
        worker = Worker(
            application,
            options,
            listeners,
            heartbeat=lambda: self._heartbeats.beat(place),
            multiprocess=self._wanted > 1,
        )
        changed = self._watch(worker) if options.reload else []
        worker.run()
        return CONFIG_CHANGED if changed else 0

    def _wait_for_change(self, error: Exception) -> int:
        from coewsgi.reload import Watch, files_of

        for number in (signal.SIGTERM, signal.SIGQUIT):
            signal.signal(number, lambda *_: os._exit(0))
        # The module that failed is not among the loaded ones.
        Watch((*self._options.reload_extra_file, *files_of(error))).wait()
        return CONFIG_CHANGED

    def _watch(self, worker: Worker) -> list[str]:
        from threading import Thread

        from coewsgi.reload import Watch

        watch = Watch(self._options.reload_extra_file)
        changed: list[str] = []

        def look() -> None:
            path = watch.wait(stop=lambda: worker.server.draining)
            if path is not None:
                logs.ERROR.info("%s has changed: reloading", path)
                changed.append(path)
                worker.stop(1.0)

        Thread(target=look, name="coewsgi reload", daemon=True).start()
        return changed
