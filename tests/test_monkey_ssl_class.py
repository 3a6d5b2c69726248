"""The first handshake gives ssl.SSLSocket other code, unless it is not as defined."""

from run_script import check_script

FAILED_HANDSHAKE = """
import coev.monkey, socket, ssl

def code_of(function):
    return "coev" if "coev" in function.__code__.co_filename else "Lib"

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


def test_functions_stay_the_same_objects():
    check_script(
        FAILED_HANDSHAKE
        + """
recv, sendall = ssl.SSLSocket.recv, ssl.SSLSocket.sendall
print(code_of(recv), code_of(sendall))
handshake()
print(code_of(recv), code_of(sendall), recv is ssl.SSLSocket.recv)
""",
        expect="Lib Lib\ncoev coev True",
    )


def test_a_class_that_somebody_changed_before_keeps_its_code():
    check_script(
        FAILED_HANDSHAKE
        + """
def read(self, len=1024, buffer=None):
    return b"another"
ssl.SSLSocket.read = read
handshake()
print(code_of(ssl.SSLSocket.recv), code_of(ssl.SSLSocket.sendall))
""",
        expect="Lib Lib",
    )
