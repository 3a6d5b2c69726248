"""Scenarios: accept() and close() of socket.socket, and what programs change about the class."""

import contextlib
import fcntl
import gc
import importlib
import io
import os
import socket
import sys
import tempfile
import threading
import unittest.mock
import warnings

LOCALHOST = "127.0.0.1"
STOCK = socket.socket


@contextlib.contextmanager
def _listening(make=socket.socket, family=socket.AF_INET, address=(LOCALHOST, 0)):
    with make(family) as listener:
        listener.bind(address)
        listener.listen()
        yield listener


@contextlib.contextmanager
def _connected(listener):
    """A client of *listener*, and what accept() returned for it."""
    with STOCK(listener.family) as client:
        client.connect(listener.getsockname())
        server, address = listener.accept()
        with server:
            yield client, server, address


def _describe(sock):
    flags = fcntl.fcntl(sock.fileno(), fcntl.F_GETFL)
    return (
        f"{type(sock).__module__}.{type(sock).__qualname__}",
        (sock.family, sock.type, sock.proto),
        sock.gettimeout(),
        sock.getblocking(),
        bool(flags & os.O_NONBLOCK),
        sock.get_inheritable(),
        (sock._io_refs, sock._closed),
    )


def _exchange(client, server):
    client.sendall(b"ping")
    server.sendall(server.recv(10).upper())
    return client.recv(10)


def accepted_sockets_are_as_the_listener_says(say):
    with tempfile.TemporaryDirectory() as folder:
        families = {
            socket.AF_INET: (LOCALHOST, 0),
            socket.AF_UNIX: os.path.join(folder, "listener"),
        }
        if socket.has_ipv6:
            families[socket.AF_INET6] = ("::1", 0)
        for family, address in families.items():
            with _listening(family=family, address=address) as listener:
                with _connected(listener) as (client, server, peer):
                    say(family, _describe(server), _exchange(client, server))
                    say(peer == client.getsockname(), type(peer), [type(part) for part in peer])
                    say(server.getpeername() == client.getsockname())


def addresses_are_written_as_usual(say):
    with _listening(address=("0.0.0.0", 0)) as listener:
        for own in ("127.0.0.1", "127.255.10.99", "127.100.0.200"):
            with socket.socket() as client:
                client.bind((own, 0))
                client.connect((LOCALHOST, listener.getsockname()[1]))
                server, address = listener.accept()
                say(address[0], address == client.getsockname(), repr(server)[:8])
                server.close()


def timeouts_of_accepted_sockets(say):
    for default, own in ((None, None), (None, 3), (None, 0), (5, None), (5, 3), (0, None), (0, 2)):
        with _listening() as listener:
            listener.settimeout(own)
            with socket.socket() as client:
                client.connect(listener.getsockname())
                socket.setdefaulttimeout(default)
                try:
                    server, _ = listener.accept()
                finally:
                    socket.setdefaulttimeout(None)
                say(default, own, _describe(server))
                server.close()


def a_default_timeout_that_is_set_while_accept_waits(say):
    with _listening() as listener:
        accepted = []
        thread = threading.Thread(target=lambda: accepted.append(listener.accept()))
        thread.start()
        with socket.socket() as client:
            socket.setdefaulttimeout(7)
            try:
                client.connect(listener.getsockname())
                thread.join()
            finally:
                socket.setdefaulttimeout(None)
            say(_describe(accepted[0][0]))
            accepted[0][0].close()


def a_listener_that_is_not_of_its_family(say):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "listener")
        real = socket.socket(socket.AF_UNIX)
        real.bind(path)
        real.listen()
        listener = socket.socket(socket.AF_INET, fileno=real.detach())
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            server, address = listener.accept()
            say(address, _describe(server))
            server.close()
        listener.close()


def subclasses_keep_what_they_override(say):
    class Plain(socket.socket):
        pass

    class Counting(socket.socket):
        accepted = 0

        def _accept(self):
            self.accepted += 1
            return super()._accept()

        def _real_close(self, *args):
            say("_real_close", self._closed)
            super()._real_close(*args)

    class Odd(socket.socket):
        proto = 0
        type = property(lambda self: socket.SOCK_STREAM)

        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.extra = "extra"

        def close(self):
            say("close", self.extra)
            super().close()

    for cls in (Plain, Counting, Odd):
        with _listening(cls) as listener:
            with _connected(listener) as (client, server, _):
                say(cls.__name__, _describe(server), _exchange(client, server))
            say(getattr(listener, "accepted", None))
        say(listener._closed, listener.fileno())


