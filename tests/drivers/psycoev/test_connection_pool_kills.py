"""A pool whose borrowers are killed at any moment: no lost place, no crossed row.

How long is COEV_STRESS_SECONDS.
"""

import pytest
from run_script import STRESS_SECONDS, run_script

STORM = """
import coev.monkey
import random, sys, threading, time
import coev, psycoev
from psycoev.connection_pool import ConnectionPool, PoolTimeout

dsn, seconds, seed = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
random.seed(seed)
pool = ConnectionPool(dsn, min_size=2, max_size=10, timeout=20, **{options})
crossed, errors, done = [], [], [0]

def borrower(number):
    token = number
    while True:
        token += 1000
        with pool.connection() as conn:
            cur = conn.cursor()
            kind = token % 5
            if kind == 0:
                cur.execute("select %s, pg_sleep(0.002)", (token,))
            elif kind == 1:
                cur.execute("select %s, repeat('x', 20000)", (token,))
            elif kind == 2:
                cur.execute("select %s from generate_series(1, 200)", (token,))
            else:
                cur.execute("select %s", (token,))
            rows = cur.fetchall()
            if any(row[0] != token for row in rows) or not rows:
                crossed.append((token, rows[:1]))
        done[0] += 1

def start(number):
    return coev.spawn(borrower, number)

running = {{n: start(n) for n in range({coroutines})}}
end = time.monotonic() + seconds
kills = 0
while time.monotonic() < end:
    time.sleep(random.random() * 0.004)
    n = random.choice(list(running))
    victim = running[n]
    victim.kill()
    kills += 1
    running[n] = start(n)
for coroutine in running.values():
    coroutine.kill()
for coroutine in running.values():
    coroutine.join(20)
del running, victim, coroutine
stats = pool.get_stats()
assert not crossed, crossed[:3]
assert done[0] > 20, done
# Every place is there: ten connections can be had at once.
conns = [pool.getconn(timeout=10) for _ in range(10)]
for number, conn in enumerate(conns):
    cur = conn.cursor()
    cur.execute("select %s", (number,))
    assert cur.fetchone() == (number,)
    pool.putconn(conn)
stats = pool.get_stats()
assert stats["pool_size"] <= 10 and stats["pool_available"] == stats["pool_size"], stats
assert stats["requests_waiting"] == 0, stats
pool.close()
print("ok")
print(kills, done, stats, file=sys.stderr)
"""


def storm(postgres, coroutines, options="{}", seed=1):
    script = STORM.format(coroutines=coroutines, options=options)
    done = run_script(script, postgres.dsn, STRESS_SECONDS * 3, seed, timeout=120)
    assert done.stdout.strip() == "ok", done.stdout + done.stderr
    return done.stderr


@pytest.mark.slow
def test_pool_of_ten_serves_500_coroutines_that_are_killed(postgres):
    storm(postgres, 500)


@pytest.mark.slow
def test_connections_that_are_replaced_all_the_time_are_not_lost_either(postgres):
    storm(postgres, 50, "dict(max_lifetime=0.05, check=ConnectionPool.check_connection)", 2)


def test_waiter_killed_at_the_hand_over_gives_the_connection_on(postgres):
    done = run_script(
        """
        import coev.monkey
        import sys, time
        import coev
        from psycoev.connection_pool import ConnectionPool

        pool = ConnectionPool(sys.argv[1], min_size=0, max_size=1, timeout=5)
        for _ in range(20):
            conn = pool.getconn()
            first = coev.spawn(pool.getconn)
            second = coev.spawn(lambda: pool.putconn(pool.getconn()))
            while pool.get_stats()["requests_waiting"] < 2:
                coev.yield_now()
            pool.putconn(conn)  # offered to the first, which has not run yet
            first.kill()
            second.join(5)
            assert second.done
        assert pool.get_stats()["connections_num"] == 1
        pool.close()
        print("ok")
        """,
        postgres.dsn,
    )
    assert done.stdout.strip() == "ok", done.stdout + done.stderr


def test_borrower_killed_while_it_connects_gives_its_place_back(postgres):
    done = run_script(
        """
        import coev.monkey
        import socket, sys
        import coev
        from psycoev.connection_pool import ConnectionPool

        silent = socket.create_server(("127.0.0.1", 0))  # accepts, and never says a word
        dsn = f"host=127.0.0.1 port={silent.getsockname()[1]} user=a dbname=b sslmode=disable"
        pool = ConnectionPool(dsn, min_size=0, max_size=2, timeout=30)
        borrowers = [coev.spawn(pool.getconn) for _ in range(4)]
        coev.sleep(0.2)
        assert pool.get_stats()["requests_waiting"] == 2
        for borrower in borrowers:
            borrower.kill()
            borrower.join(5)
        borrowers.clear()
        pool.conninfo = sys.argv[1]
        conns = [pool.getconn(timeout=5) for _ in range(2)]
        for conn in conns:
            pool.putconn(conn)
        pool.close()
        print("ok")
        """,
        postgres.dsn,
    )
    assert done.stdout.strip() == "ok", done.stdout + done.stderr


def test_making_a_connection_is_part_of_the_time_that_a_borrower_waits(postgres):
    done = run_script(
        """
        import coev.monkey
        import socket, time
        from psycoev.connection_pool import ConnectionPool, PoolTimeout

        silent = socket.create_server(("127.0.0.1", 0))
        dsn = f"host=127.0.0.1 port={silent.getsockname()[1]} user=a dbname=b sslmode=disable"
        pool = ConnectionPool(dsn, min_size=0, max_size=1)
        started = time.monotonic()
        try:
            pool.getconn(timeout=0.3)
        except PoolTimeout:
            assert 0.3 <= time.monotonic() - started < 3
            print("ok")
        """,
    )
    assert done.stdout.strip() == "ok", done.stdout + done.stderr
