"""The client under python-memcached's names."""

import io
import pickle
import threading
import zlib

import pytest
from memcached_server import MemcachedServer

import coev
import evmemcached


class Thing:
    def __init__(self, name):
        self.name = name

    def __eq__(self, other):
        return isinstance(other, Thing) and other.name == self.name


class Text(str):
    pass


VALUES = [
    b"",
    b"bytes\r\nEND\r\n\x00\xff",
    "",
    "text",
    "ünïcödé \N{SNOWMAN}",
    0,
    -5,
    10**17,
    10**18,
    -(10**40),
    True,
    None,
    3.25,
    [1, "two", b"three"],
    Thing("thing"),
    Text("a subclass stays one"),
]


def describe(value):
    """A name of a value that is the same in each process."""
    return "a thing" if isinstance(value, Thing) else repr(value)


@pytest.mark.parametrize("value", VALUES, ids=describe)
def test_value_comes_back_as_it_was(client, value):
    assert client.set("value", value) is True
    found = client.get("value")
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("value", VALUES, ids=describe)
def test_many_values_come_back_as_they_were(client, value):
    keys = [f"many{i}" for i in range(5)]
    assert client.set_multi(dict.fromkeys(keys, value)) == []
    assert client.get_multi(keys) == dict.fromkeys(keys, value)


def test_flags_are_those_of_python_memcached(client):
    kept = {b"b": 0, "t": 16, 5: 2, 2.5: 1}
    for value, flags in kept.items():
        client.set("flags", value)
        assert client.mg("flags", "f").flags["f"] == str(flags)
    client.set("flags", "x" * 1000, min_compress_len=10)
    assert client.mg("flags", "f").flags["f"] == str(8 | 16)


def test_value_is_compressed_only_if_that_makes_it_shorter(client):
    client.set("long", b"x" * 5000, min_compress_len=100)
    client.set("short", b"x" * 50, min_compress_len=100)
    client.set("noise", zlib.compress(b"noise" * 30), min_compress_len=10)
    assert len(client.mg("long", "v").value) < 100
    assert client.mg("short", "v").value == b"x" * 50
    assert client.get("long") == b"x" * 5000
    assert zlib.decompress(client.get("noise")) == b"noise" * 30


def test_value_of_unknown_flags_is_a_value_error(client):
    client.ms("odd", b"value", "F64")
    with pytest.raises(ValueError, match="Unknown flags on get: 40"):
        client.get("odd")


def test_value_that_cannot_be_unpickled_is_none(client):
    client.ms("odd", b"no pickle", "F1")
    assert client.get("odd", 5) is None


def test_missing_key_gives_the_default(client):
    marker = object()
    assert client.get("missing") is None
    assert client.get("missing", marker) is marker
    assert client.get_multi(["missing"]) == {}


def test_storage_commands_say_whether_they_stored(client):
    assert client.add("k", "1") is True
    assert client.add("k", "2") is False
    assert client.replace("k", "3") is True
    assert client.replace("other", "3") is False
    assert client.append("k", "end") is True
    assert client.prepend("k", "start") is True
    assert client.get("k") == "start3end"
    assert client.append("other", "x") is False
    assert client.delete("k") == 1
    assert client.delete("k") == 0
    assert client.touch("k", 10) == 0


def test_counting_gives_numbers_and_none_for_a_missing_key(client):
    client.set("n", 99)
    assert client.incr("n") == 100
    assert client.decr("n", 95) == 5
    assert client.get("n") == 5, "decr leaves blanks behind a number that got shorter"
    assert client.decr("n", 50) == 0
    assert client.incr("n", 2**64 - 1) == 2**64 - 1
    assert client.incr("missing") is None
    client.set("n", "text")
    with pytest.raises(ValueError, match="non-numeric"):
        client.incr("n")
    with pytest.raises(ValueError, match="invalid numeric delta"):
        client.incr("n", -1)
    assert client.get("n") == "text"


def test_cas_stores_only_what_nobody_changed(server, client):
    careful = evmemcached.Client([server.address], cache_cas=True)
    client.set("k", 1)
    assert careful.gets("k") == 1
    assert careful.cas("k", 2) is True
    assert careful.cas("k", 3) is False
    assert client.get("k") == 2
    careful.reset_cas()
    assert careful.cas("k", 4) is True, "without a gets() it is a set()"


