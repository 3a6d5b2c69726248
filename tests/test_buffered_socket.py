"""coev.BufferedSocket: reading and writing for protocol code."""

import errno
import os
import socket
import weakref

import pytest

import coev

pytestmark = pytest.mark.usefixtures("virtual_time", "nothing_left")

MESSAGE = b"first line\r\nsecond\r\n\r\n0123456789tail"
EVENTS = [b"first line\r\n", b"second\r\n", b"\r\n", b"0123456789", b"tail"]


def read_events(stream):
    return [
        stream.read_until(b"\r\n"),
        stream.read_until(b"\r\n"),
        stream.read_until(b"\r\n"),
        stream.read_exactly(10),
        stream.read_exactly(4),
    ]


@pytest.mark.parametrize("buffer_size", [1, 7, 16384])
def test_input_split_at_every_position_reads_the_same(buffer_size):
    for split in range(len(MESSAGE) + 1):
        near, far = socket.socketpair()
        with near, far:
            reader = coev.spawn(read_events, coev.BufferedSocket(near, buffer_size))
            far.sendall(MESSAGE[:split])
            coev.sleep(0.001)
            far.sendall(MESSAGE[split:])
            assert reader.result() == EVENTS, split


def test_input_that_comes_byte_by_byte_reads_the_same(socket_pair):
    near, far = socket_pair
    reader = coev.spawn(read_events, coev.BufferedSocket(near))
    for byte in MESSAGE:
        far.send(bytes([byte]))
        coev.yield_now()
    assert reader.result() == EVENTS


@pytest.mark.parametrize("split", range(1, 4))
def test_delimiter_is_found_across_reads(socket_pair, split):
    near, far = socket_pair
    stream = coev.BufferedSocket(near)
    reader = coev.spawn(stream.read_until, b"ABCD")
    data = b"xABxABCABCD"
    far.send(data[:-split])
    coev.sleep(0.001)
    far.send(data[-split:] + b"rest")
    assert reader.result() == data
    assert stream.unread == 4


def test_read_some_takes_what_is_there(socket_pair):
    near, far = socket_pair
    stream = coev.BufferedSocket(near)
    far.send(b"abcdef")
    assert stream.read_some(4) == b"abcd"
    assert stream.unread == 2
    assert stream.read_some() == b"ef"


def test_reading_nothing_does_not_wait(socket_pair):
    stream = coev.BufferedSocket(socket_pair[0])
    assert stream.read_exactly(0) == b""
    assert stream.read_some(0) == b""


def test_limit_is_for_the_bytes_with_the_delimiter(socket_pair):
    near, far = socket_pair
    stream = coev.BufferedSocket(near)
    far.send(b"0123456\r\n")
    with pytest.raises(ValueError, match="limit"):
        stream.read_until(b"\r\n", limit=8)
    assert stream.read_until(b"\r\n", limit=9) == b"0123456\r\n"


def test_limit_is_reached_before_the_delimiter_comes(socket_pair):
    near, far = socket_pair
    stream = coev.BufferedSocket(near)
    far.send(b"0" * 100)
    with pytest.raises(ValueError, match="limit"):
        stream.read_until(b"\n", limit=50)
    assert stream.read_exactly(100) == b"0" * 100  # nothing is lost


def test_end_of_stream(socket_pair):
    near, far = socket_pair
    stream = coev.BufferedSocket(near)
    far.send(b"partial")
    far.close()
    with pytest.raises(EOFError):
        stream.read_exactly(100)
    with pytest.raises(EOFError):
        stream.read_until(b"\n")
    assert stream.read_some() == b"partial"  # what came stays readable
    assert stream.read_some() == b""
    with pytest.raises(EOFError):
        stream.read_exactly(1)


def test_announced_length_takes_no_memory_before_it_comes(socket_pair):
    near, far = socket_pair
    stream = coev.BufferedSocket(near)
    far.send(b"head")

    def resident_bytes():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    before = resident_bytes()
    for count in (1 << 30, 1 << 62):
        with pytest.raises(TimeoutError):
            stream.read_exactly(count, timeout=1)
    assert resident_bytes() - before < 64 << 20
    assert stream.read_exactly(4) == b"head"


def test_long_messages_come_whole(socket_pair):
    near, far = socket_pair
    stream = coev.BufferedSocket(near, 100)
    data = os.urandom(1_000_000)
    writer = coev.BufferedSocket(far)
    sender = coev.spawn(lambda: (writer.write(data), writer.flush()))
    assert stream.read_exactly(3) == data[:3]
    assert stream.read_exactly(len(data) - 3) == data[3:]
    sender.join()


@pytest.mark.parametrize("how", ["timeout", "scope", "throw"])
@pytest.mark.parametrize("call", ["read_exactly", "read_until"])
def test_interrupted_read_keeps_its_bytes(socket_pair, how, call):
    near, far = socket_pair
    stream = coev.BufferedSocket(near)
    far.send(b"half")
    whole = {
        "read_exactly": lambda **k: stream.read_exactly(8, **k),
        "read_until": lambda **k: stream.read_until(b"!", **k),
    }[call]

    def read():
        if how == "timeout":
            whole(timeout=1)
        with coev.timeout(1 if how == "scope" else None):
            whole()

    c = coev.spawn(read)
    coev.sleep(0.5)
    if how == "throw":
        c.throw(TimeoutError())
    assert isinstance(c.exception(), TimeoutError)
    assert stream.unread == 4
    far.send(b"all!")
    assert whole() == b"halfall!"


