"""accept() and close() of socket.socket do the same as the code of Lib/socket.py."""

import pytest
from run_script import check_script
from support_monkey import assert_clean_end, assert_same, scenarios


@pytest.mark.parametrize("scenario", scenarios("socket_class"))
def test_sockets_are_accepted_and_closed_as_natively(scenario):
    assert_same("socket_class", scenario)


def test_processes_of_the_scenarios_end_well():
    assert_clean_end("socket_class")


ACCEPT = """
    def accept():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            with socket.create_connection(listener.getsockname()) as client:
                server, address = listener.accept()
                with server:
                    assert address == client.getsockname()
                    client.sendall(b"x")
                    print(server.recv(1))

    def is_rewritten(function):
        return function.__code__.co_filename.endswith("_socket_class.py")
"""


@pytest.mark.parametrize("first", ["    import socket\n", ""], ids=["before", "after"])
def test_the_class_is_known_whenever_it_is_imported(first):
    check_script(
        first
        + """
    import coev.monkey
    import socket

    accept_then, close_then = socket.socket.accept, socket.socket.close
    """
        + ACCEPT
        + """
    accept()
    assert is_rewritten(accept_then) and is_rewritten(close_then)
    assert accept_then is socket.socket.accept and close_then is socket.socket.close
    assert not [name for name in vars(socket) if "coev" in name]
    accept()
    """,
        expect="b'x'\nb'x'",
    )


def test_a_class_that_somebody_has_changed_before_stays_as_it_is():
    check_script(
        """
    import socket
    import coev

    original = socket.socket.close

    def close(self):
        print("mine")
        original(self)

    socket.socket.close = close
    import coev.monkey
    """
        + ACCEPT
        + """
    accept()
    assert not is_rewritten(socket.socket.accept) and not is_rewritten(original)
    """,
        expect="b'x'\nmine\nmine\nmine",
    )


def test_sockets_are_closed_at_the_end_of_the_interpreter():
    check_script(
        """
    import coev.monkey
    import socket

    class Keeper:
        def __init__(self, sock):
            self.sock = sock
            self.itself = self

        def __del__(self):
            self.sock.close()
            assert self.sock.fileno() == -1

    listener = Keeper(socket.create_server(("127.0.0.1", 0)))
    client = Keeper(socket.create_connection(listener.sock.getsockname()))
    server = Keeper(listener.sock.accept()[0])
    socket.kept = Keeper(socket.socket())
    """,
        flags=("-Wd",),
    )


def test_a_subinterpreter_has_the_class_as_it_was():
    check_script(
        """
    import coev.monkey
    import socket
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters

    code = '''
    import socket
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()):
            listener.accept()[0].close()
    assert socket.socket.accept.__code__.co_filename.endswith("socket.py")
    '''
    import textwrap
    ident = interpreters.create()
    failure = interpreters.run_string(ident, textwrap.dedent(code))
    assert failure is None, failure
    interpreters.destroy(ident)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()):
            listener.accept()[0].close()
    """
    )