def the_name_in_the_module_decides_what_accept_makes(say):
    class Mine(socket.socket):
        def __init__(self, *args, **kwargs):
            say("made", [int(arg) for arg in args], sorted(kwargs))
            super().__init__(*args, **kwargs)

    with _listening() as listener:
        with unittest.mock.patch.object(socket, "socket", Mine):
            with _connected(listener) as (client, server, _):
                say(type(server).__name__, _exchange(client, server))
        with unittest.mock.patch.object(socket, "getdefaulttimeout", lambda: say("asked") or 4):
            with _connected(listener) as (client, server, _):
                say(_describe(server), _exchange(client, server))
        with _connected(listener) as (client, server, _):
            say(type(server) is STOCK, _exchange(client, server))


def changes_of_the_class_are_heeded(say):
    original = {name: getattr(STOCK, name) for name in ("_accept", "__init__", "_real_close")}

    def _accept(self):
        say("_accept")
        return original["_accept"](self)

    def __init__(self, *args, **kwargs):
        say("__init__", [int(arg) for arg in args], sorted(kwargs))
        original["__init__"](self, *args, **kwargs)

    def _real_close(self):
        say("_real_close", self._closed)
        original["_real_close"](self)

    with _listening() as listener:
        for function in (_accept, __init__, _real_close):
            with unittest.mock.patch.object(STOCK, function.__name__, function):
                with _connected(listener) as (client, server, _):
                    say(function.__name__, _exchange(client, server))
        family = property(lambda self: say("family") or socket.AF_INET)
        with unittest.mock.patch.object(STOCK, "family", family):
            client = socket.create_connection(listener.getsockname())
            listener.accept()[0].close()
            client.close()
        with _connected(listener) as (client, server, _):
            say("as before", _exchange(client, server))


def audit_hooks_hear_of_each_socket(say):
    heard = []
    listening = False

    def hook(event, args):
        if listening and event.startswith("socket."):
            heard.append((event, type(args[0]).__name__, *args[1:]))
            if refuse:
                raise PermissionError("refused")

    sys.addaudithook(hook)
    refuse = False
    with _listening() as listener:
        with STOCK() as first, STOCK() as second:
            first.connect(listener.getsockname())
            listening = True
            server, _ = listener.accept()
            server.close()
            say(heard)
            listening = False
            second.connect(listener.getsockname())
            listening = refuse = True
            say(error_of(listener.accept))
            listening = False
            say(heard)


def sockets_that_nobody_closes_are_warned_of(say):
    with _listening() as listener, STOCK() as client:
        client.connect(listener.getsockname())
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            listener.accept()
            gc.collect()
        say(
            [(each.category, "unclosed <socket.socket fd=" in str(each.message)) for each in caught]
        )
        say(client.recv(1))


def files_of_a_socket_keep_it_open(say):
    with _listening() as listener, _connected(listener) as (client, server, _):
        file = server.makefile("rwb")
        say(server._io_refs)
        server.close()
        say(server._closed, server.fileno() >= 0, "[closed]" in repr(server), server._io_refs)
        client.sendall(b"line\n")
        say(file.readline())
        file.close()
        say(server.fileno(), server._io_refs)
        server.close()


def closing_more_than_once_and_without_a_beginning(say):
    with _listening() as listener, _connected(listener) as (_, server, _):
        for _ in range(3):
            say(server.close(), server._closed, server.fileno(), repr(server))
    never = socket.socket.__new__(socket.socket)
    say(error_of(never.close), never._closed, error_of(lambda: never._io_refs))
    never._io_refs = -1
    say(error_of(never.close))
    never._io_refs = 0
    say(error_of(never.close), never.fileno())
    with _listening() as listener:
        pass
    say(error_of(listener.accept), error_of(socket.socket.accept, io.StringIO()))
    say(error_of(socket.socket.close, 5))
    say(error_of(socket.socket.close))


def a_descriptor_that_was_closed_under_its_socket(say):
    with _listening() as listener, _connected(listener) as (_, server, _):
        os.close(server.fileno())
        say(error_of(server.close), server._closed, server.fileno())


def weak_references_and_slots_of_accepted_sockets(say):
    import weakref

    with _listening() as listener, _connected(listener) as (_, server, _):
        reference = weakref.ref(server)
        say(reference() is server, hasattr(server, "__dict__"))
        say(error_of(setattr, server, "anything", 1))
        say(sys.getrefcount(server._closed) > 0, gc.is_tracked(server) in (True, False))
        duplicate = server.dup()
        say(_describe(duplicate))
        duplicate.close()


def a_module_that_is_loaded_again(say):
    fresh = importlib.reload(socket)
    with fresh.create_server((LOCALHOST, 0)) as listener:
        with fresh.create_connection(listener.getsockname()) as client:
            server, _ = listener.accept()
            say(type(server) is fresh.socket, type(server) is STOCK, _exchange(client, server))
            server.close()
            say(_describe(client)[2:])
    old = STOCK()
    old.bind((LOCALHOST, 0))
    old.listen()
    with _connected(old) as (client, server, _):
        say(type(server) is fresh.socket, _exchange(client, server))
    old.close()