def test_writes_are_collected_and_sent_together(socket_pair):
    near, far = socket_pair
    stream = coev.BufferedSocket(near)
    for _ in range(10):
        stream.write(b"x")
    with pytest.raises(BlockingIOError):
        far.recv(1)
    assert stream.unsent == 10
    stream.flush()
    assert stream.unsent == 0
    assert far.recv(100) == b"x" * 10


def test_full_buffer_is_sent(socket_pair):
    near, far = socket_pair
    stream = coev.BufferedSocket(near, 10)
    stream.write(b"12345")
    stream.write(b"67890")
    assert far.recv(100) == b"1234567890"


@pytest.mark.parametrize("data", [b"bytes", bytearray(b"bytes"), memoryview(b"bytes")])
def test_write_takes_anything_like_bytes(socket_pair, data):
    near, far = socket_pair
    stream = coev.BufferedSocket(near)
    stream.write(data)
    stream.flush()
    assert far.recv(100) == b"bytes"


def test_write_that_timed_out_goes_on_with_flush(socket_pair):
    near, far = socket_pair
    stream = coev.BufferedSocket(near)
    data = os.urandom(4_000_000)
    with pytest.raises(TimeoutError):
        stream.write(data, timeout=1)
    assert 0 < stream.unsent < len(data)
    flusher = coev.spawn(stream.flush)
    got = bytearray()
    while len(got) < len(data):
        coev.wait_readable(far)
        got += far.recv(1 << 20)
    flusher.result()
    assert bytes(got) == data


def test_one_may_read_while_another_writes(socket_pair):
    near, far = socket_pair
    stream = coev.BufferedSocket(near)
    reader = coev.spawn(stream.read_exactly, 3)
    coev.yield_now()
    stream.write(b"out")
    stream.flush()
    assert far.recv(3) == b"out"
    far.send(b"in!")
    assert reader.result() == b"in!"


def test_second_reader_is_refused_and_the_first_goes_on(socket_pair):
    near, far = socket_pair
    stream = coev.BufferedSocket(near)
    reader = coev.spawn(stream.read_exactly, 1)
    coev.yield_now()
    with pytest.raises(RuntimeError, match="already reading"):
        stream.read_some()
    far.send(b"x")
    assert reader.result() == b"x"


def test_killed_reader_makes_room_for_another(socket_pair):
    near, far = socket_pair
    stream = coev.BufferedSocket(near)
    reader = coev.spawn(stream.read_exactly, 1)
    coev.yield_now()
    reader.kill()
    reader.join()
    far.send(b"x")
    assert stream.read_exactly(1) == b"x"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda s: s.read_exactly(-1), ValueError),
        (lambda s: s.read_some(-1), ValueError),
        (lambda s: s.read_until(b""), ValueError),
        (lambda s: s.read_until(b"x", -1), ValueError),
        (lambda s: s.read_until("text"), TypeError),
        (lambda s: s.read_exactly("3"), TypeError),
        (lambda s: s.read_exactly(), TypeError),
        (lambda s: s.write("text"), TypeError),
        (lambda s: s.write(), TypeError),
        (lambda s: s.read_some(n=1, size=2), TypeError),
    ],
)
def test_wrong_arguments_are_refused(socket_pair, call, error):
    with pytest.raises(error):
        call(coev.BufferedSocket(socket_pair[0]))


@pytest.mark.parametrize("size", [0, -1])
def test_buffer_size_is_at_least_one(socket_pair, size):
    with pytest.raises(ValueError, match="buffer_size"):
        coev.BufferedSocket(socket_pair[0], size)


def test_it_keeps_the_socket_open_and_does_not_close_it(socket_pair):
    near, far = socket.socketpair()
    number = near.fileno()
    stream = coev.BufferedSocket(near)
    assert stream.socket is near
    assert stream.fileno() == number
    gone = weakref.ref(near)
    del near
    far.send(b"x")
    assert stream.read_exactly(1) == b"x"
    stream.socket.close()
    del stream
    far.close()
    assert gone() is None


def test_number_of_a_closed_socket_is_not_used_again():
    """The fd belongs to somebody else by then."""
    near, far = socket.socketpair()
    stream = coev.BufferedSocket(near)
    far.send(b"buffered rest")
    assert stream.read_exactly(8) == b"buffered"
    number = near.fileno()
    near.close()
    other, peer = socket.socketpair()
    with far, other, peer:
        assert number in (other.fileno(), peer.fileno())
        for mine, theirs in ((other, peer), (peer, other)):
            if mine.fileno() == number:
                theirs.send(b"not for the stream")
        assert stream.read_exactly(5) == b" rest"
        with pytest.raises(OSError) as caught:
            stream.read_exactly(1)
        assert caught.value.errno == errno.EBADF
        with pytest.raises(OSError):
            stream.write(b"x")
            stream.flush()


def test_bare_file_descriptor_works(socket_pair):
    near, far = socket_pair
    stream = coev.BufferedSocket(near.fileno())
    far.send(b"x")
    assert stream.read_exactly(1) == b"x"


def test_reset_by_the_peer_is_an_os_error():
    listener = socket.create_server(("127.0.0.1", 0))
    near = socket.create_connection(listener.getsockname())
    far, _ = listener.accept()
    with listener, near:
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        far.close()
        stream = coev.BufferedSocket(near)
        with pytest.raises(ConnectionResetError):
            stream.read_exactly(1)
        with pytest.raises(OSError):
            stream.read_exactly(1)
