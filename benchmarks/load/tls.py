"""The load of a TLS echo server: connections with one 1 KiB message under way each.

Every message differs from the last and every reply is compared. Prints one line of
JSON: replies a second, and the server's CPU time for each.

Usage: tls.py PORT CONNECTIONS WARM_UP_S MEASURE_S SERVER_PID
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time

_MESSAGE_BYTES = 1024
_TICKED, _TICKED_USER, _TOTAL = 0, 1, 2  # kinds of CPU clock, see cpu_clock.h

replies = 0


def cpu_s(pid: int, kind: int) -> float:
    """A CPU clock of another process."""
    return time.clock_gettime((~pid << 3) | kind)


async def keep_asking(port: int, context: ssl.SSLContext, number: int) -> None:
    """One connection, for ever."""
    global replies
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    serial = number << 40
    while True:
        serial += 1
        message = serial.to_bytes(8, "big") * (_MESSAGE_BYTES // 8)
        writer.write(message)
        if await reader.readexactly(_MESSAGE_BYTES) != message:
            raise SystemExit("a reply was wrong")
        replies += 1


async def main(port: int, connections: int, warm_up_s: float, measure_s: float, pid: int) -> None:
    """Connect all, warm up, measure."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    tasks = [asyncio.create_task(keep_asking(port, context, n)) for n in range(connections)]
    await asyncio.sleep(warm_up_s)
    kinds = (_TICKED, _TICKED_USER, _TOTAL)
    before, count, began = [cpu_s(pid, kind) for kind in kinds], replies, time.monotonic()
    await asyncio.sleep(measure_s)
    after, count, taken = [cpu_s(pid, k) for k in kinds], replies - count, time.monotonic() - began
    for task in tasks:
        if task.done():
            task.result()  # raises what ended it
    ticked, ticked_user, total = (b - a for a, b in zip(before, after))
    cpu = 1e6 * total / count
    user = cpu * ticked_user / ticked if ticked else 0.0
    print(json.dumps({"rate": count / taken, "cpu": cpu, "user": user, "system": cpu - user}))


if __name__ == "__main__":
    port, connections, warm_up_s, measure_s, pid = sys.argv[1:]
    asyncio.run(main(int(port), int(connections), float(warm_up_s), float(measure_s), int(pid)))
