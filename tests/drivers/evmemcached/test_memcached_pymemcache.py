"""The clients under pymemcache's names."""

import pickle
import socket

import pytest

import coev
import evmemcached
from evmemcached import pymemcache
from evmemcached.pymemcache import serde
from evmemcached.pymemcache.client.murmur3 import murmur3_32
from evmemcached.pymemcache.client.rendezvous import RendezvousHash


@pytest.fixture(params=["Client", "PooledClient", "HashClient"])
def make(request, server):
    """Makes clients of one class."""

    def make(**options):
        if request.param == "HashClient":
            return pymemcache.HashClient([(server.host, server.port)], **options)
        return getattr(pymemcache, request.param)((server.host, server.port), **options)

    make().flush_all(noreply=False)
    return make


def test_without_a_serde_values_are_bytes(make):
    client = make()
    client.set("k", "text")
    assert client.get("k") == b"text"
    client.set("k", 5)
    assert client.get("k") == b"5"
    with pytest.raises(pymemcache.MemcacheIllegalInputError):
        client.set("k", "ünïcödé")
    assert make(encoding="utf-8").set("k", "ü", noreply=False) is True


@pytest.mark.parametrize(
    "which",
    [
        serde.pickle_serde,
        serde.compressed_serde,
        serde.PickleSerde(0),
        serde.CompressedSerde(min_compress_len=2, serde=serde.PickleSerde(2)),
        type("Own", (serde.PickleSerde,), {})(),
    ],
)
def test_serde_gives_back_what_it_took(make, which):
    client = make(serde=which)
    for value in (b"x" * 1000, "ü" * 1000, 7, True, None, {"a": [1, 2.5]}, ""):
        client.set("k", value)
        found = client.get("k")
        assert found == value and type(found) is type(value)
        client.set_many({"a": value, "b": value})
        assert client.get_many(["a", "b"]) == {"a": value, "b": value}


def test_native_codec_writes_what_the_serde_would(make):
    for which in (serde.pickle_serde, serde.CompressedSerde(min_compress_len=50)):
        client = make(serde=which)
        for value in (b"b", "t" * 200, 12, [1, 2]):
            client.set("k", value)
            kept = client.mg("k", "v", "f")
            assert (kept.value, int(kept.flags["f"])) == which.serialize(b"k", value)


def test_own_serializer_sees_key_value_and_flags(make):
    seen = []
    client = make(
        serializer=lambda key, value: (pickle.dumps(value), 77),
        deserializer=lambda key, value, flags: seen.append((key, flags)) or pickle.loads(value),
        key_prefix="p:",
    )
    client.set("k", [1])
    assert client.get("k") == [1] and client.get_many(["k"]) == {"k": [1]}
    assert seen == [("k", 77)] * 2
    assert make().get("p:k") == pickle.dumps([1])


def test_flags_can_be_given(make):
    client = make()
    client.set("k", b"v", flags=123)
    assert client.mg("k", "f").flags["f"] == "123"


def test_results_are_those_of_pymemcache(make):
    client = make()
    assert client.set("k", b"1") is True and client.set("k", b"1", noreply=False) is True
    assert client.add("k", b"2", noreply=False) is False and client.add("k", b"2") is True
    assert client.replace("gone", b"2", noreply=False) is False
    assert client.append("k", b"2", noreply=False) is True and client.get("k") == b"12"
    assert client.prepend("k", b"0", noreply=False) is True
    value, cas = client.gets("k")
    assert value == b"012" and isinstance(cas, bytes)
    assert client.gets("gone") == (None, None) and client.gets("gone", 1, 2) == (1, 2)
    assert client.cas("k", b"7", cas) is True and client.cas("k", b"7", cas) is False
    assert client.cas("gone", b"7", cas) is None
    assert client.incr("k", 3) == 10 and client.decr("k", 1) == 9 and client.incr("gone", 1) is None
    assert client.touch("k", 50, noreply=False) is True
    assert client.touch("gone", noreply=False) is False
    assert client.gat("k", 50) == b"9 " and client.gats("k", 50)[0] == b"9 "
    assert client.delete("k", noreply=False) is True and client.delete("k", noreply=False) is False
    assert client.set_many({"a": b"1", "b": b"2"}, noreply=False) == []
    assert client.gets_many(["a", "b"]).keys() == {"a", "b"}
    assert client.delete_many(["a", "b", "gone"]) is True and client.get_many(["a", "b"]) == {}
    assert client.get_many([]) == {}


