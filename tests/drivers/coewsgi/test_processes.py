"""The command: one process and several, signals, reloading, ini files, Django, gunicorn."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest
from run_script import ROOT

APP = """
import os, time

def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {environ['REMOTE_ADDR']} {environ['wsgi.url_scheme']}".encode()]

def paste_factory(global_conf, **kw):
    return app

def create(word):
    def made(environ, start_response):
        start_response("200 OK", [])
        return [word.encode()]
    return made
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Command:
    """The command running in a folder with the module ``site_app``."""

    def __init__(self, folder, *arguments, module="coewsgi", environment=None):
        self.folder = folder
        (folder / "site_app.py").write_text(APP)
        self.port = free_port()
        bind = ["-b", f"127.0.0.1:{self.port}"] if module == "coewsgi" else []
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, *bind, *map(str, arguments)],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
                | (environment or {}),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.wait_until_up()

    def wait_until_up(self):
        end = time.monotonic() + 20
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port), 10).close()
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < end, self.log.read_text()
                time.sleep(0.05)

    def get(self, path="/"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def pids(self, most=2, seconds=15):
        """The processes that answer."""
        seen, end = set(), time.monotonic() + seconds
        while len(seen) < most and time.monotonic() < end:
            seen.add(int(self.get().split()[0]))
        return seen

    def stop(self, how=signal.SIGTERM, timeout=20):
        self.process.send_signal(how)
        return self.process.wait(timeout)

    def clean(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def wait_for_text(path, text):
    """An entry is written after its response."""
    end = time.monotonic() + 10
    while not path.exists() or text not in path.read_text():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def command(tmp_path):
    """Starts commands, and ends them."""
    started = []

    def start(*arguments, **options):
        started.append(Command(tmp_path, *arguments, **options))
        return started[-1]

    yield start
    for each in started:
        each.clean()


def run(folder, *arguments, module="coewsgi"):
    (folder / "site_app.py").write_text(APP)
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_one_process_serves_and_finishes_what_is_under_way(command):
    server = command("site_app:app")
    assert server.get().endswith("127.0.0.1 http")
    slow = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    slow.request("GET", "/slow")
    time.sleep(0.3)
    server.process.send_signal(signal.SIGTERM)
    assert slow.getresponse().read()
    slow.close()
    assert server.process.wait(10) == 0


def test_interrupt_ends_the_process_at_once(command):
    server = command("site_app:app")
    slow = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    slow.request("GET", "/slow")
    time.sleep(0.3)
    began = time.monotonic()
    assert server.stop(signal.SIGINT) == 0
    assert time.monotonic() - began < 0.65
    slow.close()


def test_workers_share_the_port_and_one_that_is_killed_is_replaced(command):
    server = command("-w", "2", "site_app:app")
    first = server.pids()
    assert len(first) == 2
    os.kill(min(first), signal.SIGKILL)
    end = time.monotonic() + 15
    while min(first) in (now := server.pids()) or len(now) < 2:
        assert time.monotonic() < end
    assert max(first) in now
    assert server.stop() == 0


def test_hangup_brings_new_workers_with_new_code(command):
    server = command("-w", "2", "site_app:app")
    first = server.pids()
    path = server.folder / "site_app.py"
    path.write_text(APP.replace("{os.getpid()}", "{os.getpid()} new"))
    server.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + 20
    while "new" not in server.get() or first & server.pids():
        assert time.monotonic() < end, server.log.read_text()
    assert server.stop() == 0


def test_number_of_workers_changes_by_signals(command):
    server = command("-w", "1", "--max-requests", "100000", "site_app:app")
    assert len(server.pids(1)) == 1
    server.process.send_signal(signal.SIGTTIN)
    assert len(server.pids(2)) == 2
    server.process.send_signal(signal.SIGTTOU)
    time.sleep(1.5)
    assert server.get()
    assert server.stop() == 0


def test_worker_ends_after_its_requests_and_no_request_fails(command):
    server = command("-w", "1", "--max-requests", "20", "site_app:app")
    pids = {int(server.get().split()[0]) for _ in range(100)}
    assert len(pids) >= 3, pids


def test_worker_that_stands_still_is_killed(command):
    server = command("-w", "1", "--worker-timeout", "2", "--max-requests", "9999", "site_app:app")
    first = server.pids(1)
    os.kill(next(iter(first)), signal.SIGSTOP)
    end = time.monotonic() + 20
    while True:
        try:
            if server.pids(1, 5) - first:
                break
        except (OSError, http.client.HTTPException):
            pass
        assert time.monotonic() < end, server.log.read_text()
    assert "stood still" in server.log.read_text()


def test_changed_file_restarts_the_worker(command):
    server = command("--reload", "site_app:app")
    assert "new" not in server.get()
    time.sleep(1)
    path = server.folder / "site_app.py"
    path.write_text(APP.replace("{os.getpid()}", "{os.getpid()} new"))
    end = time.monotonic() + 20
    while "new" not in server.get():
        assert time.monotonic() < end, server.log.read_text()
        time.sleep(0.1)
    path.write_text("this is no Python")
    time.sleep(2)
    path.write_text(APP)
    end = time.monotonic() + 20
    while True:
        try:
            if "new" not in server.get():
                break
        except (OSError, http.client.HTTPException):
            pass
        assert time.monotonic() < end, server.log.read_text()
        time.sleep(0.1)


def test_application_that_cannot_be_loaded_ends_the_command(tmp_path):
    done = run(tmp_path, "-b", "127.0.0.1:0", "-w", "2", "no_such_module:app")
    assert done.returncode == 3
    assert "no_such_module" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["site_app:nothing"], 2, "has no 'nothing'"),
        (["site_app:__name__"], 2, "not callable"),
        (["site_app.py"], 2, "name the module: site_app"),
        ([], 2, "which application?"),
        (["missing.ini"], 2, "PasteDeploy|no file"),
        (["--certfile", "missing.pem", "site_app:app"], 2, "missing.pem"),
        (["-b", "unix:/no/such/folder/s", "site_app:app"], 1, "cannot listen on unix:/no/such"),
        (["-u", "no-such-user", "site_app:app"], 2, "no user 'no-such-user'"),
        (["--chdir", "/no/such", "site_app:app"], 2, "No such file"),
        (["--access-logfile", "-", "--access-logformat", "%(zz)s", "site_app:app"], 2, "zz"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(tmp_path, arguments, status, text):
    done = run(tmp_path, *arguments)
    assert done.returncode == status, done.stderr
    assert re.search(text, done.stderr)
    assert "Traceback" not in done.stderr


def test_configuration_is_checked_and_printed_without_serving(tmp_path):
    assert run(tmp_path, "--check-config", "site_app:app").returncode == 0
    assert run(tmp_path, "--check-config", "site_app:create('x')").returncode == 0
    done = run(tmp_path, "-w", "3", "--print-config", "site_app:app")
    assert done.returncode == 0 and "workers = 3" in done.stdout
    assert run(tmp_path, "--version").stdout.startswith("coewsgi ")


def test_access_log_is_reopened_after_it_was_moved(command):
    server = command("--access-logfile", "access.log", "-p", "pid", "site_app:app")
    server.get("/one")
    path = server.folder / "access.log"
    wait_for_text(path, '"GET /one HTTP/1.1" 200')
    assert int((server.folder / "pid").read_text()) == server.process.pid
    path.rename(server.folder / "access.log.1")
    server.process.send_signal(signal.SIGUSR1)
    wait_for_text(path, "")
    server.get("/two")
    wait_for_text(path, "/two")
    assert "/one" not in path.read_text()
    assert server.stop() == 0
    assert not (server.folder / "pid").exists()


def test_forwarded_fields_count_for_the_peers_that_are_named(command):
    server = command("--forwarded-allow-ips", "127.0.0.1", "site_app:app")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    fields = {"X-Forwarded-For": "9.9.9.9, 192.0.2.7", "X-Forwarded-Proto": "https"}
    connection.request("GET", "/", headers=fields)
    assert connection.getresponse().read().endswith(b"192.0.2.7 https")
    connection.request("GET", "/", headers=fields | {"X-Forwarded-Proto": "gopher"})
    assert connection.getresponse().status == 400
    connection.close()


def test_statistics_have_a_page(command):
    server = command("--stats-path", "/stats", "site_app:app")
    server.get()
    assert "coewsgi.requests=" in server.get("/stats")
    text = server.get("/stats?format=prometheus")
    assert "# TYPE coewsgi_requests_total counter" in text
    assert 'coewsgi_request_seconds{quantile="0.99"}' in text


def test_ini_file_of_paste_is_served_by_the_command_and_by_pasters_runner(command, tmp_path):
    pytest.importorskip("paste.deploy", reason="PasteDeploy is not installed")
    ini = tmp_path / "site.ini"
    ini.write_text(
        textwrap.dedent("""
        [app:main]
        paste.app_factory = site_app:paste_factory
        [server:main]
        use = egg:coev#http
        threadpool_workers = 10
        keep_alive = 5
    """)
    )
    server = command(str(ini))
    assert server.get()


def test_serve_in_a_program_ends_by_its_signal(tmp_path):
    port = free_port()
    program = tmp_path / "program.py"
    program.write_text(
        f"import coewsgi\n{APP}\ncoewsgi.serve(app, port={port}, socket_timeout='4.2')\nprint('ended')\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(program)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 15
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
            break
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=15)
    assert out == "ended\n" and process.returncode == 0
