"""Servers for real programs, each on a free port."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import trustme
from support_programs import HERE, Runner, free_port, stop, wait_for_port


@pytest.fixture
def runner():
    """Runs programs in a folder of their own, in memory: no disk delays what they write."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory, ignore_cleanup_errors=True) as folder:
        yield Runner(Path(folder))


@pytest.fixture(scope="session")
def redis_port(tmp_path_factory):
    """The port of a redis-server."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("there is no redis-server")
    port = free_port()
    options = f"--port {port} --bind 127.0.0.1 --save '' --appendonly no --loglevel warning"
    command = f"exec {server} {options} --dir {tmp_path_factory.mktemp('redis')}"
    process = subprocess.Popen(
        command, shell=True, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        wait_for_port(port, process)
        yield port
    finally:
        stop(process)


@pytest.fixture(scope="session")
def tls_server(tmp_path_factory):
    """The URL of an HTTPS server with threads of the operating system, and its authority."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(HERE / "tls_server.py"), str(port), str(folder / "server.pem")],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for_port(port, process)
        yield f"https://localhost:{port}", str(folder / "ca.pem")
    finally:
        stop(process)
