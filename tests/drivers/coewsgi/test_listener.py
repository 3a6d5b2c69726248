"""Listening: addresses, unix sockets and what is left of them, inherited descriptors."""

import os
import socket
import stat

import pytest

from coewsgi import listener
from coewsgi.listener import ListenError, open_listener, split_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        (":8080", ("", 8080)),
        ("8080", ("", 8080)),
        ("[::1]:80", ("::1", 80)),
        ("localhost:0", ("localhost", 0)),
    ],
)
def test_address_is_split(text, address):
    assert split_address(text) == address


@pytest.mark.parametrize("text", ["localhost", "::1:80", "a:b", "a:99999", "a:-1", ""])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match="address|port|brackets"):
        split_address(text)


def test_listener_on_a_free_port_tells_its_name_and_environ():
    opened = open_listener("127.0.0.1:0")
    try:
        port = opened.socket.getsockname()[1]
        assert opened.name == f"127.0.0.1:{port}"
        assert opened.environ(False) == {
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(port),
            "wsgi.url_scheme": "http",
        }
        assert opened.environ(True)["HTTPS"] == "on"
        with pytest.raises(
            ListenError, match=f"cannot listen on 127.0.0.1:{port}: Address already"
        ):
            open_listener(f"127.0.0.1:{port}")
    finally:
        opened.close()


def test_unix_socket_has_its_mode_and_is_removed_at_the_end(tmp_path):
    path = str(tmp_path / "s")
    opened = open_listener(f"unix:{path}", mode=0o600)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    opened.close()
    assert not os.path.exists(path)


def test_unix_socket_that_nobody_listens_on_is_replaced_and_another_is_not(tmp_path):
    path = str(tmp_path / "s")
    open_listener(f"unix:{path}").socket.close()  # as a process that was killed
    second = open_listener(f"unix:{path}")
    try:
        with pytest.raises(ListenError, match="Address already in use"):
            open_listener(f"unix:{path}")
    finally:
        second.close()


def test_file_in_the_place_of_a_unix_socket_stays(tmp_path):
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(ListenError):
        open_listener(f"unix:{path}")
    assert path.read_text() == "precious"


def test_abstract_unix_socket_can_be_connected_to():
    opened = open_listener(f"unix:@coewsgi-test-{os.getpid()}")
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(opened.socket.getsockname())
    finally:
        opened.close()


def test_inherited_descriptor_is_adopted_if_it_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        opened = open_listener(f"fd://{os.dup(server.fileno())}")
        assert opened.name == f"127.0.0.1:{server.getsockname()[1]}"
        opened.close()
    with socket.socket() as idle:
        copy = os.dup(idle.fileno())
        with pytest.raises(ListenError, match="does not listen"):
            open_listener(f"fd://{copy}")
        os.close(copy)
    with open(os.devnull) as file, pytest.raises(ListenError, match="cannot be listened on"):
        open_listener(f"fd://{file.fileno()}")


def test_sockets_of_systemd_are_for_the_process_that_they_name():
    assert listener.from_systemd({"LISTEN_PID": "1", "LISTEN_FDS": "3"}) == []
    assert listener.from_systemd({}) == []