def test_client_is_a_mapping_of_a_kind(make):
    client = make()
    client["k"] = b"v"
    assert client["k"] == b"v"
    del client["k"]
    with pytest.raises(KeyError):
        client["k"]


@pytest.mark.parametrize("key", ["a b", "a\n", "\x00", "k" * 251, b"a b", "ü", ""])
def test_key_that_cannot_be_sent_is_refused(make, key):
    with pytest.raises(pymemcache.MemcacheIllegalInputError):
        make().get(key)
    with pytest.raises(pymemcache.MemcacheIllegalInputError):
        make().set_many({key: b"v"})


def test_unicode_keys_are_sent_if_allowed(make):
    client = make(allow_unicode_keys=True)
    client.set("ü", b"v")
    assert client.get("ü") == b"v" and client.get_many(["ü"]) == {"ü": b"v"}


def test_arguments_that_are_no_numbers_are_refused(make):
    client = make()
    for call in (
        lambda: client.set("k", b"v", expire="5"),
        lambda: client.incr("k", "5"),
        lambda: client.incr("k", -5),
        lambda: client.touch("k", 1.5),
        lambda: client.cas("k", b"v", "x"),
        lambda: client.cas("k", b"v", 1.5),
    ):
        with pytest.raises(pymemcache.MemcacheIllegalInputError):
            call()


def test_server_says_what_it_is(make):
    client = make()
    assert client.version().count(b".") == 2
    assert client.stats()[b"pid"] > 0 and client.stats("settings")[b"verbosity"] == 0
    assert client.raw_command("version").startswith(b"VERSION")
    client.set("k", b"v")
    assert client.raw_command("get k", b"END\r\n") == b"VALUE k 0 1\r\nv\r\n"
    with pytest.raises(pymemcache.MemcacheUnknownCommandError):
        client.raw_command("nonsense")
    assert client.cache_memlimit(64) is True
    client.close()
    client.quit()
    assert client.get("k") == b"v"


def test_value_the_server_refuses_is_a_server_error(make):
    with pytest.raises(pymemcache.MemcacheServerError, match="too large"):
        make().set("k", b"x" * (2 << 20), noreply=False)
    assert make().get("k") is None


def test_server_that_is_not_there():
    client = pymemcache.Client("127.0.0.1:1")
    with pytest.raises(ConnectionRefusedError):
        client.get("k")
    with pytest.raises(pymemcache.MemcacheError):
        client.set("k", b"v")
    quiet = pymemcache.Client("127.0.0.1:1", ignore_exc=True)
    assert (
        quiet.get("k", 5) == 5 and quiet.get_many(["k"]) == {} and quiet.gets("k") == (None, None)
    )
    assert quiet.stats() == {}
    with pytest.raises(ConnectionRefusedError):
        quiet.set("k", b"v")


def test_servers_of_a_hash_client_are_tried_again_and_then_dead(three_servers):
    gone = ("127.0.0.1", 1)
    options = {"retry_attempts": 1, "retry_timeout": 0.05, "dead_timeout": 60, "ignore_exc": True}
    servers = [gone, *((server.host, server.port) for server in three_servers[:2])]
    client = pymemcache.HashClient(servers, **options)
    key = next(f"k{i}" for i in range(100) if client._cluster.route(f"k{i}") == 0)
    assert client.set(key, b"v", noreply=False) is False, "the first failure"
    assert client.get(key, "rests") == "rests"
    assert client._cluster.route(key) == 0
    coev.sleep(0.06)
    # The second failure is one too many: the key goes to another server.
    assert client.set(key, b"v", noreply=False) is True and client.get(key) == b"v"
    assert client._cluster.route(key) > 0
    values = {f"k{i}": b"v" for i in range(50)}
    assert client.set_many(values, noreply=False) == [] and client.get_many(values) == values


def test_no_server_alive(three_servers):
    client = pymemcache.HashClient([("127.0.0.1", 1)], retry_attempts=0)
    with pytest.raises(ConnectionRefusedError):
        client.get("k")
    with pytest.raises(pymemcache.MemcacheError, match="All servers seem to be down right now"):
        client.get("k")
    assert pymemcache.HashClient([("127.0.0.1", 1)], ignore_exc=True).get("k", 1) == 1


