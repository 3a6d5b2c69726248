"""WSGI by PEP 3333: bodies read, responses written, and framing that never desynchronises."""

import json
import os
import socket
import time

import pytest
from serving import ask, receive_all, request, serving, split_responses, talk

NEXT = request("GET", "/next")


@pytest.fixture(scope="module")
def server():
    with serving("responses") as process:
        yield process


def seen(server):
    return ask(server, request("GET", "/seen"))[0].json


def ask_and_next(server, path, method="GET", version="1.1"):
    """The response to *path*, after which the connection has served another request."""
    data = request(method, path, close=False) + NEXT
    first, second = ask(server, data, methods=[method, "GET"])
    assert second.body == b"/next"
    return first


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/generator", b"part0part1part2"),
        ("/empty-parts", b"ab"),
        ("/write", b"one two three"),
        ("/closing", b"ab"),
    ],
)
def test_body_of_unknown_length_is_chunked(server, path, body):
    response = ask_and_next(server, path)
    assert response.body == body
    assert response["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in response


@pytest.mark.parametrize("path", ["/generator", "/write"])
def test_body_of_unknown_length_ends_the_connection_of_1_0(server, path):
    data = f"GET {path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".encode() + NEXT
    [response] = ask(server, data)
    assert "Transfer-Encoding" not in response
    assert response["Connection"] == "close"
    assert response.body in (b"part0part1part2", b"one two three")


@pytest.mark.parametrize(
    ("path", "body"),
    [("/x", b"/x"), ("/nothing", b""), ("/many", b"".join(b"%d," % i for i in range(200)))],
)
def test_length_of_a_list_is_known(server, path, body):
    response = ask_and_next(server, path)
    assert response["Content-Length"] == str(len(body))
    assert response.body == body


def test_keep_alive_of_1_0_is_confirmed(server):
    first = b"GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    responses = ask(server, first + b"GET /2 HTTP/1.0\r\n\r\n" + NEXT)
    assert [response["Connection"] for response in responses] == ["keep-alive", "close"]


@pytest.mark.parametrize("path", ["/x", "/generator", "/many", "/write", "/too-long", "/too-short"])
def test_head_has_no_body(server, path):
    response = ask_and_next(server, path, method="HEAD")
    assert response.status == 200
    assert response.body == b""


@pytest.mark.parametrize("path", ["/no-content", "/not-modified"])
def test_status_without_body(server, path):
    response = ask_and_next(server, path)
    assert response.body == b""
    assert "Transfer-Encoding" not in response
    assert "Content-Length" not in response


def test_body_longer_than_its_length_is_cut(server):
    assert ask_and_next(server, "/too-long").body == b"1234"


def test_body_shorter_than_its_length_ends_the_connection(server):
    data = talk(server, request("GET", "/too-short", close=False) + NEXT)
    assert data.endswith(b"\r\n\r\n12")
    assert data.count(b"HTTP/1.1") == 1


def test_iterable_is_closed_after_a_whole_response(server):
    seen(server)
    ask(server, request("GET", "/closing"))
    assert seen(server) == ["closed"]


def test_iterable_is_closed_after_an_exception(server):
    seen(server)
    ask_cut = talk(server, request("GET", "/closing-raises"))
    assert ask_cut.endswith(b"1\r\na\r\n")
    assert seen(server) == ["closed"]


def test_exception_before_the_head_is_a_500(server):
    for path in ("/raises", "/twice", "/never", "/text"):
        [response] = ask(server, request("GET", path, close=False) + NEXT)
        assert response.status == 500
        assert response["Connection"] == "close"


def test_exception_behind_the_head_leaves_the_body_incomplete(server):
    data = talk(server, request("GET", "/raises-late", close=False) + NEXT)
    assert data.endswith(b"5\r\nbegun\r\n")


def test_exc_info_replaces_a_head_that_was_not_sent(server):
    [response] = ask(server, request("GET", "/exc-info"))
    assert (response.status, response["X-Why"], response.body) == (500, "exc_info", b"changed")


def test_exc_info_behind_a_head_that_was_sent_is_raised(server):
    assert talk(server, request("GET", "/exc-info-late")).endswith(b"5\r\nbegun\r\n")


def test_early_hints_come_before_the_response(server):
    hints, response = ask(server, request("GET", "/early-hints"))
    assert hints.status == 103
    assert hints.fields == [("Link", "</style.css>; rel=preload")]
    assert response.body == b"hinted"


def test_early_hints_are_unknown_to_1_0(server):
    assert [r.status for r in ask(server, b"GET /early-hints HTTP/1.0\r\n\r\n")] == [200]


def test_application_sees_that_its_client_is_gone(server):
    seen(server)
    with server.connect() as sock:
        sock.sendall(request("GET", "/disconnected"))
        time.sleep(0.1)
    deadline = time.monotonic() + 5
    while not (found := seen(server)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found == ["gone"]


def test_every_request_runs_in_a_thread_of_its_own_name(server):
    assert ask(server, request("GET", "/thread"))[0].body


# --- response heads -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fields_server():
    with serving("fields") as process:
        yield process


def respond(server, headers, status="200 OK"):
    body = json.dumps({"headers": headers, "status": status}).encode()
    [response] = ask(server, request("POST", "/", body=body))
    return response


@pytest.mark.parametrize(
    "header",
    [
        ("X", "a\r\nSet-Cookie: b"),
        ("X", "a\nb"),
        ("X", "a\rb"),
        ("X", "a\0b"),
        ("X", "a\x01b"),
        ("X", "\u20ac"),
        ("X\r\nY", "a"),
        ("X Y", "a"),
        ("X:", "a"),
        ("", "a"),
        ("X\xe9", "a"),
        ("Connection", "keep-alive"),
        ("keep-alive", "1"),
        ("Transfer-Encoding", "chunked"),
        ("TE", "trailers"),
        ("Trailer", "X"),
        ("Upgrade", "h2c"),
        ("Proxy-Authenticate", "Basic"),
        ("Proxy-Authorization", "x"),
        ("Proxy-Connection", "x"),
        ("Content-Length", "x"),
        ("Content-Length", "-1"),
        ("Content-Length", ""),
    ],
)
def test_header_that_would_break_the_response_is_refused(fields_server, header):
    assert respond(fields_server, [header]).status == 500


@pytest.mark.parametrize(
    "status", ["200", "20 OK", "200OK", "abc OK", "200 O\r\nX: y", "600 X", "100 Continue", "101 X"]
)
def test_status_that_would_break_the_response_is_refused(fields_server, status):
    assert respond(fields_server, [], status).status == 500


def test_length_given_twice_is_refused(fields_server):
    headers = [("Content-Length", "2"), ("Content-Length", "2")]
    assert respond(fields_server, headers).status == 500


def test_latin1_and_repeated_headers_are_kept(fields_server):
    response = respond(fields_server, [("X", "\xe9"), ("Set-Cookie", "a"), ("Set-Cookie", "b")])
    assert response.fields[:3] == [("X", "\xe9"), ("Set-Cookie", "a"), ("Set-Cookie", "b")]


def test_date_and_server_are_added_once(fields_server):
    names = [name for name, _ in respond(fields_server, []).fields]
    assert names.count("Date") == names.count("Server") == 1
    response = respond(fields_server, [("date", "x"), ("SERVER", "y")])
    assert response.fields[:2] == [("date", "x"), ("SERVER", "y")]
    assert len(response.fields) == 4


# --- request bodies -----------------------------------------------------------------------------

WAYS = {
    "/read": ["one\ntwo\nthree"],
    "/read-sizes": ["o", "ne\n", "two\nthree", ""],
    "/readline": ["one\n", "tw", "o\n"],
    "/readlines": ["one\n", "two\n", "three"],
    "/readlines-hint": ["one\n"],
    "/read1": ["on", "e\ntwo\nthree"],
    "/readinto": ["one\n", "two\nthree"],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("chunked", [False, True])
def test_ways_to_read_a_body(way, chunked, reads_server):
    body = b"one\ntwo\nthree"
    if chunked:
        head = request("POST", way, "Transfer-Encoding: chunked", close=False)
        data = head + b"d\r\n" + body + b"\r\n0\r\n\r\n"
    else:
        data = request("POST", way, body=body, close=False)
    first, second = ask(reads_server, data + request("POST", "/read", body=b"next"))
    assert first.json == WAYS[way]
    assert second.json == ["next"]


@pytest.fixture(scope="module")
def reads_server():
    with serving("reads") as process:
        yield process


def test_body_ends_where_it_ends():
    with serving("lines") as server:
        data = request("POST", "/", body=b"a\nb", close=False) + request("POST", "/", body=b"c\n")
        assert [r.json for r in ask(server, data)] == [["a\n", "b"], ["c\n"]]


def test_large_bodies_arrive_whole():
    size = 3_000_000
    with serving("body_length") as server:
        body = os.urandom(size)
        chunks = b"".join(
            b"%x\r\n" % len(piece) + piece + b"\r\n"
            for piece in (body[at : at + 70_001] for at in range(0, size, 70_001))
        )
        head = request("POST", "/", "Transfer-Encoding: chunked", close=False)
        data = head + chunks + b"0\r\n\r\n" + request("POST", "/", body=body)
        assert [r.body for r in ask(server, data)] == [b"%d" % size] * 2


def test_large_body_spills_to_a_file():
    with serving("body_length", spill_bytes=10_000) as server:
        for size in (10, 1_000_000):
            [response] = ask(server, request("POST", "/", body=b"x" * size))
            assert response.body == b"%d" % size
        assert [r.status for r in ask(server, request("POST", "/", "Content-Length: 5") + b"ab", end=True)] == [400]  # fmt: skip


def test_continue_is_said_only_when_the_body_is_awaited():
    fields = ("Expect: 100-continue", "Content-Length: 3")
    with serving("body_length") as server:
        head = request("POST", "/", *fields)
        assert [r.status for r in ask(server, head, b"abc", pause=0.1)] == [100, 200]
        # A body that is there already was not waited for.
        assert [r.status for r in ask(server, head + b"abc")] == [200]
    with serving("hello") as server:
        head = request("POST", "/", *fields, close=False)
        data = talk(server, head + NEXT)
        assert [r.status for r in split_responses(data)] == [200]


def test_body_that_nobody_read_is_dropped():
    with serving("hello") as server:
        data = request("POST", "/", body=b"GET /smuggled HTTP/1.1\r\n\r\n", close=False) + NEXT
        assert [r.body for r in ask(server, data)] == [b"hello\n"] * 2
        # But not without limit: the answer arrives, and the connection ends.
        data = request("POST", "/", body=b"x" * 1_000_000, close=False) + NEXT
        with server.connect() as sock:
            sock.sendall(data[:100_000])
            assert [r.status for r in split_responses(receive_all(sock))] == [200]


def test_answer_survives_a_body_that_is_refused():
    """Closing at once would reset the connection, and the answer could be lost."""
    with serving("hello", limit_request_body=1000) as server:
        for _ in range(10):
            with server.connect() as sock:
                sock.sendall(request("POST", "/", body=b"x" * 50_000))
                assert split_responses(receive_all(sock))[0].status == 413


# --- files --------------------------------------------------------------------------------------


def test_file_is_sent_from_where_it_stands(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(500_000))
    with serving("file") as server:
        for query, method in ((f"{path}", "GET"), (f"{path}:123456", "GET"), (f"{path}", "HEAD")):
            response = ask_file(server, query, method)
            expected = path.read_bytes()[int(query.partition(":")[2] or 0) :]
            assert response["Content-Length"] == str(len(expected))
            assert response.body == (expected if method == "GET" else b"")


def ask_file(server, query, method):
    data = request(method, f"/?{query}", close=False) + request("HEAD", f"/?{query}")
    return ask(server, data, methods=[method, "HEAD"])[0]


def test_what_is_no_regular_file_is_read():
    with serving("file") as server:
        [response] = ask(server, request("GET", "/?/proc/self/status"))
        assert b"VmRSS" in response.body or response.body == b""


# --- the reference ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_wsgiref_validates_it(method):
    with serving("validated") as server:
        [response] = ask(server, request(method, "/a?b", body=b"x\ny" if method == "POST" else b""))
        assert response.status == 200, server.stop() or server.errors
        assert response.body == (b"got x\ny" if method == "POST" else b"got ")


def test_access_log_has_every_response():
    with serving("responses", access_log="log") as server:
        ask(server, request("GET", "/x"))
        ask(server, b"BROKEN\r\n\r\n")
        ask(server, request("HEAD", "/y"), methods=["HEAD"])
        ask(server, request("GET", "/raises"))
        found = seen(server)
        assert found == [
            ["/x", "200 OK", [["Content-Length", "2"]], 2, ""],
            [None, "400 Bad Request", [], 0, "BROKEN\r\n\r\n"],
            ["/y", "200 OK", [["Content-Length", "2"]], 0, ""],
            ["/raises", "500 Internal Server Error", [], 0, ""],
        ]


def test_traceback_of_the_application_goes_to_its_errors():
    with serving("responses") as server:
        ask(server, request("GET", "/raises"))
        assert server.stop()["exceptions"] == 1
        assert "RuntimeError: before" in server.errors


def test_connection_is_handed_over():
    with serving("taken_over", upgrade="upgrade") as server:
        with server.connect() as sock:
            sock.sendall(
                request("GET", "/", "Connection: Upgrade", "Upgrade: websocket", close=False)
                + b"more"
            )
            data = b""
            while not data.endswith(b"<more>"):
                data += sock.recv(1000)
            assert data.startswith(b"HTTP/1.1 101 ")
            sock.sendall(b"ping")
            assert sock.recv(1000) == b"ping"
            assert server.counters()["connections"] == 1
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(1000) == b""
        server.wait_for(connections=0)
        # Upgrade that the Connection field does not list is no wish.
        assert ask(server, request("GET", "/", "Upgrade: websocket"))[0].body == b"plain"
