"""A TLS echo server on asyncio's or uvloop's Protocol. Prints its port.

Usage: tls_asyncio.py asyncio|uvloop CERTIFICATE_AND_KEY
"""

from __future__ import annotations

import asyncio
import ssl
import sys

from asyncio_echo import Echo


async def serve(certificate: str) -> None:
    """Serve for ever."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=context, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "uvloop":
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(serve(sys.argv[2]))
