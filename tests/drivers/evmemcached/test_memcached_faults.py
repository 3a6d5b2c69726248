"""What breaks an exchange at whatever point: nobody else ever reads what was meant for it."""

import itertools
import signal
import socket
import threading
import time

import pytest
from fault_proxy import Fault, FaultProxy
from memcached_server import MemcachedServer

import coev
import evmemcached
from evmemcached import pymemcache

#: Operations, each with what it gives when all is well.
OPERATIONS = {
    "get": (lambda c: c.get("a"), "value of a"),
    "gets": (lambda c: c.gets("a"), "value of a"),
    "get_multi": (
        lambda c: c.get_multi(["a", "b", "gone"]),
        {"a": "value of a", "b": "value of b"},
    ),
    "set": (lambda c: c.set("c", "other"), True),
    "set_multi": (lambda c: c.set_multi({"c": 1, "d": 2}), []),
    "delete_multi": (lambda c: c.delete_multi(["c", "d"]), 1),
    "incr": (lambda c: c.incr("n", 0), 5),
    "touch": (lambda c: c.touch("a", 100), 1),
}


def counts(address):
    """The counts of all pools of a server together, once nobody is at work."""
    for _ in range(5):
        coev.yield_now()
    return evmemcached.pool_stats()[f"inet:{address}"]


def assert_all_places_are_free(address):
    found = counts(address)
    assert found["open"] == found["idle"], found
    assert found["waiting"] == 0, found


@pytest.fixture
def client(proxy):
    made = evmemcached.Client([proxy.address], dead_retry=0, socket_timeout=0.3, max_connections=2)
    made.flush_all()
    made.set_multi({"a": "value of a", "b": "value of b", "n": 5})
    yield made
    assert_all_places_are_free(proxy.address)


def length_of_reply(proxy, client, operation):
    """How many bytes the server says to an operation."""
    heard = []
    proxy.rewrite = lambda data: heard.append(data) or data
    operation(client)
    proxy.rewrite = None
    return sum(map(len, heard))


def check_nothing_crossed(client):
    for key in ("b", "a", "b"):
        assert client.get(key) == f"value of {key}"
    assert client.get("gone") is None
    assert client.incr("n", 0) == 5


