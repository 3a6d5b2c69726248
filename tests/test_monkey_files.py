"""Files on pipes and terminals behave as natively, and let the others run while they wait."""

import os
import pty
import re
import select
import sys
import textwrap
import time
import warnings

import pytest
from run_script import ROOT, check_script
from support_monkey import assert_clean_end, assert_same, scenarios


@pytest.mark.parametrize("scenario", scenarios("files"))
def test_files_behave_as_natively(scenario):
    assert_same("files", scenario)


def test_processes_of_the_scenarios_end_well():
    assert_clean_end("files")


# --- the others run meanwhile ---------------------------------------------------------------

BLOCKING_CALLS = """
import coev.monkey
import _pyio, io, os, pty, socket, subprocess, sys, tempfile, threading, time

SECONDS = 0.15
BIG = 10**6

def later(function, *args):
    timer = threading.Timer(SECONDS, function, args)
    timer.daemon = True
    timer.start()

def pipe():
    reader, writer = os.pipe()
    later(os.write, writer, b"line\\n")
    return reader

def drained():
    reader, writer = os.pipe()
    def drain():
        while os.read(reader, 1 << 20):
            pass
    later(drain)
    return writer

def terminal():
    master, slave = pty.openpty()
    later(os.write, master, b"line\\n")
    return slave

def drained_terminal():
    master, slave = pty.openpty()
    def drain():
        while os.read(master, 1 << 20):
            pass
    later(drain)
    return slave

def drained_socket():
    a, b = socket.socketpair()
    def drain():
        while b.recv(1 << 20):
            pass
    later(drain)
    return a

def fifo():
    path = os.path.join(tempfile.mkdtemp(), "fifo")
    os.mkfifo(path)
    return path

def call_read(): os.read(pipe(), 10)
def call_readv(): os.readv(pipe(), [bytearray(10)])
def call_write(): os.write(drained(), bytes(BIG))
def call_writev(): os.writev(drained(), [bytes(BIG)])
def call_raw_read(): os.fdopen(pipe(), "rb", 0).read(10)
def call_raw_readinto(): os.fdopen(pipe(), "rb", 0).readinto(bytearray(10))
def call_raw_readall():
    reader, writer = os.pipe()
    later(os.close, writer)
    os.fdopen(reader, "rb", 0).readall()
def call_raw_write(): os.fdopen(drained(), "wb", 0).write(bytes(BIG))
def call_buffered_readline(): os.fdopen(pipe(), "rb").readline()
def call_buffered_read1(): os.fdopen(pipe(), "rb").read1()
def call_buffered_peek(): os.fdopen(pipe(), "rb").peek()
def call_buffered_next(): next(os.fdopen(pipe(), "rb"))
def call_buffered_write(): os.fdopen(drained(), "wb").write(bytes(BIG))
def call_text_readline(): os.fdopen(pipe()).readline()
def call_text_next(): next(os.fdopen(pipe()))
def call_text_print(): print("x" * BIG, file=os.fdopen(drained(), "w"), flush=True)
def call_close():
    out = os.fdopen(drained(), "wb", buffering=2 * BIG)
    out.write(bytes(BIG))
    out.close()
def call_python_file(): _pyio.open(pipe(), "rb").readline()
def call_terminal_read(): os.read(terminal(), 10)
def call_terminal_readline(): os.fdopen(terminal(), "rb").readline()
def call_terminal_write(): os.write(drained_terminal(), bytes(BIG))
def call_socket_write():
    sock = drained_socket()
    os.write(sock.fileno(), bytes(10 * BIG))
def call_open_to_read():
    path = fifo()
    later(lambda: os.open(path, os.O_WRONLY))
    open(path)
def call_open_to_write():
    path = fifo()
    later(lambda: os.open(path, os.O_RDONLY))
    open(path, "w")
def call_os_open():
    path = fifo()
    later(lambda: os.open(path, os.O_WRONLY))
    os.open(path, os.O_RDONLY)
def call_sendfile():
    with tempfile.TemporaryFile() as file:
        file.truncate(10 * BIG)
        sock = drained_socket()
        os.sendfile(sock.fileno(), file.fileno(), 0, 10 * BIG)
def call_splice():
    a, b = socket.socketpair()
    os.splice(pipe(), a.fileno(), 10)
def call_splice_from_socket():
    a, b = socket.socketpair()
    later(b.sendall, b"x")
    os.splice(a.fileno(), os.pipe()[1], 10)
def call_eventfd_read():
    fd = os.eventfd(0)
    later(os.eventfd_write, fd, 1)
    os.eventfd_read(fd)
def call_waiting_for_a_reader():
    file = os.fdopen(pipe(), "rb")
    threading.Thread(target=file.readline).start()
    file.close()
def call_stdin():
    os.dup2(pipe(), 0)
    assert sys.stdin.readline() == "line\\n"
def call_input():
    os.dup2(pipe(), 0)
    assert input() == "line"
def call_subprocess_pipe():
    with subprocess.Popen(["cat"], stdin=-1, stdout=-1) as process:
        later(process.stdin.write, b"line\\n")
        later(process.stdin.flush)
        assert process.stdout.readline() == b"line\\n"
        process.stdin.close()

ticks = 0

def tick():
    global ticks
    while True:
        time.sleep(0.01)
        ticks += 1

threading.Thread(target=tick, daemon=True).start()
for name in sys.argv[1:]:
    ticks = 0
    start = time.monotonic()
    globals()["call_" + name]()
    waited = time.monotonic() - start
    if waited < SECONDS * 0.6 or ticks < waited / 0.01 * 0.3:
        print(f"{name}: {ticks} ticks in {waited:.3f} s")
print("done", flush=True)
os._exit(0)  # writers that nobody reads from any more
"""


