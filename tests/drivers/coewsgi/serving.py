"""Servers for the tests of coewsgi, and a client that sends exactly the bytes it is told."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import coev

HERE = Path(__file__).resolve().parent
ROOT = Path(coev.__file__).resolve().parent.parent


class ServerProcess:
    def __init__(self, application, **options):
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), str(HERE)]))
        environment["PYTHONFAULTHANDLER"] = "1"
        limit = options.pop("limit_descriptors", None)
        command = [sys.executable, str(HERE / "program.py"), application, json.dumps(options)]
        if limit is not None:
            command = ["prlimit", f"--nofile={limit}", *command]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(self.process.communicate()[1])
        name = json.loads(line)
        self.address = tuple(name) if isinstance(name, list) else name
        self.errors = ""
        self.ended = None

    def connect(self, timeout=10):
        family = socket.AF_INET if isinstance(self.address, tuple) else socket.AF_UNIX
        sock = socket.socket(family)
        sock.settimeout(timeout)
        sock.connect(self.address)
        return sock

    def counters(self):
        self.process.stdin.write("counters\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def wait_for(self, **expected):
        """Until the counters are as *expected*."""
        deadline = time.monotonic() + 10
        while True:
            counters = self.counters()
            if all(counters[name] == value for name, value in expected.items()):
                return counters
            assert time.monotonic() < deadline, (expected, counters)
            time.sleep(0.01)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        """Drain; the counters at the end. Whatever standard error said is in `errors`."""
        if self.ended is None:
            output, self.errors = self.process.communicate(timeout=30)
            assert self.process.returncode == 0, self.errors
            [self.ended] = [line for line in output.splitlines() if line.startswith("ended")]
        return json.loads(self.ended.partition(" ")[2])

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self):
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def serving(application, **options):
    server = ServerProcess(application, **options)
    try:
        yield server
        server.stop()
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        for pipe in (server.process.stdin, server.process.stdout, server.process.stderr):
            pipe.close()


class Response:
    def __init__(self, status, reason, fields, body):
        self.status, self.reason, self.fields, self.body = status, reason, fields, body

    def __getitem__(self, name):
        return dict((key.lower(), value) for key, value in self.fields)[name.lower()]

    def __contains__(self, name):
        return name.lower() in {key.lower() for key, _ in self.fields}

    @property
    def json(self):
        return json.loads(self.body)


def split_responses(data, methods=()):
    """The responses in *data*, which has nothing else. *methods*: of the requests, where HEAD
    matters."""
    responses = []
    methods = list(methods)
    while data:
        head, separator, data = data.partition(b"\r\n\r\n")
        assert separator, head
        first, *lines = head.decode("latin-1").split("\r\n")
        match = re.fullmatch(r"HTTP/1\.1 (\d\d\d) (.*)", first)
        assert match, first
        fields = [tuple(line.split(": ", 1)) for line in lines]
        response = Response(int(match[1]), match[2], fields, b"")
        responses.append(response)
        if response.status < 200:
            continue
        method = methods.pop(0) if methods else "GET"
        if method == "HEAD" or response.status in (204, 304):
            continue
        if "Transfer-Encoding" in response:
            response.body, data = _join_chunks(data)
        elif "Content-Length" in response:
            length = int(response["Content-Length"])
            response.body, data = data[:length], data[length:]
        else:
            response.body, data = data, b""
    return responses


def _join_chunks(data):
    body = b""
    while True:
        size, separator, data = data.partition(b"\r\n")
        assert separator, "the last chunk is missing"
        length = int(size, 16)
        body += data[:length]
        assert data[length : length + 2] == b"\r\n"
        data = data[length + 2 :]
        if length == 0:
            return body, data


def receive_all(sock):
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def talk(server, *parts, pause=0.02, end=False):
    """Everything that the server says to *parts* until it closes."""
    with server.connect() as sock:
        sent_all = True
        try:
            for i, part in enumerate(parts):
                if i and pause:
                    time.sleep(pause)
                sock.sendall(part)
        except OSError:  # refused before it was all sent
            sent_all = False
        if end and sent_all:
            sock.shutdown(socket.SHUT_WR)
        return receive_all(sock)


def ask(server, *parts, methods=(), **options):
    return split_responses(talk(server, *parts, **options), methods)


def statuses(server, *parts, **options):
    return [response.status for response in ask(server, *parts, **options)]


def request(method="GET", target="/", *fields, body=b"", close=True, version="1.1"):
    lines = [f"{method} {target} HTTP/{version}"]
    if version == "1.1":
        lines.append("Host: example.org")
    lines += fields
    if body:
        lines.append(f"Content-Length: {len(body)}")
    if close and version == "1.1":
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