@pytest.mark.parametrize("noreply", [False, True])
def test_operations_without_reply_are_done_before_the_next(client, noreply):
    for i in range(300):
        client.set("k", i, noreply=noreply)
        client.incr("k", 1, noreply=noreply)
        assert client.get("k") == i + 1
    client.set_multi({f"k{i}": i for i in range(300)}, noreply=noreply)
    assert len(client.get_multi([f"k{i}" for i in range(300)])) == 300
    client.delete_multi([f"k{i}" for i in range(300)], noreply=noreply)
    assert client.get_multi([f"k{i}" for i in range(300)]) == {}
    assert client.delete("k", noreply=noreply) == 1
    assert client.get("k") is None


def test_refusal_of_an_operation_without_reply_is_not_taken_for_another_reply(client):
    for _ in range(5):
        client.set("refused", b"x" * (1 << 20), noreply=True)
        client.set("k", "v")
        assert client.get("k") == "v"


def test_keys_of_many_may_be_anything_with_a_text(client):
    values = {1: "one", "two": 2, b"three": 3, 4.5: "four"}
    assert client.set_multi(values, key_prefix="p_") == []
    assert client.get_multi(values, key_prefix="p_") == values
    assert client.get("p_1") == "one"
    assert client.get(b"p_two") == 2
    assert client.delete_multi(values, key_prefix=b"p_") == 1
    assert client.get_multi(values, key_prefix="p_") == {}


def test_key_may_bring_its_hash(three_servers):
    client = evmemcached.Client([server.address for server in three_servers])
    for number in range(6):
        assert client.set((number, "same"), number) is True
    assert [client.get((number, "same")) for number in range(3)] == [3, 4, 5]
    assert client.get_multi([(0, "same"), (1, "gone")]) == {(0, "same"): 3}
    assert client.set_multi({(7, "a"): 1}) == [] and client.get((1, "a")) == 1
    assert client.get((-2, "same")) == 4, "as Python's % takes a negative number"


def test_server_of_a_key_is_that_of_python_memcached(three_servers):
    servers = [(three_servers[0].address, 1), (three_servers[1].address, 3)]
    client = evmemcached.Client(servers)
    buckets = [0, 1, 1, 1]
    for number in range(200):
        key = f"key{number}"
        expected = buckets[evmemcached.cmemcache_hash(key.encode()) % 4]
        assert client._cluster.route(key) == expected


def test_hash_function_can_be_the_old_one_or_the_programs_own(three_servers, monkeypatch):
    addresses = [server.address for server in three_servers]
    monkeypatch.setattr(evmemcached, "serverHashFunction", evmemcached.cmemcache_hash)
    evmemcached.useOldServerHashFunction()
    old = evmemcached.Client(addresses)
    assert old._cluster.route("some key".replace(" ", "_")) == zlib.crc32(b"some_key") % 3
    monkeypatch.setattr(evmemcached, "serverHashFunction", lambda key: len(key))
    own = evmemcached.Client(addresses)
    assert [own._cluster.route("k" * n) for n in range(1, 5)] == [1, 2, 0, 1]


def test_key_encoder_is_applied_once(server):
    client = evmemcached.Client([server.address], key_encoder=lambda key: f"<{key}>")
    client.flush_all()
    client.set("k", 1)
    client.set_multi({"a": 2})
    plain = evmemcached.Client([server.address])
    assert plain.get_multi(["<k>", "<a>"]) == {"<k>": 1, "<a>": 2}
    assert client.get_multi(["k", "a"]) == {"k": 1, "a": 2}


@pytest.mark.parametrize("key", ["foo\n", "foo\r\n", "a b", "a\tb", "\x00", "\x7f", b"a b", " "])
def test_key_that_would_break_the_protocol_is_refused(client, key):
    drops = evmemcached.pool_stats()
    for operation in (
        lambda: client.get(key),
        lambda: client.set(key, 1),
        lambda: client.incr(key),
        lambda: client.get_multi(["fine", key]),
        lambda: client.set_multi({key: 1}),
        lambda: client.delete_multi([key]),
        lambda: client.get_multi(["fine"], key_prefix=key),
    ):
        with pytest.raises(evmemcached.Client.MemcachedKeyCharacterError):
            operation()
    assert evmemcached.pool_stats() == drops, "nothing was sent"


