"""C libraries that wait by libc wait in the scheduler, once coev has adopted them."""

import textwrap

import pytest
from run_script import check_script
from support_libraries import build

PRELUDE = """
import coev.monkey
import coev, coev.libraries, ctypes, errno, os, signal, socket, threading, time
from support_libraries import Ticker, last, later, load

def timed(function, *arguments):
    began = time.monotonic()
    result = function(*arguments)
    return result, time.monotonic() - began

"""


@pytest.fixture(scope="module")
def waits(tmp_path_factory):
    """Run a script that has the library."""
    path = build(tmp_path_factory.mktemp("waits"))

    def run(text, expect=None, **options):
        script = PRELUDE + textwrap.dedent(text)
        env = {"COEV_TEST_WAITS": str(path)} | options.pop("env", {})
        return check_script(script, expect=expect, env=env, **options)

    return run


TIMED = ["by_poll", "by_ppoll", "by_select", "by_pselect", "by_epoll_wait"]
READING = ["by_recv", "by_recvfrom", "by_recvmsg", "by_read", "by_readv"]
SLEEPING = ["by_nanosleep", "by_clock_nanosleep", "by_usleep"]
WRITING = ["by_send", "by_write", "by_writev", "by_sendmsg"]


@pytest.mark.parametrize("keep_gil", [False, True], ids=["without the GIL", "with the GIL"])
def test_others_run_while_a_library_waits_for_input(waits, keep_gil):
    waits(f"""
        library = load(keep_gil={keep_gil})
        for name in {TIMED + READING}:
            left, right = socket.socketpair()
            arguments = (left.fileno(), 5000) if name in {TIMED} else (left.fileno(),)
            with Ticker() as ticker:
                later(right.send, b"xx")
                result, seconds = timed(getattr(library, name), *arguments)
            assert result == 1, (name, result)
            assert ticker.count > 5, (name, ticker.count)
            assert 0.09 < seconds < 1, (name, seconds)
    """)


def test_input_that_is_there_is_taken_at_once(waits):
    waits(f"""
        library = load()
        for name in {TIMED + READING}:
            left, right = socket.socketpair()
            right.send(b"x")
            arguments = (left.fileno(), -1) if name in {TIMED} else (left.fileno(),)
            switches = coev.stats()["switches"]
            assert getattr(library, name)(*arguments) == 1, name
            assert coev.stats()["switches"] == switches, name
    """)


def test_timeouts_end_in_time_and_zero_only_looks(waits):
    waits(f"""
        library = load()
        left, right = socket.socketpair()
        for name in {TIMED}:
            result, seconds = timed(getattr(library, name), left.fileno(), 60)
            assert result == 0 and 0.059 < seconds < 0.5, (name, result, seconds)
            switches = coev.stats()["switches"]
            assert getattr(library, name)(left.fileno(), 0) == 0
            assert coev.stats()["switches"] == switches, name
    """)


def test_several_descriptors_are_waited_for_at_once(waits):
    waits("""
        library = load()
        left, right = socket.socketpair()
        other, peer = socket.socketpair()
        later(peer.send, b"x")
        assert library.by_poll_of_two(left.fileno(), other.fileno(), 5000) == 2
        right.send(b"x")
        assert library.by_poll_of_two(left.fileno(), other.fileno(), 5000) == 3
        assert library.by_poll_of_two(left.fileno(), left.fileno(), 5000) == 3
    """)


@pytest.mark.parametrize("name", WRITING)
def test_all_bytes_are_sent_while_others_read_them(waits, name):
    waits(f"""
        library = load()
        left, right = socket.socketpair()
        data = os.urandom(3_000_000)
        received = bytearray()
        def read():
            while len(received) < len(data):
                received.extend(right.recv(65536))
                time.sleep(0)
        reader = threading.Thread(target=read)
        reader.start()
        assert library.{name}(left.fileno(), data, len(data)) == len(data)
        reader.join()
        assert received == data
    """)


def test_everything_is_received_that_was_asked_for(waits):
    waits("""
        library = load()
        left, right = socket.socketpair()
        into = ctypes.create_string_buffer(4)
        later(right.send, b"abcd")
        with Ticker() as ticker:
            assert library.by_recv_all(left.fileno(), into, ctypes.c_size_t(4)) == 4
        assert into.raw == b"abcd" and ticker.count > 5
    """)


def test_pipes_are_waited_for_as_sockets_are(waits):
    waits("""
        library = load()
        read_end, write_end = os.pipe()
        with Ticker() as ticker:
            later(os.write, write_end, b"x")
            assert library.by_read(read_end) == 1
        assert ticker.count > 5
        os.close(write_end)
        assert library.by_read(read_end) == 0
    """)


