"""What sendmsg() and recvmsg_into() iterate over may wait, and is iterated over once."""

from run_script import check_script


def test_another_coroutine_may_use_sockets_while_buffers_are_made():
    check_script(
        """
        import coev.monkey, coev, socket, time

        left, right = socket.socketpair()
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

        def slowly(*buffers):
            for buffer in buffers:
                time.sleep(0.01)
                yield buffer

        def use_another_socket():
            far.send(b"datagram")
            near.recvfrom(10)

        def meanwhile(function, *arguments):
            other = coev.spawn(use_another_socket)
            result = function(*arguments)
            other.join()
            return result

        print(meanwhile(left.sendmsg, slowly(b"one ", b"two")), right.recv(100))
        print(meanwhile(left.sendmsg, [b"x"], slowly()), right.recv(100))
        right.sendall(b"12345678")
        buffers = bytearray(3), bytearray(5)
        print(meanwhile(left.recvmsg_into, slowly(*buffers))[0], *map(bytes, buffers))
        """,
        expect="7 b'one two'\n1 b'x'\n8 b'123' b'45678'",
    )


def test_what_had_to_wait_for_room_sends_the_buffers_of_a_generator_all_the_same():
    check_script(
        """
        import coev.monkey, coev, socket

        left, right = socket.socketpair()
        left.setblocking(False)
        try:
            while True:
                left.send(bytes(1000))
        except BlockingIOError:
            left.setblocking(True)
        sender = coev.spawn(left.sendmsg, (part for part in (b"the ", b"end")))
        coev.yield_now()
        received = b""
        while not received.endswith(b"the end"):
            received += right.recv(1 << 20)
        print(sender.result())
        """,
        expect="7",
    )


def test_what_cannot_be_iterated_over_is_complained_about_as_ever():
    check_script(
        """
        import coev.monkey, socket

        left, right = socket.socketpair()
        for call, argument in (left.sendmsg, 5), (left.recvmsg_into, 5), (left.sendmsg, [5]):
            try:
                call(argument)
            except TypeError as error:
                print(type(error).__name__)
        """,
        expect="TypeError\nTypeError\nTypeError",
    )
