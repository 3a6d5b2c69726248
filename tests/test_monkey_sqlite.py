"""sqlite3 under coev.monkey: a lock that another connection has suspends only the coroutine."""

from textwrap import dedent

from run_script import STRESS_SECONDS, check_script

PRELUDE = """
import os, sqlite3, sys, tempfile, threading, time

directory = tempfile.TemporaryDirectory()
path = os.path.join(directory.name, "db")

def connect(**options):
    return sqlite3.connect(path, isolation_level=None, **options)

def start(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread

setup = connect()
setup.execute("create table t (x)")
"""


def check(text, *args, first="import coev.monkey\n", **options):
    return check_script(first + PRELUDE + dedent(text), *args, expect="ok", **options)


def test_writer_waits_for_another_threads_transaction():
    check("""
    holder = connect()
    holder.execute("begin immediate")
    thread = start(lambda: connect().execute("insert into t values (1)"))
    time.sleep(0.05)
    assert thread.is_alive()
    holder.execute("commit")
    thread.join(5)
    print("ok" if setup.execute("select x from t").fetchall() == [(1,)] else "lost")
    """)


def test_others_run_while_a_connection_is_busy():
    check("""
    holder = connect()
    holder.execute("begin immediate")
    failed = []
    def write():
        try:
            connect(timeout=0.3).execute("insert into t values (1)")
        except sqlite3.OperationalError as error:
            failed.append(str(error))
    thread = start(write)
    ticks = 0
    while thread.is_alive():
        time.sleep(0.01)
        ticks += 1
    assert failed == ["database is locked"], failed
    print("ok" if ticks >= 10 else ticks)
    """)


def test_sqlite3_imported_before_coev():
    check(
        """
        import coev.monkey
        holder = connect()
        holder.execute("begin immediate")
        thread = start(setup.execute, "insert into t values (1)")
        time.sleep(0.05)
        holder.execute("commit")
        thread.join(5)
        print("ok" if not thread.is_alive() else "stuck")
        """,
        first="",
    )


def test_pragma_busy_timeout_keeps_its_meaning():
    check("""
    holder = connect()
    holder.execute("begin immediate")
    other = connect(timeout=60)
    assert other.execute("pragma busy_timeout").fetchone() == (60000,)
    other.execute("pragma busy_timeout = 0")
    try:
        other.execute("insert into t values (1)")
    except sqlite3.OperationalError:
        print("ok")
    """)


def test_connection_that_waits_lets_no_other_coroutine_in():
    check("""
    holder = connect()
    holder.execute("begin immediate")
    shared = connect(check_same_thread=False)
    order = []
    def write():
        shared.execute("insert into t values (1)")
        order.append("write")
    def read():
        order.append(shared.execute("select count(*) from t").fetchone())
        order.append(list(shared.cursor().execute("select x from t")))
    threads = [start(write)]
    time.sleep(0.02)  # also one that is preempted before it waits for the holder does so then
    threads.append(start(read))
    time.sleep(0.05)
    assert not order, order
    holder.execute("commit")
    for thread in threads: thread.join(5)
    print("ok" if order == ["write", (1,), [(1,)]] else order)
    """)


def test_wait_is_not_cut_short_by_a_timeout_of_its_coroutine():
    check("""
    import coev
    holder = connect()
    holder.execute("begin immediate")
    start(lambda: (time.sleep(0.1), holder.execute("commit")))
    try:
        with coev.timeout(0.02):
            setup.execute("insert into t values (1)")
            time.sleep(5)
    except TimeoutError:
        print("ok" if setup.execute("select x from t").fetchall() == [(1,)] else "lost")
    """)


def test_backup_sleeps_only_in_its_coroutine():
    check("""
    for _ in range(3): setup.execute("insert into t values (zeroblob(9000))")
    target = sqlite3.connect(":memory:", check_same_thread=False)
    thread = start(lambda: setup.backup(target, pages=1, sleep=0.01))
    ticks = 0
    while thread.is_alive():
        time.sleep(0.005)
        ticks += 1
    assert target.execute("select count(*) from t").fetchone() == (3,)
    print("ok")
    """)


def test_many_threads_write_to_one_file_and_lose_nothing():
    check(
        """
        setup.execute("pragma journal_mode = wal")
        end = time.monotonic() + float(sys.argv[1])
        counts = [0] * 8
        def work(i):
            connection = connect(timeout=60)
            connection.execute("pragma synchronous = off")
            while time.monotonic() < end:
                connection.execute("begin immediate")
                connection.execute("insert into t values (?)", (i,))
                time.sleep(0.001)
                connection.execute("commit")
                counts[i] += 1
        threads = [start(work, i) for i in range(8)]
        for thread in threads: thread.join()
        rows = dict(setup.execute("select x, count(*) from t group by x"))
        print("ok" if rows == dict(enumerate(counts)) else (rows, counts))
        """,
        STRESS_SECONDS,
        timeout=60,
    )