def test_lengths_are_checked_before_anything_is_sent(client):
    drops = evmemcached.pool_stats()
    with pytest.raises(client.MemcachedKeyLengthError, match="length is > 250"):
        client.get("k" * 251)
    with pytest.raises(client.MemcachedKeyLengthError):
        client.get_multi(["k" * 248], key_prefix="pre")
    with pytest.raises(client.MemcachedKeyNoneError):
        client.get("")
    with pytest.raises(client.MemcachedKeyNoneError):
        client.get(None)
    with pytest.raises(client.MemcachedKeyTypeError):
        client.get(5)
    assert client.set("k", b"x" * ((1 << 20) + 1)) == 0
    assert client.set_multi({"k": b"x" * ((1 << 20) + 1)}) == ["k"]
    assert evmemcached.pool_stats() == drops
    assert client.set("k" * 250, 1) and client.get("k" * 250) == 1


def test_value_too_long_among_many_fails_alone(client):
    values = {"a": 1, "long": b"x" * (1 << 21), "b": 2, "refused": b"y" * (1 << 20)}
    assert sorted(client.set_multi(values)) == ["long", "refused"]
    assert client.get_multi(values) == {"a": 1, "b": 2}


def test_limits_can_be_those_of_the_server(short_folder):
    server = MemcachedServer("-I", "32m")
    try:
        client = evmemcached.Client([server.address], server_max_value_length=32 << 20)
        value = bytes(range(256)) * (16 << 12)
        assert client.set("large", value) is True
        assert client.get("large") == value
        assert client.set_multi({f"large{i}": value[: 5 << 20] for i in range(4)}) == []
        assert set(map(len, client.get_multi([f"large{i}" for i in range(4)]).values())) == {
            5 << 20
        }
    finally:
        server.close()


def test_batch_larger_than_all_socket_buffers_neither_hangs_nor_mixes(three_servers):
    client = evmemcached.Client([server.address for server in three_servers])
    values = {f"key{i}": f"{i}".encode() * 20_000 for i in range(300)}
    assert client.set_multi(values) == []
    for _ in range(3):
        assert client.get_multi(values) == values


def test_pickling_can_be_the_programs_own(server):
    class Pickler(pickle.Pickler):
        pass

    kept = Thing("by id")
    client = evmemcached.Client(
        [server.address],
        pickler=Pickler,
        pickleProtocol=2,
        pid=lambda value: "kept" if value is kept else None,
        pload=lambda name: kept if name == "kept" else None,
    )
    client.set("k", [kept, 1])
    assert client.get("k")[0] is kept
    assert client.mg("k", "v").value.startswith(b"\x80\x02")


def test_settings_can_be_changed_later(server):
    client = evmemcached.Client([server.address])
    client.server_max_value_length = 10
    assert client.set("k", "x" * 11) == 0 and client.set("k", "x" * 10) is True
    client.set_servers([])
    assert client.get("k", 7) == 7 and client.set("k", 1) == 0


def test_statistics_name_each_server(three_servers):
    addresses = [server.address for server in three_servers]
    client = evmemcached.Client([(addresses[0], 2), addresses[1]])
    client.set_multi({f"k{i}": i for i in range(20)})
    assert [name for name, _ in client.get_stats()] == [
        f"{addresses[0]} (2)",
        f"{addresses[1]} (1)",
    ]
    assert int(client.get_stats()[0][1]["curr_connections"]) > 0
    assert client.get_stats("settings")[0][1]["verbosity"] == "0"
    assert "chunk_size" in client.get_slab_stats()[0][1]["1"]
    assert "number" in client.get_slabs()[0][1]["1"]


