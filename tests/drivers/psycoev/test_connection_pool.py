"""psycoev.connection_pool: lending, waiting in turn, and never a dead or a lost connection.

What happens among coroutines, with kills, is in test_connection_pool_kills.py.
"""

import gc
import os
import threading
import time

import pytest
from run_script import run_script

import psycoev
from psycoev.connection_pool import ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests


@pytest.fixture
def make_pool(postgres):
    pools = []

    def make(**options):
        options = {"min_size": 0, "max_size": 2, "timeout": 5.0, **options}
        pool = ConnectionPool(postgres.dsn, **options)
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        pool.close()


def pid(conn):
    return conn.info.backend_pid


def wait_until(condition, timeout=10.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def start(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def terminate(postgres, backend):
    """Have the server end a connection, and wait until it has."""
    postgres.sql(f"select pg_terminate_backend({backend}, 5000)")


def test_connection_that_came_back_is_lent_again(make_pool):
    pool = make_pool()
    with pool.connection() as conn:
        first = pid(conn)
    with pool.connection() as conn:
        assert pid(conn) == first
    assert pool.get_stats()["connections_num"] == 1


def test_connection_used_last_is_lent_first(make_pool):
    pool = make_pool()
    first, second = pool.getconn(), pool.getconn()
    pool.putconn(second)
    pool.putconn(first)
    assert pool.getconn() is first


def test_block_commits_at_its_end(make_pool, cur):
    cur.execute("create table if not exists pool_commits (n int)")
    cur.connection.commit()
    pool = make_pool()
    with pool.connection() as conn:
        conn.cursor().execute("insert into pool_commits values (1)")
    cur.execute("select count(*) from pool_commits")
    assert cur.fetchone()[0] >= 1


def test_block_rolls_back_when_an_exception_leaves_it(make_pool, cur):
    cur.execute("create table if not exists pool_rollbacks (n int)")
    cur.connection.commit()
    pool = make_pool()
    with pytest.raises(ZeroDivisionError):
        with pool.connection() as conn:
            conn.cursor().execute("insert into pool_rollbacks values (1)")
            raise ZeroDivisionError
    cur.execute("select count(*) from pool_rollbacks")
    assert cur.fetchone()[0] == 0
    assert pool.get_stats()["pool_available"] == 1


def test_what_was_begun_is_rolled_back_when_a_connection_comes_back(make_pool):
    pool = make_pool()
    conn = pool.getconn()
    conn.cursor().execute("select 1")
    pool.putconn(conn)
    assert conn.info.transaction_status == psycoev.extensions.TRANSACTION_STATUS_IDLE


def test_borrower_waits_until_a_connection_comes_back(make_pool):
    pool = make_pool(max_size=1)
    conn = pool.getconn()
    lent = []
    thread = start(lambda: lent.append(pool.getconn()))
    wait_until(lambda: pool.get_stats()["requests_waiting"] == 1)
    assert not lent
    pool.putconn(conn)
    thread.join(5)
    assert lent == [conn]


def test_who_waits_longest_is_served_first(make_pool):
    pool = make_pool(max_size=1)
    conn = pool.getconn()
    order = []

    def borrow(name):
        with pool.connection():
            order.append(name)

    threads = []
    for name in range(4):
        threads.append(start(borrow, name))
        wait_until(lambda: pool.get_stats()["requests_waiting"] == len(threads))
    pool.putconn(conn)
    for thread in threads:
        thread.join(5)
    assert order == [0, 1, 2, 3]


def test_waiting_ends_with_the_timeout(make_pool):
    pool = make_pool(max_size=1)
    conn = pool.getconn()
    started = time.monotonic()
    with pytest.raises(PoolTimeout):
        pool.getconn(timeout=0.2)
    assert 0.2 <= time.monotonic() - started < 2
    stats = pool.get_stats()
    assert (stats["requests_errors"], stats["requests_waiting"]) == (1, 0)
    pool.putconn(conn)
    assert pool.getconn(timeout=0) is conn


def test_no_more_borrowers_wait_than_may(make_pool):
    pool = make_pool(max_size=1, max_waiting=1)
    conn = pool.getconn()
    thread = start(pool.getconn)
    wait_until(lambda: pool.get_stats()["requests_waiting"] == 1)
    with pytest.raises(TooManyRequests):
        pool.getconn()
    pool.putconn(conn)
    thread.join(5)
    assert not thread.is_alive()


def test_connection_that_the_server_closed_is_not_lent(make_pool, postgres):
    pool = make_pool()
    with pool.connection() as conn:
        dead = pid(conn)
    terminate(postgres, dead)
    with pool.connection() as conn:
        assert pid(conn) != dead
        conn.cursor().execute("select 1")
    assert pool.get_stats()["connections_lost"] == 1


def test_idle_connections_that_died_together_are_all_replaced(make_pool, postgres):
    pool = make_pool(max_size=5)
    conns = [pool.getconn() for _ in range(5)]
    dead = {pid(conn) for conn in conns}
    for conn in conns:
        pool.putconn(conn)
    for backend in dead:
        terminate(postgres, backend)
    conns = [pool.getconn() for _ in range(5)]
    assert not dead & {pid(conn) for conn in conns}
    assert pool.get_stats()["pool_size"] == 5


def test_connection_that_died_while_it_was_lent_is_not_kept(make_pool, postgres):
    pool = make_pool(max_size=1)
    with pytest.raises(psycoev.OperationalError):
        with pool.connection() as conn:
            terminate(postgres, pid(conn))
            conn.cursor().execute("select 1")
    assert pool.get_stats()["pool_size"] == 0
    assert pool.get_stats()["returns_bad"] == 1
    with pool.connection() as conn:
        conn.cursor().execute("select 1")


def test_notification_that_waits_does_not_make_a_connection_dead(make_pool, cur):
    pool = make_pool()
    with pool.connection() as conn:
        conn.cursor().execute("listen pool_news")
        first = pid(conn)
    cur.execute("notify pool_news")
    cur.connection.commit()
    time.sleep(0.1)
    with pool.connection() as conn:
        assert pid(conn) == first
        assert [notify.channel for notify in conn.notifies] == ["pool_news"]


def test_check_decides_whether_a_connection_is_lent_again(make_pool):
    verdicts = iter([psycoev.OperationalError("dead"), None])

    def check(conn):
        verdict = next(verdicts)
        if verdict:
            raise verdict

    pool = make_pool(check=check)
    with pool.connection() as conn:  # new: not checked
        first = pid(conn)
    with pool.connection() as conn:
        second = pid(conn)
    with pool.connection() as conn:
        assert pid(conn) == second != first


def test_check_that_always_fails_does_not_loop(make_pool):
    def check(conn):
        raise psycoev.OperationalError("dead")

    pool = make_pool(check=check, max_size=3)
    for conn in [pool.getconn() for _ in range(3)]:
        pool.putconn(conn)
    with pool.connection() as conn:
        conn.cursor().execute("select 1")


def test_check_connection_leaves_no_transaction(make_pool):
    pool = make_pool(check=ConnectionPool.check_connection)
    with pool.connection():
        pass
    conn = pool.getconn()
    assert conn.info.transaction_status == psycoev.extensions.TRANSACTION_STATUS_IDLE


def test_reset_is_called_with_what_comes_back(make_pool):
    seen = []
    pool = make_pool(reset=seen.append)
    conn = pool.getconn()
    pool.putconn(conn)
    assert seen == [conn]


def test_connection_whose_reset_fails_is_closed(make_pool):
    def reset(conn):
        raise psycoev.DataError("stained")

    pool = make_pool(reset=reset)
    conn = pool.getconn()
    pool.putconn(conn)
    assert conn.closed
    assert pool.get_stats()["pool_size"] == 0


def test_configure_is_called_once_with_each_connection(make_pool):
    seen = []

    def configure(conn):
        conn.cursor().execute("set application_name to 'configured'")
        conn.commit()
        seen.append(conn)

    pool = make_pool(configure=configure)
    for _ in range(3):
        with pool.connection() as conn:
            cur = conn.cursor()
            cur.execute("show application_name")
            assert cur.fetchone() == ("configured",)
    assert len(seen) == 1


def test_connection_that_cannot_be_made_gives_its_place_back(make_pool):
    pool = make_pool(max_size=1, kwargs={"dbname": "no_such_database"})
    for _ in range(3):
        with pytest.raises(psycoev.OperationalError, match="no_such_database"):
            pool.getconn(timeout=2)
    assert pool.get_stats()["pool_size"] == 0
    assert pool.get_stats()["connections_errors"] == 3


def test_configure_that_fails_gives_the_place_back(make_pool):
    def configure(conn):
        raise ZeroDivisionError

    pool = make_pool(max_size=1, configure=configure)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            pool.getconn(timeout=2)


def test_connection_older_than_its_lifetime_is_replaced(make_pool):
    pool = make_pool(max_lifetime=0.2)
    with pool.connection() as conn:
        first = pid(conn)
    time.sleep(0.3)
    with pool.connection() as conn:
        assert pid(conn) != first


def test_lent_connection_that_grew_too_old_is_closed_when_it_comes_back(make_pool):
    pool = make_pool(max_lifetime=0.1)
    conn = pool.getconn()
    time.sleep(0.2)
    pool.putconn(conn)
    assert conn.closed


def test_pool_shrinks_to_its_minimum_when_connections_are_idle(make_pool):
    pool = make_pool(min_size=1, max_size=4, max_idle=0.2)
    for conn in [pool.getconn() for _ in range(4)]:
        pool.putconn(conn)
    wait_until(lambda: pool.get_stats()["pool_size"] == 1)
    time.sleep(0.3)
    assert pool.get_stats()["pool_size"] == 1


def test_minimum_is_made_without_being_asked_for(make_pool):
    pool = make_pool(min_size=2)
    pool.wait(10)
    assert pool.get_stats()["pool_available"] == 2


def test_minimum_is_restored_after_a_connection_was_lost(make_pool, postgres):
    pool = make_pool(min_size=2)
    pool.wait(10)
    with pytest.raises(psycoev.OperationalError):
        with pool.connection() as conn:
            terminate(postgres, pid(conn))
            conn.cursor().execute("select 1")
    wait_until(lambda: pool.get_stats()["pool_available"] == 2)


def test_check_of_the_whole_pool_closes_the_dead(make_pool, postgres):
    pool = make_pool(max_size=2)
    first, second = pool.getconn(), pool.getconn()
    dead = pid(first)
    pool.putconn(first)
    pool.putconn(second)
    terminate(postgres, dead)
    pool.check()
    assert pool.get_stats()["pool_available"] == 1
    assert pool.getconn() is second


def test_place_of_a_connection_that_was_dropped_is_free_again(make_pool):
    pool = make_pool(max_size=1)
    conn = pool.getconn()
    backend = pid(conn)
    del conn
    gc.collect()
    with pool.connection(timeout=5) as conn:
        assert pid(conn) != backend


def test_who_waits_is_served_when_a_connection_is_dropped(make_pool):
    pool = make_pool(max_size=1)
    held = [pool.getconn()]
    lent = []
    thread = start(lambda: lent.append(pool.getconn()))
    wait_until(lambda: pool.get_stats()["requests_waiting"] == 1)
    held.clear()
    thread.join(10)
    assert len(lent) == 1


def test_connection_cannot_come_back_twice(make_pool, conn):
    pool = make_pool()
    lent = pool.getconn()
    pool.putconn(lent)
    with pytest.raises(ValueError):
        pool.putconn(lent)
    with pytest.raises(ValueError):
        pool.putconn(conn)
    assert pool.get_stats()["pool_available"] == 1


def test_closed_pool_lends_nothing_and_closes_what_comes_back(make_pool):
    pool = make_pool()
    lent = pool.getconn()
    idle = pool.getconn()
    pool.putconn(idle)
    pool.close()
    assert idle.closed
    with pytest.raises(PoolClosed):
        pool.getconn()
    assert not lent.closed
    pool.putconn(lent)
    assert lent.closed


def test_who_waits_is_told_that_the_pool_was_closed(make_pool):
    pool = make_pool(max_size=1)
    lent = pool.getconn()
    raised = []

    def borrow():
        try:
            pool.getconn()
        except PoolClosed as error:
            raised.append(error)

    thread = start(borrow)
    wait_until(lambda: pool.get_stats()["requests_waiting"] == 1)
    pool.close()
    thread.join(5)
    assert len(raised) == 1
    pool.putconn(lent)


def test_resized_pool_lends_more_and_closes_what_is_too_much(make_pool):
    pool = make_pool(max_size=1)
    first = pool.getconn()
    pool.resize(0, 2)
    second = pool.getconn(timeout=5)
    pool.resize(0, 1)
    pool.putconn(first)
    pool.putconn(second)
    wait_until(lambda: pool.get_stats()["pool_size"] == 1)


@pytest.mark.parametrize("sizes", [(-1, 2), (3, 2), (0, 0)])
def test_impossible_sizes_are_refused(make_pool, sizes):
    with pytest.raises(ValueError):
        make_pool(min_size=sizes[0], max_size=sizes[1])


def test_sums_begin_anew_when_they_are_popped(make_pool):
    pool = make_pool()
    with pool.connection():
        pass
    assert pool.pop_stats()["requests_num"] == 1
    assert pool.get_stats()["requests_num"] == 0


def test_many_threads_share_few_connections(make_pool):
    pool = make_pool(max_size=3, timeout=30)
    done = []

    def work(n):
        for _ in range(10):
            with pool.connection() as conn:
                cur = conn.cursor()
                cur.execute("select %s", (n,))
                assert cur.fetchone() == (n,)
        done.append(n)

    threads = [start(work, n) for n in range(12)]
    for thread in threads:
        thread.join(30)
    assert sorted(done) == list(range(12))
    assert pool.get_stats()["pool_size"] <= 3


def test_pool_that_nobody_has_any_more_ends_its_thread(postgres):
    before = threading.active_count()
    pool = ConnectionPool(postgres.dsn, min_size=1, max_size=1)
    pool.wait(10)
    pool._chores.set()
    del pool
    gc.collect()
    assert threading.active_count() <= before + 1  # it sleeps, and ends when it wakes


def test_child_of_fork_makes_connections_of_its_own(postgres):
    done = run_script(
        """
        import os, sys
        from psycoev.connection_pool import ConnectionPool

        pool = ConnectionPool(sys.argv[1], min_size=1, max_size=2)
        pool.wait(10)

        def backend():
            with pool.connection() as conn:
                cur = conn.cursor()
                cur.execute("select pg_backend_pid()")
                return cur.fetchone()[0]

        mine = backend()
        child = os.fork()
        if not child:
            os._exit(0 if backend() != mine else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert backend() == mine
        print("ok")
        """,
        postgres.dsn,
        flags=("-W", "ignore::DeprecationWarning"),  # fork beside threads, 3.12 on
    )
    assert done.stdout.strip() == "ok", done.stderr


def test_kill_of_a_server_is_noticed_and_survived(own_postgres):
    pool = ConnectionPool(own_postgres.dsn, min_size=2, max_size=4, timeout=20)
    pool.wait(10)
    own_postgres.kill()
    # Its processes end one after the other, each when it notices.
    deadline = time.monotonic() + 20
    with pytest.raises(psycoev.OperationalError):
        while time.monotonic() < deadline:
            pool.putconn(pool.getconn())
            time.sleep(0.02)
    try:
        os.unlink(os.path.join(own_postgres.data, "postmaster.pid"))
        own_postgres.start()
        with pool.connection() as conn:
            conn.cursor().execute("select 1")
    finally:
        pool.close()
