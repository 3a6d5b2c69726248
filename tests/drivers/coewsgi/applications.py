"""WSGI applications that the tests of coewsgi serve, by name."""

import base64
import json
import threading
import time
from wsgiref.validate import validator

import coewsgi._coewsgi as native

#: What an application left behind for the test to ask for, at /seen.
seen = []


def _answer(start_response, data, status="200 OK", headers=()):
    start_response(status, [("Content-Length", str(len(data))), *headers])
    return [data]


def echo(environ, start_response):
    """What was parsed, as JSON; the whole body is read."""
    body = environ["wsgi.input"].read()
    parsed = {key: value for key, value in environ.items() if isinstance(value, str)}
    parsed["body"] = base64.b64encode(body).decode()
    parsed["trailers"] = environ.get("wsgi.trailers")
    return _answer(start_response, json.dumps(parsed).encode())


def hello(environ, start_response):
    """Reads no body."""
    return _answer(start_response, b"hello\n")


def body_length(environ, start_response):
    total = 0
    while data := environ["wsgi.input"].read(65536):
        total += len(data)
    return _answer(start_response, b"%d" % total)


def lines(environ, start_response):
    found = [line.decode() for line in environ["wsgi.input"]]
    return _answer(start_response, json.dumps(found).encode())


def reads(environ, start_response):
    """Every way to read the body, each as /way says."""
    stream = environ["wsgi.input"]
    ways = {
        "/read": lambda: [stream.read()],
        "/read-sizes": lambda: [stream.read(1), stream.read(3), stream.read(-1), stream.read()],
        "/readline": lambda: [stream.readline(), stream.readline(2), stream.readline()],
        "/readlines": lambda: stream.readlines(),
        "/readlines-hint": lambda: stream.readlines(3),
        "/read1": lambda: [stream.read1(2), stream.read1()],
        "/readinto": lambda: [_read_into(stream, 4), _read_into(stream, 4000)],
    }
    found = [data.decode() for data in ways[environ["PATH_INFO"]]()]
    return _answer(start_response, json.dumps(found).encode())


def _read_into(stream, size):
    target = bytearray(size)
    return bytes(target[: stream.readinto(target)])


class Closing:
    """An iterable whose close() is noted."""

    def __init__(self, items):
        self.items = iter(items)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.items)

    def close(self):
        seen.append("closed")


def _raise_after(data):
    yield data
    raise RuntimeError("in the middle")


def responses(environ, start_response):
    """One way to answer for each path."""
    path = environ["PATH_INFO"]
    start = start_response
    if path == "/seen":
        data = json.dumps(seen).encode()
        seen.clear()
        return _answer(start, data)
    if path == "/generator":
        start("200 OK", [])
        return (b"part%d" % i for i in range(3))
    if path == "/empty-parts":
        start("200 OK", [])
        return iter([b"", b"a", b"", b"b", b""])
    if path == "/nothing":
        start("200 OK", [])
        return []
    if path == "/many":
        start("200 OK", [])
        return [b"%d," % i for i in range(200)]
    if path == "/write":
        write = start("200 OK", [])
        write(b"one ")
        write(b"two ")
        return [b"three"]
    if path == "/closing":
        start("200 OK", [])
        return Closing([b"a", b"b"])
    if path == "/closing-raises":
        start("200 OK", [])
        return Closing(_raise_after(b"a"))
    if path == "/too-long":
        start("200 OK", [("Content-Length", "4")])
        return [b"12", b"34567", b"89"]
    if path == "/too-short":
        start("200 OK", [("Content-Length", "10")])
        return [b"12"]
    if path == "/no-content":
        start("204 No Content", [("Content-Length", "5")])
        return [b"never"]
    if path == "/not-modified":
        start("304 Not Modified", [("ETag", '"x"')])
        return []
    if path == "/raises":
        raise RuntimeError("before")
    if path == "/raises-late":
        start("200 OK", [])
        return _raise_after(b"begun")
    if path == "/exc-info":
        start("200 OK", [])
        try:
            raise ValueError("changed my mind")
        except ValueError:
            import sys

            start("500 Changed", [("X-Why", "exc_info")], sys.exc_info())
        return [b"changed"]
    if path == "/exc-info-late":
        write = start("200 OK", [])
        write(b"begun")
        try:
            raise ValueError("too late")
        except ValueError:
            import sys

            start("500 Changed", [], sys.exc_info())
        return [b"never"]
    if path == "/twice":
        start("200 OK", [])
        start("200 OK", [])
        return []
    if path == "/never":
        return [b"x"]
    if path == "/text":
        start("200 OK", [])
        return ["text"]
    if path == "/early-hints":
        environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload")])
        return _answer(start, b"hinted")
    if path == "/disconnected":
        deadline = time.monotonic() + 5
        while not environ["coewsgi.client_disconnected"]() and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.append("gone" if time.monotonic() < deadline else "still there")
        return _answer(start, b"")
    if path == "/sleep":
        time.sleep(float(environ["QUERY_STRING"]))
        return _answer(start, b"slept")
    if path == "/sleep-caught":
        try:
            time.sleep(float(environ["QUERY_STRING"]))
        except native.RequestTimeout:
            return _answer(start, b"caught", status="503 Caught")
        return _answer(start, b"slept")
    if path == "/thread":
        return _answer(start, threading.current_thread().name.encode())
    return _answer(start, path.encode())


