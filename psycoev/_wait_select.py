"""The wait callback that blocks, which is also how asynchronous connections are driven."""

import select
from typing import Any

from ._psycopg import OperationalError

# What connection.poll() returns.
_OK, _READ, _WRITE = 0, 1, 2


def wait_select(conn: Any) -> None:
    """Wait until *conn* has nothing left to do, with ``select.poll()``.

    For ``set_wait_callback()``, and for connections with ``async_=1``. A Ctrl-C cancels the
    statement.

    Switches: under ``coev.monkey``, while it waits; else it blocks the OS thread.

    :raises OperationalError: ``poll()`` gave an unknown answer.
    """
    while True:
        try:
            state = conn.poll()
            if state == _OK:
                return
            if state not in (_READ, _WRITE):
                raise OperationalError(f"bad state from poll: {state}")
            poller = select.poll()
            poller.register(conn.fileno(), select.POLLIN if state == _READ else select.POLLOUT)
            poller.poll()
        except KeyboardInterrupt:
            conn.cancel()
            # poll() now says that the statement was cancelled.