@pytest.mark.parametrize("action", ["close", "reset", "garbage"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_reply_cut_at_every_byte(proxy, client, name, action):
    operation, expected = OPERATIONS[name]
    length = length_of_reply(proxy, client, operation)
    assert length >= 3
    # What follows a whole reply is for the next one to find out.
    for after in range(length if action == "garbage" else length + 1):
        evmemcached.close_pools()
        proxy.fault = Fault(action, after)
        result = operation(client)
        proxy.fault = None
        is_failure = result in (None, 0, False, {}, ["c", "d"], ["d"], {"a": "value of a"})
        assert result == expected or is_failure, (after, result)
        check_nothing_crossed(client)


@pytest.mark.parametrize("name", OPERATIONS)
def test_request_cut_at_every_byte(proxy, client, name):
    operation, expected = OPERATIONS[name]
    for after in range(24):
        evmemcached.close_pools()
        proxy.fault = Fault("reset", after, "server")
        operation(client)
        proxy.fault = None
        check_nothing_crossed(client)


@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_after_every_byte_of_the_reply(proxy, client, name):
    operation, _ = OPERATIONS[name]
    client.socket_timeout = 5
    for after in range(0, length_of_reply(proxy, client, operation), 3):
        evmemcached.close_pools()
        proxy.fault = Fault("stall", after)
        coroutine = coev.spawn(operation, client)
        coev.sleep(0.01)
        assert not coroutine.done
        coroutine.kill()
        coroutine.join(timeout=5)
        assert coroutine.done
        proxy.fault = None
        check_nothing_crossed(client)


@pytest.mark.parametrize("operation", ["set", "set_multi"])
def test_killed_in_the_middle_of_a_large_request(proxy, client, operation):
    client.socket_timeout = 5
    client.server_max_value_length = 0
    for after in (0, 10, 100_000):
        evmemcached.close_pools()
        proxy.fault = Fault("stall-reading", after, "server")
        values = {"big": b"x" * (16 << 20), "b": "never written"}
        call = (
            (client.set, "big", values["big"]) if operation == "set" else (client.set_multi, values)
        )
        coroutine = coev.spawn(*call)
        coev.sleep(0.05)
        assert not coroutine.done
        coroutine.kill()
        coroutine.join(timeout=5)
        assert coroutine.done
        proxy.fault = None
        check_nothing_crossed(client)
        assert_all_places_are_free(proxy.address)


@pytest.mark.parametrize("turns", range(0, 12))
@pytest.mark.parametrize("name", ["get", "get_multi", "set", "incr"])
def test_killed_after_any_turn(proxy, client, name, turns):
    operation, _ = OPERATIONS[name]
    for warm in (True, False):
        if not warm:
            evmemcached.close_pools()  # the kill may meet the connecting
        coroutine = coev.spawn(operation, client)
        for _ in range(turns):
            coev.yield_now()
        coroutine.kill()
        coroutine.join(timeout=5)
        assert coroutine.done
        check_nothing_crossed(client)
        assert_all_places_are_free(proxy.address)


def test_timeout_scope_is_not_taken_for_the_servers_fault(proxy, client):
    client.socket_timeout = 5
    client.dead_retry = 30
    for operation, _ in OPERATIONS.values():
        evmemcached.close_pools()
        proxy.fault = Fault("stall", 2)
        with pytest.raises(TimeoutError) as raised, coev.timeout(0.02):
            operation(client)
        assert not isinstance(raised.value, evmemcached.MemcacheError)
        proxy.fault = None
        assert client.servers[0].deaduntil == 0
        check_nothing_crossed(client)


def test_late_reply_is_never_read_by_the_next(proxy, client):
    client.socket_timeout = 0.05
    for after in range(0, 30, 3):
        evmemcached.close_pools()
        proxy.fault = Fault("delay", after, seconds=0.1)
        started = time.monotonic()
        assert client.get("a") is None
        assert 0.04 < time.monotonic() - started < 0.5
        proxy.fault = None
        for _ in range(4):
            check_nothing_crossed(client)
            coev.sleep(0.02)


def test_reply_about_another_key_is_an_error(proxy, client):
    strict = pymemcache.Client(f"127.0.0.1:{proxy.port}", timeout=1)
    proxy.rewrite = lambda data: data.replace(b"VALUE a ", b"VALUE b ")
    with pytest.raises(evmemcached.MemcacheUnknownError):
        strict.get("a")
    with pytest.raises(evmemcached.MemcacheUnknownError):
        strict.get_many(["a", "c"])
    assert client.get("a") is None
    proxy.rewrite = None
    check_nothing_crossed(client)


def test_more_than_was_asked_for_is_an_error(proxy, client):
    strict = pymemcache.Client(f"127.0.0.1:{proxy.port}", timeout=1)
    proxy.rewrite = lambda data: data + b"STORED\r\n"
    with pytest.raises(evmemcached.MemcacheUnknownError):
        strict.get("a")
    proxy.rewrite = None
    check_nothing_crossed(client)


def test_what_comes_while_a_connection_is_idle_is_never_read_as_a_reply(proxy, client):
    client.set("n", 5)
    for sock in list(proxy._open):
        if sock.getsockname()[1] == proxy.port:
            sock.sendall(b"NOT_STORED\r\n")
    coev.sleep(0.05)
    assert client.incr("n", 0) == 5, "a request that must not be repeated looks first"


@pytest.mark.parametrize(
    "noise",
    [
        b"\n",
        b"\r\n",
        b"VALUE a x 3\r\n",
        b"VALUE a 0 -1\r\n",
        b"VALUE a 0 99999999999\r\n",
        b"VALUE a 0 1\r\nxyz\r\n",
        b"x" * 20_000,
        b"VALUE a 0 1 2 3\r\nx\r\n",
    ],
)
def test_reply_that_is_none_closes_the_connection(proxy, client, noise):
    strict = pymemcache.Client(f"127.0.0.1:{proxy.port}", timeout=1)
    proxy.rewrite = lambda data: noise
    drops = counts(proxy.address)["drops"]
    with pytest.raises(evmemcached.MemcacheUnknownError):
        strict.get("a")
    proxy.rewrite = None
    assert counts(proxy.address)["drops"] == drops + 1
    check_nothing_crossed(client)


# --- stale connections ---------------------------------------------------------------------


def test_connection_that_went_stale_is_renewed_without_a_failure(proxy, client):
    client.dead_retry = 30
    for operation, expected in OPERATIONS.values():
        client.set_multi({"c": 1, "d": 2})
        check_nothing_crossed(client)
        proxy.drop_all()
        coev.sleep(0.02)
        assert operation(client) == expected
        assert client.servers[0].deaduntil == 0


def test_request_that_must_not_be_repeated_is_not(own_server):
    """A server that counts, and closes instead of answering."""
    listener = socket.create_server(("127.0.0.1", 0))
    requests = []

    def serve():
        for answers in (1, 0, 0):
            connection, _ = listener.accept()
            with connection:
                for _ in range(answers):
                    connection.recv(1000)
                    connection.sendall(b"5\r\n")
                requests.append(connection.recv(1000))

    threading.Thread(target=serve, daemon=True).start()
    client = pymemcache.Client(("127.0.0.1", listener.getsockname()[1]), timeout=1)
    assert client.incr("n", 1) == 5
    with pytest.raises(evmemcached.MemcacheUnexpectedCloseError):
        client.incr("n", 1)
    assert requests == [b"incr n 1\r\n"]
    listener.close()


# --- servers that go -----------------------------------------------------------------------


def test_server_killed_and_started_again_is_used_again(own_server):
    client = evmemcached.Client([own_server.address], dead_retry=0.1)
    assert client.set("k", 1) is True
    own_server.kill(signal.SIGKILL)
    assert client.get("k", "default") == "default"
    assert client.set("k", 1) == 0 and client.get_multi(["k"]) == {} and client.delete("k") == 0
    own_server.start()
    coev.sleep(0.15)
    assert client.set("k", 2) is True and client.get("k") == 2


def test_keys_of_a_dead_server_go_to_others_for_all_clients():
    servers = [MemcachedServer() for _ in range(3)]
    addresses = [server.address for server in servers]
    try:
        client = evmemcached.Client(addresses)
        values = {f"key{i}": i for i in range(100)}
        assert client.set_multi(values) == []
        servers[1].kill()
        found = client.get_multi(values)
        assert 0 < len(found) < 100
        other = evmemcached.Client(addresses)
        assert other.servers[1].deaduntil > time.time() + 20, "what one found out all know"
        assert other.set_multi(values) == [] and other.get_multi(values) == values
        assert all(other.get(key) == value for key, value in values.items())
        servers[1].start()
        other.forget_dead_hosts()
        assert other.set_multi(values) == [] and client.get_multi(values) == values
    finally:
        for server in servers:
            server.close()


def test_server_that_was_away_is_flushed_if_wanted(proxy):
    client = evmemcached.Client(
        [proxy.address], flush_on_reconnect=1, dead_retry=0.05, socket_timeout=0.1
    )
    client.set("old", 1)
    evmemcached.close_pools()
    proxy.fault = Fault("stall", 0)
    assert client.get("old") is None
    proxy.fault = None
    coev.sleep(0.1)
    assert client.get("old") is None, "the server may have missed changes"
    assert client.set("new", 2) is True and client.get("new") == 2


def test_server_that_does_not_answer_delays_only_its_own_keys(three_servers):
    hung = socket.create_server(("127.0.0.1", 0))
    addresses = [
        three_servers[0].address,
        f"127.0.0.1:{hung.getsockname()[1]}",
        three_servers[2].address,
    ]
    client = evmemcached.Client(addresses, socket_timeout=0.2)
    values = {f"key{i}": "x" * 5000 for i in range(300)}
    started = time.monotonic()
    failed = client.set_multi(values)
    assert time.monotonic() - started < 1
    assert failed and all(client._cluster.route(key) >= 0 for key in failed)
    assert len(failed) < 200, "those of the other servers are stored"
    hung.close()


def test_full_queue_of_connections_is_a_timeout(proxy):
    client = pymemcache.Client(
        f"127.0.0.1:{proxy.port}", timeout=5, max_connections=1, pool_timeout=0.05
    )
    proxy.fault = Fault("stall", 0)
    holder = coev.spawn(client.get, "a")
    coev.sleep(0.02)
    with pytest.raises(evmemcached.MemcachePoolError):
        client.get("a")
    proxy.fault = None
    holder.kill()
    holder.join(timeout=5)
    assert client.get("gone") is None
    assert_all_places_are_free(proxy.address)


# --- the pool --------------------------------------------------------------------------------


def test_place_is_never_lost_whoever_is_killed_in_the_queue(proxy):
    client = evmemcached.Client([proxy.address], max_connections=1, socket_timeout=5)
    client.set("a", 1)
    for victims in itertools.product([False, True], repeat=5):
        coroutines = [coev.spawn(client.get, "a") for _ in victims]
        coev.yield_now()
        for coroutine, is_victim in zip(coroutines, victims):
            if is_victim:
                coroutine.kill()
        for coroutine, is_victim in zip(coroutines, victims):
            if not is_victim:
                assert coroutine.result(timeout=5) == 1
        assert_all_places_are_free(proxy.address)


@pytest.mark.parametrize("turns", range(0, 10))
def test_place_is_not_lost_when_it_is_given_to_whoever_is_just_killed(server, turns):
    client = evmemcached.Client([server.address], max_connections=1, socket_timeout=5)
    client.set("a", 1)
    first, second, third = (coev.spawn(client.get, "a") for _ in range(3))
    for _ in range(turns):
        coev.yield_now()
    second.kill()
    assert first.result(timeout=5) == 1 and third.result(timeout=5) == 1
    second.join(timeout=5)
    assert client.get("a") == 1
    assert_all_places_are_free(server.address)


def test_those_who_need_several_full_pools_do_not_wait_for_one_another(three_servers):
    addresses = [server.address for server in three_servers]
    forth = evmemcached.Client(addresses, max_connections=1, socket_timeout=20)
    back = evmemcached.Client(addresses[::-1], max_connections=1, socket_timeout=20)
    values = {f"key{i}": i for i in range(60)}

    def work(client):
        for _ in range(30):
            client.set_multi(values)
            client.get_multi(values)

    for coroutine in [coev.spawn(work, client) for client in (forth, back) * 10]:
        coroutine.result(timeout=20)


def test_connections_of_a_pool_are_never_more_than_its_limit(server):
    client = evmemcached.Client([server.address], max_connections=7, socket_timeout=20)
    evmemcached.close_pools()
    before = (
        counts(server.address)["open"]
        if f"inet:{server.address}" in evmemcached.pool_stats()
        else 0
    )
    coroutines = [coev.spawn(client.get, "a") for _ in range(200)]
    coev.yield_now()
    assert evmemcached.pool_stats()[f"inet:{server.address}"]["open"] - before <= 7
    for coroutine in coroutines:
        coroutine.result(timeout=20)


def test_disconnect_all_leaves_the_connections_to_others(server):
    client = evmemcached.Client([server.address])
    client.set("a", 1)
    connects = counts(server.address)["connects"]
    for _ in range(20):
        client.disconnect_all()
        evmemcached.Client([server.address]).get("a")
    assert counts(server.address)["connects"] == connects


def test_idle_connections_are_closed_after_a_time(server):
    client = evmemcached.Client([server.address], idle_timeout=0.05)
    client.set("a", 1)
    coev.sleep(0.1)
    before = counts(server.address)
    assert client.get("a") == 1
    after = counts(server.address)
    assert after["connects"] == before["connects"] + 1 and after["open"] == before["open"]


def test_proxy_passes_on_what_it_has_no_fault_for(server):
    proxy = FaultProxy(server.port)
    client = evmemcached.Client([proxy.address])
    assert client.set("k", "v" * 100_000) is True and client.get("k") == "v" * 100_000
    proxy.close()
