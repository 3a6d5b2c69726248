"""What comes before HTTP on a connection: the PROXY header, the TLS handshake."""

import json
import socket
import ssl
import time
from contextlib import suppress

import pytest
import trustme
from serving import ask, receive_all, request, serving, split_responses, talk

from coewsgi._coewsgi import parse_proxy_header

V2 = b"\r\n\r\n\0\r\nQUIT\n"
HEADERS = {
    "v1_ipv4": (b"PROXY TCP4 1.2.3.4 5.6.7.8 1111 80\r\n", ("1.2.3.4", 1111)),
    "v1_ipv6": (b"PROXY TCP6 ::1 2001:DB8::1 65535 80\r\n", ("::1", 65535)),
    "v1_unknown": (b"PROXY UNKNOWN\r\n", (None, 0)),
    "v1_unknown_with_rest": (b"PROXY UNKNOWN what ever\r\n", (None, 0)),
    "v2_ipv4": (V2 + b"\x21\x11\0\x0c\1\2\3\4\5\6\7\x08\x04\x57\0\x50", ("1.2.3.4", 1111)),
    "v2_ipv6": (V2 + b"\x21\x21\0\x24" + b"\0" * 15 + b"\1" + b"\0" * 16 + b"\x04\x57\0\x50", ("::1", 1111)),
    "v2_with_extras": (V2 + b"\x21\x11\0\x10\1\2\3\4\5\6\7\x08\x04\x57\0\x50\x04\0\1x", ("1.2.3.4", 1111)),
    "v2_local": (V2 + b"\x20\0\0\0", (None, 0)),
    "v2_unix": (V2 + b"\x21\x31\0\xd8" + b"\0" * 216, (None, 0)),
}  # fmt: skip
WRONG = {
    "http": b"GET / HTTP/1.1\r\n",
    "v1_lower_case": b"proxy TCP4 1.2.3.4 5.6.7.8 1 80\r\n",
    "v1_no_return": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 80\n",
    "v1_too_long": b"PROXY UNKNOWN " + b"x" * 100,
    "v1_wrong_family": b"PROXY TCP4 ::1 ::1 1 80\r\n",
    "v1_other_protocol": b"PROXY UDP4 1.2.3.4 5.6.7.8 1 80\r\n",
    "v1_port_too_large": b"PROXY TCP4 1.2.3.4 5.6.7.8 65536 80\r\n",
    "v1_port_with_zero": b"PROXY TCP4 1.2.3.4 5.6.7.8 01 80\r\n",
    "v1_missing_word": b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
    "v1_two_spaces": b"PROXY TCP4  1.2.3.4 5.6.7.8 1 80\r\n",
    "v2_version": V2 + b"\x11\x11\0\x0c" + b"\0" * 12,
    "v2_command": V2 + b"\x22\x11\0\x0c" + b"\0" * 12,
    "v2_too_short": V2 + b"\x21\x11\0\x0b" + b"\0" * 11,
    "v2_too_long": V2 + b"\x21\x11\xff\xff" + b"\0" * 12,
}


@pytest.mark.parametrize("name", HEADERS)
def test_proxy_header_is_read_however_it_is_cut(name):
    data, expected = HEADERS[name]
    for at in range(len(data)):
        assert parse_proxy_header(data[:at])[0] == 0
    assert parse_proxy_header(data + b"GET / HTTP/1.1\r\n") == (len(data), *expected)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_proxy_header_is_refused(name):
    with pytest.raises(ValueError):
        parse_proxy_header(WRONG[name])


@pytest.fixture(scope="module")
def proxied():
    with serving("echo", proxy_protocol=True, trusted_peer="trust_all") as server:
        yield server


@pytest.mark.parametrize("name", HEADERS)
def test_proxy_header_tells_the_client(proxied, name):
    data, (address, port) = HEADERS[name]
    for parts in ([data + request()], [bytes([byte]) for byte in data + request()]):
        parsed = ask(proxied, *parts, pause=0)[0].json
        if address is None:
            assert parsed["REMOTE_ADDR"] == "127.0.0.1"
        else:
            assert (parsed["REMOTE_ADDR"], parsed["REMOTE_PORT"]) == (address, str(port))


@pytest.mark.parametrize("name", ["http", "v1_no_return", "v2_version"])
def test_connection_without_proxy_header_is_closed(proxied, name):
    try:
        assert talk(proxied, WRONG[name] + request()) == b""
    except ConnectionResetError:
        pass


