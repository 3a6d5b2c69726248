"""A server that dies, a network that is cut, a fork: an error each, never a hang or a wrong row."""

import textwrap

import pytest
from run_script import run_script

#: What a program may be doing on a connection: (statements before, the call).
STATES = {
    "a query": ("", "cur.execute('select pg_sleep(20)')"),
    "a query in a transaction": (
        "cur.execute('select 1')",
        "cur.execute('select pg_sleep(20)')",
    ),
    "many rows": (
        "",
        "cur.execute(\"select repeat('x', 1000), pg_sleep(0.001) from generate_series(1, 20000)\")",
    ),
    "fetching from a named cursor": (
        "named = conn.cursor('named'); named.itersize = 1;"
        "named.execute('select pg_sleep(0.2) from generate_series(1, 100)')",
        "list(named)",
    ),
    "COPY in": (
        "cur.execute('create temp table copied (t text)')",
        "cur.copy_from(Endless(), 'copied')",
    ),
    "COPY out": (
        "",
        "cur.copy_expert(\"copy (select repeat('x', 1000), pg_sleep(0.001)"
        ' from generate_series(1, 20000)) to stdout", io.StringIO())',
    ),
    "a large object": (
        "lobject = conn.lobject(0, 'wb')",
        "[lobject.write(b'x' * 100000) for _ in range(100000)]",
    ),
    "idle": ("", "time.sleep(0.8); cur.execute('select 1')"),
    "idle in a transaction": ("cur.execute('select 1')", "time.sleep(0.8); conn.commit()"),
}

PRELUDE = """
import coev.monkey
import io, os, signal, socket, sys, threading, time
import coev, psycoev

class Endless(io.StringIO):
    def read(self, size=-1):
        time.sleep(0.001)
        return "x" * 1000 + "\\n"

dsn = sys.argv[1]
"""

CHECK = """
try:
    {call}
except (psycoev.OperationalError, psycoev.InterfaceError) as error:
    pass
else:
    raise AssertionError("no error")
assert conn.closed, conn.closed
assert not [c for c in coev.coroutines() if c.name == "left over"]
try:
    conn.cursor()
except psycoev.InterfaceError as error:
    assert "connection already closed" in str(error)
else:
    raise AssertionError("a broken connection gave a cursor")
conn.close()
print("ok")
"""


def check(postgres, body, *arguments):
    done = run_script(PRELUDE + textwrap.dedent(body), postgres.dsn, *arguments, timeout=60)
    assert done.stdout.strip() == "ok" and done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("state", STATES)
def test_backend_killed_by_sigkill_during(state, postgres):
    """The server restarts all its backends then; the next test finds it recovered."""
    before, call = STATES[state]
    body = f"""
conn = psycoev.connect(dsn)
cur = conn.cursor()
pid = conn.info.backend_pid
{before}

def kill():
    time.sleep(0.3)
    os.kill(pid, signal.SIGKILL)

threading.Thread(target=kill).start()
""" + CHECK.format(call=call)
    try:
        check(postgres, body)
    finally:
        postgres.wait_until_ready()


PROXY = """
port = int(dsn.split("port=")[1].split()[0])
listener = socket.create_server(("127.0.0.1", 0))
ends = []

def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass

def serve():
    while True:
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", port))
        ends.extend([client, server])
        threading.Thread(target=pump, args=(client, server), daemon=True).start()
        threading.Thread(target=pump, args=(server, client), daemon=True).start()

threading.Thread(target=serve, daemon=True).start()
dsn = dsn.replace(f"port={port}", f"port={listener.getsockname()[1]}")
"""


@pytest.mark.parametrize("state", STATES)
def test_network_cut_during(state, postgres):
    before, call = STATES[state]
    body = (
        PROXY
        + f"""
conn = psycoev.connect(dsn)
cur = conn.cursor()
{before}

def cut():
    time.sleep(0.3)
    for end in ends:
        end.shutdown(socket.SHUT_RDWR)

threading.Thread(target=cut).start()
"""
        + CHECK.format(call=call)
    )
    check(postgres, body)


