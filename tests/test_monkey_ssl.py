"""TLS behaves the same between coroutines, and lets the others run while it waits."""

import os

import pytest
import trustme
from support_monkey import assert_clean_end, assert_same, scenarios


@pytest.fixture(scope="module", autouse=True)
def certificates(tmp_path_factory):
    """Certificates for localhost and for a client, where the scripts find them."""
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


@pytest.mark.parametrize("scenario", scenarios("ssl_sockets"))
def test_tls_behaves_as_natively(scenario):
    assert_same("ssl_sockets", scenario)


def test_processes_of_the_scenarios_end_well():
    assert_clean_end("ssl_sockets")
