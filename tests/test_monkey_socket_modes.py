"""The kernel's own modes and timeouts count for coroutines as they do for threads."""

import pytest
from run_script import check_script
from support_monkey import assert_clean_end, assert_same, scenarios


@pytest.mark.parametrize("scenario", scenarios("socket_modes"))
def test_kernel_modes_count_as_natively(scenario):
    assert_same("socket_modes", scenario)


def test_processes_of_the_scenarios_end_well():
    assert_clean_end("socket_modes")


@pytest.mark.parametrize(
    "call",
    [
        "u.settimeout(1); u.shutdown_later(); refused(u.recv, 1)",
        "u.settimeout(1); u.shutdown_later(); refused(u.recvfrom, 1)",
        "fill(d); d.settimeout(1); refused(d.sendto, b'x', path)",
        "wait_for_all(1)",
    ],
)
def test_a_descriptor_that_is_ready_in_vain_takes_no_processor_time(call):
    check_script(
        f"""
import coev.monkey
import os, socket, tempfile, threading, time

class Udp(socket.socket):
    def shutdown_later(self):
        threading.Timer(0.05, refused, (self.shutdown, socket.SHUT_RDWR)).start()

def refused(function, *args):
    try:
        function(*args)
    except OSError:
        pass

def fill(sender):
    sender.setblocking(False)
    try:
        while True:
            sender.sendto(b"x", path)
    except BlockingIOError:
        pass

def wait_for_all(seconds):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        a = socket.create_connection(listener.getsockname())
        b, _ = listener.accept()
    b.send(b"1")
    threading.Timer(seconds, b.send, (b"2",)).start()
    assert a.recv(2, socket.MSG_WAITALL | socket.MSG_PEEK) == b"12"

path = tempfile.mkdtemp() + "/s"
r = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
r.bind(path)
d = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
u = Udp(socket.AF_INET, socket.SOCK_DGRAM)
u.bind(("127.0.0.1", 0))
ticks = 0

def tick():
    global ticks
    while True:
        ticks += 1
        time.sleep(0.01)

threading.Thread(target=tick, daemon=True).start()
began, used = time.monotonic(), time.process_time()
{call}
took, used = time.monotonic() - began, time.process_time() - used
assert 0.9 < took < 3, took
assert used < 0.4 * took, used
assert ticks > 20, ticks
print("ok")
""",
        expect="ok",
    )


def test_a_close_that_lingers_lets_the_others_run():
    check_script(
        """
import coev.monkey
import socket, struct, threading, time

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
ticks = 0

def tick():
    global ticks
    while True:
        ticks += 1
        time.sleep(0.01)

threading.Thread(target=tick, daemon=True).start()
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 1))
client.setblocking(False)
try:
    while True:
        client.send(bytes(65536))
except BlockingIOError:
    pass
client.setblocking(True)
before, began = ticks, time.monotonic()
client.close()
assert 0.5 < time.monotonic() - began < 3
assert ticks - before > 20, ticks - before
assert client.fileno() == -1
print("ok")
""",
        expect="ok",
    )