@pytest.mark.realtime
def test_a_ticking_coroutine_runs_while_another_waits_for_a_file():
    names = re.findall(r"^def call_(\w+)\(", BLOCKING_CALLS, re.MULTILINE)
    check_script(BLOCKING_CALLS, *names, expect="done", timeout=60)


# --- better than threads ----------------------------------------------------------------------


def test_many_readers_of_every_method_lose_nothing():
    # With threads readline() may drop what another reader left in the buffer.
    check_script(
        """
        import coev.monkey
        import os, threading, time

        reader, writer = os.pipe()
        got = []

        def read(file, method):
            for _ in range(25):
                if method == "readinto":
                    buffer = bytearray(8)
                    got.append(bytes(buffer[: file.readinto(buffer)]))
                elif method in ("next", "readline"):
                    got.append(next(file) if method == "next" else file.readline())
                else:
                    got.append(getattr(file, method)(8))

        class Loud(type(os.fdopen(os.dup(reader), "rb"))):
            pass

        methods = ["read", "readline", "readinto", "next"]
        for file in (os.fdopen(reader, "rb"), Loud(open(os.dup(reader), "rb", 0))):
            got.clear()
            threads = [
                threading.Thread(target=read, args=(file, method))
                for method in methods for _ in range(4)
            ]
            for thread in threads:
                thread.start()
            for number in range(400):
                os.write(writer, b"%07d\\n" % number)
                if number % 10 == 0:
                    time.sleep(0.0005)
            for thread in threads:
                thread.join()
            print(sorted(b"".join(got).split()) == [b"%07d" % n for n in range(400)])
        """,
        expect="True\nTrue",
    )


def test_readers_take_turns_in_the_order_they_came():
    check_script(
        """
        import coev.monkey
        import os, threading, time

        reader, writer = os.pipe()
        file = os.fdopen(reader, "rb")
        order = []

        def read(number):
            for _ in range(3):
                file.readline()
                order.append(number)

        threads = [threading.Thread(target=read, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(12):
            time.sleep(0.001)
            os.write(writer, b"x\\n")
        for thread in threads:
            thread.join()
        print(order == [0, 1, 2, 3] * 3 or order)
        """,
        expect="True",
    )


