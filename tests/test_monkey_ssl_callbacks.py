"""Callbacks of TLS may wait, and then others find the SSL object in the middle of a call."""

from run_script import check_script


def test_who_comes_during_a_callback_waits_for_the_peer_without_spinning():
    check_script(
        """
        import coev.monkey, coev, socket, ssl, time

        events = []

        def wait(*arguments):
            events.append("begins")
            time.sleep(0.03)
            events.append("ends")

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context._msg_callback = wait
        sock, other = socket.socketpair()
        client = context.wrap_socket(
            sock, server_hostname="localhost", do_handshake_on_connect=False)
        handshake = coev.spawn(client.do_handshake)
        while not events:
            coev.yield_now()
        reader = coev.spawn(client.read, 1)  # goes on with the handshake
        while "ends" not in events:
            time.sleep(0.001)
        time.sleep(0.05)
        print(*("waiting" in repr(each) for each in (handshake, reader)))
        handshake.kill()
        reader.kill()
        """,
        expect="True True",
    )
