"""memcached for tests: on a free port or a unix socket, gone afterwards."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest


def require_memcached():
    """The program, or the reason why tests are skipped; in CI it has to be there."""
    found = shutil.which("memcached")
    if found is None:
        message = "memcached is not installed: apt-get install memcached"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    return found


def free_port(host="127.0.0.1"):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        return listener.getsockname()[1]


class MemcachedServer:
    """One memcached process, which can be killed and started again."""

    def __init__(self, *options, path=None, host="127.0.0.1"):
        self.host, self.path = host, path
        self.port = 0 if path else free_port(host)
        where = ["-s", path] if path else ["-l", host, "-p", str(self.port)]
        self.command = [require_memcached(), *where, "-U", "0", "-m", "64", *options]
        if os.geteuid() == 0:
            self.command += ["-u", "nobody"]
        if path:
            self.command += ["-a", "0777"]
        self.process = None
        self.start()

    @property
    def address(self):
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def start(self):
        self.process = subprocess.Popen(self.command, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not self._answers():
            assert self.process.poll() is None, f"{self.command} ended"
            assert time.monotonic() < deadline, f"{self.command} does not listen"
            time.sleep(0.01)

    def _answers(self):
        family = (
            socket.AF_UNIX if self.path else socket.AF_INET6 if ":" in self.host else socket.AF_INET
        )
        with socket.socket(family) as client, contextlib.suppress(OSError):
            client.connect(self.path or (self.host, self.port))
            return True
        return False

    def kill(self, signum=signal.SIGKILL):
        self.process.send_signal(signum)
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.kill()
