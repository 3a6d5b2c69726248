"""Scenarios: what the program has told the kernel about waiting, besides Python's timeout."""

import array
import fcntl
import os
import socket
import struct
import tempfile
import threading
import time

LOCALHOST = "127.0.0.1"
SHORT_SECONDS = 0.1


def _later(function, *args, seconds=0.05):
    timer = threading.Timer(seconds, function, args)
    timer.daemon = True
    timer.start()
    return timer


def _tcp_pair():
    with socket.create_server((LOCALHOST, 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    return client, server


PAIRS = {"unix": socket.socketpair, "tcp": _tcp_pair}

RECEIVING = {
    "recv": lambda s, n, flags=0: s.recv(n, flags),
    "recv_into": lambda s, n, flags=0: s.recv_into(bytearray(n), n, flags),
    "recvfrom": lambda s, n, flags=0: s.recvfrom(n, flags)[0],
    "recvfrom_into": lambda s, n, flags=0: s.recvfrom_into(bytearray(n), n, flags)[0],
    "recvmsg": lambda s, n, flags=0: s.recvmsg(n, 0, flags)[0],
    "recvmsg_into": lambda s, n, flags=0: s.recvmsg_into([bytearray(n)], 0, flags)[0],
    "os.read": lambda s, n, flags=0: os.read(s.fileno(), n),
    "os.readv": lambda s, n, flags=0: os.readv(s.fileno(), [bytearray(n)]),
    "makefile": lambda s, n, flags=0: s.makefile("rb", buffering=0).read(n),
}

FILL = bytes(1 << 22)
SENDING = {
    "send": lambda s: s.send(FILL),
    "sendall": lambda s: s.sendall(FILL),
    "sendmsg": lambda s: s.sendmsg([FILL]),
    "os.write": lambda s: os.write(s.fileno(), FILL),
    "os.writev": lambda s: os.writev(s.fileno(), [FILL]),
}


def _by_set_blocking(sock):
    os.set_blocking(sock.fileno(), False)
    return sock


def _by_fcntl(sock):
    flags = fcntl.fcntl(sock, fcntl.F_GETFL)
    fcntl.fcntl(sock, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    return sock


def _by_duplicate(sock):
    copy = os.dup(sock.fileno())
    os.set_blocking(copy, False)
    os.close(copy)
    return sock


def _by_other_object(sock):
    with socket.socket(fileno=os.dup(sock.fileno())) as other:
        other.setblocking(False)
    return sock


def _by_fileno(sock):
    sock.setblocking(False)
    return socket.socket(fileno=sock.detach())


def _by_fromfd(sock):
    sock.setblocking(False)
    return socket.fromfd(sock.fileno(), sock.family, sock.type)


def _by_ioctl(sock):
    fcntl.ioctl(sock, 0x5421, array.array("i", [1]))  # FIONBIO
    return sock


WAYS = [
    _by_set_blocking,
    _by_fcntl,
    _by_duplicate,
    _by_other_object,
    _by_fileno,
    _by_fromfd,
    _by_ioctl,
]


def no_call_waits_on_a_file_that_does_not_block(say):
    for way in WAYS:
        for name, receive in RECEIVING.items():
            a, b = socket.socketpair()
            a = way(a)
            say(way.__name__, name, error_of(receive, a, 10), a.gettimeout())
            b.send(b"xy")
            say(error_of(receive, a, 10), os.get_blocking(a.fileno()))
            a.close()
            b.close()
        for name, send in SENDING.items():
            a, b = socket.socketpair()
            a = way(a)
            try:
                while True:
                    send(a)
            except BlockingIOError as error:
                say(way.__name__, name, error.errno)
            a.close()
            b.close()


def a_mode_counts_also_after_the_first_wait(say):
    for make in PAIRS.values():
        a, b = make()
        for _ in range(3):
            timer = _later(b.sendall, b"xy", seconds=0.01)
            say(a.recv(10))
            timer.join()
        os.set_blocking(a.fileno(), False)
        say(error_of(a.recv, 10))
        b.sendall(b"z")
        time.sleep(0.01)
        say(a.recv(10), error_of(a.recv, 10))
        os.set_blocking(a.fileno(), True)
        timer = _later(b.sendall, b"xy", seconds=0.01)
        say(a.recv(10))
        timer.join()
        a.close()
        b.close()


def accept_and_connect_heed_the_mode_of_the_file(say):
    for way in WAYS:
        with socket.create_server((LOCALHOST, 0)) as listener, socket.socket() as client:
            address = listener.getsockname()
            listener = way(listener)
            client = way(client)
            say(way.__name__, error_of(listener.accept), os.get_blocking(listener.fileno()))
            say(error_of(client.connect, address))
            listener.setblocking(True)
            listener.accept()[0].close()
            listener.close()
            client.close()


def a_listener_keeps_its_mode_for_whoever_gets_it(say):
    with socket.create_server((LOCALHOST, 0)) as listener:
        timer = _later(lambda: socket.create_connection(listener.getsockname()).close())
        listener.accept()[0].close()
        timer.join()
        say(bool(fcntl.fcntl(listener, fcntl.F_GETFL) & os.O_NONBLOCK))
        with socket.socket(fileno=os.dup(listener.fileno())) as copy:
            timer = _later(lambda: socket.create_connection(listener.getsockname()).close())
            copy.accept()[0].close()
            timer.join()
        say(os.get_blocking(listener.fileno()))


def a_connection_keeps_its_mode_after_connect(say):
    with socket.create_server((LOCALHOST, 0)) as listener, socket.socket() as client:
        client.connect(listener.getsockname())
        say(os.get_blocking(client.fileno()), client.gettimeout())
        say(bool(fcntl.fcntl(client, fcntl.F_GETFL) & os.O_NONBLOCK))


def _set_timeouts(sock, seconds=SHORT_SECONDS):
    value = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)


def _timed(say, name, function, *args):
    began = time.monotonic()
    outcome = error_of(function, *args)
    took = time.monotonic() - began
    say(name, outcome, SHORT_SECONDS * 0.9 < took < 20 * SHORT_SECONDS)


def the_kernels_timeouts_end_every_wait(say):
    for kind, make in PAIRS.items():
        for name, receive in RECEIVING.items():
            a, b = make()
            _set_timeouts(a)
            _timed(say, f"{kind} {name}", receive, a, 10)
            timer = _later(b.sendall, b"xy", seconds=0.01)
            say(receive(a, 10))
            timer.join()
            a.close()
            b.close()
        a, b = make()
        _set_timeouts(a)

        def fill(a=a):
            while True:
                a.send(FILL)

        _timed(say, kind, fill)
        _timed(say, "sendall", a.sendall, b"x" * (1 << 23))
        a.close()
        b.close()


def the_kernels_timeout_ends_accept_and_is_inherited(say):
    with socket.create_server((LOCALHOST, 0)) as listener:
        _set_timeouts(listener)
        _timed(say, "accept", listener.accept)
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        _timed(say, "accepted", accepted.recv, 1)
        accepted.close()
        client.close()


def the_kernels_timeout_ends_connect(say):
    # A backlog that is full.
    path = tempfile.mkdtemp() + "/s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        clients = []
        for _ in range(10):
            client = socket.socket(socket.AF_UNIX)
            clients.append(client)
            client.setblocking(False)
            if client.connect_ex(path):
                break
        with socket.socket(socket.AF_UNIX) as last:
            _set_timeouts(last)
            _timed(say, "connect", last.connect, path)
        for client in clients:
            client.close()


def a_timeout_in_python_goes_before_the_kernels(say):
    a, b = socket.socketpair()
    _set_timeouts(a, 20)
    a.settimeout(SHORT_SECONDS)
    _timed(say, "recv", a.recv, 1)
    _set_timeouts(a, 0.001)
    _timed(say, "recv", a.recv, 1)
    a.settimeout(None)
    _set_timeouts(a, 0)
    timer = _later(b.send, b"x")
    say(a.recv(1))
    timer.join()
    a.close()
    b.close()


def an_inherited_socket_keeps_its_timeouts(say):
    a, b = socket.socketpair()
    _set_timeouts(a)
    c = socket.socket(fileno=a.detach())
    _timed(say, "recv", c.recv, 1)
    c.close()
    b.close()


def _in_pieces(sock):
    def send():
        for piece in (b"34", b"5", b"678", b"9a"):
            time.sleep(0.02)
            sock.sendall(piece)

    thread = threading.Thread(target=send)
    sock.sendall(b"12")
    thread.start()
    return thread


def reads_of_all_wait_for_all(say):
    for kind, make in PAIRS.items():
        for flags in (socket.MSG_WAITALL, socket.MSG_WAITALL | socket.MSG_PEEK):
            for name in (
                "recv",
                "recv_into",
                "recvfrom",
                "recvfrom_into",
                "recvmsg",
                "recvmsg_into",
            ):
                a, b = make()
                thread = _in_pieces(b)
                say(kind, name, flags, RECEIVING[name](a, 8, flags))
                thread.join()
                b.close()
                say(RECEIVING[name](a, 100, socket.MSG_WAITALL))
                a.close()


def reads_wait_for_the_low_water_mark(say):
    for kind, make in PAIRS.items():
        for name in ("recv", "recv_into", "recvmsg", "recvmsg_into", "recvfrom"):
            a, b = make()
            a.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 8)
            thread = _in_pieces(b)
            got = RECEIVING[name](a, 100)
            got = got if isinstance(got, int) else len(got)
            say(kind, name, got >= 8)
            thread.join()
            a.close()
            b.close()


def what_has_come_by_the_kernels_timeout_is_the_result(say):
    a, b = _tcp_pair()
    _set_timeouts(a)
    b.sendall(b"123")
    _timed(say, "recv", a.recv, 10, socket.MSG_WAITALL)
    _timed(say, "nothing", a.recv, 10, socket.MSG_WAITALL)
    a.close()
    b.close()


# --- ready, and yet it would block -------------------------------------------------------------


def _processor_seconds(function, *args):
    began = time.process_time()
    outcome = error_of(function, *args)
    return outcome, time.process_time() - began < 0.2


def _udp():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((LOCALHOST, 0))
    return sock


def shutdown_ends_the_wait_of_a_datagram_socket(say):
    for name, receive in RECEIVING.items():
        for connected in (False, True):
            if name.startswith("makefile"):
                continue
            sock = _udp()
            if connected:
                sock.connect((LOCALHOST, 9))
            timer = _later(error_of, sock.shutdown, socket.SHUT_RDWR)
            say(name, connected, error_of(receive, sock, 10))
            timer.join()
            say(error_of(receive, sock, 10))
            sock.close()


def a_timeout_ends_the_wait_of_a_datagram_socket_that_was_shut_down(say):
    sock = _udp()
    sock.settimeout(0.2)
    timer = _later(error_of, sock.shutdown, socket.SHUT_RDWR)
    for name in ("recv", "recv_into", "recvfrom", "recvmsg"):
        say(name, error_of(RECEIVING[name], sock, 10))
    timer.join()
    sock.close()


def a_full_queue_of_datagrams_is_waited_for(say):
    path = tempfile.mkdtemp() + "/s"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(path)
        sender.settimeout(0.2)

        def fill():
            while True:
                sender.sendto(b"x", path)

        outcome, _ = _processor_seconds(fill)
        say(outcome)
        sender.settimeout(None)
        timer = _later(receiver.recv, 1, seconds=0.1)
        say(sender.sendto(b"y", path))
        timer.join()
        sender.settimeout(0.2)
        say(error_of(sender.sendmsg, [b"z"], [], 0, path))


# --- numbers that are no descriptors -------------------------------------------------------------


def numbers_that_are_no_descriptors_are_refused(say):
    with socket.create_server((LOCALHOST, 0)) as listener:
        threading.Thread(target=error_of, args=(listener.accept,), daemon=True).start()
        time.sleep(0.02)
        fd = listener.fileno()
        for number in (2**32 + fd, 2**64 + fd, -1, -(2**32) + fd):
            say(error_of(os.get_blocking, number), error_of(os.set_blocking, number, False))
        say(os.get_blocking(fd))
        socket.create_connection(listener.getsockname()).close()
