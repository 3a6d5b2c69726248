"""Every wait of psycoev lets other coroutines run: a ticker keeps its beat beside each."""

import textwrap

import pytest
from run_script import run_script

PRELUDE = """
import coev.monkey
import io, os, socket, sys, threading, time
import coev, psycoev
from support_ticker import Ticker

dsn = sys.argv[1]
conn = psycoev.connect(dsn)
cur = conn.cursor()
ticker = Ticker()

def beat(function, at_least=0.0):
    time.sleep(0.05)
    ticker.gaps.clear()
    started = time.monotonic()
    result = function()
    taken = time.monotonic() - started
    time.sleep(0.03)
    assert taken >= at_least, taken
    late = max(ticker.gaps) - 0.01
    assert late < 0.05, f"a tick was {late * 1000:.0f} ms late"
    return result
"""

CASES = {
    "a query": """
        beat(lambda: cur.execute("select pg_sleep(0.3)"), 0.3)
        """,
    "commit": """
        cur.execute("create temp table slow (n int)")
        cur.execute(
            "create function pg_temp.slow() returns trigger language plpgsql as "
            "'begin perform pg_sleep(0.3); return null; end'")
        cur.execute("create constraint trigger t after insert on slow "
                    "deferrable initially deferred for each row execute function pg_temp.slow()")
        cur.execute("insert into slow values (1)")
        beat(conn.commit, 0.3)
        """,
    "fetching from a named cursor": """
        named = conn.cursor("named")
        named.itersize = 1
        named.execute("select n, pg_sleep(0.1) from generate_series(1, 3) n")
        assert len(beat(lambda: list(named), 0.3)) == 3
        """,
    "connecting to a server that is slow to answer": """
        # A proxy that waits before it passes on what the server says.
        port = int(dsn.split("port=")[1].split()[0])
        listener = socket.create_server(("127.0.0.1", 0))

        def serve():
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", port))

            def pump(source, sink, delay):
                while data := source.recv(65536):
                    time.sleep(delay)
                    sink.sendall(data)

            threading.Thread(target=pump, args=(client, server, 0), daemon=True).start()
            pump(server, client, 0.2)

        threading.Thread(target=serve, daemon=True).start()
        slow = dsn.replace(f"port={port}", f"port={listener.getsockname()[1]}")
        beat(lambda: psycoev.connect(slow), 0.2)
        """,
    "COPY in": """
        cur.execute("create temp table copied (n int, t text)")

        class Slow(io.StringIO):
            def read(self, size=-1):
                time.sleep(0.01)
                return super().read(size)

        lines = "".join(f"{n}\\t{'x' * 200}\\n" for n in range(20000))
        beat(lambda: cur.copy_from(Slow(lines), "copied", size=65536))
        cur.execute("select count(*) from copied")
        assert cur.fetchone() == (20000,)
        """,
    "COPY out": """
        out = io.StringIO()
        beat(lambda: cur.copy_expert(
            "copy (select n, repeat('x', 200) from generate_series(1, 20000) n) to stdout", out))
        assert out.getvalue().count("\\n") == 20000
        """,
    "a large object": """
        data = os.urandom(1 << 20)

        def work():
            lobject = conn.lobject(0, "wb")
            lobject.write(data)
            lobject.seek(0)
            oid = lobject.oid
            lobject.close()
            again = conn.lobject(oid, "rb")
            assert again.read() == data
            again.unlink()

        beat(work)
        """,
    "cancelling": """
        def cancel():
            time.sleep(0.1)
            conn.cancel()

        threading.Thread(target=cancel).start()

        def work():
            try:
                cur.execute("select pg_sleep(10)")
            except psycoev.extensions.QueryCanceledError:
                return
            raise AssertionError("the query was not cancelled")

        beat(work)
        """,
    "waiting for another coroutine's turn": """
        other = coev.spawn(lambda: conn.cursor().execute("select pg_sleep(0.3)"))
        coev.yield_now()
        beat(lambda: cur.execute("select 1"), 0.15)
        other.join()
        """,
    "closing": """
        conns = [psycoev.connect(dsn) for _ in range(5)]

        def work():
            for each in conns:
                each.close()

        beat(work)
        """,
    "a name server that is slow": """
        try:
            beat(lambda: psycoev.connect("host=no-such-host.invalid dbname=a user=b"))
        except psycoev.OperationalError as error:
            assert "no-such-host.invalid" in str(error)
        else:
            raise AssertionError("connected")
        """,
}


@pytest.mark.parametrize("case", CASES)
def test_ticker_keeps_its_beat_beside(case, postgres):
    script = PRELUDE + textwrap.dedent(CASES[case]) + "\nprint('ok')\n"
    done = run_script(script, postgres.dsn, timeout=60)
    assert done.stdout.strip() == "ok", done.stdout + done.stderr
