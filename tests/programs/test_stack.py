"""The examples that use every part: a Pyramid application and a Django project."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from support_programs import free_port, stop, wait_for_port

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
READERS = 300


@pytest.fixture(scope="module")
def servers():
    if shutil.which("memcached") is None or not list(Path("/usr/lib/postgresql").glob("*/bin")):
        pytest.skip("PostgreSQL or memcached is not installed")


def get(url, data=None, **headers):
    """Status and text of a page; no exception for a status."""
    body = None if data is None else urllib.parse.urlencode(data).encode()
    request = urllib.request.Request(url, body, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def pastes(servers):
    """The Pyramid example, with servers of its own: its URL and process, PostgreSQL's pid."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "pyramid" / "run.py"), "--port", str(port)],
        env={**os.environ, "COEV_EXAMPLE_POSTGRES": "1"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        for line in process.stdout:
            if line.startswith("PostgreSQL:"):
                database = int(line.split()[1])
                break
        wait_for_port(port, process)
        yield f"http://127.0.0.1:{port}", process, database
    finally:
        stop(process, signal.SIGTERM)


def read_feed(url, titles, ready):
    """Read the feed until a paste comes; note its title."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 30) as sock:
        sock.sendall(f"GET /feed HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        data = b""
        while b"retry:" not in data:
            data += sock.recv(65536)
        ready.release()
        while b"data: " not in data:
            data += sock.recv(65536)
        event = data.split(b"data: ")[1].split(b"\n")[0]
        titles.append(json.loads(event)["title"])


def test_pastes_are_added_found_and_told_to_every_reader_of_the_feed(pastes):
    url, process, _ = pastes
    titles, ready = [], threading.Semaphore(0)
    readers = [
        threading.Thread(target=read_feed, args=(url, titles, ready)) for _ in range(READERS)
    ]
    for reader in readers:
        reader.start()
    for _ in readers:
        assert ready.acquire(timeout=30)
    status, page = get(url + "/add", {"title": "A <title>", "author": "me", "text": "needle é\n"})
    assert status == 200 and "A &lt;title&gt;" in page and "needle é" in page
    for reader in readers:
        reader.join(30)
    assert titles == ["A <title>"] * READERS
    assert "A &lt;title&gt;" in get(url + "/?q=needle")[1]
    assert "Nothing contains" in get(url + "/?q=haystack")[1]
    status, page = get(url + "/add", {"title": "", "author": "x" * 51, "text": ""})
    assert status == 400 and "is missing" in page and "more than 50" in page
    assert get(url + "/paste/999999")[0] == 404
    assert get(url + "/admin")[0] == 401
    secret = {"Authorization": "Basic YWRtaW46cGFzdGU="}
    status, page = get(url + "/admin", **secret)
    assert status == 200 and "4 pastes" in page
    assert "coev.switches=" in get(url + "/debug/coev")[1]
    assert "coewsgi.requests=" in get(url + "/debug/coewsgi")[1]
    status, page = get(url + "/admin/delete/4", {}, **secret)
    assert status == 200 and "3 pastes" in page


def test_database_that_dies_means_503_until_it_is_back(pastes):
    url, process, database = pastes
    assert get(url + "/health")[0] == 200
    os.kill(database, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while get(url + "/health")[0] != 503:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert get(url + "/debug/coev")[0] == 200  # what needs no database goes on


def test_stop_ends_the_server_when_its_requests_have_ended(pastes):
    url, process, _ = pastes
    assert get(url + "/")[0] == 200
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert time.monotonic() - began < 15


def test_tests_of_the_django_project_pass(servers):
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "django" / "run.py"), "test"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0 and "Ran 7 tests" in done.stderr, done.stdout + done.stderr


def test_django_project_is_served_by_its_launcher(servers):
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "django" / "run.py"), "--port", str(port)],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for_port(port, process)
        url = f"http://127.0.0.1:{port}"
        assert "None yet." in get(url + "/")[1]
        status, page = get(url + "/dashboard")
        assert status == 200 and "weather: sunny" in page
        assert get(url + "/static/admin/css/base.css")[0] == 200  # served, with DEBUG
        assert "Log in" in get(url + "/admin/")[1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        stop(process)
