"""Small pieces of work, the same at every run, for a tool that counts instructions or lines.

The clock stands still and jumps to the next deadline, so that no number depends on how
slow the tool is. Usage: python -m coev instructions.py KIND COUNT
"""

from __future__ import annotations

import gc
import queue
import socket
import sys
import threading
import time
from collections.abc import Callable

import coev
from coev import _coev

Work = Callable[[int], None]

_CROWD = 400  # what they touch is more than the cache that is simulated


def nothing() -> None:
    """Finish at once."""


def switch(count: int) -> None:
    """There and back."""
    main, go = coev.main(), coev.switch

    def answer() -> None:
        while True:
            go(main)

    partner = coev.spawn(answer)
    for _ in range(count):
        go(partner)


def give_way(count: int) -> None:
    """Two give way to one another."""
    yield_now = coev.yield_now

    def work() -> None:
        for _ in range(count):
            yield_now()

    partner = coev.spawn(work)
    work()
    partner.join()


def spawn(count: int) -> None:
    """Spawn, run, finish, join."""
    start = coev.spawn
    for _ in range(count):
        start(nothing).join()


def thread(count: int) -> None:
    """Start and join a Thread."""
    for _ in range(count):
        each = threading.Thread(target=nothing)
        each.start()
        each.join()


def lock(count: int) -> None:
    """Acquire and release a lock that nobody else wants."""
    own = threading.Lock()
    for _ in range(count):
        own.acquire()
        own.release()


def hand_over(count: int) -> None:
    """Two threads release what the other waits for."""
    ours, theirs = threading.Lock(), threading.Lock()
    ours.acquire()
    theirs.acquire()

    def partner() -> None:
        for _ in range(count):
            theirs.acquire()
            ours.release()

    other = threading.Thread(target=partner)
    other.start()
    for _ in range(count):
        theirs.release()
        ours.acquire()
    other.join()


def ready(count: int) -> None:
    """Send and receive a byte that does not keep anybody waiting."""
    ours, theirs = socket.socketpair()
    for _ in range(count):
        ours.send(b"x")
        theirs.recv(1)


def echo(count: int) -> None:
    """A byte there and back between two that wait for one another."""
    ours, theirs = socket.socketpair()

    def partner() -> None:
        for _ in range(count):
            theirs.send(theirs.recv(1))

    other = threading.Thread(target=partner)
    other.start()
    for _ in range(count):
        ours.send(b"x")
        ours.recv(1)
    other.join()


def echo_crowd(count: int) -> None:
    """The same with many that all wait, each once in a round."""
    pairs = [socket.socketpair() for _ in range(_CROWD)]

    def partner(ours: socket.socket, rounds: int) -> None:
        for _ in range(rounds):
            ours.send(ours.recv(1))

    rounds = count // _CROWD
    others = [threading.Thread(target=partner, args=(ours, rounds)) for ours, _ in pairs]
    for other in others:
        other.start()
    for _ in range(rounds):
        for _, theirs in pairs:
            theirs.send(b"x")
        for _, theirs in pairs:
            theirs.recv(1)
    for other in others:
        other.join()


def yield_crowd(count: int) -> None:
    """Many give way to one another."""
    turns, gate = count // _CROWD, threading.Semaphore(0)

    def work() -> None:
        gate.acquire()
        for _ in range(turns):
            time.sleep(0)

    others = [threading.Thread(target=work) for _ in range(_CROWD)]
    for other in others:
        other.start()
    gate.release(_CROWD)
    for other in others:
        other.join()


def connection(count: int) -> None:
    """Connect, accept, echo a byte in a Thread of its own, close both ends."""

    def serve(accepted: socket.socket) -> None:
        with accepted:
            while data := accepted.recv(100):
                accepted.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        for _ in range(count):
            with socket.socket() as client:
                client.connect(address)
                threading.Thread(target=serve, args=(listener.accept()[0],)).start()
                client.sendall(b"x")
                client.recv(1)


def accept(count: int) -> None:
    """Connect, accept, and close both ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        for _ in range(count):
            client = socket.socket()
            client.connect(address)
            listener.accept()[0].close()
            client.close()


def timer(count: int) -> None:
    """Sleep until the clock has moved on."""
    sleep = time.sleep
    for _ in range(count):
        sleep(0.001)


def queues(count: int) -> None:
    """A question through one Queue, the answer through another."""
    questions: queue.Queue[int] = queue.Queue()
    answers: queue.Queue[int] = queue.Queue()

    def partner() -> None:
        for _ in range(count):
            answers.put(questions.get())

    other = threading.Thread(target=partner)
    other.start()
    for number in range(count):
        questions.put(number)
        answers.get()
    other.join()


KINDS: dict[str, Work] = {
    "switch": switch,
    "yield": give_way,
    "spawn": spawn,
    "thread": thread,
    "lock": lock,
    "hand-over": hand_over,
    "ready": ready,
    "echo": echo,
    "accept": accept,
    "connection": connection,
    "echo-lines": echo_crowd,
    "yield-lines": yield_crowd,
    "timer": timer,
    "queue": queues,
}

if __name__ == "__main__":
    # A collection more or less would be a step in the difference of two lengths.
    gc.disable()
    sys.setswitchinterval(3600)  # nor is anybody preempted
    _coev._virtual_time(True)
    KINDS[sys.argv[1]](int(sys.argv[2]))