def test_end_of_stream_errors_and_modes_of_the_kernel_are_told(waits):
    waits("""
        library = load()
        left, right = socket.socketpair()
        os.set_blocking(left.fileno(), False)
        assert library.by_recv(left.fileno()) == -errno.EAGAIN
        assert library.by_read(left.fileno()) == -errno.EAGAIN
        os.set_blocking(left.fileno(), True)
        left.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, b"\\0" * 8 + (50_000).to_bytes(8, "little"))
        result, seconds = timed(library.by_recv, left.fileno())
        assert result == -errno.EAGAIN and 0.049 < seconds < 0.5, (result, seconds)
        right.close()
        assert library.by_recv(left.fileno()) == 0
        assert library.by_recv(9999) == -errno.EBADF
        assert library.by_poll(left.fileno(), -1) == 1
    """)


def test_connections_are_made_and_accepted(waits):
    waits("""
        library = load()
        for name in ("by_accept", "by_accept4"):
            server = socket.create_server(("127.0.0.1", 0))
            def connect():
                client = socket.socket()
                address = socket.inet_aton("127.0.0.1")
                raw = (2).to_bytes(2, "little") + server.getsockname()[1].to_bytes(2, "big")
                assert library.by_connect(client.fileno(), raw + address + b"\\0" * 8, 16) == 0
                assert os.get_blocking(client.fileno())
            later(connect)
            with Ticker() as ticker:
                assert getattr(library, name)(server.fileno()) == 1
            assert ticker.count > 5
        server.close()
        client = socket.socket()
        raw = (2).to_bytes(2, "little") + b"\\0\\1" + socket.inet_aton("127.0.0.1") + b"\\0" * 8
        assert library.by_connect(client.fileno(), raw, 16) == -errno.ECONNREFUSED
    """)


def test_sleeps_let_others_run(waits):
    waits(f"""
        library = load()
        for name in {SLEEPING}:
            with Ticker() as ticker:
                result, seconds = timed(getattr(library, name), 60)
            assert result == 0 and 0.059 < seconds < 0.5, (name, result, seconds)
            assert ticker.count > 5, name
        with Ticker() as ticker:
            assert library.by_sleep(1000) == 0
        assert ticker.count > 50
    """)


def test_names_are_looked_up_elsewhere(waits):
    waits("""
        library = load()
        assert library.by_getaddrinfo(b"localhost") == 0
        assert library.by_getaddrinfo(b"127.0.0.1") == 0
        assert library.by_gethostbyname(b"localhost") == 127
        assert library.by_gethostbyname_r(b"localhost") == 127
        threads = [threading.Thread(target=library.by_getaddrinfo, args=(b"localhost",)) for _ in range(50)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert coev.offload_threads() >= 1
    """)


@pytest.mark.parametrize("is_recursive", [0, 1])
def test_mutex_held_over_a_wait_keeps_other_coroutines_out_without_dead_lock(waits, is_recursive):
    waits(f"""
        library = load()
        left, right = socket.socketpair()
        results = []
        def enter():
            results.append(library.within_mutex({is_recursive}, left.fileno(), 20))
        threads = [threading.Thread(target=enter) for _ in range(8)]
        with Ticker() as ticker:
            [t.start() for t in threads]
            [t.join() for t in threads]
        assert results == [1] * 8, results
        assert ticker.count > 10
    """)


@pytest.mark.parametrize("how", ["kill", "throw", "timeout"])
def test_interrupt_ends_the_wait_and_strikes_in_python(waits, how):
    waits(f"""
        library = load()
        left, right = socket.socketpair()
        told = []
        class Stop(Exception):
            pass
        def wait():
            try:
                if {how!r} == "timeout":
                    with coev.timeout(0.05):
                        library.by_poll(left.fileno(), -1)
                        told.append("went on")
                else:
                    library.by_poll(left.fileno(), -1)
                    told.append("went on")
            except BaseException as error:
                told.append(type(error).__name__)
        coroutine = coev.spawn(wait)
        coev.sleep(0.02)
        if {how!r} == "kill":
            coroutine.kill()
        elif {how!r} == "throw":
            coroutine.throw(Stop)
        coroutine.join(5)
        expected = dict(kill="CoroutineExit", throw="Stop", timeout="TimeoutError")[{how!r}]
        assert told == [expected], told
        assert last(library) == -errno.ECANCELED
        # Nothing is left behind: the next wait is an ordinary one.
        assert library.by_poll(left.fileno(), 10) == 0
    """)


