"""Telling systemd how the service is doing (sd_notify(3))."""

import os
import socket


def notify(state: str) -> bool:
    """Send *state* ("READY=1", "STOPPING=1", ...), if systemd listens.

    :returns: whether it was sent. Switches: never.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.setblocking(False)
        try:
            sock.sendto(state.encode(), address)
        except OSError:
            return False
    return True


def watchdog_seconds() -> float:
    """How often systemd wants to hear WATCHDOG=1, halved; 0: not at all."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    try:
        return int(os.environ.get("WATCHDOG_USEC", "0")) / 2e6
    except ValueError:
        return 0.0
