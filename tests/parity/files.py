"""Scenarios: os.read, os.write and files on pipes, FIFOs and terminals."""

import errno
import functools
import io
import os
import pty
import signal
import socket
import tempfile
import threading
import time

BIG = 1_000_000


def _start(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def _later(function, *args, seconds=0.03):
    timer = threading.Timer(seconds, function, args)
    timer.daemon = True
    timer.start()
    return timer


def _drain(fd, left):
    total = 0
    while total < left:
        total += len(os.read(fd, 10_000))
    return total


def os_read_waits_for_data_and_sees_the_end(say):
    reader, writer = os.pipe()
    _later(os.write, writer, b"data")
    say(os.read(reader, 100))
    _later(os.close, writer)
    say(os.read(reader, 100))


def os_read_takes_what_is_there(say):
    reader, writer = os.pipe()
    os.write(writer, b"0123456789")
    say(os.read(reader, 4), os.read(reader, 0), os.read(reader, 100))


def odd_arguments_of_os_functions(say):
    reader, writer = os.pipe()
    for function in (os.read, os.write, os.readv, os.writev):
        say(error_of(function))
        say(error_of(function, writer))
        say(error_of(function, "x", 1))
        say(error_of(function, 10**10, b""))
        say(error_of(function, -1, b"" if function is os.write else [b""]))
    say(error_of(os.read, reader, -1), error_of(os.read, reader, 10**30))
    say(error_of(os.write, writer, "text"), error_of(os.writev, writer, ["text"]))
    say(error_of(os.readv, reader, [b"readonly"]), error_of(os.readv, reader, 5))
    say(error_of(os.read, writer, 5), error_of(os.write, reader, b"x"))
    say(error_of(os.write, writer, b""), error_of(os.writev, writer, []))


def os_write_writes_all(say):
    reader, writer = os.pipe()
    drained = []
    thread = _start(lambda: drained.append(_drain(reader, BIG)))
    say(os.write(writer, bytes(BIG)))
    thread.join()
    say(drained)


def os_writev_and_readv(say):
    reader, writer = os.pipe()
    thread = _start(_drain, reader, BIG)
    say(os.writev(writer, [bytes(BIG // 4)] * 4))
    thread.join()
    _later(os.writev, writer, [b"abc", b"", bytearray(b"defg")])
    buffers = [bytearray(2), bytearray(0), bytearray(3), bytearray(9)]
    say(os.readv(reader, buffers), buffers)


def a_descriptor_that_does_not_block_says_so(say):
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    say(error_of(os.read, reader, 1))
    say(os.write(writer, bytes(BIG)) < BIG)
    say(error_of(os.write, writer, b"x"))
    raw = os.fdopen(writer, "wb", 0)
    say(raw.write(b"x"))
    buffered = os.fdopen(os.dup(writer), "wb")
    buffered.write(b"abc")
    say(error_of(buffered.flush))
    left = os.fdopen(reader, "rb", 0)
    say(len(left.readall()) > 0, left.read(), left.read(10), left.readinto(bytearray(5)))
    buffered.flush()
    buffered.close()
    raw.close()
    say(left.readall(), left.readall())


def broken_pipes(say):
    reader, writer = os.pipe()
    os.close(reader)
    say(error_of(os.write, writer, b"x"))
    file = os.fdopen(writer, "wb")
    file.write(b"x")
    say(error_of(file.flush))
    say(error_of(file.close))
    reader, writer = os.pipe()
    _later(os.close, reader)
    say(0 < os.write(writer, bytes(BIG)) < BIG)  # the other side goes in the middle
    say(error_of(os.write, writer, b"x"))


def raw_files(say):
    reader, writer = os.pipe()
    raw = os.fdopen(reader, "rb", 0)
    _later(os.write, writer, b"abcdef")
    say(raw.read(3), raw.read(10))
    _later(os.write, writer, b"xy")
    buffer = bytearray(5)
    say(raw.readinto(buffer), buffer)
    _later(lambda: (os.write(writer, bytes(20_000)), os.close(writer)))
    say(len(raw.readall()), raw.read(), raw.read(5), raw.readall())
    say(error_of(raw.write, b"x"), error_of(raw.read, "x"), error_of(raw.readinto, b"x"))
    raw.close()
    say(error_of(raw.read), error_of(raw.readall), error_of(raw.readinto, buffer))


def raw_files_write_all(say):
    reader, writer = os.pipe()
    raw = os.fdopen(writer, "wb", 0)
    thread = _start(_drain, reader, BIG)
    say(raw.write(bytes(BIG)))
    thread.join()
    say(raw.write(b""), error_of(raw.write, "text"), error_of(raw.read))
    raw.close()
    say(error_of(raw.write, b"x"))


def buffered_and_text_files(say):
    reader, writer = os.pipe()
    out = os.fdopen(writer, "w", encoding="utf-8")
    text = os.fdopen(reader, encoding="utf-8")
    _later(lambda: print("first", "second", sep="\n", file=out, flush=True))
    say(text.readline(), next(text))
    big = "x" * 300_000 + "\n"
    _later(lambda: (out.write(big), out.write("end"), out.close()))
    say(len(text.readline()), text.read(), text.read())
    text.close()


def one_line_each_for_many_readers(say):
    reader, writer = os.pipe()
    lines = []
    with os.fdopen(reader, "rb") as file:
        threads = [_start(lambda: lines.append(file.readline())) for _ in range(20)]
        for number in range(20):
            # One at a time: natively what is read in advance may be lost to who waits.
            os.write(writer, b"%d\n" % number)
            while len(lines) <= number:
                time.sleep(0.001)
        for thread in threads:
            thread.join()
        os.close(writer)
        say(sorted(int(line) for line in lines), file.read())


def many_writers_lose_nothing(say):
    reader, writer = os.pipe()
    out = os.fdopen(writer, "wb", buffering=1000)
    lines = []

    def write(name):
        for number in range(200):
            out.write(b"%d-%d\n" % (name, number))
            if number % 50 == 0:
                out.flush()

    threads = [_start(write, name) for name in range(10)]
    collector = _start(lambda: lines.extend(os.fdopen(reader, "rb")))
    for thread in threads:
        thread.join()
    out.close()
    collector.join()
    expected = {b"%d-%d\n" % (name, number) for name in range(10) for number in range(200)}
    say(len(lines), set(lines) == expected)


def a_reader_does_not_hold_up_the_writer_of_a_pair(say):
    left, right = socket.socketpair()
    pair = left.makefile("rwb")
    thread = _start(lambda: say(pair.readline()))
    time.sleep(0.02)
    pair.write(b"to the other side\n")
    pair.flush()
    say(right.recv(100))
    right.sendall(b"answer\n")
    thread.join()


def a_pair_of_pipes_and_a_file_for_both_are_shared(say):
    there, back = os.pipe(), os.pipe()
    pair = io.BufferedRWPair(io.FileIO(back[0], "rb"), io.FileIO(there[1], "wb"))
    threads = [_start(lambda: say(len(pair.read(100_000))))]
    time.sleep(0.02)
    threads.append(_start(lambda: (pair.write(b"x" * 200_000), pair.flush())))
    time.sleep(0.02)
    say(_drain(there[0], 200_000))
    _later(os.write, back[1], b"y" * 50_000, seconds=0.02)
    _later(os.write, back[1], b"z" * 50_000, seconds=0.05)
    for thread in reversed(threads):
        thread.join()
    with tempfile.TemporaryFile() as file:

        def add(number):
            for _ in range(50):
                file.write(b"%d\n" % number)

        threads = [_start(add, number) for number in range(5)]
        for thread in threads:
            thread.join()
        file.seek(0)
        say(type(file.raw).__name__, sorted(file).count(b"3\n"), file.tell())


def whoever_reenters_a_buffered_object_is_told(say):
    class Raw(io.RawIOBase):
        def readable(self):
            return True

        def writable(self):
            return True

        def readinto(self, buffer):
            return len(reader.read(5))

        def write(self, data):
            return writer.write(data)

    reader = io.BufferedReader(Raw())
    writer = io.BufferedWriter(Raw())
    say(error_of(reader.read, 10), error_of(reader.readline), error_of(next, reader))
    writer.write(b"x")
    say(error_of(writer.flush))


def closing_waits_for_the_reader(say):
    reader, writer = os.pipe()
    file = os.fdopen(reader, "rb")
    thread = _start(lambda: say(file.readline()))
    time.sleep(0.02)
    _later(os.write, writer, b"line\n")
    file.close()
    thread.join()
    say(file.closed)


def duplicates_share_the_pipe(say):
    reader, writer = os.pipe()
    copy = os.dup(reader)
    _later(os.write, writer, b"ab")
    say(os.read(copy, 1))
    os.close(copy)
    say(os.read(reader, 1))
    _later(os.write, writer, b"c")
    say(os.read(reader, 1))


def a_descriptor_that_becomes_another_file(say):
    reader, writer = os.pipe()
    file = os.fdopen(writer, "wb", 0)
    with tempfile.TemporaryFile() as disk:
        saved = os.dup(writer)
        os.dup2(disk.fileno(), writer)
        file.write(b"on disk")
        os.dup2(saved, writer)
        file.write(b"in the pipe")
        disk.seek(0)
        say(disk.read(), os.read(reader, 100))


def opening_a_fifo_waits_for_the_other_end(say):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "fifo")
        os.mkfifo(path)

        def write(text):
            with open(path, "w") as out:
                out.write(text)

        _later(write, "one")
        with open(path) as file:
            say(file.name == path, file.mode, os.get_blocking(file.fileno()), file.read())
        received = []
        thread = _later(lambda: received.append(open(path, "rb").read()))
        fd = os.open(path, os.O_WRONLY)
        say(os.get_blocking(fd), os.get_inheritable(fd))
        os.write(fd, b"two")
        os.close(fd)
        thread.join()
        say(received)
        _later(lambda: os.close(os.open(path, os.O_WRONLY)))  # opened, and nothing written
        say(open(path, "rb").read())
        say("No such device" in error_of(os.open, path, os.O_WRONLY | os.O_NONBLOCK))
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        say(os.get_blocking(fd), os.read(fd, 1))
        os.close(fd)
        both = os.open(path, os.O_RDWR)
        os.write(both, b"three")
        say(os.read(both, 10))
        os.close(both)
        directory = os.open(folder, os.O_RDONLY)
        _later(write, "four")
        say(os.read(os.open("fifo", os.O_RDONLY, dir_fd=directory), 10))
        say(error_of(os.open, path, "x"), error_of(open, "\0"), error_of(open, 5.0))


def terminals(say):
    master, slave = pty.openpty()
    _later(os.write, master, b"line\n")
    say(os.isatty(slave), os.read(slave, 100))
    say(os.read(master, 100))
    file = os.fdopen(slave, "rb", closefd=False)
    _later(os.write, master, b"second\nthird\n\x04")
    say(file.readline(), file.readline(), file.readline())
    say(len(os.read(master, 100)) > 0)
    drained = _start(_drain, master, 100_000)
    say(os.write(slave, b"x" * 100_000))
    drained.join()
    _later(os.write, slave, b"to the master\n")
    say(os.read(master, 100))


def sockets_by_descriptor(say):
    left, right = socket.socketpair()
    _later(right.sendall, b"data")
    say(os.read(left.fileno(), 100))
    drained = _start(_drain, right.fileno(), BIG)
    say(os.write(left.fileno(), bytes(BIG)))
    drained.join()
    left.settimeout(5)
    say(error_of(os.read, left.fileno(), 1))
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(sock.getsockname())
        _later(os.write, sock.fileno(), b"datagram")
        say(os.read(sock.fileno(), 4))


def event_descriptors(say):
    fd = os.eventfd(0)
    _later(os.eventfd_write, fd, 3)
    say(os.eventfd_read(fd))
    _later(os.eventfd_write, fd, 4)
    say(os.read(fd, 8)[0])
    say(error_of(os.read, fd, 4), error_of(os.eventfd_read), error_of(os.eventfd_read, "x"))
    os.eventfd_write(fd, 2**64 - 2)
    _later(os.eventfd_read, fd)
    say(os.eventfd_write(fd, 1))
    os.set_blocking(fd, False)
    os.eventfd_read(fd)
    say(error_of(os.eventfd_read, fd))


def sendfile(say):
    left, right = socket.socketpair()
    with tempfile.TemporaryFile() as file:
        file.write(bytes(BIG))
        file.flush()
        fd = file.fileno()
        drained = _start(_drain, right.fileno(), BIG)
        say(os.sendfile(left.fileno(), fd, 0, BIG))
        drained.join()
        file.seek(BIG - 5)
        say(os.sendfile(left.fileno(), fd, None, 100), file.tell(), right.recv(100))
        say(os.sendfile(left.fileno(), fd, BIG, 100), os.sendfile(left.fileno(), fd, 0, 0))
        drained = _start(_drain, right.fileno(), BIG)
        say(left.sendfile(file, 0))
        drained.join()
        left.settimeout(5)
        drained = _start(_drain, right.fileno(), BIG)
        say(left.sendfile(file, 0))
        drained.join()
        say(error_of(os.sendfile, left.fileno(), -1, 0, 10), error_of(os.sendfile, 1))
        say(error_of(os.sendfile, left.fileno(), fd, "x", 10))
        reader, writer = os.pipe()
        say(os.sendfile(writer, fd, 0, 10), os.read(reader, 100))
        right.close()
        left.setblocking(True)
        say(error_of(os.sendfile, left.fileno(), fd, 0, 10))


def splice(say):
    left, right = socket.socketpair()
    reader, writer = os.pipe()
    _later(os.write, writer, b"by pipe")
    say(os.splice(reader, left.fileno(), 100), right.recv(100))
    _later(right.sendall, b"back")
    say(os.splice(left.fileno(), writer, 100), os.read(reader, 100))
    _later(os.close, writer)
    say(os.splice(reader, left.fileno(), 100))
    say(error_of(os.splice, left.fileno(), right.fileno(), 10), error_of(os.splice, 1))
    say(error_of(os.splice, reader, left.fileno(), -1))


def copy_file_range(say):
    reader, writer = os.pipe()
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        source.write(b"0123456789")
        source.flush()
        copy = functools.partial(os.copy_file_range, source.fileno(), target.fileno())
        say(copy(4, 0), copy(100, 8, 4), copy(10, 10), target.read())
        say(
            error_of(copy, -1), error_of(copy), error_of(os.copy_file_range, source.fileno(), -1, 1)
        )
        say(error_of(os.copy_file_range, reader, target.fileno(), 1))
        say(error_of(os.copy_file_range, source.fileno(), writer, 1))


def signal_handlers_run_while_a_call_waits(say):
    previous = signal.signal(signal.SIGALRM, lambda *args: say("handler"))
    try:
        reader, writer = os.pipe()
        _later(os.write, writer, b"data", seconds=0.1)
        signal.setitimer(signal.ITIMER_REAL, 0.03)
        say(os.read(reader, 100))
        drained = _later(_drain, reader, BIG, seconds=0.1)
        signal.setitimer(signal.ITIMER_REAL, 0.03)
        with os.fdopen(writer, "wb") as file:
            say(file.write(bytes(BIG)))
        drained.join()
    finally:
        signal.signal(signal.SIGALRM, previous)


def signal_handlers_that_raise_end_the_call(say):
    def fail(*args):
        raise KeyError("from the handler")

    previous = signal.signal(signal.SIGALRM, fail)
    try:
        reader, writer = os.pipe()
        raw = os.fdopen(writer, "wb", 0, closefd=False)
        buffered = os.fdopen(writer, "wb", closefd=False)
        buffered.write(b"abc")
        calls = {
            "os.read": lambda: os.read(reader, 10),
            "read": lambda: os.fdopen(reader, "rb", closefd=False).read(10),
            "os.write": lambda: os.write(writer, bytes(BIG)),
            "raw write": lambda: raw.write(bytes(BIG)),
            "flush": buffered.flush,
        }
        for name, call in calls.items():
            signal.setitimer(signal.ITIMER_REAL, 0.03)
            say(name, error_of(call))
        say(_drain(reader, 1) > 0)
        os.set_blocking(reader, False)
        while error_of(os.read, reader, BIG).startswith("b'"):
            pass
        buffered.flush()
        say(os.read(reader, 10))
    finally:
        signal.signal(signal.SIGALRM, previous)


def an_interrupted_flush_writes_nothing_twice(say):
    def fail(*args):
        raise KeyError("from the handler")

    previous = signal.signal(signal.SIGALRM, fail)
    try:
        reader, writer = os.pipe()
        file = os.fdopen(writer, "wb", buffering=BIG)
        data = b"".join(b"%06d\n" % number for number in range(30_000))
        file.write(data)
        signal.setitimer(signal.ITIMER_REAL, 0.03)
        say(error_of(file.flush))
        got = []
        collector = _start(lambda: got.append(os.fdopen(reader, "rb").read()))
        file.close()
        collector.join()
        say(got[0] == data)
    finally:
        signal.signal(signal.SIGALRM, previous)


def errors_have_their_numbers(say):
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    for call in (lambda: os.read(reader, 1), lambda: os.write(writer, b"x")):
        try:
            call()
        except OSError as error:
            say(error.errno == errno.EBADF)