def threads(environ, start_response):
    """Leaves threads behind that still read the body, write, and ask for the client."""
    stream = environ["wsgi.input"]
    write = start_response("200 OK", [])

    def keep(call, *args):
        try:
            while True:
                call(*args)
                time.sleep(0.001)
        except Exception as error:
            seen.append(type(error).__name__)

    for call in ((stream.read, 10), (stream.read, 10), (write, b"x" * 100_000)):
        threading.Thread(target=keep, args=call, daemon=True).start()
    time.sleep(0.05)
    return []


def big(environ, start_response):
    return _answer(start_response, b"x" * int(environ["QUERY_STRING"]))


def file(environ, start_response):
    """The file that the query names, from the offset behind a colon on."""
    name, _, offset = environ["QUERY_STRING"].partition(":")
    opened = open(name, "rb")
    opened.seek(int(offset or 0))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return environ["wsgi.file_wrapper"](opened, 1000)


def fields(environ, start_response):
    """Response headers as the body (JSON) asks."""
    asked = json.loads(environ["wsgi.input"].read())
    start_response(asked.get("status", "200 OK"), [tuple(pair) for pair in asked["headers"]])
    return [b"ok"]


@validator
def validated(environ, start_response):
    stream = environ["wsgi.input"]
    data = stream.readline() + b"".join(stream.readlines()) + stream.read(10)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"got ", data]


def upgrade(environ, request):
    environ["test.upgrade"] = request


def taken_over(environ, start_response):
    """Leaves HTTP where the client wishes to, and sends back what it hears."""
    request = environ.get("test.upgrade")
    if request is None:
        return _answer(start_response, b"plain")
    sock, rest = request.take_over(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    with sock:
        sock.sendall(b"<" + rest + b">")
        while data := sock.recv(1000):
            sock.sendall(data)
    return []


def trust_all(address):
    return True


def forwarded(environ):
    if environ.get("HTTP_X_FORWARDED_FOR") == "broken":
        raise native.BadRequest("broken")
    if "HTTP_X_FORWARDED_FOR" in environ:
        environ["REMOTE_ADDR"] = environ.pop("HTTP_X_FORWARDED_FOR")


def log(environ, status, headers, body_bytes, started, seconds):
    assert abs(time.time() - started) < 60 and 0 <= seconds < 60
    head = environ.get("coewsgi.refused_head", b"").decode("latin-1")
    seen.append([environ.get("REQUEST_URI"), status, headers, body_bytes, head])
