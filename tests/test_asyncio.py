"""asyncio, as it comes with Python: in many threads that are coroutines, and beside them."""

import trustme
from run_script import check_script

SETUP = """
import coev.monkey
import asyncio, contextvars, os, signal, socket, sys, threading, time

from support_ticker import Ticker
gaps = Ticker().gaps

def in_threads(count, function, *args):
    results = {}
    def run(i):
        results[i] = function(*args)
    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return [results[i] for i in range(count)]

def end(most=0.05):
    assert not gaps or max(gaps) < most, f"the others stood still for {max(gaps)} s"
    print("done")
"""


def check(text, *args, **options):
    check_script(SETUP + text + "\nend()", *args, expect="done", **options)


def test_each_thread_has_a_running_loop_of_its_own():
    check("""
async def main():
    loop = asyncio.get_running_loop()
    for _ in range(10):
        await asyncio.sleep(0.001)
        assert asyncio.get_running_loop() is loop
        assert asyncio.current_task().get_loop() is loop
        assert asyncio.all_tasks() == {asyncio.current_task()}
    return loop

start = time.monotonic()
loops = in_threads(50, lambda: asyncio.run(main()))
assert len(set(map(id, loops))) == 50 and time.monotonic() - start < 3
try:
    asyncio.get_running_loop()
except RuntimeError:
    pass
""")


def test_loops_wait_at_the_same_time():
    check("""
async def main():
    await asyncio.gather(*(asyncio.sleep(0.1) for _ in range(10)))

start = time.monotonic()
in_threads(100, lambda: asyncio.run(main()))
assert 0.1 <= time.monotonic() - start < 2
""")


def test_a_loop_that_is_never_idle_lets_others_run():
    check("""
async def main():
    stop = time.monotonic() + 0.2
    while time.monotonic() < stop:
        await asyncio.sleep(0)

asyncio.run(main())
in_threads(3, lambda: asyncio.run(main()))
assert len(gaps) > 10
""")


def test_executors_run_blocking_calls_in_other_coroutines():
    check("""
variable = contextvars.ContextVar("variable")

def block(seconds):
    time.sleep(seconds)
    return threading.get_ident()

async def main():
    loop = asyncio.get_running_loop()
    variable.set("x")
    start = time.monotonic()
    idents = await asyncio.gather(
        loop.run_in_executor(None, block, 0.05),
        asyncio.to_thread(block, 0.05),
        asyncio.to_thread(block, 0.05),
    )
    assert time.monotonic() - start < 1
    assert len({*idents, threading.get_ident()}) == 4
    assert await asyncio.to_thread(variable.get) == "x"
    infos = await loop.getaddrinfo("127.0.0.1", 80)
    assert infos[0][4] == ("127.0.0.1", 80)

asyncio.run(main())
in_threads(10, lambda: asyncio.run(main()))
""")


def test_another_thread_can_call_into_a_loop():
    check("""
async def double(x):
    await asyncio.sleep(0.001)
    return 2 * x

async def main():
    loop = asyncio.get_running_loop()
    stop = loop.create_future()
    def other():
        for i in range(50):
            assert asyncio.run_coroutine_threadsafe(double(i), loop).result(5) == 2 * i
        loop.call_soon_threadsafe(stop.set_result, "stopped")
    thread = threading.Thread(target=other)
    thread.start()
    assert await stop == "stopped"
    thread.join()

asyncio.run(main())
in_threads(5, lambda: asyncio.run(main()))
""")


def test_streams_connect_loops_and_threads():
    check("""
def serve(listener):
    # A server of threads and blocking sockets.
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=echo, args=(connection,), daemon=True).start()

def echo(connection):
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)

async def talk(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for size in (1, 1000, 1_000_000):
        writer.write(bytes(size))
        await writer.drain()
        assert len(await reader.readexactly(size)) == size
    writer.close()
    await writer.wait_closed()

listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=serve, args=(listener,), daemon=True).start()
port = listener.getsockname()[1]
in_threads(10, lambda: asyncio.run(talk(port)))

# The other way round: a server of asyncio, clients that block.
async def handle(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()

async def main():
    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        address = server.sockets[0].getsockname()
        def client():
            with socket.create_connection(address) as sock:
                for i in range(20):
                    sock.sendall(b"%d" % i)
                    assert sock.recv(100) == b"%d" % i
        await asyncio.gather(*(asyncio.to_thread(client) for _ in range(5)))

asyncio.run(main())
""")