def test_interrupt_in_the_middle_of_sending_tells_how_much_was_sent(waits):
    waits("""
        library = load()
        left, right = socket.socketpair()
        def send():
            library.by_send(left.fileno(), bytes(5_000_000), 5_000_000)
            raise AssertionError("went on")
        coroutine = coev.spawn(send)
        coev.sleep(0.05)
        coroutine.kill()
        coroutine.join(5)
        assert 0 < last(library) < 5_000_000
        total = 0
        left.close()
        while data := right.recv(65536):
            total += len(data)
        assert total == last(library), (total, last(library))
    """)


def test_signal_handler_runs_during_the_wait_and_the_wait_goes_on(waits):
    waits("""
        library = load()
        left, right = socket.socketpair()
        handled = []
        signal.signal(signal.SIGUSR1, lambda *_: handled.append(time.monotonic()))
        began = time.monotonic()
        later(os.kill, os.getpid(), signal.SIGUSR1, seconds=0.05)
        later(right.send, b"x", seconds=0.15)
        assert library.by_poll(left.fileno(), 5000) == 1
        assert len(handled) == 1 and handled[0] - began < 0.13
        assert time.monotonic() - began > 0.14
    """)


def test_signal_handler_that_raises_ends_the_wait(waits):
    waits("""
        library = load()
        left, right = socket.socketpair()
        later(os.kill, os.getpid(), signal.SIGINT, seconds=0.05)
        try:
            library.by_poll(left.fileno(), -1)
        except KeyboardInterrupt:
            pass
        else:
            raise AssertionError("went on")
        assert last(library) == -errno.ECANCELED
    """)


def test_exception_of_the_caller_survives_the_wait(waits):
    waits("""
        library = load(keep_gil=True)
        left, right = socket.socketpair()
        class Closing:
            def __del__(self):
                later(right.send, b"x", seconds=0.02)
                assert library.by_poll(left.fileno(), 5000) == 1
        def fail():
            closing = Closing()
            raise ValueError("mine")
        try:
            fail()
        except ValueError as error:
            assert str(error) == "mine"
    """)


def test_threads_that_python_does_not_know_and_children_wait_by_libc(waits):
    waits("""
        library = load()
        left, right = socket.socketpair()
        right.send(b"x")
        assert library.wait_on_foreign_thread(left.fileno()) == 1
        assert library.wait_in_forked_child() == 7
        child = os.fork()
        if child == 0:
            status = 9
            try:
                left, right = socket.socketpair()
                later(right.send, b"x", seconds=0.02)
                with Ticker() as ticker:
                    status = 0 if library.by_poll(left.fileno(), 5000) == 1 else 1
                status += 2 * (ticker.count < 2)
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    """)


def test_native_thread_waits_by_itself(waits):
    waits("""
        import _thread
        library = load()
        left, right = socket.socketpair()
        result = []
        coev.offload(lambda: result.append(library.by_poll(left.fileno(), 50)))
        assert result == [0]
    """)


def test_library_is_released_and_adopted_again(waits):
    waits("""
        library = load()
        [entry] = [item for item in coev.libraries.adopted() if item.name == "libcoevwaits"]
        assert entry.problem is None
        assert {"poll", "recv", "connect", "pthread_mutex_lock"} <= set(entry.functions)
        coev.libraries.release("libcoevwaits")
        assert not [item for item in coev.libraries.adopted() if item.name == "libcoevwaits"]
        with Ticker() as ticker:
            before = ticker.count
            library.by_nanosleep(60)
            assert ticker.count == before  # the OS thread slept
            coev.libraries.adopt("libcoevwaits")
            library.by_nanosleep(60)
            assert ticker.count > before
    """)


def test_library_that_the_environment_names_is_adopted(waits):
    waits(
        """
        library = load(adopt=False)
        assert [item.name for item in coev.libraries.adopted() if "coevwaits" in item.path]
        left, right = socket.socketpair()
        with Ticker() as ticker:
            assert library.by_poll(left.fileno(), 60) == 0
        assert ticker.count > 5
        """,
        env={"COEV_LIBRARIES": "libcoevwaits,-libpq"},
    )


def test_table_can_be_switched_off(waits):
    waits(
        "assert coev.libraries.adopted() == []",
        env={"COEV_LIBRARIES": "off"},
    )


@pytest.mark.parametrize("name", ["libc", "libpython3.11", "_coev", "libev", ""])
def test_what_coev_waits_by_is_refused(waits, name):
    waits(f"""
        try:
            coev.libraries.adopt({name!r})
        except ValueError as error:
            assert "cannot wait in the scheduler" in str(error)
        else:
            raise AssertionError
    """)


def test_adopting_without_monkey_says_what_is_missing():
    check_script("""
        import coev.libraries
        try:
            coev.libraries.adopt("libfoo")
        except RuntimeError as error:
            assert "after import coev.monkey" in str(error)
        else:
            raise AssertionError
    """)
