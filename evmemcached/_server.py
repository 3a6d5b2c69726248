"""A server of a client, as python-memcached's ``Client.servers`` shows them."""

import socket
import sys
import time

from . import _memcached
from ._address import Address


class Server:
    """One server of a client. Its state is that of the pool, so all clients see it."""

    __slots__ = ("_address", "_pool", "dead_retry", "debug", "weight")

    def __init__(
        self, address: Address, pool: _memcached.Pool, weight: int, dead_retry: float, debug: int
    ) -> None:
        self._address = address
        self._pool = pool
        self.weight = weight
        self.dead_retry = dead_retry
        self.debug = debug

    def __str__(self) -> str:
        dead = self._pool.dead_for()
        return f"{self._address}{f' (dead for {dead:.0f} s more)' if dead else ''}"

    @property
    def family(self) -> int:
        return self._address.family or socket.AF_INET

    @property
    def ip(self) -> str:
        return self._address.host

    @property
    def port(self) -> int:
        return self._address.port

    @property
    def address(self) -> str | tuple[str, int]:
        return self.ip if self.family == socket.AF_UNIX else (self.ip, self.port)

    @property
    def deaduntil(self) -> float:
        """When the server will be asked again, as ``time.time()``; 0: it is not dead."""
        dead = self._pool.dead_for()
        return time.time() + dead if dead else 0

    def connect(self) -> int:
        """Whether the server is held for alive; connections are the pool's business."""
        return 0 if self._pool.dead_for() else 1

    def mark_dead(self, reason: object) -> None:
        """Have no client of this process ask the server for ``dead_retry`` seconds."""
        self.debuglog(f"MemCache: {self}: {reason}.  Marking dead.")
        self._pool.mark_dead(self.dead_retry)

    def revive(self) -> None:
        """Hold the server for alive again."""
        self._pool.revive()

    def close_socket(self) -> None:
        """Nothing: the connections belong to all clients."""

    def close_idle(self) -> None:
        """Close the connections that nobody uses."""
        self._pool.close_idle()

    def debuglog(self, text: str) -> None:
        if self.debug:
            sys.stderr.write(f"MemCached: {text}\n")
