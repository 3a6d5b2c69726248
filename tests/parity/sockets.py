"""Scenarios: socket.socket and the functions of module socket."""

import array
import errno
import gc
import io
import os
import select
import signal
import socket
import struct
import sys
import tempfile
import threading
import time
import warnings

LOCALHOST = "127.0.0.1"


def _start(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def _later(function, *args, seconds=0.03):
    timer = threading.Timer(seconds, function, args)
    timer.daemon = True
    timer.start()
    return timer


def _tcp_pair():
    with socket.create_server((LOCALHOST, 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    return client, server


def _closed_port():
    with socket.socket() as probe:
        probe.bind((LOCALHOST, 0))
        return probe.getsockname()[1]


def _fill(sock):
    """Send until the kernel takes no more; return how much it took."""
    sock.setblocking(False)
    total = 0
    try:
        while True:
            total += sock.send(bytes(65536))
    except BlockingIOError:
        sock.setblocking(True)
        return total


def _drain(sock, left):
    while left > 0:
        left -= len(sock.recv(1 << 20))


def _thrice(function, *args):
    return [function(*args) for _ in range(3)]


def _receive_all(sock, results, name):
    parts = []
    while part := sock.recv(100_000):
        parts.append(part)
    results[name] = b"".join(parts)


def _send_all(sock, data):
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


def _udp():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((LOCALHOST, 0))
    return sock


# --- waiting for data ---------------------------------------------------------------------


def every_receiving_method_waits_for_data(say):
    buffer = bytearray(8)
    methods = {
        "recv": lambda s: s.recv(8),
        "recv_into": lambda s: (s.recv_into(buffer), bytes(buffer[:2])),
        "recv_into_part": lambda s: (s.recv_into(memoryview(buffer)[4:], 1), bytes(buffer[4:5])),
        "recvfrom": lambda s: s.recvfrom(8)[0],
        "recvfrom_into": lambda s: (s.recvfrom_into(buffer)[0], bytes(buffer[:2])),
        "recvmsg": lambda s: s.recvmsg(8)[:3],
        "recvmsg_into": lambda s: (s.recvmsg_into([buffer])[0], bytes(buffer[:2])),
        "peek": lambda s: (s.recv(8, socket.MSG_PEEK), s.recv(8)),
    }
    a, b = socket.socketpair()
    for name, method in methods.items():
        timer = _later(b.sendall, b"xy", seconds=0.01)
        say(name, method(a))
        timer.join()
        if name == "recv_into_part":
            say(a.recv(8))
    for name, method in methods.items():
        a.settimeout(0.01)
        say(name, error_of(method, a), a.gettimeout())
        a.settimeout(5)
        timer = _later(b.sendall, b"xy", seconds=0.01)
        method(a)
        timer.join()
        if name == "recv_into_part":
            say(a.recv(8))
    a.setblocking(False)
    for name, method in methods.items():
        say(name, error_of(method, a))
    b.close()
    a.setblocking(True)
    for name, method in methods.items():
        say(name, method(a))
    a.close()
    for name, method in methods.items():
        say(name, error_of(method, a))


def every_sending_method_waits_for_room(say):
    data = bytes(65536)
    methods = {
        "send": lambda s: s.send(data) > 0,
        "sendall": lambda s: s.sendall(data),
        "sendmsg": lambda s: s.sendmsg([data, data]) > 0,
        "sendto": lambda s: error_of(s.sendto, data, "x"),
    }
    for name, method in list(methods.items())[:3]:
        a, b = socket.socketpair()
        full = _fill(a)
        a.settimeout(0.01)
        say(name, error_of(method, a))
        a.settimeout(0)
        say(name, error_of(method, a))
        a.settimeout(None)

        thread = _start(_drain, b, full)
        say(name, method(a))
        thread.join()
        b.close()
        say(name, error_of(_thrice, method, a))
        a.close()
        say(name, error_of(method, a))


def large_transfers_go_both_ways_at_once(say):
    size = 3_000_000
    for a, b in (socket.socketpair(), _tcp_pair()):
        data = os.urandom(1000) * (size // 1000)
        results = {}
        threads = [
            _start(_receive_all, a, results, "a"),
            _start(_receive_all, b, results, "b"),
            _start(_send_all, a, data),
        ]
        _send_all(b, data)
        for thread in threads:
            thread.join()
        say([(name, received == data) for name, received in sorted(results.items())])
        a.close()
        b.close()


def half_close_leaves_the_other_direction(say):
    a, b = _tcp_pair()
    a.sendall(b"question")
    a.shutdown(socket.SHUT_WR)
    say(error_of(a.send, b"x"), b.recv(100), b.recv(100))
    b.sendall(b"answer")
    b.close()
    say(a.recv(100), a.recv(100))
    a.close()
    say(error_of(a.shutdown, socket.SHUT_RD))


def flags_are_honoured(say):
    a, b = _tcp_pair()
    timer = _later(b.sendall, b"89")
    b.sendall(b"01234567")
    say(a.recv(10, socket.MSG_WAITALL), a.recv(0))
    timer.join()
    b.sendall(b"abc")
    time.sleep(0.01)
    say(a.recv(2, socket.MSG_PEEK), a.recv(10))
    b.send(b"!", socket.MSG_OOB)
    time.sleep(0.01)
    say(a.recv(1, socket.MSG_OOB))
    say(error_of(a.recv, 1, socket.MSG_DONTWAIT), error_of(a.recv_into, bytearray(1), 1, 64))
    say(error_of(a.recvfrom, 1, socket.MSG_DONTWAIT), error_of(a.recvmsg, 1, 0, 64))
    say(error_of(a.recvmsg_into, [bytearray(1)], 0, 64))
    _fill(a)
    for function, args in ((a.send, ()), (a.sendall, ()), (a.sendmsg, ([],))):
        data = bytes(9_000_000)
        data = [data] if function == a.sendmsg else data
        error = error_of(function, data, *args, socket.MSG_DONTWAIT)
        say(error if "Error" in error else "partial")
    a.settimeout(0.02)
    say(error_of(b.recv, 1, -1), error_of(b.recv, 1, 2**40), error_of(b.recv, 1, "x"))
    a.close()
    b.close()


def zero_length_and_huge_receives(say):
    a, b = socket.socketpair()
    b.sendall(b"x" * 100_000)
    a.settimeout(0.5)
    say(a.recv(0), a.recv_into(bytearray()), a.recvfrom(0)[0], a.recvmsg(0)[0])
    say(len(a.recv(50_000_000)) > 65536)
    a.setblocking(False)
    try:
        while True:
            a.recv(1 << 20)
    except BlockingIOError:
        a.setblocking(True)
    _start(b.close)
    say(a.recv(0) if sys.platform != "linux" else "zero", error_of(a.recv, sys.maxsize))
    say(a.recv(10), a.recv(0))


def receiving_argument_errors(say):
    a, b = socket.socketpair()
    a.settimeout(5)
    for timeout in (5, None):
        a.settimeout(timeout)
        for args in ((), ("x",), (1.5,), (None,), (-1,), (2**70,), (1, 2, 3), (1, None), (1, 1.0)):
            say(args, error_of(a.recv, *args))
            say(args, error_of(a.recvfrom, *args))
            if args != (1, 2, 3):
                say(error_of(a.recvmsg, *args))
        for args in (
            (),
            (b"ro",),
            (bytearray(2), -1),
            (bytearray(2), 3),
            (bytearray(2), "x"),
            (3,),
        ):
            say(args, error_of(a.recv_into, *args), error_of(a.recvfrom_into, *args))
        say(error_of(a.recvmsg_into, 3), error_of(a.recvmsg_into, [b"ro"]))
        say(error_of(a.recv, 1, flags=0), error_of(a.recv_into, bytearray(1), bogus=1))
        say(error_of(a.recv_into, bytearray(1), nbytes=2, flags=0))
        say(error_of(a.recvfrom_into, bytearray(1), buffer=2))
        say(error_of(a.recvfrom_into, bytearray(1), 1, 2, 3), error_of(a.recvmsg, 1, -1))
        say(
            error_of(a.recv_into, bytearray(1), 1, "x"),
            error_of(a.recv_into, bytearray(1), 1, 2**40),
        )
    a.close()
    b.close()


def sending_argument_errors(say):
    a, b = socket.socketpair()
    for timeout in (5, None):
        a.settimeout(timeout)
        for args in ((), ("text",), (3,), (None,), (b"", "x"), (b"", 1.5), (b"", 1, 2)):
            say(args, error_of(a.send, *args), error_of(a.sendall, *args))
        for args in (
            (),
            (b"x",),
            ("text", ""),
            (b"x", 3),
            (b"x", "y", 3),
            (b"x", 0, 3),
            (b"", 0, "", 1),
        ):
            say(args, error_of(a.sendto, *args))
        for args in ((), (3,), (["x"],), ([b"x"], 3), ([b"x"], [], "y"), ([b"x"], [(1,)])):
            say(args, error_of(a.sendmsg, *args))
        say(a.send(b""), a.sendall(b""), error_of(a.send, b"", flags=1))
        say(a.send(array.array("i", [1, 2])), a.send(memoryview(bytearray(3))))
        say(error_of(a.send, memoryview(bytes(8))[::2]))
    a.close()
    b.close()


# --- connections ----------------------------------------------------------------------------


def accept_waits_and_times_out(say):
    with socket.create_server((LOCALHOST, 0)) as listener:
        listener.settimeout(0.01)
        say(error_of(listener.accept), listener.gettimeout(), os.get_blocking(listener.fileno()))
        listener.settimeout(None)
        client = socket.socket()
        _later(client.connect, listener.getsockname())
        server, address = listener.accept()
        say(address == client.getsockname(), server.gettimeout(), server.getblocking())
        say(os.get_blocking(server.fileno()), os.get_blocking(listener.fileno()))
        say(server.get_inheritable(), listener.getblocking())
        server.close()
        client.close()
        listener.setblocking(False)
        say(error_of(listener.accept), os.get_blocking(listener.fileno()))
    say(error_of(listener.accept))
    say(error_of(socket.socket().accept))


def connect_errors(say):
    port = _closed_port()
    for timeout in (None, 5):
        for name in ("connect", "connect_ex"):
            sock = socket.socket()
            sock.settimeout(timeout)
            say(name, error_of(getattr(sock, name), (LOCALHOST, port)), sock.gettimeout())
            say(os.get_blocking(sock.fileno()))
            for address in ("x", (), (LOCALHOST,), (LOCALHOST, "x"), (LOCALHOST, 70000), (1, 2), 5):
                say(address, error_of(getattr(sock, name), address))
            say(error_of(getattr(sock, name)))
            sock.close()
            say(error_of(getattr(sock, name), (LOCALHOST, port)))
    a, b = _tcp_pair()
    say(error_of(a.connect, b.getsockname()), a.connect_ex(b.getsockname()))
    sock = socket.socket()
    sock.setblocking(False)
    with socket.create_server((LOCALHOST, 0)) as listener:
        say(sock.connect_ex(listener.getsockname()) in (errno.EINPROGRESS, 0))
    sock.close()
    say(error_of(socket.create_connection, (LOCALHOST, port), 5))
    say(error_of(socket.create_connection, (LOCALHOST, port), source_address=(LOCALHOST, 0)))


def _full_listener():
    """Return a listener whose queue is full, and what fills it."""
    listener = socket.socket()
    listener.bind((LOCALHOST, 0))
    listener.listen(0)
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        fillers.append(filler)
    time.sleep(0.02)
    return listener, fillers


def connect_times_out(say):
    listener, fillers = _full_listener()
    sock = socket.socket()
    sock.settimeout(0.05)
    say(error_of(sock.connect, listener.getsockname()), sock.gettimeout())
    other = socket.socket()
    other.settimeout(0.05)
    say(other.connect_ex(listener.getsockname()) in (errno.EAGAIN, errno.EINPROGRESS))
    say(error_of(socket.create_connection, listener.getsockname(), 0.05))
    for each in (listener, sock, other, *fillers):
        each.close()


def create_server_and_connection(say):
    with socket.create_server((LOCALHOST, 0), backlog=5, reuse_port=True) as listener:
        say(listener.family, listener.getblocking(), listener.gettimeout())
        for host in (LOCALHOST, "localhost"):
            with socket.create_connection((host, listener.getsockname()[1]), timeout=3) as client:
                say(client.gettimeout(), client.getpeername() == listener.getsockname())
    socket.setdefaulttimeout(2)
    a, b = _tcp_pair()
    say(a.gettimeout(), b.gettimeout(), socket.getdefaulttimeout())
    socket.setdefaulttimeout(None)


def ipv6_connections(say):
    if not socket.has_ipv6:
        say("no IPv6")
        return
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        say("no IPv6 here")
        return
    _start(lambda: listener.accept()[0].sendall(b"six"))
    with listener, socket.create_connection(listener.getsockname()[:2]) as client:
        say(client.recv(10), client.family, len(client.getpeername()))


def unix_sockets(say):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "s")
        sock = socket.socket(socket.AF_UNIX)
        say(error_of(sock.connect, path).replace(folder, ""))
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(1)
        _later(sock.connect, path)
        server, address = listener.accept()
        server.sendall(b"hello")
        say(sock.recv(9), address, sock.getpeername() == path)
        others = [socket.socket(socket.AF_UNIX) for _ in range(6)]
        threads = [_start(other.connect, path) for other in others]
        time.sleep(0.03)
        accepted = [listener.accept()[0] for _ in others]
        for thread in threads:
            thread.join()
        say(len(accepted), [other.getpeername() == path for other in others])
        for each in (listener, sock, server, *others, *accepted):
            each.close()


def unix_connect_times_out_when_the_backlog_is_full(say):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "s")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(0)
        socks = []
        errors = []
        for _ in range(4):
            socks.append(socket.socket(socket.AF_UNIX))
            socks[-1].settimeout(0.03)
            errors.append(error_of(socks[-1].connect, path))
        say(errors[0], sorted(set(errors[1:])))
        for each in (listener, *socks):
            each.close()


def datagrams(say):
    a, b = _udp(), _udp()
    _later(b.sendto, b"one", a.getsockname())
    data, sender = a.recvfrom(100)
    say(data, sender == b.getsockname())
    b.connect(a.getsockname())
    say(b.send(b"two"), b.sendall(b"three"), b.sendmsg([b"fo", b"ur"]))
    say(a.recv(2), a.recvmsg(100)[0], a.recv(100), error_of(b.sendto, b"x", 0, ("localhost", 1)))
    say(b.sendto(b"", a.getsockname()), a.recvfrom(10)[0])
    say(error_of(a.sendto, bytes(70000), b.getsockname()))
    say(error_of(a.sendto, b"x", ("255.255.255.255", 9)))
    a.sendto(b"name", ("localhost", b.getsockname()[1]))
    say(b.recv(10))
    say(a.sendmsg([b"to"], [], 0, b.getsockname()), b.recv(10))
    a.settimeout(0.01)
    say(error_of(a.recvfrom, 10))
    a.close()
    b.close()


def file_descriptors_are_passed(say):
    a, b = socket.socketpair()
    reader, writer = os.pipe()
    _later(lambda: socket.send_fds(b, [b"here"], [writer]))
    message, fds, flags, address = socket.recv_fds(a, 100, 2)
    say(message, len(fds), flags, address)
    os.write(fds[0], b"through")
    say(os.read(reader, 100))
    _later(
        lambda: b.sendmsg(
            [b"m"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", writer))]
        )
    )
    data, ancillary, flags, address = a.recvmsg(10, socket.CMSG_SPACE(4))
    say(data, [(level, kind, len(value)) for level, kind, value in ancillary])
    for fd in (reader, writer, *fds, *struct.unpack("i", ancillary[0][2])):
        os.close(fd)
    a.close()
    b.close()


def files_are_sent(say):
    a, b = _tcp_pair()
    with tempfile.TemporaryFile() as file:
        file.write(bytes(range(256)) * 8000)
        file.seek(0)
        received = []

        def receive():
            while part := b.recv(65536):
                received.append(part)

        thread = _start(receive)
        say(a.sendfile(file), file.tell())
        say(a.sendfile(file, offset=100, count=50), file.tell())
        file.seek(7)
        say(a.sendfile(file, count=9), file.tell())
        memory = io.BytesIO(b"memory")
        memory.seek(2)
        say(a.sendfile(memory), a.sendfile(memory, 2))
        a.settimeout(5)
        say(a.sendfile(file, offset=file.seek(0, 2) - 10))
        for args in ((file, -1), (file, 0, 0), (file, 0, "x"), (io.StringIO("x"),), (3,)):
            say(error_of(a.sendfile, *args))
        a.setblocking(False)
        say(error_of(a.sendfile, file))
        a.close()
        thread.join()
        say(sum(map(len, received)), received[0][:3])
        say(error_of(_udp().sendfile, file))


def makefile_reads_and_writes(say):
    a, b = socket.socketpair()
    with a.makefile("rw", encoding="utf-8", newline="\n") as file:
        _later(b.sendall, b"line one\nline ")
        say(file.readline())
        _later(b.sendall, b"two\n")
        say(file.readline())
        file.write("written\n")
        file.flush()
        say(b.recv(100))
    a.settimeout(0.01)
    with a.makefile("rb", buffering=0) as raw:
        say(error_of(raw.read, 1), error_of(raw.read, 1))
    a.settimeout(None)
    file = a.makefile("rb")
    a.close()
    b.sendall(b"after close")
    b.close()
    say(file.read(), error_of(a.recv, 1))
    file.close()
    say(error_of(a.makefile, "x"), file.closed)


def detached_and_duplicated_sockets_go_on(say):
    a, b = socket.socketpair()
    c = a.dup()
    a.close()
    _later(b.sendall, b"dup")
    say(c.recv(10), c.getblocking(), c.gettimeout())
    fd = c.detach()
    say(c.fileno(), error_of(c.recv, 1), os.get_blocking(fd), c.detach())
    d = socket.socket(fileno=fd)
    _later(b.sendall, b"fd")
    say(d.recv(10), d.family, d.type, error_of(socket.socket, fileno=-1))
    os.close(d.detach())
    say(b.recv(1))
    b.close()


def timeouts_and_modes_are_as_set(say):
    for make in (socket.socket, lambda: socket.create_server((LOCALHOST, 0)), _udp):
        sock = make()
        for action, value in (
            (sock.settimeout, 1.5),
            (sock.settimeout, 0),
            (sock.settimeout, None),
            (sock.setblocking, False),
            (sock.setblocking, True),
            (sock.settimeout, 0.0001),
        ):
            action(value)
            say(sock.gettimeout(), sock.getblocking(), sock.timeout, os.get_blocking(sock.fileno()))
        for value in (-1, "x", float("nan"), 1e300):
            say(error_of(sock.settimeout, value), error_of(sock.setblocking, value))
        sock.settimeout(None)
        os.set_blocking(sock.fileno(), False)
        say(os.get_blocking(sock.fileno()), sock.getblocking(), error_of(socket.socket, timeout=1))
        sock.close()
        say(error_of(sock.settimeout, 1), sock.gettimeout())


def mode_set_by_os_after_accept_and_connect(say):
    with socket.create_server((LOCALHOST, 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        for sock in (listener, client, server):
            say(os.get_blocking(sock.fileno()))
            os.set_blocking(sock.fileno(), False)
            say(os.get_blocking(sock.fileno()), sock.gettimeout())
            os.set_blocking(sock.fileno(), True)
            say(os.get_blocking(sock.fileno()))
        client.close()
        server.close()
        say(select.select([listener], [], [], 0)[0])


# --- errors while waiting ----------------------------------------------------------------------


def peers_that_vanish_are_reported(say):
    a, b = _tcp_pair()
    b.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    _later(b.close)
    say(error_of(a.recv, 10), a.recv(10))
    a.close()
    a, b = _tcp_pair()
    b.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    _later(b.close)
    say(error_of(a.sendall, bytes(50_000_000)).replace("32", "104").partition("[")[0] != "")
    say(error_of(a.send, b"x"))
    a.close()
    a, b = socket.socketpair()
    b.close()
    say(error_of(a.send, b"x"), error_of(a.sendall, b"x"), error_of(a.sendmsg, [b"x"]))


def shutdown_by_another_thread_ends_a_recv(say):
    a, b = _tcp_pair()
    _later(a.shutdown, socket.SHUT_RDWR)
    say(a.recv(10))
    listener = socket.create_server((LOCALHOST, 0))
    _later(listener.shutdown, socket.SHUT_RDWR)
    say(error_of(listener.accept))


def signals_interrupt_and_resume_socket_calls(say):
    a, b = socket.socketpair()
    listener = socket.create_server((LOCALHOST, 0))
    calls = (lambda: a.recv(1), listener.accept, lambda: a.recvfrom(1))

    def handler(number, frame):
        say("handled")

    old = signal.signal(signal.SIGALRM, handler)
    for sock in (a, listener):
        sock.settimeout(0.06)
    for call in calls:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        say(error_of(call))

    def failing(number, frame):
        raise KeyError("handler")

    signal.signal(signal.SIGALRM, failing)
    for sock in (a, listener):
        sock.settimeout(None)
    for call in calls:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        say(error_of(call))
    signal.signal(signal.SIGALRM, old)


# --- names --------------------------------------------------------------------------------------


def numeric_addresses_and_errors_of_getaddrinfo(say):
    say(socket.getaddrinfo(LOCALHOST, 80, type=socket.SOCK_STREAM))
    say(socket.getaddrinfo("::1", 80, type=socket.SOCK_STREAM))
    say(len(socket.getaddrinfo(None, 80, flags=socket.AI_PASSIVE)) > 0)
    say(error_of(socket.getaddrinfo, "999.1.1.1.invalid", 80))
    say(error_of(socket.getaddrinfo, LOCALHOST, "nosuchservice"))
    say(error_of(socket.getaddrinfo, "::1", 80, socket.AF_INET))
    say(error_of(socket.getaddrinfo, "\ud800", 80), error_of(socket.getaddrinfo, 3, 80))
    say(error_of(socket.getaddrinfo), error_of(socket.getaddrinfo, "a", 1, bogus=1))
    say(error_of(socket.getaddrinfo, "x" * 70, 80), error_of(socket.getaddrinfo, "a\0b", 80))
    say(socket.getaddrinfo(b"localhost", 80, socket.AF_INET, socket.SOCK_STREAM)[0][4])
    say(socket.getaddrinfo("localhost", "http", socket.AF_INET, socket.SOCK_STREAM)[0][4])


def other_lookups(say):
    say(socket.gethostbyname(LOCALHOST), socket.gethostbyname("localhost"))
    say(socket.gethostbyname(""), socket.gethostbyname("<broadcast>"))
    say(error_of(socket.gethostbyname, "no.such.host.invalid"))
    say(error_of(socket.gethostbyname, 3), error_of(socket.gethostbyname))
    say(socket.gethostbyname_ex(LOCALHOST), error_of(socket.gethostbyname_ex, "a.invalid"))
    say(socket.gethostbyaddr(LOCALHOST)[2], error_of(socket.gethostbyaddr, "no.such.invalid"))
    say(error_of(socket.gethostbyaddr, 3))
    say(socket.getnameinfo((LOCALHOST, 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV))
    say(error_of(socket.getnameinfo, ("nohost", 80), 0), error_of(socket.getnameinfo, 3, 0))
    say(error_of(socket.getnameinfo, (LOCALHOST,), 0))
    say(socket.getfqdn(LOCALHOST) != "", type(socket.gethostname()))


def connecting_by_name(say):
    with socket.create_server((LOCALHOST, 0)) as listener:
        port = listener.getsockname()[1]
        for host in ("localhost", b"localhost", bytearray(b"localhost")):
            sock = socket.socket()
            say(sock.connect((host, port)), sock.getpeername() == (LOCALHOST, port))
            sock.close()
        sock = socket.socket()
        say(error_of(sock.connect, ("no.such.host.invalid", port)))
        say(error_of(sock.connect_ex, ("no.such.host.invalid", port)))
        say(error_of(socket.create_connection, ("no.such.host.invalid", port)))
        say(sock.connect_ex(("localhost", port)))
        sock.close()


# --- classes and objects ---------------------------------------------------------------------------


def subclasses_of_socket_work(say):
    class Mine(socket.socket):
        received = 0

        def recv(self, *args):
            data = super().recv(*args)
            self.received += len(data)
            return data

    a, b = socket.socketpair()
    mine = Mine(fileno=a.detach())
    _later(b.sendall, b"mine")
    say(mine.recv(10), mine.received, repr(mine).partition(" fd=")[0].partition(".")[0])
    say(type(mine.dup()).__name__, error_of(setattr, b, "bogus", 1))
    say(socket.socket.__init__.__qualname__, type(socket.socket.recv).__name__)
    say(socket.SocketType is socket.socket.__mro__[1], socket.socket.recv.__qualname__)
    mine.close()
    b.close()


def unclosed_sockets_warn(say):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        a, b = socket.socketpair()
        b.sendall(b"x")
        a.recv(1)
        del a
        gc.collect()
    say([w.category.__name__ for w in caught])
    say(b.recv(1))
    b.close()


def many_readers_share_a_socket(say):
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    got = []

    def read():
        while data := a.recv(10):
            got.append(int(data))

    threads = [_start(read) for _ in range(5)]
    for number in range(50):
        b.send(b"%d" % number)
    for _ in threads:
        b.send(b"")
    for thread in threads:
        thread.join()
    say(sorted(got) == list(range(50)))


def many_acceptors_share_a_listener(say):
    listener = socket.create_server((LOCALHOST, 0), backlog=50)
    served = []

    def serve():
        while True:
            sock, _ = listener.accept()
            with sock:
                data = sock.recv(10)
                if data == b"stop":
                    return
                served.append(data)
                sock.sendall(data.upper())

    threads = [_start(serve) for _ in range(4)]
    answers = []

    def ask(data):
        with socket.create_connection(listener.getsockname()) as sock:
            sock.sendall(data)
            answers.append(sock.recv(10))

    clients = [_start(ask, b"q%d" % n) for n in range(20)]
    for thread in clients:
        thread.join()
    for _ in threads:
        ask(b"stop")
    for thread in threads:
        thread.join()
    say(sorted(answers), len(served))
    listener.close()


def methods_complain_however_they_are_called(say):
    def attempt(function, *args, **kwargs):
        try:
            say(function.__name__, function(*args, **kwargs))
        except Exception as error:
            say(function.__name__, type(error).__name__, str(error))

    lock, rlock = threading.Lock(), threading.RLock()
    with socket.socket() as sock:
        for name in ("recv", "send", "sendall", "recv_into", "recvfrom", "sendto", "recvmsg"):
            method = getattr(socket.socket, name)
            for args in ((), (1,), (lock, 1), (sock,), (sock, "text"), (sock, 1, 2, 3, 4)):
                attempt(method, *args)
            attempt(method, sock, nonsense=1)
            attempt(method, sock, 4, **{})
            attempt(getattr(sock, name), nonsense=1)
            attempt(getattr(sock, name))
    for each in (lock, rlock):
        method = type(each).acquire
        for args in ((), (1,), (sock,), (each, 1, 2, 3), (each, True, -7), (each, False)):
            attempt(method, *args)
        attempt(method, each, blocking=False, timeout=-1)
        attempt(method, each, False, **{"time" + "out": 1})
        attempt(method, each, nonsense=1)
        attempt(each.acquire, blocking=False)


def methods_called_by_their_class_do_the_same(say):
    a, b = socket.socketpair()
    with a, b:
        say(socket.socket.send(a, b"one"), socket.socket.recv(b, 10))
        say(socket.socket.sendall(a, b"two"), socket.socket.recv(b, 2), b.recv(10, 0))
        buffer = bytearray(4)
        say(a.send(b"three"), socket.socket.recv_into(b, buffer, 3), buffer, b.recv(9))
        say(a.send(b"four"), socket.socket.recv_into(b, buffer, nbytes=4), buffer)
        _later(a.sendall, b"late")
        say(socket.socket.recv(b, 10))
    lock = threading.Lock()
    say(type(lock).acquire(lock, blocking=True, timeout=1), type(lock).acquire(lock, timeout=0))