def test_a_thread_of_the_operating_system_and_coroutines_share_a_file():
    check_script(
        """
        import threading, queue

        tasks, started = queue.SimpleQueue(), threading.Event()
        lines = []

        def work():
            started.set()
            while (task := tasks.get()) is not None:
                task()

        native = threading.Thread(target=work)
        native.start()
        started.wait()
        import warnings
        warnings.simplefilter("ignore")
        import coev.monkey
        import os, time

        reader, writer = os.pipe()
        file = os.fdopen(reader, "rb")

        def read():
            for _ in range(50):
                lines.append(file.readline())

        time.sleep(0.05)
        tasks.put(read)
        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(200):
            os.write(writer, b"%d\\n" % number)
            if number % 10 == 0:
                time.sleep(0.001)
        for thread in threads:
            thread.join()
        tasks.put(None)
        native.join()
        print(sorted(map(int, lines)) == list(range(200)))
        """,
        expect="True",
    )


# --- the end of a wait ------------------------------------------------------------------------


def test_kills_and_timeouts_leave_nothing_behind():
    check_script(
        """
        import coev.monkey
        import coev, io, os, threading, time

        reader, writer = os.pipe()
        raw = os.fdopen(reader, "rb", 0, closefd=False)
        buffered = os.fdopen(reader, "rb", closefd=False)
        full = os.pipe()[1]
        os.set_blocking(full, False)
        try:
            while True:
                os.write(full, bytes(4096))
        except BlockingIOError:
            os.set_blocking(full, True)
        calls = {
            "os.read": lambda: os.read(reader, 1),
            "raw": lambda: raw.read(1),
            "readall": raw.readall,
            "buffered": buffered.readline,
            "text": io.TextIOWrapper(buffered).readline,
            "write": lambda: os.write(full, b"x"),
            "large write": lambda: os.write(os.pipe()[1], bytes(10**6)),
            "raw write": lambda: os.fdopen(full, "wb", 0, closefd=False).write(b"x"),
            "eventfd": lambda: os.eventfd_read(os.eventfd(0)),
        }
        for name, call in calls.items():
            try:
                with coev.timeout(0.01):
                    call()
                print(name, "did not time out")
            except TimeoutError as error:
                assert str(error) == "timed out", error
            killed = coev.spawn(call)
            waiting = coev.spawn(call)
            coev.sleep(0.005)
            waiting.kill()
            killed.kill()
            for coroutine in (waiting, killed):
                try:
                    coroutine.join()
                except BaseException as error:
                    assert type(error).__name__ in ("CoroutineExit", "TaskError"), repr(error)
        os.write(writer, b"line\\n")
        print(buffered.readline(), coev.stats()["timers"])
        """,
        expect="b'line\\n' 0",
    )


def test_a_flush_that_is_killed_writes_nothing_twice():
    check_script(
        """
        import coev.monkey
        import coev, os, threading

        reader, writer = os.pipe()
        data = b"".join(b"%06d\\n" % number for number in range(60_000))
        for end in ("timeout", "kill"):
            file = os.fdopen(os.dup(writer), "wb", buffering=10**6)
            file.write(data)
            if end == "timeout":
                try:
                    with coev.timeout(0.01):
                        file.flush()
                    print("did not time out")
                except TimeoutError:
                    pass
            else:
                coroutine = coev.spawn(file.flush)
                coev.sleep(0.01)
                coroutine.kill()
                coev.sleep(0.01)
            got = []

            def collect():
                while sum(map(len, got)) < len(data):
                    got.append(os.read(reader, 10**5))

            thread = threading.Thread(target=collect)
            thread.start()
            file.close()
            thread.join()
            print(b"".join(got) == data)
        """,
        expect="True\nTrue",
    )