def test_debug_writes_what_the_server_said(server, monkeypatch):
    client = evmemcached.Client([server.address], debug=1)
    client.flush_all()
    log = io.StringIO()
    monkeypatch.setattr("sys.stderr", log)
    assert client.set("k", "x" * (1 << 20)) is False
    client.delete("k")
    assert log.getvalue() == (
        "MemCached: while expecting 'STORED', got unexpected response "
        "'SERVER_ERROR object too large for cache'\n"
        "MemCached: delete expected DELETED, got: b'NOT_FOUND'\n"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("localhost", "inet:localhost:11211"),
        ("10.0.0.1:99", "inet:10.0.0.1:99"),
        ("inet:host:5", "inet:host:5"),
        ("inet6:[::1]:5", "inet6:[::1]:5"),
        ("[::1]", "inet6:[::1]:11211"),
        ("unix:/tmp/socket", "unix:/tmp/socket"),
        ("/tmp/socket", "unix:/tmp/socket"),
    ],
)
def test_address_can_be_written_in_all_known_ways(text, shown):
    assert str(evmemcached.Client([text]).servers[0]) == shown


@pytest.mark.parametrize("text", ["", ":5", "host:port", "a:b:c", "[::1"])
def test_address_that_is_none_is_a_value_error(text):
    with pytest.raises(ValueError, match="Unable to parse connection string"):
        evmemcached.Client([text])


def test_unix_socket_and_ipv6(unix_server):
    six = MemcachedServer(host="::1")
    try:
        for address in (unix_server.address, six.address, f"inet6:{six.address}"):
            client = evmemcached.Client([address])
            assert client.set("k", address) is True and client.get("k") == address
    finally:
        six.close()


def test_name_is_resolved_beside_other_coroutines(server):
    client = evmemcached.Client([f"localhost:{server.port}"])
    assert client.set("k", 1) is True


def test_token_opens_a_server_that_asks_for_one(auth_server):
    good = evmemcached.Client([auth_server.address], username="joe", password="secret")
    assert good.set("k", 1) is True and good.get("k") == 1
    wrong = evmemcached.Client([auth_server.address], username="joe", password="wrong")
    assert wrong.set("k", 1) == 0
    with pytest.raises(evmemcached.MemcacheNoServerError):
        wrong.mg("k", "v")
    nobody = evmemcached.Client([auth_server.address])
    assert nobody.set("k", 1) == 0


def test_tls(tls_server):
    client = evmemcached.Client([tls_server.address], tls_context=tls_server.context)
    values = {f"key{i}": f"{i}".encode() * 10_000 for i in range(100)}
    assert client.set_multi(values) == []
    assert client.get_multi(values) == values
    assert client.set("k", "v") is True and client.get("k") == "v"
    assert client.incr("n") is None
    plain = evmemcached.Client([tls_server.address], socket_timeout=1)
    assert plain.set("k", "v") == 0


def test_tls_server_that_is_not_trusted_is_refused(tls_server):
    import ssl

    client = evmemcached.Client([tls_server.address], tls_context=ssl.create_default_context())
    assert client.set("k", 1) == 0
    with pytest.raises(evmemcached.MemcacheError):
        client.mg("k", "v")


def test_tls_carries_many_coroutines_at_once(tls_server):
    client = evmemcached.Client(
        [tls_server.address], tls_context=tls_server.context, max_connections=4
    )

    def work(number):
        for turn in range(20):
            client.set(f"k{number}", [number, turn])
            assert client.get(f"k{number}") == [number, turn]

    for coroutine in [coev.spawn(work, number) for number in range(20)]:
        coroutine.result(timeout=30)


def test_os_threads_without_coroutines_share_the_pool(server):
    client = evmemcached.Client([server.address], max_connections=3)
    wrong = []

    def work(number):
        for turn in range(100):
            client.set(f"thread{number}", turn)
            if client.get(f"thread{number}") != turn:
                wrong.append((number, turn))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_client_costs_a_few_hundred_bytes():
    import tracemalloc

    evmemcached.Client(["127.0.0.1:1"])
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    clients = [evmemcached.Client(["127.0.0.1:1"]) for _ in range(1000)]
    size = (tracemalloc.get_traced_memory()[0] - before) / len(clients)
    tracemalloc.stop()
    assert size < 500, size
