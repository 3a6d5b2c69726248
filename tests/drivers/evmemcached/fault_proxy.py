"""A proxy before memcached that does to a connection what networks and servers may do.

It runs in OS threads of its own, so it must not be used where ``coev.monkey`` is.
"""

import contextlib
import select
import socket
import struct
import threading
import time


class Fault:
    """What happens when *after* bytes have gone *towards* ``"client"`` or ``"server"``.

    ``close``, ``reset``, ``stall`` (until the connection is closed), ``stall-reading`` (takes
    nothing more, and closes), ``garbage`` (other bytes follow), or ``delay`` (*seconds*, and
    then it goes on).
    """

    def __init__(self, action, after, towards="client", seconds=0.0):
        self.action, self.after, self.towards, self.seconds = action, after, towards, seconds


class FaultProxy:
    """Passes bytes on between clients and a server; ``fault`` is for connections from now on,
    ``rewrite(bytes) -> bytes`` for what the server says."""

    def __init__(self, server_port):
        self.server_port = server_port
        self.fault = None
        self.rewrite = None
        self.connections = 0
        self._open = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_all()

    def drop_all(self):
        """Close every connection, as a server that ends does."""
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.server_port))
            except OSError:
                return
            self.connections += 1
            self._open |= {client, server}
            threading.Thread(target=self._relay, args=(client, server), daemon=True).start()

    def _relay(self, client, server):
        fault, passed = self.fault, {client: 0, server: 0}
        others = {client: server, server: client}
        with contextlib.suppress(OSError):
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        raise ConnectionResetError
                    if source is server and self.rewrite is not None:
                        data = self.rewrite(data)
                    target = others[source]
                    is_hit = fault is not None and (source is server) == (fault.towards == "client")
                    if is_hit and passed[source] + len(data) >= fault.after:
                        room = fault.after - passed[source]
                        target.sendall(data[:room])
                        hit, fault, data = fault, None, data[room:]
                        data = self._strike(hit, client, data)
                    target.sendall(data)
                    passed[source] += len(data)
        for sock in (client, server):
            self._open.discard(sock)
            sock.close()

    def _strike(self, fault, client, rest):
        """Do it, and give what follows; ConnectionResetError: the connection is over."""
        if fault.action == "delay":
            time.sleep(fault.seconds)
            return rest
        if fault.action == "garbage":
            return b"\x00VALUE END\n" + rest
        if fault.action == "stall-reading":
            time.sleep(0.2)
        if fault.action == "stall":
            while client.recv(65536):
                pass
        if fault.action == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionResetError
