"""PostgreSQL and memcached for the examples: private, on free ports, gone at the end.

Both come from Debian's packages. Nothing of an installed server is touched: the data
folder is a temporary one unless told otherwise, and the servers listen on 127.0.0.1 alone.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Services:
    """Where the servers are, and the PostgreSQL process, for whoever wants to kill it."""

    postgres_port: int
    memcached_port: int
    postgres: "Postgres"

    @property
    def database_url(self) -> str:
        """For SQLAlchemy."""
        return f"postgresql+psycoev://postgres@127.0.0.1:{self.postgres_port}/example"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _postgres_folder() -> Path:
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    found = sorted(versions, key=lambda path: float(path.parts[4]))
    if found:
        return found[-1].parent
    program = shutil.which("initdb")
    if program is None:
        sys.exit("The example needs PostgreSQL's server: apt-get install postgresql")
    return Path(program).parent


def _wait_for(port: int, process: subprocess.Popen[bytes], what: str) -> None:
    end = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        if process.poll() is not None or time.monotonic() > end:
            sys.exit(f"{what} does not listen on port {port}")
        time.sleep(0.05)


class Postgres:
    """One server in *folder*; may be killed and started again."""

    def __init__(self, folder: Path, port: int) -> None:
        self._data = folder / "postgres"
        self._port = port
        self._programs = _postgres_folder()
        # PostgreSQL refuses to run as root; Debian's package has a user for it.
        self._user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        if os.getuid() != 0:
            self._user = []
        else:
            shutil.chown(folder, "postgres", "postgres")
        self.process: subprocess.Popen[bytes] | None = None

    def _command(self, program: str, *arguments: str) -> list[str]:
        return [*self._user, str(self._programs / program), *arguments]

    def create(self) -> None:
        if (self._data / "PG_VERSION").exists():
            return
        options = ["-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N"]
        done = subprocess.run(
            self._command("initdb", *options, "--locale=C.UTF-8"),
            cwd="/",
            capture_output=True,
            text=True,
        )
        if done.returncode:
            sys.exit(f"PostgreSQL's initdb failed:\n{done.stderr}")

    def start(self) -> None:
        settings = ["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"]
        settings += ["-c", f"unix_socket_directories={self._data}"]
        self.process = subprocess.Popen(
            self._command("postgres", "-D", str(self._data), "-p", str(self._port), *settings),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        _wait_for(self._port, self.process, "PostgreSQL")
        end = time.monotonic() + 30
        ready = self._command("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self._port))
        while subprocess.run(ready, cwd="/").returncode and time.monotonic() < end:
            time.sleep(0.05)

    def create_database(self, name: str) -> None:
        """Create a database, if it is not there."""
        subprocess.run(
            self._command(
                "createdb", "-h", "127.0.0.1", "-p", str(self._port), "-U", "postgres", name
            ),
            cwd="/",
            capture_output=True,
        )

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: connections end, and the data is written; SIGKILL: as a crash."""
        if self.process is None or self.process.poll() is not None:
            return
        if how == signal.SIGKILL:
            os.killpg(self.process.pid, how)
        else:
            self.process.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)


@contextlib.contextmanager
def running(folder: str | None = None) -> Iterator[Services]:
    """Start both servers; stop them, and remove the data unless *folder* is given."""
    memcached = shutil.which("memcached")
    if memcached is None:
        sys.exit("The example needs memcached: apt-get install memcached")
    place = Path(folder or tempfile.mkdtemp(prefix="coev-example-")).absolute()
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o755)
    postgres = Postgres(place, free_port())
    cache_port = free_port()
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    cache = subprocess.Popen(
        [memcached, *user, "-l", "127.0.0.1", "-p", str(cache_port), "-m", "64"],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        postgres.create()
        postgres.start()
        postgres.create_database("example")
        _wait_for(cache_port, cache, "memcached")
        yield Services(postgres._port, cache_port, postgres)
    finally:
        cache.kill()
        cache.wait()
        postgres.stop()
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)
