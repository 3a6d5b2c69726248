"""The programs in README.md and docs/: they do what the text around them says."""

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_script import ROOT, check_script

PROJECT = Path(__file__).resolve().parent.parent
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]


def programs(page):
    """Return the Python programs of *page*."""
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_programs_compile(page):
    for number, program in enumerate(programs(page)):
        compile(program, f"{page.name}[{number}]", "exec")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def connect(port):
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_echo_server_answers_many_clients_at_once(page, tmp_path):
    port = free_port()
    program = programs(PROJECT / page)[0]
    assert "7000" in program
    script = tmp_path / "server.py"
    script.write_text(program.replace("7000", str(port)))
    server = subprocess.Popen(
        [sys.executable, "-m", "coev", str(script)], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}
    )
    try:
        clients = [connect(port) for _ in range(20)]
        for client in clients:
            client.sendall(b"hello")
        for client in clients:
            assert client.recv(5, socket.MSG_WAITALL) == b"hello"
            client.close()
    finally:
        server.kill()
        server.wait()


def test_tutorial_of_coevs_own_functions_runs():
    tutorial = programs(PROJECT / "docs" / "tutorial.md")
    first = next(number for number, text in enumerate(tutorial) if text.startswith("import coev\n"))
    # What the programs take for granted.
    given = """
import io
def ask(server):
    coev.sleep(0.001)
server, slow_disk = None, io.StringIO("slow")
"""
    out = check_script("import coev\n" + given + "\n".join(tutorial[first:]))
    assert out.split("\n")[:2] == [str(sum(n * n for n in range(1000))), "[0, 1, 2]"]
