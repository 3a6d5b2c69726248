"""Sockets behave the same between coroutines, and let the others run while they wait."""

import re

import pytest
from run_script import STRESS_SECONDS, check_script
from support_monkey import assert_clean_end, assert_same, scenarios


@pytest.mark.parametrize("scenario", scenarios("sockets"))
def test_sockets_behave_as_natively(scenario):
    assert_same("sockets", scenario)


def test_processes_of_the_scenarios_end_well():
    assert_clean_end("sockets")


# --- the others run meanwhile ---------------------------------------------------------------

BLOCKING_CALLS = """
import coev.monkey
import concurrent.futures, os, queue, socket, sys, tempfile, threading, time

SECONDS = 0.15

def later(function, *args):
    timer = threading.Timer(SECONDS, function, args)
    timer.daemon = True
    timer.start()

def pair():
    a, b = socket.socketpair()
    later(b.sendall, b"x")
    return a, b

def full_pair():
    a, b = socket.socketpair()
    a.setblocking(False)
    try:
        while True:
            a.send(bytes(65536))
    except BlockingIOError:
        a.setblocking(True)

    def drain():
        while b.recv(1 << 20):
            pass

    later(drain)
    return a, b

def call_recv(): a, b = pair(); a.recv(1)
def call_recv_into(): a, b = pair(); a.recv_into(bytearray(1))
def call_recvfrom(): a, b = pair(); a.recvfrom(1)
def call_recvfrom_into(): a, b = pair(); a.recvfrom_into(bytearray(1))
def call_recvmsg(): a, b = pair(); a.recvmsg(1)
def call_recvmsg_into(): a, b = pair(); a.recvmsg_into([bytearray(1)])
def call_recv_timeout(): a, b = socket.socketpair(); a.settimeout(SECONDS); refuse(a.recv, 1)
def call_makefile(): a, b = pair(); a.makefile("rb").read(1)
def call_send(): a, b = full_pair(); a.send(b"x")
def call_sendall(): a, b = full_pair(); a.sendall(bytes(10**7))
def call_sendmsg(): a, b = full_pair(); a.sendmsg([b"x"])
def call_sendfile():
    a, b = full_pair()
    with tempfile.TemporaryFile() as file:
        file.write(bytes(10**6))
        file.flush()
        a.sendfile(file)
def call_accept():
    listener = socket.create_server(("127.0.0.1", 0))
    later(socket.create_connection, listener.getsockname())
    listener.accept()
def call_connect():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
    client = socket.socket()
    client.settimeout(SECONDS)
    refuse(client.connect, listener.getsockname())
def call_sleep(): time.sleep(SECONDS)
def call_lock(): lock = threading.Lock(); lock.acquire(); later(lock.release); lock.acquire()
def call_lock_timeout(): lock = threading.Lock(); lock.acquire(); lock.acquire(timeout=SECONDS)
def call_event(): threading.Event().wait(SECONDS)
def call_condition():
    condition = threading.Condition()
    with condition:
        condition.wait(SECONDS)
def call_semaphore(): threading.Semaphore(0).acquire(timeout=SECONDS)
def call_barrier(): refuse(threading.Barrier(2).wait, SECONDS)
def call_queue(): q = queue.Queue(); later(q.put, 1); q.get()
def call_simple_queue(): q = queue.SimpleQueue(); later(q.put, 1); q.get()
def call_join(): t = threading.Thread(target=time.sleep, args=(SECONDS,)); t.start(); t.join()
def call_join_timeout():
    t = threading.Thread(target=time.sleep, args=(60,), daemon=True); t.start(); t.join(SECONDS)
def call_executor():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(time.sleep, SECONDS).result()

def refuse(function, *args):
    try:
        function(*args)
    except (OSError, threading.BrokenBarrierError):
        return
    raise SystemExit(f"{function} did not time out")

ticks = 0

def tick():
    global ticks
    while True:
        time.sleep(0.01)
        ticks += 1

threading.Thread(target=tick, daemon=True).start()
for name in sys.argv[1:]:
    call = globals()["call_" + name]
    for in_main in (True, False):
        before, start = ticks, time.monotonic()
        if in_main:
            call()
        else:
            thread = threading.Thread(target=call)
            thread.start()
            thread.join()
        seen, lasted = ticks - before, time.monotonic() - start
        if lasted < SECONDS * 0.9 or seen < 4:
            print(f"{name}: {seen} ticks in {lasted:.2f} s, in the main thread: {in_main}")
print("done")
"""

