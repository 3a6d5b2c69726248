"""Servers for the tests of evmemcached."""

import os
import shutil
import ssl
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from fault_proxy import FaultProxy
from memcached_server import MemcachedServer

import evmemcached


@pytest.fixture(autouse=True)
def _no_state_of_other_tests():
    """Pools, and what is known of servers, outlive clients: not tests."""
    yield
    evmemcached.close_pools()


def _server(*options, **where):
    server = MemcachedServer(*options, **where)
    yield server
    server.close()


@pytest.fixture(scope="session")
def server():
    """A memcached with connections enough for the storms."""
    yield from _server("-c", "4096", "-t", "2")


@pytest.fixture
def own_server():
    """A memcached that the test may kill."""
    yield from _server()


@pytest.fixture(scope="session")
def three_servers():
    servers = [MemcachedServer() for _ in range(3)]
    yield servers
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def short_folder():
    """A folder whose path is short enough for a unix socket, and which a server may use."""
    folder = tempfile.mkdtemp(prefix="evm")
    os.chmod(folder, 0o777)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def unix_server(short_folder):
    yield from _server(path=f"{short_folder}/memcached.sock")


@pytest.fixture(scope="session")
def auth_server(short_folder):
    users = Path(short_folder, "users")
    users.write_text("joe:secret\n")
    users.chmod(0o644)
    yield from _server("-Y", str(users))


@pytest.fixture(scope="session")
def tls_server(short_folder):
    """A memcached that speaks TLS, and a context that trusts it."""
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "localhost")
    chain, key = Path(short_folder, "chain.pem"), Path(short_folder, "key.pem")
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    key.chmod(0o644)
    for server in _server("-Z", "-o", f"ssl_chain_cert={chain},ssl_key={key}"):
        context = ssl.create_default_context()
        authority.configure_trust(context)
        server.context = context
        yield server


@pytest.fixture
def proxy(server):
    made = FaultProxy(server.port)
    yield made
    made.close()


@pytest.fixture
def client(server):
    made = evmemcached.Client([server.address])
    made.flush_all()
    return made
