"""An echo server on trio.serve_tcp. Prints its port."""

from __future__ import annotations

import trio


async def echo(connection: trio.SocketStream) -> None:
    """Send back what arrives until the other end closes."""
    while True:
        message = await connection.receive_some(4096)
        if not message:
            break
        await connection.send_all(message)


async def serve() -> None:
    """Serve for ever."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=4096)
    print(listener.socket.getsockname()[1], flush=True)
    await trio.serve_listeners(echo, [listener])


if __name__ == "__main__":
    trio.run(serve)