def test_answer_cut_at_every_byte_is_an_error_or_the_whole_answer(postgres):
    body = """
    port = int(dsn.split("port=")[1].split()[0])
    listener = socket.create_server(("127.0.0.1", 0))
    plain = psycoev.connect(dsn)

    def serve(limit):
        # Passes on *limit* bytes of what the server says, then cuts.
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", port))

        def upwards():
            try:
                while data := client.recv(65536):
                    server.sendall(data)
            except OSError:
                pass

        threading.Thread(target=upwards, daemon=True).start()
        try:
            while limit > 0 and (data := server.recv(min(limit, 65536))):
                client.sendall(data)
                limit -= len(data)
        except OSError:
            pass
        for end in client, server:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    target = dsn.replace(f"port={port}", f"port={listener.getsockname()[1]}") + " sslmode=disable"
    whole = broken = 0
    limit = 0
    while True:
        threading.Thread(target=serve, args=(limit,), daemon=True).start()
        try:
            conn = psycoev.connect(target)
            cur = conn.cursor()
            cur.execute("select 12345, 'abcdef' union all select 67890, 'ghijkl'")
            rows = cur.fetchall()
            assert rows == [(12345, "abcdef"), (67890, "ghijkl")], rows
            whole += 1
            conn.commit()
            conn.close()
            break
        except psycoev.OperationalError:
            broken += 1
        limit += 1 if limit > 330 else 7
        assert limit < 2000
    assert broken > 60, broken
    print("ok")
    """
    check(postgres, body)


FORKS = """
conn = psycoev.connect(dsn)
cur = conn.cursor()
{before}
running = coev.spawn(lambda: {call}) if {busy} else None
coev.sleep(0.1)
child = os.fork()
if not child:
    try:
        cur.execute("select 1")
    except psycoev.InterfaceError:
        status = 0
    except BaseException as error:
        print(repr(error), file=sys.stderr)
        status = 1
    else:
        status = 2
    conn.close()
    del conn, cur
    os._exit(status)
_, status = os.waitpid(child, 0)
assert status == 0, status
if running is not None:
    running.join(20)
    running.result()
# The child sent no Terminate: the parent's connection lives.
assert not conn.closed
conn.rollback()
cur.execute("select 42")
assert cur.fetchone() == (42,)
print("ok")
"""


@pytest.mark.parametrize(
    ("before", "call", "busy"),
    [
        ("", "None", False),
        ("cur.execute('select 1')", "None", False),
        ("", "conn.cursor().execute('select pg_sleep(0.5)')", True),
        (
            "",
            'cur.copy_expert("copy (select pg_sleep(0.002) from generate_series(1, 200)) to stdout",'
            " io.StringIO())",
            True,
        ),
    ],
    ids=["idle", "in a transaction", "during a query", "during COPY"],
)
def test_child_of_fork_gets_an_error_and_leaves_the_connection_alone(before, call, busy, postgres):
    check(postgres, FORKS.format(before=before, call=call, busy=busy))


def test_connection_made_in_one_os_thread_serves_another(postgres):
    done = run_script(
        """
        import sys, threading
        import psycoev

        made = []
        thread = threading.Thread(target=lambda: made.append(psycoev.connect(sys.argv[1])))
        thread.start()
        thread.join()
        conn = made.pop()
        cur = conn.cursor()
        results = []

        def work(n):
            for _ in range(20):
                own = conn.cursor()
                own.execute("select %s", (n,))
                results.append(own.fetchone() == (n,))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert results == [True] * 80
        conn.close()
        print("ok")
        """,
        postgres.dsn,
    )
    assert done.stdout.strip() == "ok", done.stdout + done.stderr


def test_queries_leak_no_references(postgres):
    done = run_script(
        """
        import gc, sys
        import psycoev, psycoev.extras

        conn = psycoev.connect(sys.argv[1])

        def work(n):
            for _ in range(n):
                cur = conn.cursor()
                cur.execute("select %s, 'text', 1.5::numeric, now(), array[1, 2]", (1,))
                cur.description
                cur.fetchall()
                try:
                    cur.execute("select nothing")
                except psycoev.ProgrammingError as error:
                    error.diag.sqlstate
                conn.rollback()
                cur = conn.cursor(cursor_factory=psycoev.extras.RealDictCursor)
                cur.execute("select 1 as a")
                cur.fetchone()
                conn.commit()

        def blocks():
            gc.collect()
            return sys.getallocatedblocks()

        work(200)
        before = blocks()
        work(2000)
        grown = blocks() - before
        assert grown < 200, grown
        print("ok")
        """,
        postgres.dsn,
        timeout=120,
    )
    assert done.stdout.strip() == "ok", done.stdout + done.stderr
