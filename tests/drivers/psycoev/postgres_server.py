"""A PostgreSQL server for tests: on a free port, in a folder of its own, gone afterwards."""

import contextlib
import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "logical",
    "max_wal_senders": "10",
    "max_replication_slots": "10",
    "max_prepared_transactions": "20",
    "max_connections": "200",
    "listen_addresses": "127.0.0.1",
    "log_min_messages": "fatal",
}


def binary_folder():
    """The folder of initdb and postgres, of the newest version there is; or None."""
    found = glob.glob("/usr/lib/postgresql/*/bin/initdb") + glob.glob("/usr/pgsql-*/bin/initdb")
    if found:
        newest = max(found, key=lambda path: [int(n) for n in path.split("/") if n.isdigit()])
        return os.path.dirname(newest)
    initdb = shutil.which("initdb")
    return os.path.dirname(initdb) if initdb else None


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class PostgresServer:
    """Superuser ``postgres``, trusted on TCP and on a Unix socket; database ``test``."""

    def __init__(self, **settings):
        self.settings = {**SETTINGS, **settings}
        self.folder = tempfile.mkdtemp(prefix="coev-pg-")
        self.port = free_port()
        self.process = None
        # PostgreSQL refuses to run as root.
        self._as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
        if os.getuid() != 0:
            self._as_user = []
        else:
            shutil.chown(self.folder, "postgres", "postgres")
        os.chmod(self.folder, 0o755)  # the socket is for everybody

    @property
    def data(self):
        return os.path.join(self.folder, "data")

    @property
    def dsn(self):
        return f"host=127.0.0.1 port={self.port} user=postgres dbname=test"

    @property
    def socket_dsn(self):
        return f"host={self.folder} port={self.port} user=postgres dbname=test"

    def url(self, scheme="postgresql", database="test"):
        return f"{scheme}://postgres:trusted@127.0.0.1:{self.port}/{database}"

    def _command(self, program, *arguments):
        return [*self._as_user, os.path.join(binary_folder(), program), *arguments]

    def _run(self, program, *arguments):
        done = subprocess.run(
            self._command(program, *arguments),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def create(self):
        self._run("initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "-N",
                  "-E", "UTF8", "--locale=C.UTF-8")  # fmt: skip
        with open(os.path.join(self.data, "postgresql.conf"), "a") as file:
            for name, value in self.settings.items():
                file.write(f"{name} = '{value}'\n")
            file.write(f"port = {self.port}\nunix_socket_directories = '{self.folder}'\n")
        return self

    def start(self):
        """Start the server, and wait until it accepts connections."""
        log = open(os.path.join(self.folder, "log"), "ab")
        with log:
            self.process = subprocess.Popen(
                self._command("postgres", "-D", self.data),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait_until_ready()
        return self

    def wait_until_ready(self):
        """Wait until the server accepts connections; it may be recovering."""
        deadline = time.monotonic() + 60
        while subprocess.run(
            self._command("pg_isready", "-q", "-h", self.folder, "-p", str(self.port)),
            cwd=self.folder,
        ).returncode:
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def log(self):
        return Path(self.folder, "log").read_text(errors="replace")

    def sql(self, text, database="postgres"):
        """Run *text* with psql, and return what it printed: values alone."""
        done = subprocess.run(
            self._command("psql", "-h", self.folder, "-p", str(self.port), "-U", "postgres",
                          "-d", database, "-v", "ON_ERROR_STOP=1", "-AtXqc", text),
            cwd=self.folder, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def stop(self, how=signal.SIGINT):
        """Stop the server; SIGINT is "fast", SIGQUIT is "immediate" (PostgreSQL's manual)."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process = None

    def kill(self):
        """Kill the server and all its processes, as if the power failed."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)
        # Backends are in the session of the server, but each in a group of its own.
        for pid in self.backends():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process = None

    def backends(self):
        """The processes whose working folder is the server's data."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if os.readlink(entry / "cwd") == os.path.realpath(self.data):
                        found.append(int(entry.name))
        return found

    def remove(self):
        if self.process is not None:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            self.create().start()
            self.sql("create database test")
            self.sql("create extension hstore", "test")
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_):
        self.remove()


def main():
    """Start a server, run the command of the arguments with its address, and stop it."""
    with PostgresServer() as server:
        environment = {
            **os.environ,
            "PGHOST": "127.0.0.1",
            "PGPORT": str(server.port),
            "PGUSER": "postgres",
            "PGDATABASE": "test",
        }
        return subprocess.run(sys.argv[1:], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