def test_keys_go_where_rendezvous_hashing_says(three_servers):
    servers = [(server.host, server.port) for server in three_servers]
    client = pymemcache.HashClient(servers)
    hasher = RendezvousHash([f"{host}:{port}" for host, port in servers])
    for key in [f"key{i}" for i in range(100)] + [b"bytes", "x" * 250]:
        assert client._names[client._cluster.route(key)] == hasher.get_node(key)
    own = pymemcache.HashClient(servers, hasher=type("Own", (RendezvousHash,), {}))
    values = {f"key{i}": b"v%d" % i for i in range(100)}
    client.set_many(values)
    assert own.get_many(values) == values and own.get("key5") == b"v5"
    assert own.set_many(values, noreply=False) == [] and own.delete_many(values)


def test_murmur3_is_that_of_its_authors_tests():
    assert murmur3_32("") == 0 and murmur3_32("", 1) == 0x514E28B7
    assert murmur3_32("Hello, world!", 0x9747B28C) == 0x24884CBA
    assert murmur3_32("aaaa", 0x9747B28C) == 0x5A97808A
    assert murmur3_32("aaa", 0x9747B28C) == 0x283E0130


def test_servers_can_be_added_and_removed(three_servers):
    places = [(server.host, server.port) for server in three_servers]
    client = pymemcache.HashClient(places[:1])
    client.add_server(places[1])
    client.add_server(*places[2])
    assert len(client.clients) == 3
    client.remove_server(places[1])
    assert list(client.clients) == ["{}:{}".format(*places[0]), "{}:{}".format(*places[2])]
    assert all(one.set("k", b"v") for one in client.clients.values())


def test_retrying_client_tries_again():
    class Flaky:
        calls = 0

        def get(self, key):
            self.calls += 1
            if self.calls < 3:
                raise evmemcached.MemcacheTimeoutError("late")
            return key

    flaky = Flaky()
    assert pymemcache.RetryingClient(flaky, attempts=3, retry_delay=0.01).get("k") == "k"
    flaky.calls = 0
    with pytest.raises(evmemcached.MemcacheTimeoutError):
        pymemcache.RetryingClient(flaky, attempts=2).get("k")
    flaky.calls = 0
    stubborn = pymemcache.RetryingClient(flaky, attempts=9, do_not_retry_for=[TimeoutError])
    with pytest.raises(TimeoutError):
        stubborn.get("k")
    assert flaky.calls == 1
    with pytest.raises(ValueError, match="at least 1"):
        pymemcache.RetryingClient(flaky, attempts=0)
    with pytest.raises(ValueError, match="only allowed in a single argument"):
        pymemcache.RetryingClient(flaky, retry_for=[OSError], do_not_retry_for=[OSError])


def test_fallback_client_reads_from_the_old_cache(three_servers):
    new, old = (pymemcache.Client((s.host, s.port)) for s in three_servers[:2])
    new.flush_all()
    old.set("k", b"old")
    both = pymemcache.FallbackClient((new, old))
    assert both.get("k") == b"old"
    assert both.get_many(["k"]) == {"k": b"old"}
    both.set("k", b"new", noreply=False)
    assert both.get("k") == b"new" and old.get("k") == b"old"


def test_keepalive_is_set_on_the_socket(server, monkeypatch):
    told = []
    setsockopt = socket.socket.setsockopt
    monkeypatch.setattr(
        socket.socket, "setsockopt", lambda *a: told.append(a[1:]) or setsockopt(*a)
    )
    keepalive = pymemcache.KeepaliveOpts(idle=7, intvl=8, cnt=9)
    pymemcache.Client((server.host, server.port), socket_keepalive=keepalive).get("k")
    assert (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 7) in told
    with pytest.raises(ValueError, match="idle"):
        pymemcache.KeepaliveOpts(idle=0)
    with pytest.raises(ValueError, match="KeepaliveOpts"):
        pymemcache.Client((server.host, server.port), socket_keepalive=5)


def test_tls_context_is_used(tls_server):
    client = pymemcache.Client((tls_server.host, tls_server.port), tls_context=tls_server.context)
    client.set("k", b"v")
    assert client.get("k") == b"v"
