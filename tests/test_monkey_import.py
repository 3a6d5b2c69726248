"""``import coev.monkey``: when it may come, what it takes over, and ``python -m coev``."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from run_script import ROOT, check_script, describe, run_script

# --- order of imports ----------------------------------------------------------------------


def test_importing_it_again_changes_nothing():
    check_script(
        """
        import coev.monkey
        import importlib, sys, threading, time
        importlib.reload(coev.monkey)
        del sys.modules["coev.monkey"]
        import coev.monkey
        order = []
        thread = threading.Thread(target=lambda: (time.sleep(0.01), order.append("thread")))
        thread.start()
        order.append("main")
        thread.join()
        print(order)
        """,
        expect="['main', 'thread']",
    )


AFTER = [
    "ssl",
    "logging, logging.handlers",
    "concurrent.futures",
    "asyncio",
    "subprocess, multiprocessing",
    "http.server, http.client, urllib.request",
    "tempfile, random, decimal, sqlite3",
    "requests, urllib3",
]


@pytest.mark.parametrize("modules", AFTER)
def test_it_works_after_other_modules(modules):
    for name in modules.split(", "):
        if name in ("requests", "urllib3"):
            pytest.importorskip(name)
    check_script(
        f"""
        import {modules}
        import coev.monkey
        import concurrent.futures, http.client, http.server, logging, threading

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")
            def log_message(self, *args):
                logging.getLogger("x").debug(*args)

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True

        def ask(_):
            connection = http.client.HTTPConnection(*server.server_address)
            connection.request("GET", "/")
            return connection.getresponse().read()

        # serve_forever() waits in select(): the requests are taken one by one here
        def serve():
            for _ in range(5):
                server._handle_request_noblock()

        threading.Thread(target=serve, daemon=True).start()
        with concurrent.futures.ThreadPoolExecutor(5) as pool:
            print(set(pool.map(ask, range(5))))
        """,
        expect="{b'ok'}",
        flags=("-W", "ignore"),
    )


# --- where it is refused -----------------------------------------------------------------------


def test_another_thread_cannot_import_it():
    check_script(
        """
        import threading

        def work():
            for name in ("coev", "coev.monkey"):
                try:
                    __import__(name)
                except ImportError as error:
                    print(error)

        for _ in range(2):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        """,
        expect="\n".join(["coev must be imported from the main thread first"] * 4),
    )


def test_another_thread_cannot_import_it_though_coev_is_there():
    check_script(
        """
        import coev, threading

        def work():
            try:
                import coev.monkey
            except ImportError as error:
                print(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        import coev.monkey
        thread = threading.Thread(target=print, args=("runs",))
        thread.start()
        thread.join()
        """,
        expect="coev.monkey must be imported from the main thread, before other threads start\nruns",
    )


@pytest.mark.parametrize("first", ["", "import coev.monkey", "import coev"])
@pytest.mark.parametrize("isolated", [True, False])
def test_a_subinterpreter_cannot_import_it(first, isolated):
    code = """
        try:
            import coev.monkey
        except ImportError as error:
            assert "subinterpreters" in str(error), error
        else:
            raise SystemExit("imported")
    """
    check_script(
        f"""
        {first}
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        import inspect, sys, textwrap
        if sys.version_info >= (3, 13):
            interpreter = interpreters.create({"isolated" if isolated else "legacy"!r})
        else:
            interpreter = interpreters.create(isolated={isolated})
        failure = None
        try:
            failure = interpreters.run_string(interpreter, textwrap.dedent({code!r}))
        finally:
            interpreters.destroy(interpreter)
        print(failure or "refused")
        """,
        expect="refused",
    )


def test_threads_and_waits_of_a_subinterpreter_stay_native():
    check_script(
        """
        import coev.monkey
        import threading
        import _testcapi as capi

        ticks = []
        threading.Thread(target=lambda: ticks.append(1)).start()
        status = capi.run_in_subinterp('''if True:
            import queue, socket, threading, time
            done = []
            def work():
                time.sleep(0.01)
                done.append(threading.get_ident())
                q.put(1)
            q = queue.SimpleQueue()
            thread = threading.Thread(target=work)
            thread.start()
            q.get()
            a, b = socket.socketpair()
            threading.Timer(0.01, b.send, (b"x",)).start()
            assert a.recv(1) == b"x"
            lock = threading.RLock()
            with lock, lock:
                pass
            thread.join()
            assert done and done[0] > 10**6, done  # the address of a pthread
        ''')
        print(status)
        """,
        expect="0",
    )


# --- what was there before ------------------------------------------------------------------------


def test_locks_and_queues_from_before_work_between_coroutines():
    check_script(
        """
        import queue, threading, time
        lock, held = threading.Lock(), threading.Lock()
        rlock, twice = threading.RLock(), threading.RLock()
        condition, event = threading.Condition(), threading.Event()
        semaphore, barrier = threading.Semaphore(0), threading.Barrier(2)
        simple, fifo = queue.SimpleQueue(), queue.Queue(1)
        held.acquire()
        twice.acquire()
        twice.acquire()
        simple.put("before")
        release, get = held.release, simple.get
        thread = threading.Thread(target=lambda: said.append("made before"))
        said = []

        import coev.monkey

        def work():
            said.append(twice.acquire(False))
            with lock, rlock, condition:
                condition.notify()
            release()
            simple.put("after")
            fifo.put(1)
            fifo.put(2)
            semaphore.release()
            barrier.wait()
            event.set()

        with condition:
            worker = threading.Thread(target=work)
            worker.start()
            said.append(condition.wait(5))
        said += [held.acquire(timeout=5), get(), get(), fifo.get(), fifo.get()]
        said += [semaphore.acquire(timeout=5), barrier.wait() >= 0, event.wait(5)]
        worker.join()
        twice.release()
        twice.release()
        try:
            twice.release()
        except RuntimeError as error:
            said.append(str(error))
        thread.start()
        thread.join()
        print(*said)
        """,
        expect="False True True before after 1 2 True True True "
        "cannot release un-acquired lock made before",
    )


def test_an_executor_from_before_warns_and_works():
    done = run_script(
        """
        import concurrent.futures, threading, time
        early = concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="early")
        print(early.submit(pow, 2, 3).result())
        unused = concurrent.futures.ThreadPoolExecutor(2)

        import coev.monkey

        print([future.result() for future in [early.submit(pow, 2, n) for n in range(3)]])
        print(list(unused.map(lambda n: n + 1, range(3))))
        early.shutdown()
        unused.shutdown()
        """,
    )
    assert done.returncode == 0, describe(done)
    assert done.stdout.split("\n") == ["8", "[1, 2, 4]", "[1, 2, 3]", ""], describe(done)
    assert "RuntimeWarning" in done.stderr and "early_0" in done.stderr, describe(done)


def test_native_threads_share_locks_queues_and_events_with_coroutines():
    done = run_script(
        """
        import queue, threading, time
        requests, answers = queue.Queue(), queue.SimpleQueue()
        stop, lock = threading.Event(), threading.RLock()
        counter = 0
        patched = False

        def native():
            global counter
            while not patched:  # not in a wait of its own when the patch comes
                pass
            while (item := requests.get(timeout=20)) is not None:
                with lock:
                    counter += 1
                answers.put(item * 2)
            stop.wait(20)

        thread = threading.Thread(target=native, name="native", daemon=True)
        thread.start()

        import coev.monkey

        patched = True
        requests.put(0)
        time.sleep(0.1)

        def work(base):
            global counter
            for number in range(base, base + 20):
                requests.put(number)
                with lock:
                    counter += 1
                time.sleep(0.0005)

        threads = [threading.Thread(target=work, args=(100 * n,)) for n in range(3)]
        for each in threads:
            each.start()
        got = sorted(answers.get(timeout=20) for _ in range(61))
        print(got == sorted([0] + [2 * (100 * n + i) for n in range(3) for i in range(20)]))
        requests.put(None)
        stop.set()
        thread.join(20)
        print(counter, thread.is_alive())
        """,
    )
    assert done.returncode == 0, describe(done)
    assert "running already" in done.stderr and "native" in done.stderr, describe(done)
    assert done.stdout.split() == ["True", "121", "False"], describe(done)


def test_native_threads_can_be_joined_while_coroutines_run():
    done = run_script(
        """
        import threading, time
        patched = False
        gone = []

        def native():
            while not patched:
                pass
            time.sleep(0.1)
            gone.append(1)

        thread = threading.Thread(target=native)
        thread.start()

        import coev.monkey

        ticks = []

        def tick():
            while thread.is_alive():
                time.sleep(0.005)
                ticks.append(1)

        ticker = threading.Thread(target=tick)
        ticker.start()
        patched = True
        print(thread.join(0.01), thread.is_alive(), gone)
        print(thread.join(), thread.is_alive(), gone)
        ticker.join()
        print(len(ticks) > 3)
        """,
    )
    assert done.returncode == 0 and "running already" in done.stderr, describe(done)
    assert done.stdout.split("\n")[:3] == ["None True []", "None False [1]", "True"], describe(done)


def test_no_class_and_no_function_is_exchanged():
    check_script(
        """
        import _queue, _socket, _thread, concurrent.futures, os, queue, socket, threading, time
        names = {
            module: dict(vars(module))
            for module in (_queue, _socket, _thread, os, queue, socket, threading, time)
        }
        methods = {
            kind: dict(vars(kind))
            for kind in (_thread.LockType, _thread.RLock, queue.SimpleQueue, _socket.socket,
                         threading.Thread, threading.Condition, queue.Queue)
        }
        import coev.monkey
        for module, before in names.items():
            changed = [n for n in before if vars(module)[n] is not before[n]]
            changed = [n for n in changed if n not in ("_ThreadHandle", "_counter", "__dict__")]
            assert not changed, (module, changed)
        for kind, before in methods.items():
            assert dict(vars(kind)) == before, kind
        print("same")
        """,
        expect="same",
    )


# --- python -m coev --------------------------------------------------------------------------------

PROGRAM = '''
"""A program."""
import pickle
import sys
import threading
import traceback


class Thing:
    def __eq__(self, other):
        return type(self) is type(other)


def show():
    for name, value in sorted(globals().items()):
        if name not in ("Thing", "show", "ends", "__loader__", "__spec__"):
            print(name, value)
    print(type(__loader__).__name__, getattr(__spec__, "name", None))
    print(sys.argv, sys.path[0], sys.modules["__main__"].__dict__ is globals())
    print(pickle.loads(pickle.dumps(Thing())) == Thing(), Thing.__module__)
    import __main__
    print(__main__.Thing is Thing, __main__.__file__)
    thread = threading.Thread(target=lambda: print(pickle.dumps(Thing())[:2], __main__.show))
    thread.start()


def ends(how):
    def fail():
        raise ValueError("the program's")

    if how == "exception":
        fail()
    elif how == "chained":
        try:
            fail()
        except ValueError as error:
            raise KeyError("other") from error
    elif how == "hook":
        def hook(kind, error, tb):
            print("hook:", kind, error, [f.name for f in traceback.extract_tb(tb)])
        sys.excepthook = hook
        fail()
    elif how == "exit":
        sys.exit(int(sys.argv[2]))
    elif how == "message":
        sys.exit("a message")
    elif how == "none":
        sys.exit()
    elif how == "interrupt":
        raise KeyboardInterrupt
    elif how == "thread":
        thread = threading.Thread(target=fail, name="T")
        thread.start()
    elif how == "later":
        import time
        def later():
            time.sleep(0.05)
            print("later", sys.modules["__main__"].Thing is Thing)
        threading.Thread(target=later).start()
        raise SystemExit(3)
    elif how == "atexit":
        import atexit
        atexit.register(lambda: print("atexit", sys.modules["__main__"].Thing is Thing, Thing))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        show()
    else:
        ends(sys.argv[1])
'''


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("programs")
    (folder / "program.py").write_text(PROGRAM)
    (folder / "broken.py").write_text("x = 1\nthis is no Python\n")
    (folder / "package").mkdir()
    (folder / "package" / "__init__.py").write_text("")
    (folder / "package" / "__main__.py").write_text(PROGRAM)
    (folder / "link.py").symlink_to(folder / "package" / "__main__.py")
    return folder


def outcome_of(folder, arguments, with_coev):
    command = [sys.executable, *(["-m", "coev"] if with_coev else []), *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, *(re.sub("0x[0-9a-f]+", "0x", t) for t in (done.stdout, done.stderr))


@pytest.mark.parametrize(
    "arguments",
    [
        "program.py",
        "./program.py",
        "-m program",
        "package",
        "-m package",
        "-m package.__main__",
        "link.py",
        "program.py exception",
        "-m program exception",
        "program.py chained",
        "program.py hook",
        "program.py exit 0",
        "program.py exit 7",
        "-m program exit 7",
        "program.py message",
        "program.py none",
        "program.py interrupt",
        "program.py thread",
        "program.py later",
        "-m program later",
        "program.py atexit",
        "program.py other -m -h --help",
        "broken.py",
        "-m broken",
        "missing.py",
        "-m missing",
        "-m os.path.missing",
    ],
)
def test_python_m_coev_runs_a_program_as_python_does(programs, arguments):
    arguments = arguments.split()
    native = outcome_of(programs, arguments, with_coev=False)
    assert outcome_of(programs, arguments, with_coev=True) == native


def test_python_m_coev_explains_itself(programs):
    status, out, err = outcome_of(programs, [], with_coev=True)
    assert (status, out) == (2, "") and "python -m coev SCRIPT" in err
    status, out, err = outcome_of(programs, ["-m"], with_coev=True)
    assert (status, out) == (2, "") and "python -m coev SCRIPT" in err
    status, out, err = outcome_of(programs, ["--help"], with_coev=True)
    assert (status, err) == (0, "") and "python -m coev SCRIPT" in out


def test_python_m_coev_makes_threads_coroutines(programs):
    (programs / "shows.py").write_text(
        textwrap.dedent(
            """
            import coev, threading
            thread = threading.Thread(target=lambda: print(coev.current() is not coev.main()))
            thread.start()
            thread.join()
            """
        )
    )
    assert outcome_of(programs, ["shows.py"], with_coev=True) == (0, "True\n", "")


def test_python_m_coev_is_interrupted_as_python_is(programs):
    (programs / "waits.py").write_text("import time\nprint('up', flush=True)\ntime.sleep(30)\n")
    statuses = []
    for prefix in ([], ["-m", "coev"]):
        process = subprocess.Popen(
            [sys.executable, *prefix, "waits.py"],
            cwd=programs,
            env=dict(os.environ, PYTHONPATH=str(ROOT)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        process.stdout.readline()
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        statuses.append((process.returncode, err))
    assert statuses[0] == statuses[1]