@pytest.mark.parametrize(
    ("make", "wait", "close"),
    [
        ("keep()[0]", "os.read(fd, 1)", "os.close(fd)"),
        ("keep()[0]", "os.read(fd, 1)", "os.dup2(os.open('/dev/null', os.O_RDONLY), fd)"),
        ("open(keep()[0], 'rb', 0)", "fd.read(1)", "fd.close()"),
        ("open(keep()[0], 'rb', 0)", "fd.read(1)", "os.close(fd.fileno())"),
        ("keep()[1]", "os.write(fd, bytes(10**6)); os.write(fd, b'x')", "os.close(fd)"),
    ],
)
def test_a_wait_ends_when_the_descriptor_is_closed(make, wait, close):
    check_script(
        f"""
        import coev.monkey
        import os, threading, warnings
        pipes = []
        def keep():
            pipes.append(os.pipe())
            return pipes[-1]
        fd = {make}
        threading.Timer(0.03, lambda: {close}).start()
        try:
            {wait}
        except OSError as error:
            print(error.errno == 9, flush=True)
        os._exit(0)  # a file whose descriptor is closed complains
        """,
        expect="True",
    )


# --- fork and exit ----------------------------------------------------------------------------


def test_a_child_forked_while_others_use_files():
    check_script(
        """
        import coev.monkey
        import os, threading, time

        reader, writer = os.pipe()
        used = os.fdopen(reader, "rb")
        other = os.fdopen(os.dup(writer), "wb")
        thread = threading.Thread(target=used.readline, daemon=True)
        waiter = threading.Thread(target=used.readline, daemon=True)
        thread.start()
        waiter.start()
        time.sleep(0.01)
        pid = os.fork()
        if pid == 0:
            try:
                used.readline()
            except RuntimeError as error:  # a thread would wait for ever
                os._exit(7 if "reentrant" in str(error) else 1)
            os._exit(2)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        pid = os.fork()
        if pid == 0:
            other.write(b"from the child\\n")
            other.flush()
            mine = os.fdopen(os.dup(os.pipe()[0]), "rb")
            threads = [threading.Thread(target=lambda: print(end="")) for _ in range(3)]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
            os._exit(8)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        os.write(writer, b"and from the parent\\n")
        thread.join()
        waiter.join()
        print("done")
        """,
        expect="7\n8\ndone",
    )


def test_what_was_printed_is_flushed_at_exit():
    check_script(
        """
        import coev.monkey
        import os, sys, threading, time

        threading.Thread(target=os.read, args=(os.pipe()[0], 1), daemon=True).start()
        threading.Thread(target=os.fdopen(os.pipe()[0]).read, daemon=True).start()
        time.sleep(0.01)
        sys.stdout.write("x" * 300_000)
        """,
        expect="x" * 300_000,
    )


# --- terminals --------------------------------------------------------------------------------

ASK = """
import sys
{before}
import coev.monkey
import coev, threading, time

ticks = 0

def tick():
    global ticks
    while True:
        time.sleep(0.01)
        ticks += 1

threading.Thread(target=tick, daemon=True).start()
answer = input("first> ")
print("got", repr(answer), ticks >= 5)
ticks = 0
line = sys.stdin.readline()
print("got", repr(line), ticks >= 5)
answers = []
threads = [threading.Thread(target=lambda n=n: answers.append(input(f"{{n}}> "))) for n in (1, 2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("got", answers)
try:
    input("interrupt> ")
except KeyboardInterrupt:
    print("got interrupt")
try:
    with coev.timeout(0.05):
        input("timeout> ")
except TimeoutError:
    print("got timeout")
try:
    input("end> ")
except EOFError:
    print("got end")
if "readline" in sys.modules:
    import readline
    print([readline.get_history_item(n + 1) for n in range(readline.get_current_history_length())])
print("done")
"""


class Terminal:
    """A Python program with a terminal of its own, and who types at it."""

    def __init__(self, text, *flags):
        self.said = ""
        with warnings.catch_warnings():
            # Other tests may have left OS threads; the child does nothing before it is another.
            warnings.filterwarnings("ignore", ".*is multi-threaded", DeprecationWarning)
            self.pid, self.fd = pty.fork()
        if self.pid == 0:
            environment = dict(os.environ, PYTHONPATH=str(ROOT), TERM="dumb", INPUTRC="/dev/null")
            command = [sys.executable, *flags, "-c", textwrap.dedent(text)]
            os.execve(sys.executable, command, environment)

    def wait_for(self, text, seconds=20):
        deadline = time.monotonic() + seconds
        while text not in self.said:
            ready = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0]
            assert ready, f"no {text!r} in {self.said!r}"
            try:
                self.said += os.read(self.fd, 10_000).decode().replace("\r", "")
            except OSError:  # the program has ended
                assert text in self.said, self.said
        before, self.said = self.said.split(text, 1)
        return before

    def type(self, text):
        time.sleep(0.1)
        os.write(self.fd, text.encode())

    def end(self):
        self.wait_for("done")
        assert os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]) == 0
        os.close(self.fd)