CALLS = re.findall(r"^def call_(\w+)\(\)", BLOCKING_CALLS, re.MULTILINE)
GROUPS = [CALLS[i : i + 9] for i in range(0, len(CALLS), 9)]


@pytest.mark.realtime
@pytest.mark.parametrize("calls", GROUPS, ids=lambda calls: f"{calls[0]}-to-{calls[-1]}")
def test_others_run_while_a_call_waits(calls):
    check_script(BLOCKING_CALLS, *calls, expect="done")


# --- closed by somebody else ------------------------------------------------------------------


def test_close_by_another_thread_ends_every_wait_with_ebadf():
    check_script(
        """
        import coev.monkey
        import errno, os, socket, threading, time

        def full():
            a, b = socket.socketpair()
            a.setblocking(False)
            try:
                while True:
                    a.send(bytes(65536))
            except BlockingIOError:
                a.setblocking(True)
            return a, b

        def connecting():
            listener = socket.socket()
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
            return socket.socket(), (listener, fillers)

        def address_of(extra):
            return extra[0].getsockname()

        CASES = {
            "recv": (socket.socketpair, lambda s, x: s.recv(1)),
            "recv_into": (socket.socketpair, lambda s, x: s.recv_into(bytearray(1))),
            "recvfrom": (socket.socketpair, lambda s, x: s.recvfrom(1)),
            "recvmsg": (socket.socketpair, lambda s, x: s.recvmsg(1)),
            "accept": (lambda: (socket.create_server(("127.0.0.1", 0)), 0),
                       lambda s, x: s.accept()),
            "send": (full, lambda s, x: s.send(b"x")),
            "sendall": (full, lambda s, x: s.sendall(b"x")),
            "sendmsg": (full, lambda s, x: s.sendmsg([b"x"])),
            "connect": (connecting, lambda s, x: s.connect(address_of(x))),
        }
        CLOSERS = {
            "close": lambda s: s.close(),
            "detach": lambda s: os.close(s.detach()),
            "os.close": lambda s: os.close(s.fileno()),
            "socket.close": lambda s: socket.close(s.fileno()),
            "dup2": lambda s: os.dup2(0, s.fileno()),
        }
        for name, (make, call) in CASES.items():
            for closer, close in CLOSERS.items():
                for timeout in (None, 20):
                    sock, extra = make()
                    sock.settimeout(timeout)
                    threading.Timer(0.005, close, (sock,)).start()
                    try:
                        print(name, closer, call(sock, extra))
                    except OSError as error:
                        if error.errno != errno.EBADF:
                            print(name, closer, timeout, repr(error))
                    if closer in ("os.close", "socket.close"):
                        sock.detach()
        print("done")
        """,
        expect="done",
    )


REUSE = """
    import coev.monkey
    import os, random, socket, sys, threading, time

    # Pairs come and go in every way while others get the same numbers; each
    # exchange waits on purpose, so a wake-up that is lost shows as a timeout.
    end = time.monotonic() + float(sys.argv[1])
    random.seed(1)
    exchanges = 0
    failures = []
    numbers = set()

    def close_by_close(sock): sock.close()
    def close_by_detach(sock): os.close(sock.detach())
    def close_by_os_close(sock): os.close(sock.fileno()); sock.detach()
    def close_by_closerange(sock): os.closerange(sock.fileno(), sock.fileno() + 1); sock.detach()
    def close_by_dup2(sock):
        reader, writer = os.pipe()
        os.dup2(reader, sock.fileno())
        os.close(reader)
        os.close(writer)
        sock.close()
    def drop(sock): pass

    closers = [close_by_close, close_by_detach, close_by_os_close, close_by_closerange,
               close_by_dup2, drop]

    def exchange():
        global exchanges
        import warnings
        a, b = socket.socketpair()
        numbers.update((a.fileno(), b.fileno()))
        a.settimeout(5)
        b.settimeout(5)

        def answer(b):
            try:
                b.sendall(b.recv(10))
                if random.random() < 0.5:
                    b.recv(1)  # waits until the other side goes
            except OSError as error:
                failures.append(("answer", repr(error)))
            random.choice(closers)(b)

        thread = threading.Thread(target=answer, args=(b,))
        thread.start()
        del b
        try:
            time.sleep(random.choice((0, 0.0005)))
            a.sendall(b"ping")
            if a.recv(10) != b"ping":
                failures.append("wrong data")
        except OSError as error:
            failures.append(("ask", repr(error)))
        random.choice(closers)(a)
        del a
        thread.join()
        exchanges += 1

    def work():
        while time.monotonic() < end:
            exchange()

    import warnings
    warnings.simplefilter("ignore", ResourceWarning)
    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert exchanges > 20, exchanges
    assert len(numbers) < 500, "the numbers were not reused"
    print(failures[:5] or "ok")
"""


