"""What proxies say: only of trusted peers, only the part that our proxies wrote."""

import pytest

from coewsgi import BadRequest
from coewsgi.forwarded import Forwarded, trust

BASE = {"REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "1", "wsgi.url_scheme": "http"}


def after(hops=1, **fields):
    environ = BASE | {"HTTP_" + name.upper(): value for name, value in fields.items()}
    Forwarded(hops)(environ)
    return environ


def test_nobody_is_trusted_unless_told():
    assert trust(()) is None


@pytest.mark.parametrize(
    ("peers", "address", "trusted"),
    [
        (["127.0.0.1"], "127.0.0.1", True),
        (["127.0.0.1"], "127.0.0.2", False),
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", True),
        (["fe80::/10"], "fe80::1%eth0", True),
        (["::1"], "127.0.0.1", False),
        (["*"], "192.0.2.1", True),
        (["*"], "", True),
        (["127.0.0.1"], "", False),
        (["unix"], "", True),
        (["10.0.0.1"], "not an address", False),
    ],
)
def test_trust_goes_by_address_network_or_star(peers, address, trusted):
    assert trust(peers)(address) is trusted


def test_wrong_network_is_refused_at_the_start():
    with pytest.raises(ValueError, match="10.0.0.0/99"):
        trust(["10.0.0.0/99"])


def test_client_is_the_address_that_the_nearest_proxy_saw():
    assert after(x_forwarded_for="6.6.6.6, 192.0.2.1")["REMOTE_ADDR"] == "192.0.2.1"
    assert after(2, x_forwarded_for="6.6.6.6, 192.0.2.1, 10.0.0.1")["REMOTE_ADDR"] == "192.0.2.1"
    assert after(5, x_forwarded_for="192.0.2.1")["REMOTE_ADDR"] == "192.0.2.1"
    assert "REMOTE_PORT" not in after(x_forwarded_for="192.0.2.1")


def test_scheme_host_port_and_prefix_are_taken():
    environ = after(
        x_forwarded_proto="https",
        x_forwarded_host="www.example.org",
        x_forwarded_prefix="/app/",
    )
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["HTTPS"] == "on"
    assert environ["HTTP_HOST"] == environ["SERVER_NAME"] == "www.example.org"
    assert environ["SERVER_PORT"] == "443"
    assert environ["SCRIPT_NAME"] == "/app"
    assert after(x_forwarded_host="[::1]:81")["SERVER_PORT"] == "81"


def test_forwarded_counts_before_the_older_fields():
    environ = after(
        forwarded='for=6.6.6.6, for="[2001:db8::1]:4711";proto=https;host="h:8"',
        x_forwarded_for="1.1.1.1",
    )
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("2001:db8::1", "4711")
    assert (environ["wsgi.url_scheme"], environ["HTTP_HOST"]) == ("https", "h:8")


@pytest.mark.parametrize("client", ["unknown", "_hidden"])
def test_hidden_client_leaves_the_peers_address(client):
    assert after(forwarded=f"for={client}")["REMOTE_ADDR"] == "127.0.0.1"


@pytest.mark.parametrize(
    "fields",
    [
        {"forwarded": "for"},
        {"forwarded": "for=1.1.1.1;for=2.2.2.2"},
        {"forwarded": 'for="1.1.1.1'},
        {"forwarded": "for=nobody"},
        {"x_forwarded_for": "1.1.1.1, evil<script>"},
        {"x_forwarded_proto": "gopher"},
        {"x_forwarded_host": "a/b"},
        {"x_forwarded_host": "a b"},
        {"x_forwarded_port": "http"},
        {"x_forwarded_prefix": "//evil.example"},
        {"x_forwarded_proto": "http", "x_forwarded_ssl": "on"},
    ],
)
def test_nonsense_and_contradictions_are_refused(fields):
    with pytest.raises(BadRequest):
        after(**fields)
