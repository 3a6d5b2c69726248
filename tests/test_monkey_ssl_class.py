"""The first handshake gives methods of ssl.SSLSocket to C, unless it is not as defined."""

import pytest
from run_script import check_script

pytestmark = pytest.mark.usefixtures("certificates")

FAILED_HANDSHAKE = """
import coev.monkey, socket, ssl

def where(function):
    return "Lib" if hasattr(function, "__code__") else "C"

def handshake():
    sock, other = socket.socketpair()
    other.close()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with sock:
        try:
            context.wrap_socket(sock, server_hostname="localhost").close()
        except OSError:
            pass
"""


NAMES = """("recv", "recv_into", "send", "sendall")"""


def test_the_class_has_its_methods_in_c_from_the_first_handshake_on():
    check_script(
        FAILED_HANDSHAKE
        + f"""
print(*(where(getattr(ssl.SSLSocket, name)) for name in {NAMES}))
handshake()
print(*(where(getattr(ssl.SSLSocket, name)) for name in {NAMES}))
""",
        expect="Lib Lib Lib Lib\nC C C C",
    )


def test_functions_taken_before_go_on_working():
    check_script(
        """
import coev.monkey, ssl
recv, sendall = ssl.SSLSocket.recv, ssl.SSLSocket.sendall
from support_ssl import tls_pair
client, server = tls_pair()
sendall(client, b"as ever")
print(recv(server, 100), recv is ssl.SSLSocket.recv)
""",
        expect="b'as ever' False",
    )


def test_a_class_that_somebody_changed_before_keeps_its_code():
    check_script(
        FAILED_HANDSHAKE
        + f"""
def read(self, len=1024, buffer=None):
    return b"another"
ssl.SSLSocket.read = read
handshake()
print(*(where(getattr(ssl.SSLSocket, name)) for name in {NAMES}))
""",
        expect="Lib Lib Lib Lib",
    )