@pytest.mark.realtime
@pytest.mark.parametrize("before", ["", "import readline"])
def test_input_from_a_terminal_lets_others_run(before):
    if before:
        pytest.importorskip("readline")
    terminal = Terminal(ASK.format(before=before))
    terminal.wait_for("first> ")
    terminal.type("hello\n")
    terminal.wait_for("got 'hello' True")
    terminal.type("line\n")
    terminal.wait_for("got 'line\\n' True")
    terminal.wait_for("1> ")
    terminal.type("a\n")
    terminal.wait_for("2> ")
    terminal.type("b\n")
    terminal.wait_for("got ['a', 'b']")
    terminal.wait_for("interrupt> ")
    terminal.type("\x03")
    terminal.wait_for("got interrupt")
    terminal.wait_for("got timeout")
    terminal.wait_for("end> ")
    terminal.type("\x04")
    terminal.wait_for("got end")
    if before:
        terminal.wait_for("['hello', 'a', 'b']")
    terminal.end()


def test_readline_edits_completes_and_remembers():
    readline = pytest.importorskip("readline")
    if "libedit" in (readline.__doc__ or ""):
        pytest.skip("libedit")
    terminal = Terminal(
        """
        import readline
        import coev.monkey
        readline.set_auto_history(False)
        readline.set_completer(lambda text, state: [text + "pleted"][state] if state < 1 else None)
        readline.parse_and_bind("tab: complete")
        print("got", repr(input("> ")))
        print("got", repr(input("> ")), readline.get_current_history_length())
        readline.set_startup_hook(lambda: readline.insert_text("hooked"))
        print("got", repr(input("> ")))
        print("done")
        """
    )
    terminal.wait_for("> ")
    terminal.type("ab\x02X\n")  # Ctrl-B: one back
    terminal.wait_for("got 'aXb'")
    terminal.wait_for("> ")
    terminal.type("com\t\n")
    terminal.wait_for("got 'completed' 0")
    terminal.wait_for("> ")
    terminal.type("\n")
    terminal.wait_for("got 'hooked'")
    terminal.end()


@pytest.mark.realtime
def test_the_interactive_interpreter_lets_others_run():
    terminal = Terminal(
        """
        import coev.monkey, threading, time
        ticks = 0
        def tick():
            global ticks
            while True:
                time.sleep(0.01)
                ticks += 1
        threading.Thread(target=tick, daemon=True).start()
        """,
        "-q",
        "-i",
    )
    terminal.wait_for(">>> ")
    time.sleep(0.3)
    terminal.type("print('got', ticks > 10, end=';')\r")
    terminal.wait_for("got True;")
    terminal.type("import os; print('do' 'ne', flush=True); os._exit(0)\r")
    terminal.end()


# --- identity -----------------------------------------------------------------------------------


def test_functions_keep_their_hashes_and_what_was_made_from_them():
    check_script(
        """
        import functools, io, os, socket, time
        made = {os.open: 1, os.read: 2, time.sleep: 3}
        known = frozenset([os.write, io.FileIO.read, len])
        hashes = [hash(f) for f in (os.read, os.write, time.sleep, len)]
        cached = functools.lru_cache(lambda function: object())
        before = cached(os.read)
        read = os.read
        import coev.monkey
        print([hash(f) for f in (os.read, os.write, time.sleep, len)] == hashes)
        print(made[os.open], made[os.read], made[time.sleep], os.write in known, len in known)
        print(cached(os.read) is before, read is os.read, os.open in os.supports_dir_fd)
        print({os.read: 1}[read], os.read == read, os.read != os.write)
        """,
        expect="True\n1 2 3 True True\nTrue True True\n1 True True",
    )
