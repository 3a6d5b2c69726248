"""Connections from their accept to their end: pipelining, reuse, draining, out of descriptors."""

import socket
import threading
import time

from serving import ask, receive_all, request, serving, split_responses, talk


def test_pipelined_requests_are_answered_in_order():
    with serving("responses") as server:
        data = b"".join(request("GET", f"/{i}", close=False) for i in range(200))
        responses = ask(server, data + request("GET", "/last"))
        assert [r.body for r in responses] == [b"/%d" % i for i in range(200)] + [b"/last"]
        assert server.counters()["accepts"] == 1


def test_pipelined_request_larger_than_a_buffer():
    with serving("echo", limit_request_head=200_000) as server:
        fields = [f"X-{i}: {'y' * 7000}" for i in range(10)]
        data = request("GET", "/1", *fields, close=False) + request("GET", "/2", *fields)
        responses = ask(server, data)
        assert [r.json["PATH_INFO"] for r in responses] == ["/1", "/2"]
        assert responses[1].json["HTTP_X_9"] == "y" * 7000


def test_connection_close_is_obeyed():
    with serving("responses") as server:
        data = request("GET", "/1") + request("GET", "/2")
        assert [r.body for r in ask(server, data)] == [b"/1"]


def test_fields_of_one_request_are_not_those_of_the_next():
    """What is kept of a head for the next one must not leak."""
    with serving("echo") as server, server.connect() as sock:
        heads = [["X-A: 1"], ["X-A: 1"], ["X-A: 2"], [], ["X-B: 1"], ["X-A: 1", "X-B: 2"], []] * 3
        for i, fields in enumerate(heads):
            sock.sendall(request("GET", f"/{i}", *fields, close=False))
            [response] = split_responses(sock.recv(65536))
            parsed = response.json
            assert parsed["PATH_INFO"] == f"/{i}"
            for name in ("A", "B"):
                [expected] = [f[5:] for f in fields if f[2] == name] or [None]
                assert parsed.get(f"HTTP_X_{name}") == expected


def test_client_that_ends_its_half_still_gets_the_answer():
    with serving("responses") as server:
        assert ask(server, request("GET", "/sleep?0.1", close=False), end=True)[0].body == b"slept"


def test_client_that_is_gone_costs_no_traceback():
    with serving("big") as server:
        for _ in range(5):
            with server.connect() as sock:
                sock.sendall(request("GET", "/?5000000"))
                sock.recv(10)
        server.wait_for(connections=0)
        server.stop()
        assert server.errors == ""


def test_unix_socket(tmp_path):
    with serving("echo", unix=str(tmp_path / "socket")) as server:
        parsed = ask(server, request("GET", "/"))[0].json
        assert parsed["REMOTE_ADDR"] == parsed["REMOTE_PORT"] == ""


def test_drain_ends_idle_connections_and_finishes_requests():
    with serving("responses", grace=10) as server:
        idle, busy, fresh = (server.connect() for _ in range(3))
        with idle, busy, fresh:
            idle.sendall(request("GET", "/x", close=False))
            assert idle.recv(65536).endswith(b"/x")
            busy.sendall(request("GET", "/sleep?0.7", close=False))
            server.wait_for(in_flight=1, idle=2)
            began = time.monotonic()
            server.terminate()
            assert receive_all(idle) == b""
            assert time.monotonic() - began < 0.5
            [response] = split_responses(receive_all(busy))
            assert response.body == b"slept"
            assert response["Connection"] == "close"
            server.stop()
            assert time.monotonic() - began < 3


def test_request_that_was_sent_when_the_drain_began_is_answered():
    with serving("responses") as server:
        with server.connect() as sock:
            server.wait_for(connections=1)
            server.terminate()
            time.sleep(0.1)
            sock.sendall(request("GET", "/x", close=False))
            assert split_responses(receive_all(sock))[0].body == b"/x"


def test_drain_has_a_deadline():
    with serving("responses", grace=0.5) as server:
        with server.connect() as sock:
            sock.sendall(request("GET", "/sleep?60"))
            server.wait_for(in_flight=1)
            began = time.monotonic()
            server.terminate()
            assert receive_all(sock) == b""
            server.stop()
            assert time.monotonic() - began < 5


def test_no_request_is_lost_when_the_server_drains_under_load():
    """A client that was told to go on either gets its next answer or sees the end before it
    could send."""
    lost, answered = [], []

    def client(server):
        try:
            sock = server.connect()
        except ConnectionError:
            return
        with sock:
            while True:
                try:
                    sock.sendall(request("GET", "/sleep?0.005", close=False))
                    data = sock.recv(65536)
                except ConnectionError:
                    return
                if not data:
                    return
                answered.append(data)
                if not data.endswith(b"slept"):
                    lost.append(data)
                if b"Connection: close" in data:
                    return

    with serving("responses") as server:
        threads = [threading.Thread(target=client, args=(server,)) for _ in range(20)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        server.terminate()
        for thread in threads:
            thread.join()
        counters = server.stop()
        assert not lost
        assert counters["responses_2xx"] == len(answered) == counters["requests"]


def test_out_of_descriptors_the_server_waits_and_recovers():
    with serving("responses", limit_descriptors=40, backlog=200) as server:
        held = [server.connect() for _ in range(80)]
        time.sleep(0.3)
        before = server.cpu_seconds()
        time.sleep(1.5)
        assert server.cpu_seconds() - before < 0.3
        assert server.counters()["accept_pauses"] > 0
        for sock in held:
            sock.sendall(request("GET", "/x"))
        for sock in held:
            assert split_responses(receive_all(sock))[0].body == b"/x"
            sock.close()
        server.wait_for(connections=0)


def test_connections_that_come_and_go_leave_nothing():
    with serving("responses", backlog=200) as server:
        for _ in range(100):
            talk(server, request("GET", "/x"))
        before = server.resident_bytes()
        for _ in range(1000):
            talk(server, request("GET", "/x"), pause=0)
        counters = server.counters()
        assert counters["connections"] == counters["buffered_bytes"] == 0
        assert server.resident_bytes() - before < 1_000_000


def test_reset_connections_leave_nothing():
    with serving("hello") as server:
        for data in (b"", b"GET", request("GET", "/", close=False), request("POST", "/")[:-1]):
            with server.connect() as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                sock.sendall(data)
        server.wait_for(connections=0, in_flight=0)


def test_threads_that_outlive_their_request_harm_nobody():
    with serving("threads") as server:
        for i in range(20):
            with server.connect() as sock:
                sock.sendall(request("POST", "/", "Content-Length: 1000", close=False) + b"x")
                if i % 2:
                    time.sleep(0.1)
                    sock.recv(100)
        server.wait_for(connections=0, in_flight=0)
