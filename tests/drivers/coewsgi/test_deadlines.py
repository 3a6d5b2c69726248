"""A deadline for each phase of a connection, and caps: a slow client keeps nothing for long."""

import socket
import time

import pytest
from serving import ask, receive_all, request, serving, split_responses

pytestmark = pytest.mark.realtime
HEAD = request("GET", "/x")


def drip(sock, data, pause):
    """Send byte by byte until the server ends it; what it said, and after how long."""
    began = time.monotonic()
    sock.settimeout(pause)
    received = b""
    for byte in data:
        try:
            sock.sendall(bytes([byte]))
            piece = sock.recv(65536)
        except TimeoutError:
            continue
        except OSError:
            break
        if not piece:
            break
        received += piece
    return received, time.monotonic() - began


def test_head_that_drips_is_refused():
    with serving("hello", head_timeout=0.5) as server, server.connect() as sock:
        received, took = drip(sock, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 50, 0.05)
        assert [r.status for r in split_responses(received)] == [408]
        assert 0.4 < took < 2
        assert server.counters()["timeouts"] == 1


def test_new_connection_that_says_nothing_is_closed():
    with serving("hello", head_timeout=0.3) as server, server.connect() as sock:
        began = time.monotonic()
        assert receive_all(sock) == b""
        assert 0.2 < time.monotonic() - began < 2


def test_idle_connection_is_closed_and_one_that_asks_is_not():
    with serving("hello", keepalive_timeout=0.6) as server, server.connect() as sock:
        for _ in range(4):
            sock.sendall(request("GET", "/", close=False))
            assert sock.recv(65536).endswith(b"hello\n")
            time.sleep(0.25)
        began = time.monotonic()
        assert receive_all(sock) == b""
        assert time.monotonic() - began < 2


def test_next_head_has_the_time_of_a_head_and_not_of_idling():
    with serving("hello", keepalive_timeout=30, head_timeout=0.4) as server:
        with server.connect() as sock:
            sock.sendall(request("GET", "/", close=False))
            sock.recv(65536)
            sock.sendall(b"GET / HT")
            assert [r.status for r in split_responses(receive_all(sock))] == [408]


@pytest.mark.parametrize("chunked", [False, True])
def test_body_that_drips_is_refused(chunked):
    """Each byte alone would be in time."""
    fields = ["Transfer-Encoding: chunked"] if chunked else ["Content-Length: 1000"]
    body = b"1\r\nx\r\n" * 200 if chunked else b"x" * 900
    with serving("body_length", body_timeout=0.5, body_min_rate=10_000) as server:
        with server.connect() as sock:
            sock.sendall(request("POST", "/", *fields))
            received, took = drip(sock, body, 0.03)
            assert [r.status for r in split_responses(received)] == [408]
            assert 0.3 < took < 3


def test_body_that_is_slow_but_fast_enough_arrives():
    with serving("body_length", body_timeout=0.3, body_min_rate=100) as server:
        with server.connect() as sock:
            sock.sendall(request("POST", "/", "Content-Length: 1000"))
            for _ in range(10):
                time.sleep(0.1)
                sock.sendall(b"x" * 100)
            assert split_responses(receive_all(sock))[0].body == b"1000"


def test_reader_that_takes_nothing_is_ended_and_one_that_is_slow_is_not():
    size = 30_000_000
    with serving("big", write_timeout=0.5) as server:
        stuck, slow = server.connect(), server.connect()
        with stuck, slow:
            for sock in (stuck, slow):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
                sock.sendall(request("GET", f"/?{size}"))
            received = 0
            for _ in range(15):  # 1.5 s: three times the timeout
                time.sleep(0.1)
                received += len(slow.recv(65536))
            server.wait_for(timeouts=1, connections=1)
            received += len(receive_all(slow))
            assert received > size
            with pytest.raises((ConnectionError, AssertionError)):
                assert len(receive_all(stuck)) > size


def test_request_timeout_is_raised_in_the_application():
    with serving("responses", request_timeout=0.4) as server:
        began = time.monotonic()
        [response] = ask(server, request("GET", "/sleep?10"))
        assert response.status == 503
        assert time.monotonic() - began < 3
        [response] = ask(server, request("GET", "/sleep-caught?10"))
        assert (response.status, response.body) == (503, b"caught")
        assert ask(server, request("GET", "/sleep?0.1"))[0].status == 200
        counters = server.stop()
        assert counters["request_timeouts"] == 2
        assert "RequestTimeout" in server.errors


def test_request_timeout_spares_a_connection_that_idles():
    with serving("responses", request_timeout=0.2) as server, server.connect() as sock:
        for _ in range(3):
            sock.sendall(request("GET", "/x", close=False))
            assert sock.recv(65536).endswith(b"/x")
            time.sleep(0.4)
        assert server.counters()["request_timeouts"] == 0


def test_connections_above_the_cap_wait():
    with serving("responses", max_connections=2) as server:
        first, second, third = (server.connect() for _ in range(3))
        with first, second, third:
            for sock in (first, second, third):
                sock.sendall(HEAD)
            assert receive_all(third).endswith(b"/x")
            assert server.counters()["accepts"] == 3
        with server.connect() as one, server.connect() as two, server.connect() as three:
            server.wait_for(connections=2)
            three.sendall(HEAD)
            three.settimeout(0.3)
            with pytest.raises(TimeoutError):
                three.recv(1)
            one.close()
            three.settimeout(10)
            assert receive_all(three).endswith(b"/x")
            del two


def test_connections_of_one_address_above_the_cap_are_closed():
    with serving("responses", max_connections_per_address=2) as server:
        with server.connect(), server.connect() as second:
            server.wait_for(connections=2)
            with server.connect() as third:
                with pytest.raises((ConnectionError, AssertionError)):
                    assert third.recv(1) != b""
            second.close()
            server.wait_for(connections=1)
            assert ask(server, HEAD)[0].status == 200
        assert server.counters()["refused_connections"] == 1


def test_bytes_above_the_cap_are_not_buffered():
    with serving("hello", max_buffered_bytes=65536) as server:
        held = [server.connect() for _ in range(6)]
        statuses = []
        for sock in held:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        for sock in held:
            sock.settimeout(0.3)
            try:
                statuses += [r.status for r in split_responses(receive_all(sock))]
            except TimeoutError:
                statuses.append(None)
        assert sorted(statuses, key=str) == [503, 503, None, None, None, None]
        for sock in held:
            sock.close()


def test_crowd_of_slow_heads_ends_and_others_are_answered_meanwhile():
    with serving("hello", head_timeout=1, backlog=1000) as server:
        crowd = [server.connect() for _ in range(500)]
        for sock in crowd:
            sock.sendall(b"GET / HT")
        slowest = 0.0
        for _ in range(10):
            began = time.monotonic()
            assert ask(server, request("GET", "/"))[0].status == 200
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.02)
        assert slowest < 0.5
        for sock in crowd:
            assert receive_all(sock).startswith(b"HTTP/1.1 408 ")
            sock.close()
        server.wait_for(connections=0)


def test_slow_readers_take_bounded_memory():
    size = 8 << 20
    with serving("big", write_timeout=30, grace=0) as server:
        ask(server, request("GET", f"/?{size}"))
        before = server.resident_bytes()
        readers = [server.connect() for _ in range(20)]
        for sock in readers:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            sock.sendall(request("GET", f"/?{size}"))
        server.wait_for(in_flight=20)
        # Each keeps the body that its application made, and no copy of it.
        assert server.resident_bytes() - before < 20 * (size + 200_000)
        for sock in readers:
            sock.close()
        server.wait_for(connections=0)