def test_tls_connects_loops_and_threads(tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    server = authority.issue_cert("localhost")
    server.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    check(
        """
import ssl
folder = sys.argv[1]
server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server_context.load_cert_chain(folder + "/server.pem")
client_context = ssl.create_default_context(cafile=folder + "/authority.pem")

async def handle(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()

async def talk(port):
    reader, writer = await asyncio.open_connection("localhost", port, ssl=client_context)
    writer.write(bytes(100_000))
    assert len(await reader.readexactly(100_000)) == 100_000
    writer.close()
    await writer.wait_closed()

def block(port):
    with socket.create_connection(("localhost", port)) as plain:
        with client_context.wrap_socket(plain, server_hostname="localhost") as sock:
            sock.sendall(b"hello")
            assert sock.recv(100) == b"hello"

async def main():
    arguments = dict(host="localhost", port=0, family=socket.AF_INET, ssl=server_context)
    async with await asyncio.start_server(handle, **arguments) as server:
        port = server.sockets[0].getsockname()[1]
        await asyncio.gather(talk(port), *(asyncio.to_thread(block, port) for _ in range(3)))
        await asyncio.to_thread(in_threads, 3, lambda: asyncio.run(talk(port)))

asyncio.run(main())
del gaps[:]  # handshakes compute
""",
        tmp_path,
    )


def test_subprocesses_are_awaited():
    check("""
async def main():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-Sc", "print(input() * 2)", stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate(b"ab\\n")
    assert out == b"abab\\n" and process.returncode == 0
    process = await asyncio.create_subprocess_shell("exit 3")
    assert await process.wait() == 3
    process = await asyncio.create_subprocess_exec("sleep", "60")
    process.kill()
    assert await process.wait() == -signal.SIGKILL

asyncio.run(main())
in_threads(4, lambda: asyncio.run(main()))
del gaps[:]  # starting a process takes what it takes
""")


def test_signal_handlers_are_for_the_loop_of_the_main_thread():
    check("""
async def main():
    loop = asyncio.get_running_loop()
    stop = loop.create_future()
    try:
        loop.add_signal_handler(signal.SIGUSR1, stop.set_result, "told")
    except (RuntimeError, ValueError):
        return "refused"
    loop.call_later(0.01, os.kill, os.getpid(), signal.SIGUSR1)
    result = await stop
    loop.remove_signal_handler(signal.SIGUSR1)
    return result

assert asyncio.run(main()) == "told"
assert in_threads(2, lambda: asyncio.run(main())) == ["refused"] * 2
assert asyncio.run(main()) == "told"
""")


def test_an_interrupt_from_the_keyboard_cancels_the_main_task():
    check("""
said = []
async def main():
    try:
        await asyncio.sleep(60)
    finally:
        said.append("cleaned up")

signal.signal(signal.SIGINT, signal.default_int_handler)
def interrupt():
    time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGINT)
for waits in (lambda: time.sleep(60), lambda: asyncio.run(main())):
    threading.Thread(target=interrupt).start()
    try:
        waits()
    except KeyboardInterrupt:
        said.append("interrupted")
assert said == ["interrupted", "cleaned up", "interrupted"], said
""")


def test_debug_mode_tells_calls_from_the_wrong_thread():
    check("""
async def main():
    loop = asyncio.get_running_loop()
    assert loop.get_debug()
    loop.call_soon(lambda: None)
    def other():
        try:
            loop.call_soon(lambda: None)
        except RuntimeError as error:
            return str(error)
    assert "Non-thread-safe" in await asyncio.to_thread(other)

asyncio.run(main(), debug=True)
in_threads(3, lambda: asyncio.run(main(), debug=True))
""")


def test_locks_and_queues_of_asyncio_work_in_each_loop():
    check("""
async def main():
    queue, lock, seen = asyncio.Queue(2), asyncio.Lock(), []
    async def produce():
        for i in range(20):
            await queue.put(i)
        await queue.put(None)
    async def consume():
        while (item := await queue.get()) is not None:
            async with lock:
                await asyncio.sleep(0)
                seen.append(item)
    async with asyncio.TaskGroup() as group, asyncio.timeout(5):
        group.create_task(produce())
        group.create_task(consume())
    assert seen == list(range(20))

in_threads(10, lambda: asyncio.run(main()))
""")


def test_a_loop_made_before_the_patch_works_after_it():
    check_script(
        """
import asyncio
loop = asyncio.new_event_loop()
loop.run_until_complete(asyncio.sleep(0))
import coev.monkey
import threading, time
ticks = []
def tick():
    while True:
        time.sleep(0.01)
        ticks.append(1)
threading.Thread(target=tick, daemon=True).start()
loop.run_until_complete(asyncio.sleep(0.1))
thread = threading.Thread(target=loop.run_until_complete, args=(asyncio.sleep(0.1),))
thread.start()
thread.join()
loop.close()
print(len(ticks) > 10)
""",
        expect="True",
    )


def test_a_child_of_a_fork_runs_a_loop_of_its_own():
    check("""
async def main():
    await asyncio.sleep(0.01)
    return await asyncio.to_thread(lambda: 42)

def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(asyncio.run(main()))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

thread = threading.Thread(target=lambda: asyncio.run(asyncio.sleep(0.2)))
thread.start()
assert fork() == 42
assert in_threads(2, fork) == [42, 42]
thread.join()
""")


def test_the_interpreter_ends_while_a_loop_runs_in_a_daemon():
    check_script(
        """
import coev.monkey
import asyncio, threading, time
async def main():
    while True:
        await asyncio.sleep(0.001)
for _ in range(3):
    threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
time.sleep(0.05)
print("done")
""",
        expect="done",
    )


def test_thousands_of_connections_of_one_loop():
    check(
        """
import resource
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4000), hard))

async def handle(reader, writer):
    writer.write(await reader.readline())
    writer.close()

async def main():
    async with await asyncio.start_server(handle, "127.0.0.1", 0, backlog=1000) as server:
        address = server.sockets[0].getsockname()
        async def client(i):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"%d\\n" % i)
            assert await reader.read() == b"%d\\n" % i
            writer.close()
        await asyncio.gather(*(client(i) for i in range(500)))

asyncio.run(main())
del gaps[:]  # a loop that computes that much stands in nobody's way for longer than it must
""",
    )
