"""Scenarios: ssl.SSLSocket, over certificates that the tests made."""

import array
import hashlib
import inspect
import io
import os
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from pathlib import Path

CERTIFICATES = Path(os.environ["COEV_TEST_CERTIFICATES"])
LOCALHOST = "127.0.0.1"


def _server_context(version=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server.pem")
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def _client_context():
    return ssl.create_default_context(cafile=CERTIFICATES / "authority.pem")


def _tcp_pair():
    with socket.create_server((LOCALHOST, 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    return client, server


def _start(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def _later(function, *args, seconds=0.03):
    timer = threading.Timer(seconds, function, args)
    timer.daemon = True
    timer.start()
    return timer


def _wrap_both(client, server, client_context=None, server_context=None, name="localhost"):
    """Handshake over two connected sockets; return the wrapped ones, or an error's text."""
    results = {}

    def accept():
        context = server_context or _server_context()
        results["server"] = _outcome(context.wrap_socket, server, server_side=True)

    thread = _start(accept)
    context = client_context or _client_context()
    results["client"] = _outcome(context.wrap_socket, client, server_hostname=name)
    thread.join()
    return results["client"], results["server"]


def _outcome(function, *args, **kwargs):
    try:
        return function(*args, **kwargs)
    except OSError as error:
        return f"{type(error).__name__}: {error}"


def _pair(version=None, **contexts):
    contexts.setdefault("server_context", _server_context(version))
    return _wrap_both(*_tcp_pair(), **contexts)


# A socket closed with something unread resets the connection, and with TLS 1.3 a
# client that never reads has the server's tickets unread: to be read to its end, a
# connection has version 1.2 here.


def _close(*socks):
    for sock in socks:
        sock.close()


def _read_all(sock, digest, size=100_000):
    total = 0
    while part := sock.recv(size):
        digest.update(part)
        total += len(part)
    return total


def _pattern(size, seed=0):
    block = bytes((i * 7 + seed) % 251 for i in range(1009))
    return (block * (size // len(block) + 1))[:size]


# --- exchanging -----------------------------------------------------------------------------


def both_versions_of_the_protocol_exchange(say):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        client, server = _pair(version)
        _later(client.sendall, b"ping")
        say(client.version(), server.version(), server.recv(100))
        _later(server.sendall, b"pong")
        say(client.recv(100), client.getpeercert()["subjectAltName"])
        _close(client, server)


def every_receiving_method_waits_for_data(say):
    client, server = _pair(ssl.TLSVersion.TLSv1_2)
    buffer = bytearray(8)
    calls = {
        "recv": lambda: server.recv(8),
        "recv 1": lambda: server.recv(1),
        "read": lambda: server.read(8),
        "read without a size": lambda: server.read(),
        "read into": lambda: (server.read(8, buffer), bytes(buffer)),
        "read into, size 0": lambda: (server.read(0, buffer), bytes(buffer)),
        "recv_into": lambda: (server.recv_into(buffer), bytes(buffer)),
        "recv_into 1": lambda: (server.recv_into(buffer, 1), bytes(buffer)),
    }
    for name, call in calls.items():
        _later(client.sendall, b"ab")
        say(name, call())
        if name.endswith("1"):
            say(name, server.recv(1))
    say(server.recv(0), server.recv_into(bytearray()), error_of(server.read, -1))
    say(error_of(server.read, "x"), error_of(server.recv_into, b"ro"))
    _close(client)
    say(server.recv(5), server.recv(5))
    _close(server)


def what_is_pending_is_read_without_waiting(say):
    client, server = _pair()
    _later(client.sendall, b"0123456789")
    say(server.recv(3), server.pending(), server.recv(3), server.pending(), server.recv(30))
    say(server.pending())
    _later(client.sendall, bytes(40_000))
    sizes = []
    while sum(sizes) < 40_000:
        sizes.append(len(server.recv(10_000)))
    say(sum(sizes), server.pending())
    _close(client, server)


def every_sending_method_sends_all(say):
    client, server = _pair(ssl.TLSVersion.TLSv1_2)
    digest, total = hashlib.sha256(), []
    reader = _start(lambda: total.append(_read_all(server, digest)))
    data = _pattern(300_000)
    say(client.send(b"abc"), client.write(b"defg"), client.sendall(data))
    say(client.send(memoryview(data)[:1000]), client.send(b""), client.sendall(b""))
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(10)
        say(client.sendfile(file), file.tell(), client.sendfile(io.BytesIO(b"in memory")))
        say(client.sendfile(file, 5, 1000))
    say(error_of(client.send, "text"), error_of(client.send, 5), error_of(client.sendall, None))
    client.close()
    reader.join()
    say(total, digest.hexdigest())
    _close(server)


def a_slow_reader_makes_the_writer_wait(say):
    client, server = _pair(ssl.TLSVersion.TLSv1_2)
    data = _pattern(5_000_000)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)
    _later(lambda: (client.sendall(data), client.close()), seconds=0)
    digest = hashlib.sha256()
    time.sleep(0.05)
    say(_read_all(server, digest) == len(data))
    say(digest.digest() == hashlib.sha256(data).digest())
    _close(server)


def files_over_the_socket(say):
    client, server = _pair()
    with client.makefile("rw", encoding="utf-8") as left, server.makefile("rwb") as right:
        _later(lambda: (right.write(b"one\ntwo\n"), right.flush()))
        say(left.readline(), left.readline())
        _later(lambda: (left.write("three\n"), left.flush()))
        say(right.readline())
        client.close()
    say(error_of(client.recv, 1))
    say(server.fileno() >= 0)
    _close(server)


def both_directions_at_the_same_time(say):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        client, server = _pair(version)
        data = {client: _pattern(2_000_000, 1), server: _pattern(2_000_000, 2)}
        digests = {client: hashlib.sha256(), server: hashlib.sha256()}

        def receive(sock, digests=digests):
            left = 2_000_000
            while left:
                part = sock.recv(min(left, 30_000))
                digests[sock].update(part)
                left -= len(part)

        threads = [_start(sock.sendall, data[sock]) for sock in (client, server)]
        threads += [_start(receive, sock) for sock in (client, server)]
        for thread in threads:
            thread.join()
        say(digests[client].digest() == hashlib.sha256(data[server]).digest())
        say(digests[server].digest() == hashlib.sha256(data[client]).digest())
        _close(client, server)


def a_unix_socket_and_a_pair_carry_it(say):
    client, server = _wrap_both(*socket.socketpair())
    _later(client.sendall, b"over a pair")
    say(server.recv(100))
    _close(client, server)
    with tempfile.TemporaryDirectory() as folder:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(folder + "/s")
        listener.listen()
        client = socket.socket(socket.AF_UNIX)
        client.connect(folder + "/s")
        client, server = _wrap_both(client, listener.accept()[0])
        _later(server.sendall, b"over a path")
        say(client.recv(100))
        _close(client, server, listener)


def memory_bios_stay_as_they_are(say):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = _client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    back, forth = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = _server_context().wrap_bio(back, forth, server_side=True)
    say(error_of(client.do_handshake), error_of(server.read, 5))
    for _ in range(4):
        back.write(outgoing.read())
        say(error_of(server.do_handshake))
        incoming.write(forth.read())
        say(error_of(client.do_handshake))
    client.write(b"in memory")
    back.write(outgoing.read())
    say(server.read(4), server.pending(), server.read(), error_of(server.read))
    say(error_of(server.unwrap))


# --- beginning ------------------------------------------------------------------------------


def a_listening_socket_hands_out_wrapped_ones(say):
    with _server_context().wrap_socket(
        socket.create_server((LOCALHOST, 0)), server_side=True
    ) as listener:
        results = []

        def connect():
            with _client_context().wrap_socket(
                socket.socket(), server_hostname="localhost"
            ) as client:
                client.connect(listener.getsockname())
                results.append((client.version(), client.recv(10)))

        thread = _start(connect)
        server, _ = listener.accept()
        say(type(server), server.version())
        server.sendall(b"hello")
        thread.join()
        say(results)
        _close(server)


def the_handshake_may_come_later(say):
    plain_client, plain_server = _tcp_pair()
    client = _client_context().wrap_socket(
        plain_client, server_hostname="localhost", do_handshake_on_connect=False
    )
    server = _server_context().wrap_socket(
        plain_server, server_side=True, do_handshake_on_connect=False
    )
    say(client.version(), server.version())
    thread = _start(server.sendall, b"first words")
    say(client.recv(100), client.version())
    thread.join()
    thread = _later(client.do_handshake)
    say(server.do_handshake(), server.version())
    thread.join()
    _close(client, server)


def a_handshake_that_fails_says_why(say):
    say(*_pair(name="elsewhere"))
    say(*_pair(client_context=ssl.create_default_context()))
    old = _client_context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    say(*_pair(ssl.TLSVersion.TLSv1_3, client_context=old))
    client, server = _tcp_pair()
    _later(client.sendall, b"this is no handshake\n")
    say(_outcome(_server_context().wrap_socket, server, server_side=True))
    _close(client, server)
    client, server = _tcp_pair()
    _later(client.close)
    say(_outcome(_server_context().wrap_socket, server, server_side=True))


def a_client_certificate_is_asked_for(say):
    for name in (None, "client.pem"):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            server_context = _server_context(version)
            server_context.verify_mode = ssl.CERT_REQUIRED
            server_context.load_verify_locations(CERTIFICATES / "authority.pem")
            client_context = _client_context()
            if name is not None:
                client_context.load_cert_chain(CERTIFICATES / name)
            client, server = _pair(server_context=server_context, client_context=client_context)
            if isinstance(server, str):
                say(server)
                if not isinstance(client, str):  # with TLS 1.3 it learns of it by reading
                    say(error_of(client.recv, 1))
                else:
                    say(client)
                continue
            say(server.getpeercert()["subjectAltName"], server.version())
            _close(client, server)


def a_client_certificate_is_asked_for_after_the_handshake(say):
    server_context = _server_context(ssl.TLSVersion.TLSv1_3)
    server_context.verify_mode = ssl.CERT_REQUIRED
    server_context.post_handshake_auth = True
    server_context.load_verify_locations(CERTIFICATES / "authority.pem")
    client_context = _client_context()
    client_context.post_handshake_auth = True
    client_context.load_cert_chain(CERTIFICATES / "client.pem")
    client, server = _pair(server_context=server_context, client_context=client_context)
    say(server.getpeercert())
    say(server.verify_client_post_handshake())
    _later(lambda: (server.sendall(b"who are you?"), server.recv(100)))
    say(client.recv(100))
    client.sendall(b"me")
    _later(client.sendall, b"again")
    time.sleep(0.1)
    say(server.getpeercert()["subjectAltName"], server.recv(100))
    _close(client, server)


def a_session_is_used_again(say):
    server_context = _server_context(ssl.TLSVersion.TLSv1_2)
    client_context = _client_context()
    client, server = _pair(server_context=server_context, client_context=client_context)
    session = client.session
    say(client.session_reused, session.has_ticket)
    _close(client, server)
    plain_client, plain_server = _tcp_pair()
    servers = []
    thread = _start(
        lambda: servers.append(server_context.wrap_socket(plain_server, server_side=True))
    )
    client = client_context.wrap_socket(plain_client, server_hostname="localhost", session=session)
    thread.join()
    say(client.session_reused, servers[0].session_reused)
    _close(client, *servers)


def the_name_callback_may_wait_and_choose(say):
    other = _server_context()
    context = _server_context()
    seen = []

    def choose(sock, name, original):
        seen.append((type(sock).__name__, name, original is context, sock.gettimeout()))
        time.sleep(0.05)
        sock.context = other
        if name == "refused":
            return ssl.ALERT_DESCRIPTION_ACCESS_DENIED
        return None

    context.sni_callback = choose
    client, server = _pair(server_context=context)
    say(client.version(), server.context is other)
    _close(client, server)
    say(*_pair(server_context=context, name="refused"))
    say(seen)


def callbacks_for_shared_keys_may_wait(say):
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.verify_mode = ssl.CERT_NONE
    say(hasattr(server_context, "set_psk_server_callback"))  # from 3.13 on
    if not hasattr(server_context, "set_psk_server_callback"):
        return
    for context in (server_context, client_context):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("PSK")

    def key_for(client):
        time.sleep(0.03)
        return b"secret of " + client.encode()

    def own_key(hint):
        time.sleep(0.03)
        return "me", b"secret of me"

    server_context.set_psk_server_callback(key_for, "hint")
    client_context.set_psk_client_callback(own_key)
    client, server = _pair(server_context=server_context, client_context=client_context)
    _later(client.sendall, b"known")
    say(client.cipher()[0] == server.cipher()[0], server.recv(10))
    _close(client, server)


def a_callback_that_raises_ends_the_handshake(say):
    context = _server_context()
    raised = []

    def fail(sock, name, original):
        raised.append(name)
        raise ZeroDivisionError

    import sys

    told = []
    hook, sys.unraisablehook = sys.unraisablehook, lambda args: told.append(args.exc_type)
    context.sni_callback = fail
    say(*_pair(server_context=context))
    sys.unraisablehook = hook
    say(raised, told)


def an_error_of_the_message_callback_comes_out_at_the_end(say):
    context = _server_context()

    def fail(*args):
        raise LookupError("in the callback")

    context._msg_callback = fail
    client, server = _tcp_pair()
    _start(_outcome, _client_context().wrap_socket, client, False, True, True, "localhost")
    wrapped = context.wrap_socket(server, server_side=True, do_handshake_on_connect=False)
    say(error_of(wrapped.do_handshake))
    context._msg_callback = None
    _later(wrapped.close)


# --- waiting with a limit ---------------------------------------------------------------------


def reading_times_out(say):
    client, server = _pair()
    for call in (server.recv, server.read, lambda n: server.recv_into(bytearray(n))):
        server.settimeout(0.02)
        say(error_of(call, 10), server.gettimeout(), server.getblocking())
    _later(client.sendall, b"late")
    server.settimeout(5)
    say(server.recv(10), os.get_blocking(server.fileno()))
    server.settimeout(0.02)
    say(error_of(server.recv, 10))
    _later(client.sendall, b"later")
    server.settimeout(None)
    say(server.recv(10), server.getblocking(), os.get_blocking(server.fileno()))
    _close(client, server)


def writing_times_out(say):
    client, server = _pair()
    client.settimeout(0.05)
    data = bytes(1 << 20)

    def fill():
        while True:
            client.sendall(data)

    say(error_of(fill))
    _close(client, server)


def the_handshake_times_out(say):
    client, server = _tcp_pair()
    client.settimeout(0.03)
    server.settimeout(0.03)
    say(_outcome(_client_context().wrap_socket, client, server_hostname="localhost"))
    quiet = socket.create_server((LOCALHOST, 0))
    silent = socket.create_connection(quiet.getsockname())
    waiting, _ = quiet.accept()
    waiting.settimeout(0.03)
    say(_outcome(_server_context().wrap_socket, waiting, server_side=True))
    _close(client, server, quiet, silent)


def unwrapping_times_out(say):
    client, server = _pair()
    client.settimeout(0.03)
    say(error_of(client.unwrap))
    _close(client, server)


def a_socket_that_does_not_block_says_what_it_wants(say):
    client, server = _pair()
    server.setblocking(False)
    say(error_of(server.recv, 10), error_of(server.recv_into, bytearray(5)))
    client.sendall(b"x")
    time.sleep(0.02)
    say(server.recv(10))
    client.setblocking(False)

    def fill():
        while True:
            client.send(bytes(1 << 16))

    say(error_of(fill))
    _close(client, server)
    plain, _other = _tcp_pair()
    plain.setblocking(False)
    say(_outcome(_client_context().wrap_socket, plain, server_hostname="localhost"))


# --- ending -----------------------------------------------------------------------------------


def both_sides_unwrap_and_go_on_in_plain_text(say):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        client, server = _pair(version)
        plain = []
        thread = _start(lambda server=server, plain=plain: plain.append(server.unwrap()))
        rest = client.unwrap()
        thread.join()
        say(rest is client, plain[0] is server, client.version())
        _later(rest.sendall, b"in plain text")
        say(plain[0].recv(100), error_of(client.unwrap).partition(" around ")[0])
        _close(client, server)


def a_side_that_has_unwrapped_reads_as_the_end(say):
    client, server = _pair()
    thread = _start(_outcome, client.unwrap)
    say(server.recv(10), server.recv(10), server.read(10))
    say(error_of(server.send, b"still") in ("5", "raised"))
    say(error_of(server.recv, 10))
    server.close()
    thread.join()
    _close(client)


def the_other_side_goes_without_a_word(say):
    for suppress in (True, False):
        plain_client, plain_server = _tcp_pair()
        results = []
        thread = _start(
            lambda s=plain_server, r=results: r.append(
                _server_context(ssl.TLSVersion.TLSv1_2).wrap_socket(s, server_side=True)
            )
        )
        client = _client_context().wrap_socket(
            plain_client, server_hostname="localhost", suppress_ragged_eofs=suppress
        )
        thread.join()
        _later(socket.socket.shutdown, results[0], socket.SHUT_RDWR)
        say(error_of(client.recv, 10), error_of(client.recv_into, bytearray(10)))
        _close(client, *results)


def half_of_the_connection_is_closed(say):
    client, server = _pair()
    client.sendall(b"the last words")
    # Both halves of TLS: shutdown() of the socket drops it.
    client.shutdown(socket.SHUT_WR)
    say(server.recv(100), error_of(server.recv, 100))
    say(client.version())
    _close(client, server)


def a_reset_connection_is_an_error(say):
    client, server = _pair()
    import struct

    _later(
        lambda: (
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)),
            client.close(),
        )
    )
    say(error_of(server.recv, 10))
    _close(server)


def renegotiation_is_refused(say):
    listener = socket.create_server((LOCALHOST, 0))
    command = ["openssl", "s_client", "-brief", "-tls1_2", "-connect"]
    command.append("{}:{}".format(*listener.getsockname()))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, stdin=subprocess.PIPE, **quiet) as client:
        context = _server_context(ssl.TLSVersion.TLSv1_2)
        server = context.wrap_socket(listener.accept()[0], server_side=True)
        client.stdin.write(b"before\n")
        client.stdin.flush()
        say(server.recv(100))
        client.stdin.write(b"R\n")
        client.stdin.flush()
        say(error_of(server.recv, 100))
        client.kill()
    _close(server, listener)


def a_closed_socket_refuses(say):
    client, server = _pair()
    client.close()
    for call in (client.recv, client.read):
        say(error_of(call, 1))
    say(error_of(client.send, b"x"), error_of(client.sendall, b"x"), error_of(client.unwrap))
    say(error_of(client.do_handshake), error_of(client.version))
    _close(server)


def methods_that_make_no_sense_are_refused(say):
    client, server = _pair()
    for name, arguments in {
        "recvfrom": (1,),
        "recvfrom_into": (bytearray(1),),
        "recvmsg": (1,),
        "recvmsg_into": ([],),
        "sendto": (b"x", (LOCALHOST, 9)),
        "sendmsg": ([b"x"],),
        "dup": (),
    }.items():
        say(name, error_of(getattr(client, name), *arguments))
    say(error_of(client.recv, 1, 1), error_of(client.send, b"x", 1))
    _close(client, server)


def an_exception_being_handled_is_no_error_of_the_callback(say):
    client, server = _pair()
    try:
        raise LookupError("handled here")
    except LookupError:
        _later(client.sendall, b"data")
        say(server.recv(10))
        server.settimeout(0.02)
        try:
            server.recv(10)
        except TimeoutError as error:
            say(repr(error.__context__))
    _close(client, server)


def a_class_of_its_own_keeps_its_methods(say):
    class Counted(ssl.SSLSocket):
        def read(self, *arguments):
            say("read", arguments)
            return super().read(*arguments)

        def send(self, data, *arguments):
            say("send", type(data).__name__, len(data))
            return super().send(data, *arguments)

    context = _client_context()
    context.sslsocket_class = Counted
    client, server = _pair(client_context=context)
    client.sendall(b"to the server")
    say(server.recv(100))
    server.sendall(b"to the client")
    say(client.recv(100))
    _close(client, server)


def a_class_changed_later_has_its_new_methods(say):
    client, server = _pair()
    client.sendall(b"before")
    say(server.recv(100))
    read, send = ssl.SSLSocket.read, ssl.SSLSocket.send

    def noted_read(self, *arguments):
        say("read", [argument for argument in arguments if isinstance(argument, int)])
        return read(self, *arguments)

    def noted_send(self, data, *arguments):
        say("send", len(data))
        return send(self, data, *arguments)

    ssl.SSLSocket.read, ssl.SSLSocket.send = noted_read, noted_send
    client.sendall(b"changed")
    say(server.recv(3), server.recv_into(bytearray(4)))
    ssl.SSLSocket.read, ssl.SSLSocket.send = read, send
    client.sendall(b"after")
    say(server.recv(100))
    _close(client, server)


def the_size_of_the_buffer_is_what_is_asked_for(say):
    client, server = _pair()
    client.sendall(bytes(range(200)))
    numbers = array.array("i", [0] * 5)
    say(server.recv_into(numbers), sum(numbers))
    buffer = bytearray(8)
    say(server.recv_into(memoryview(buffer)[2:5]), bytes(buffer))
    say(server.recv_into(buffer=buffer), server.recv_into(buffer, None), bytes(buffer))
    say(server.recv_into(buffer, nbytes=2), server.recv_into(buffer, 20, False), bytes(buffer))
    say(error_of(server.recv_into, memoryview(bytes(4))), error_of(server.recv_into, 5))
    say(error_of(server.recv_into), error_of(server.recv_into, buffer, 1, 1))
    say(error_of(server.recv_into, None), error_of(server.send), error_of(server.sendall))
    say(error_of(server.recv, 1, 0, 0), error_of(server.recv, 3, wrong=1))
    _close(client, server)


def what_a_class_tells_of_its_methods_stays(say):
    client, server = _pair()
    for name in ("recv", "recv_into", "send", "sendall"):
        method = getattr(ssl.SSLSocket, name)
        bound = getattr(client, name)
        say(method.__name__, method.__qualname__, bound.__self__ is client)
        say(str(inspect.signature(bound)))
    say(error_of(ssl.SSLSocket.recv_into, client), error_of(ssl.SSLSocket.send, client))
    _close(client, server)


def whatever_has_bytes_is_sent_whole(say):
    client, server = _pair()
    for data in (
        b"",
        b"bytes",
        bytearray(b"array"),
        memoryview(b"a view")[::2],
        memoryview(b"abc"),
    ):
        say(error_of(client.sendall, data))
    say(error_of(client.sendall, "text"), error_of(client.sendall, b"flags", 1))
    client.sendall(data=bytes(50_000), flags=False)
    say(error_of(server.recv, 1, 1), error_of(server.recv, -1), error_of(server.recv, "1"))
    say(server.recv(buflen=8, flags=False), server.recv(0))
    unwrapping = _start(client.unwrap)
    digest, total = hashlib.sha256(), 0
    while data := server.recv():
        digest.update(data)
        total += len(data)
    say(total, digest.hexdigest())
    server.unwrap()
    unwrapping.join()
    _close(client, server)