def test_proxy_header_that_drips_is_not_waited_for_long():
    with serving("echo", proxy_protocol=True, handshake_timeout=0.3) as server:
        with server.connect() as sock:
            sock.sendall(b"PROXY TC")
            began = time.monotonic()
            assert receive_all(sock) == b""
            assert time.monotonic() - began < 2
        server.wait_for(timeouts=1)


# --- TLS ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def certificate(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def context(authority):
    made = ssl.create_default_context()
    authority.configure_trust(made)
    return made


def wrap(server, context):
    return context.wrap_socket(server.connect(), server_hostname="127.0.0.1")


def test_requests_over_tls(certificate, context):
    with serving("echo", certificate=certificate) as server, wrap(server, context) as sock:
        for path in ("/1", "/2"):
            sock.sendall(request("POST", path, body=b"x" * 30_000, close=False))
            data = b""
            while not data.endswith(b"}"):
                data += sock.recv(65536)
            parsed = split_responses(data)[0].json
            assert parsed["PATH_INFO"] == path
            assert parsed["wsgi.url_scheme"] == "https"
            assert "test.cipher" in parsed
        sock.sendall(request("GET", "/3"))
        assert split_responses(receive_all(sock))[0].json["PATH_INFO"] == "/3"


def test_file_and_large_body_over_tls(certificate, context, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * 30_000)
    with serving("file", certificate=certificate) as server, wrap(server, context) as sock:
        sock.sendall(request("GET", f"/?{path}"))
        assert split_responses(receive_all(sock))[0].body == path.read_bytes()
    with serving("big", certificate=certificate) as server, wrap(server, context) as sock:
        sock.sendall(request("GET", "/?5000000"))
        assert len(split_responses(receive_all(sock))[0].body) == 5_000_000


def test_tls_connection_ends_with_a_close_notify(certificate, context):
    with serving("responses", certificate=certificate) as server:
        with context.wrap_socket(
            server.connect(), server_hostname="127.0.0.1", suppress_ragged_eofs=False
        ) as sock:
            sock.sendall(request("GET", "/x"))
            assert receive_all(sock).endswith(b"/x")


def test_handshake_has_a_deadline(certificate):
    with serving("echo", certificate=certificate, handshake_timeout=0.3) as server:
        with server.connect() as sock:
            began = time.monotonic()
            assert receive_all(sock) == b""
            assert time.monotonic() - began < 2
        server.wait_for(timeouts=1, connections=0)
        server.stop()
        assert server.errors == ""


def test_broken_handshake_ends_that_connection_alone(certificate, context):
    with serving("echo", certificate=certificate) as server:
        with server.connect() as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with suppress(ConnectionResetError):
                receive_all(sock)
        with wrap(server, context) as sock:
            sock.sendall(request())
            assert split_responses(receive_all(sock))[0].status == 200
        server.wait_for(connections=0)
        server.stop()
        assert server.errors == ""


def test_deadlines_hold_over_tls(certificate, context):
    with serving(
        "body_length", certificate=certificate, head_timeout=0.3, body_timeout=0.3
    ) as server:
        with wrap(server, context) as sock:
            sock.sendall(b"GET / HT")
            assert [r.status for r in split_responses(receive_all(sock))] == [408]
        with wrap(server, context) as sock:
            sock.sendall(request("POST", "/", "Content-Length: 100"))
            assert [r.status for r in split_responses(receive_all(sock))] == [408]


def test_drain_ends_idle_tls_connections(certificate, context):
    with serving("responses", certificate=certificate) as server, wrap(server, context) as sock:
        sock.sendall(request("GET", "/x", close=False))
        assert sock.recv(65536)
        server.wait_for(idle=1)
        server.terminate()
        began = time.monotonic()
        assert receive_all(sock) == b""
        server.stop()
        assert time.monotonic() - began < 3


def test_proxy_header_comes_before_tls(certificate, context):
    with serving("echo", certificate=certificate, proxy_protocol=True) as server:
        plain = socket.create_connection(server.address)
        plain.sendall(HEADERS["v2_ipv4"][0])
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as sock:
            sock.sendall(request())
            parsed = json.loads(split_responses(receive_all(sock))[0].body)
            assert parsed["REMOTE_ADDR"] == "1.2.3.4"
