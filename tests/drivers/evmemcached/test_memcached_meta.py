"""The meta protocol, and values that one of many computes."""

import time

import pytest

import coev
import evmemcached
from evmemcached import MetaCommand


def test_commands_are_sent_together_and_answered_in_order(three_servers):
    client = evmemcached.Client([server.address for server in three_servers])
    keys = [f"key{i}" for i in range(100)]
    stored = client.meta(MetaCommand("ms", key, ("T100", "F16"), key.encode()) for key in keys)
    assert all(reply.found for reply in stored)
    found = client.meta(MetaCommand("mg", key, ("v", "t", "k")) for key in keys)
    assert [reply.value for reply in found] == [key.encode() for key in keys]
    assert [reply.flags["k"] for reply in found] == keys
    assert client.get_multi(keys) == {key: key for key in keys}


def test_reply_says_what_was_asked(client):
    assert client.mg("gone", "v").status == "EN" and not client.mg("gone", "v").found
    assert client.ms("k", b"1", "T0", "F2").status == "HD"
    assert client.ms("k", b"9", "ME").status == "NS", "mode add"
    reply = client.mg("k", "v", "f", "s", "t", "c")
    assert (reply.status, reply.value) == ("VA", b"1")
    assert (reply.flags["f"], reply.flags["s"], reply.flags["t"]) == ("2", "1", "-1")
    assert client.ms("k", b"2", "C1").status == "EX"
    assert client.ms("k", b"5", f"C{reply.flags['c']}").status == "HD"
    assert client.ma("k", "v", "D10").value == b"15"
    assert client.ma("gone", "v").status == "NF"
    assert client.ma("gone", "v", "N0", "J7").value == b"7"
    assert client.md("k").found and client.md("k").status == "NF"
    assert client.mn().status == "MN"


@pytest.mark.parametrize("key", [b"with blank", b"\r\nflush_all", b"\x00\xff" * 40, "ünï cödé"])
def test_key_of_any_bytes_goes_in_base64(client, key):
    assert client.ms(key, b"value").found
    assert client.mg(key, "v").value == b"value"
    assert client.md(key).found and not client.mg(key).found


@pytest.mark.parametrize("flag", ["", "v t", "v\r\nflush_all", "q", "O5", "b", "\x00"])
def test_flag_that_would_break_the_protocol_is_refused(client, flag):
    with pytest.raises(evmemcached.MemcacheIllegalInputError):
        client.mg("k", flag)


def test_command_must_be_one_of_the_meta_protocol(client):
    for command in (("get", "k"), ("me", "k"), ("mg", "k", (), b"value"), ("ms", "k")):
        with pytest.raises(evmemcached.MemcacheIllegalInputError):
            client.meta([MetaCommand(*command)])
    with pytest.raises(evmemcached.MemcachedKeyLengthError):
        client.mg(b"\x00" * 250)


def test_failure_is_raised():
    client = evmemcached.Client(["127.0.0.1:1"])
    with pytest.raises(evmemcached.MemcacheConnectionError):
        client.mg("k")
    with pytest.raises(evmemcached.MemcacheNoServerError):
        client.mg("k")


# --- get_or_compute ------------------------------------------------------------------------


class Computation:
    def __init__(self, value, seconds=0.0, error=None):
        self.value, self.seconds, self.error, self.calls = value, seconds, error, 0

    def __call__(self):
        self.calls += 1
        coev.sleep(self.seconds)
        if self.error:
            raise self.error
        return self.value


def test_one_computes_and_all_others_wait_for_it(client):
    computation = Computation([1, "two"], 0.1)
    coroutines = [coev.spawn(client.get_or_compute, "goc", computation, 60) for _ in range(100)]
    assert [c.result(timeout=5) for c in coroutines] == [[1, "two"]] * 100
    assert computation.calls == 1
    assert client.get("goc") == [1, "two"], "and plain get reads it"


def test_stale_value_is_given_while_one_computes(client):
    assert client.get_or_compute("goc", lambda: "old", 60) == "old"
    assert client.invalidate("goc") and not client.invalidate("gone")
    computation = Computation("new", 0.2)
    first = coev.spawn(client.get_or_compute, "goc", computation, 60)
    coev.sleep(0.05)
    started = time.monotonic()
    assert client.get_or_compute("goc", computation, 60) == "old"
    assert time.monotonic() - started < 0.1
    assert first.result(timeout=5) == "new" and computation.calls == 1
    assert client.get_or_compute("goc", computation, 60) == "new" and computation.calls == 1


def test_value_is_computed_early_by_one(client):
    slow = Computation("v", 0.05)
    # It takes long against the 2 s it is kept, and beta makes much of it.
    for _ in range(5):
        client.get_or_compute("goc", slow.__call__, 2, beta=1000)
    early = slow.calls
    assert early > 1
    for _ in range(5):
        client.get_or_compute("goc2", slow.__call__, 60, beta=0)
    assert slow.calls == early + 1, "with beta 0 only what is not there is computed"


@pytest.mark.parametrize("interrupt", [ValueError("computing failed"), None], ids=["error", "kill"])
def test_computation_that_fails_lets_another_compute(client, interrupt):
    broken = Computation(None, 10 if interrupt is None else 0.05, interrupt)
    first = coev.spawn(client.get_or_compute, "goc", broken, 60)
    coev.sleep(0.02)
    others = [coev.spawn(client.get_or_compute, "goc", Computation("good"), 60) for _ in range(5)]
    coev.sleep(0.02)
    if interrupt is None:
        first.kill()
    first.join(timeout=5)
    assert first.done and (interrupt is None or first.exception() is interrupt)
    assert [other.result(timeout=5) for other in others] == ["good"] * 5


def test_who_computes_too_long_is_not_waited_for(client):
    slow = coev.spawn(client.get_or_compute, "goc", Computation("slow", 1.5), 60, grace=1)
    coev.sleep(0.02)
    started = time.monotonic()
    assert client.get_or_compute("goc", Computation("quick"), 60, grace=1) == "quick"
    assert 0.5 < time.monotonic() - started < 1.4
    assert slow.result(timeout=5) == "slow"
    assert client.get("goc") == "quick", "what came later does not overwrite it"


def test_value_deleted_while_it_is_computed_is_not_stored(client):
    client.get_or_compute("goc", lambda: "old", 60)
    client.invalidate("goc")
    first = coev.spawn(client.get_or_compute, "goc", Computation("from old data", 0.1), 60)
    coev.sleep(0.02)
    client.delete("goc")
    assert first.result(timeout=5) == "from old data"
    assert client.get("goc") is None


def test_value_that_cannot_be_kept_is_given_all_the_same(client):
    large = Computation(b"x" * (2 << 20))
    assert client.get_or_compute("goc", large, 60) == large.value
    assert client.get_or_compute("goc", large, 60) == large.value
    assert large.calls == 2


def test_without_a_server_it_computes():
    client = evmemcached.Client(["127.0.0.1:1"])
    assert client.get_or_compute("goc", lambda: 5, 60) == 5
