"""What an echoed message costs in system calls.

strace slows the server far more than the load, so that it finds every connection
ready whenever it looks: the counts of a server at its limit.
"""

from __future__ import annotations

from harness import strace
from harness.benchmark import Bar, Benchmark, Metrics, Variant
from harness.load import start_server
from harness.repeat import one_by_one
from harness.settings import Settings

from suite.echo import SERVERS, start_echo_load

_CONNECTIONS = 100
_KINDS = {
    "receive": ("recvfrom", "recvmsg", "read", "readv"),
    "send": ("sendto", "sendmsg", "write", "writev"),
    "wait": ("epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select"),
    "epoll_ctl": ("epoll_ctl",),
    "futex": ("futex",),
}


def _trial(variant: Variant, settings: Settings) -> Metrics:
    requests = settings.scaled(20_000)  # at least
    calls = strace.Calls()
    with (
        start_server(variant, settings) as server,
        start_echo_load(server, _CONNECTIONS, 0.5, requests) as load,
    ):
        load.wait_until_ready()
        with strace.counting(server.pid, calls):
            load.write_line()
            replies = load.read_metrics()["requests"]
    counted = {kind: sum(calls.pop(name, 0) for name in names) for kind, names in _KINDS.items()}
    counted["other"] = sum(calls.values())
    counted["all"] = sum(counted.values())
    return {kind: count / replies for kind, count in counted.items()}


SYSTEM_CALLS = Benchmark(
    name="system-calls",
    summary=f"64-byte echo, {_CONNECTIONS} connections; system calls a request",
    units=dict.fromkeys((*_KINDS, "other", "all"), "1"),
    variants=SERVERS,
    repeat=one_by_one(_trial),
    # A watcher that stays started costs no epoll_ctl in the steady state.
    bars=(Bar("epoll_ctl", "coev", 0.01), Bar("all", "coev", 2.1)),
    programs=("cc", "strace"),
)
