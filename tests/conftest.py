"""Fixtures for tests of the coev API; what they need of a Python of its own is in run_script."""

import gc
import os
import platform
import signal
import socket

import pytest
from support_capsule import api, built, c_module  # noqa: F401

import coev
from coev import _coev

# The drivers' tests take minutes: COEV_TEST_DRIVERS_ON="3.13 3.11.2" has them on those alone.
_wanted = os.environ.get("COEV_TEST_DRIVERS_ON", "").split()
_version = platform.python_version()
if _wanted and not {_version, _version.rpartition(".")[0]} & set(_wanted):
    collect_ignore = ["drivers"]

# A shell starts background jobs with SIGINT ignored, and programs that tests start
# would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def virtual_time():
    """The clock stands still and jumps to the next deadline when all wait."""
    _coev._virtual_time(True)
    yield _coev._now
    _coev._virtual_time(False)


def leftovers():
    """What a test may leave behind: live coroutines, armed timers, a pending exception."""
    for _ in range(3):  # who was killed or is about to end needs a turn
        coev.yield_now()
    stats = coev.stats()
    return {"alive": stats["alive"], "ready": stats["ready"], "timers": stats["timers"]}


@pytest.fixture
def nothing_left():
    """Require that the test ends with no coroutine, timer or exception of its own."""
    before = leftovers()
    yield leftovers
    assert leftovers() == before


@pytest.fixture
def unraisable(monkeypatch):
    """The list of what sys.unraisablehook was told."""
    told = []
    # The value alone: the object must not be resurrected by a test.
    monkeypatch.setattr("sys.unraisablehook", lambda args: told.append(args.exc_value))
    yield told
    gc.collect()


@pytest.fixture
def socket_pair():
    """Two connected sockets that do not block."""
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    with left, right:
        yield left, right


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """Certificates for localhost and for a client, where scripts find them."""
    import trustme

    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    server = authority.issue_cert("localhost")
    server.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    client = authority.issue_cert("client@example.org")
    client.private_key_and_cert_chain_pem.write_to_path(folder / "client.pem")
    os.environ["COEV_TEST_CERTIFICATES"] = str(folder)
    yield
    del os.environ["COEV_TEST_CERTIFICATES"]