@pytest.mark.realtime
def test_no_wake_up_is_lost_when_numbers_of_descriptors_are_reused():
    check_script(REUSE, STRESS_SECONDS, expect="ok", timeout=60)


# --- sockets from before, listeners of several processes -----------------------------------------


def test_sockets_and_classes_from_before_the_patch_wait_as_coroutines():
    check_script(
        """
        import os
        import socket
        from socket import socket as Socket, create_connection, socketpair

        class Mine(Socket):
            def recv(self, count):
                return b"mine:" + super().recv(count)

        a, b = socketpair()
        listener = socket.create_server(("127.0.0.1", 0))
        mine = Mine(fileno=os.dup(a.fileno()))
        waiting = a.recv  # a bound method
        plain = Socket.recv
        timed = Socket()
        timed.settimeout(0.05)

        import coev.monkey
        import threading, time

        def later(function, *args):
            threading.Timer(0.02, function, args).start()

        later(b.sendall, b"1")
        print(waiting(1))
        later(b.sendall, b"2")
        print(plain(a, 1))
        later(b.sendall, b"3")
        print(mine.recv(1))
        later(create_connection, listener.getsockname())
        print(type(listener.accept()[0]) is Socket is socket.socket)
        timed.bind(("127.0.0.1", 0))
        timed.listen()
        try:
            timed.accept()
        except TimeoutError as error:
            print(error)
        """,
        expect="b'1'\nb'2'\nb'mine:3'\nTrue\ntimed out",
    )


def test_processes_share_a_listener():
    check_script(
        """
        import coev.monkey
        import os, socket, sys, threading

        listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        children = []
        for _ in range(3):
            pid = os.fork()
            if pid == 0:
                def serve():
                    while True:
                        sock, _ = listener.accept()
                        with sock:
                            data = sock.recv(10)
                            sock.sendall(b"%d" % os.getpid())
                            if data == b"stop":
                                os._exit(0)
                threads = [threading.Thread(target=serve) for _ in range(3)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                os._exit(1)
            children.append(pid)

        def ask(data):
            with socket.create_connection(listener.getsockname(), timeout=20) as sock:
                sock.sendall(data)
                return int(sock.recv(20))

        answers = []
        threads = [
            threading.Thread(target=lambda: answers.append(ask(b"q"))) for _ in range(60)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == 60 and set(answers) <= set(children), answers
        for _ in children:
            ask(b"stop")
        print("ok" if all(os.waitpid(pid, 0)[1] == 0 for pid in children) else "bad")
        """,
        expect="ok",
    )


def test_a_child_without_coev_accepts_on_a_listener_of_ours():
    check_script(
        """
        import coev.monkey
        import os, socket, subprocess, sys

        listener = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(listener.getsockname())
        listener.set_inheritable(True)
        child = '''
        import socket, sys
        listener = socket.socket(fileno=int(sys.argv[1]))
        sock, _ = listener.accept()
        sock.sendall(b"native")
        '''
        import textwrap
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(child), str(listener.fileno())],
            pass_fds=[listener.fileno()],
        )
        print(client.recv(10), process.wait())
        """,
        expect="b'native' 0",
    )
