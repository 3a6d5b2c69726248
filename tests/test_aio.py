"""coev.aio: coroutines wait for awaitables, async functions for coroutines."""

import pytest
from run_script import STRESS_SECONDS, check_script

SETUP = """
import asyncio, contextvars, os, random, sys, threading, time
if "patched" in sys.argv:
    import coev.monkey
import coev
from coev import aio

async def double(x, seconds=0.001):
    await asyncio.sleep(seconds)
    return 2 * x

async def fail(error, seconds=0.001):
    await asyncio.sleep(seconds)
    raise error

def outcome(function, *args, **kwargs):
    try:
        return function(*args, **kwargs)
    except BaseException as error:
        return error

def background_loop():
    return aio._loops[coev.main()]

def loop_in_a_coroutine():
    started = coev.Event()
    def run():
        with asyncio.Runner() as runner:
            box.append(runner.get_loop())
            box[0].call_soon(started.set)
            box[0].run_forever()
    box = []
    coroutine = coev.spawn(run)
    started.wait()
    return box[0], coroutine

def end(loop, coroutine):
    loop.call_soon_threadsafe(loop.stop)
    coroutine.join()
"""


@pytest.fixture(params=["patched", "plain"])
def check(request):
    """Run a script with threads as coroutines, or with coev alone; nobody is left behind."""

    def run(text, *args, expect="done", **options):
        script = SETUP + text + '\nprint("done")' * (expect == "done")
        check_script(script, request.param, *args, expect=expect, **options)

    return run


# --- wait() -----------------------------------------------------------------------------------


def test_a_result_comes_back(check):
    check("""
assert aio.wait(double(4)) == 8
assert coev.spawn(aio.wait, double(5)).result() == 10
""")


def test_any_awaitable_can_be_waited_for(check):
    check("""
class Awaitable:
    def __await__(self):
        return double(3).__await__()

assert aio.wait(Awaitable()) == 6
loop, coroutine = loop_in_a_coroutine()
async def make(): return loop.create_task(double(7)), loop.create_future()
task, future = aio.wait(make(), loop=loop)
assert aio.wait(task) == 14
assert aio.wait(task) == 14
coev.spawn(loop.call_soon_threadsafe, future.set_result, "x")
assert aio.wait(future) == "x"
end(loop, coroutine)
""")


def test_an_exception_comes_back(check):
    check("""
error = LookupError("x")
assert outcome(aio.wait, fail(error)) is error
for error in (StopAsyncIteration(), KeyboardInterrupt(), SystemExit(3), GeneratorExit()):
    assert outcome(aio.wait, fail(error)) is error, error
    assert aio.wait(double(1)) == 2  # the loop goes on
""")


def test_what_is_no_awaitable_is_refused(check):
    check("""
for wrong in (None, 3, double, lambda: 0):
    assert isinstance(outcome(aio.wait, wrong), TypeError)
for wrong in ("1", b"", float("nan")):
    coroutine = double(1)
    assert isinstance(outcome(aio.wait, coroutine, wrong), (TypeError, ValueError))
    coroutine.close()
""")


def test_on_the_loops_own_coroutine_it_is_refused(check):
    check("""
async def main():
    awaitable = double(1)
    error = outcome(aio.wait, awaitable)
    assert isinstance(error, RuntimeError) and "dead-lock" in str(error), error
    assert await awaitable == 2
asyncio.run(main())
coev.spawn(asyncio.run, main()).result()
aio.wait(main())
""")


def test_a_loop_that_cannot_serve_is_refused(check):
    check("""
loop = asyncio.new_event_loop()
for _ in range(2):
    awaitable = double(1)
    error = outcome(aio.wait, awaitable, loop=loop)
    assert isinstance(error, RuntimeError) and "not running" in str(error), error
    awaitable.close()
    loop.close()
other, coroutine = loop_in_a_coroutine()
async def make(): return asyncio.get_running_loop().create_future()
future = aio.wait(make())
error = outcome(aio.wait, future, loop=other)
assert isinstance(error, ValueError), error
end(other, coroutine)
""")


def test_a_loop_closed_meanwhile_ends_the_wait(check):
    check("""
aio._LOOK_SECONDS = 0.01
loop = asyncio.new_event_loop()
def run():
    loop.call_later(0.03, loop.stop)
    loop.run_forever()
    loop.close()
coroutine = coev.spawn(run)
coev.sleep(0.01)
future = loop.create_future()
error = outcome(aio.wait, future)
assert isinstance(error, RuntimeError) and "closed" in str(error), error
coroutine.join()
""")


def test_a_timeout_cancels_the_task_and_waits_for_its_end(check):
    check("""
said = []
async def clean_up():
    try:
        await asyncio.sleep(100)
    finally:
        await asyncio.sleep(0.01)
        said.append("cleaned up")

error = outcome(aio.wait, clean_up(), timeout=0.01)
assert isinstance(error, TimeoutError) and said == ["cleaned up"], (error, said)
try:
    with coev.timeout(0.01) as scope:
        aio.wait(clean_up())
except TimeoutError as error:
    assert error.scope is scope
assert len(said) == 2
assert not asyncio.all_tasks(background_loop())
""")


def test_a_kill_cancels_the_task(check):
    check("""
said = []
async def clean_up():
    try:
        await asyncio.sleep(100)
    except asyncio.CancelledError:
        said.append("cancelled")
        raise

coroutine = coev.spawn(aio.wait, clean_up())
coev.sleep(0.01)
coroutine.kill()
assert isinstance(coroutine.exception(), coev.CoroutineExit) and said == ["cancelled"]
coroutine = coev.spawn(aio.wait, clean_up())
coev.sleep(0.01)
coroutine.throw(LookupError)
assert isinstance(coroutine.exception(), LookupError) and len(said) == 2
""")


def test_a_task_cancelled_by_somebody_else_says_so(check):
    check("""
loop, coroutine = loop_in_a_coroutine()
async def make(): return loop.create_task(double(1, 100))
task = aio.wait(make(), loop=loop)
coev.spawn(loop.call_soon_threadsafe, task.cancel)
assert isinstance(outcome(aio.wait, task), asyncio.CancelledError)
end(loop, coroutine)
""")


def test_a_result_that_came_in_spite_of_a_kill_is_not_lost(check):
    check("""
async def stubborn(outcome):
    try:
        await asyncio.sleep(100)
    except asyncio.CancelledError:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

for value in ("kept", ValueError("kept")):
    seen = []
    def run():
        seen.append(outcome(aio.wait, stubborn(value)))
        seen.append(outcome(coev.sleep, 100))
    coroutine = coev.spawn(run)
    coev.sleep(0.01)
    coroutine.kill()
    coroutine.join()
    assert seen[0] is value and isinstance(seen[1], coev.CoroutineExit), seen

assert aio.wait(stubborn("late"), timeout=0.01) == "late"
coev.sleep(0.001)  # its own timeout does not strike later
""")


def test_every_interruption_cancels_the_task_and_none_is_lost(check):
    check("""
async def stubborn():
    for _ in range(2):
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            said.append("cancelled")
    await asyncio.sleep(100)
said = []
def run():
    for wait in (lambda: aio.wait(stubborn()), lambda: coev.sleep(100), lambda: coev.sleep(100)):
        said.append(repr(outcome(wait)))
coroutine = coev.spawn(run)
for error in (LookupError(1), coev.CoroutineExit(), LookupError(3)):
    coev.sleep(0.01)
    coroutine.throw(error)
coroutine.join()
assert said == ["cancelled"] * 2 + ["LookupError(1)", "CoroutineExit()", "LookupError(3)"], said
""")


def test_the_context_is_carried_to_the_task(check):
    check("""
variable = contextvars.ContextVar("variable")
async def read():
    value = variable.get()
    variable.set("changed")
    return value
def run(i):
    variable.set(i)
    return aio.wait(read()), variable.get()
for i, coroutine in enumerate([coev.spawn(run, i) for i in range(5)]):
    assert coroutine.result() == (i, i)
""")


def test_loops_serve_coroutines_side_by_side(check):
    check("""
loops = [loop_in_a_coroutine() for _ in range(4)]
async def where(): return asyncio.get_running_loop()
for loop, _ in loops:
    assert aio.wait(where(), loop=loop) is loop
start = time.monotonic()
waiting = [coev.spawn(aio.wait, double(i, 0.05), loop=loops[i % 4][0]) for i in range(100)]
assert sum(each.result() for each in waiting) == 9900
assert time.monotonic() - start < 2
for each in loops:
    end(*each)
""")


def test_a_loop_of_another_os_thread_serves():
    text = """
loop = asyncio.new_event_loop()
thread = threading.Thread(target=loop.run_forever)
thread.start()
async def where(): return threading.get_native_id()
while not loop.is_running():
    coev.sleep(0.001)
assert aio.wait(where(), loop=loop) == thread.native_id
assert isinstance(outcome(aio.wait, double(1, 100), 0.01, loop), TimeoutError)
loop.call_soon_threadsafe(loop.stop)
thread.join()
loop.close()

def other():
    said.append(aio.wait(double(1)))
    said.append(background_loop() is not mine)
said = []
aio.wait(double(1))
mine = background_loop()
thread = threading.Thread(target=other)
thread.start()
thread.join()
assert said == [2, True], said
print("done")
"""
    check_script(SETUP + text, "plain", expect="done")


# --- run() ------------------------------------------------------------------------------------


def test_an_async_function_awaits_a_coroutine(check):
    check("""
def add(a, *, b):
    coev.sleep(0.01)
    return a + b, coev.current()
async def main():
    total, coroutine = await aio.run(add, 1, b=2)
    assert total == 3 and coroutine is not coev.current()
    start = time.monotonic()
    assert [x for x, _ in await asyncio.gather(*(aio.run(add, i, b=0) for i in range(50)))] == \\
        list(range(50))
    assert time.monotonic() - start < 2
asyncio.run(main())
aio.wait(main())
""")


def test_the_loop_goes_on_while_the_coroutine_waits(check):
    check("""
ticks = []
async def tick():
    while True:
        await asyncio.sleep(0.005)
        ticks.append(1)
async def main():
    ticker = asyncio.create_task(tick())
    await aio.run(coev.sleep, 0.1)
    ticker.cancel()
asyncio.run(main())
assert len(ticks) > 8, ticks
""")


def test_errors_of_the_coroutine_come_out_of_the_await(check):
    check("""
def fail(error):
    coev.sleep(0)
    raise error
async def main():
    for error in (LookupError("x"), StopAsyncIteration(), GeneratorExit()):
        try:
            await aio.run(fail, error)
        except BaseException as seen:
            assert seen is error or isinstance(seen, RuntimeError), seen
    try:
        await aio.run(fail, StopIteration(1))
    except RuntimeError as seen:
        assert isinstance(seen.__cause__, StopIteration)
asyncio.run(main())
for error in (KeyboardInterrupt(), SystemExit(4)):
    async def main():
        await aio.run(fail, error)
    assert type(outcome(asyncio.run, main())) is type(error)
""")


def test_cancelling_the_task_kills_the_coroutine_and_waits_for_its_end(check):
    check("""
said = []
def clean_up():
    try:
        coev.sleep(100)
    finally:
        coev.sleep(0.01)
        said.append("cleaned up")
async def main():
    for seconds in (0, 0.01):
        task = asyncio.create_task(aio.run(clean_up))
        await asyncio.sleep(seconds)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            said.append("cancelled")
    try:
        async with asyncio.timeout(0.01):
            await aio.run(clean_up)
    except TimeoutError:
        said.append("timed out")
asyncio.run(main())
assert said == ["cleaned up", "cancelled"] * 2 + ["cleaned up", "timed out"], said
assert coev.stats()["alive"] == 0
""")


def test_a_killed_coroutine_cancels_the_await(check):
    check("""
def run():
    box.append(coev.current())
    coev.sleep(100)
box = []
async def main():
    task = asyncio.create_task(aio.run(run))
    await asyncio.sleep(0.01)
    box[0].kill()
    try:
        await task
    except asyncio.CancelledError as error:
        assert "killed" in str(error)
    else:
        raise SystemExit("not cancelled")
asyncio.run(main())
""")


def test_a_result_that_came_in_spite_of_a_cancel_is_not_lost(check):
    check("""
def stubborn():
    try:
        coev.sleep(100)
    except coev.CoroutineExit:
        return "kept"
seen = []
async def body():
    seen.append(await aio.run(stubborn))
    await asyncio.sleep(100)
async def main():
    task = asyncio.create_task(body())
    await asyncio.sleep(0.01)
    task.cancel("told once")
    try:
        await task
    except asyncio.CancelledError as error:
        seen.append(str(error))
    # A timeout that has been dealt with does not strike later.
    async with asyncio.timeout(0.01) as scope:
        seen.append(await aio.run(stubborn))
    await asyncio.sleep(0.01)
    seen.append(scope.expired())
asyncio.run(main())
assert seen == ["kept", "told once", "kept", True], seen
""")


def test_the_context_is_carried_to_the_coroutine(check):
    check("""
variable = contextvars.ContextVar("variable", default=0)
def read():
    coev.sleep(0)
    value = variable.get()
    variable.set("changed")
    return value
async def main():
    variable.set(7)
    assert await aio.run(read) == 7 and variable.get() == 7
asyncio.run(main())
""")


def test_the_two_may_be_nested_to_any_depth(check):
    check("""
loops = set()
async def down(depth):
    loops.add(asyncio.get_running_loop())
    return await aio.run(under, depth) if depth else "bottom"
def under(depth):
    return aio.wait(down(depth - 1))
assert asyncio.run(down(10)) == "bottom"
assert len(loops) == 1  # the one that awaits, not another one
assert under(10) == "bottom"
assert len(loops) == 2
""")


def test_an_await_closed_in_the_middle_kills_its_coroutine(check):
    check("""
def run():
    box.append(coev.current())
    coev.sleep(100)
box = []
async def main():
    awaiting = aio.run(run)
    awaiting.send(None)
    await asyncio.sleep(0.01)
    awaiting.close()
    await asyncio.sleep(0.01)
    assert box[0].done
asyncio.run(main())
""")


# --- fork and exit ----------------------------------------------------------------------------


def test_a_child_has_a_loop_of_its_own(check):
    check("""
waiting = coev.spawn(aio.wait, double(1, 0.05))
assert aio.wait(double(2)) == 4
pid = os.fork()
if pid == 0:
    coev.spawn(aio.wait, double(1)).join()
    os._exit(aio.wait(double(21)))
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 42
assert waiting.result() == 2
""")


def test_a_fork_in_a_task_leaves_the_child_a_loop(check):
    check("""
async def fork():
    pid = os.fork()
    if pid == 0:
        box = []
        coroutine = coev.spawn(lambda: box.append(aio.wait(double(21))))
        coroutine.join()
        os._exit(box[0])
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
assert aio.wait(fork()) == 42
assert aio.wait(double(1)) == 2
""")


def test_the_interpreter_ends_with_everything_cleaned_up(check):
    check(
        """
async def clean_up():
    try:
        await asyncio.sleep(100)
    finally:
        await asyncio.sleep(0.01)
        print("cleaned up")
async def left():
    asyncio.create_task(clean_up())
async def generate():
    try:
        yield 1
        yield 2
    finally:
        print("generator closed")
async def begin():
    global generator
    generator = generate()
    await anext(generator)
aio.wait(begin())
aio.wait(left())
coev.spawn(aio.wait, clean_up())
coev.sleep(0.01)
""",
        expect="cleaned up\ncleaned up\ngenerator closed",
    )


def test_waiting_at_the_very_end_is_refused(check):
    check(
        """
import atexit, coev._coev
class Last:
    def __del__(self):
        awaitable = double(1)
        print(type(outcome(aio.wait, awaitable)).__name__)
        awaitable.close()
last = Last()
""",
        expect="RuntimeError",
    )


# --- stress -----------------------------------------------------------------------------------


def test_nothing_is_lost_under_random_kills_and_timeouts(check):
    check(
        """
random.seed(7)
stop = time.monotonic() + float(sys.argv[2])
items = coev.Queue()
taken, put = [], 0
loop, coroutine = loop_in_a_coroutine()

async def take_async(depth):
    # What the coroutine has taken must come out, whoever is cancelled or killed.
    item = await aio.run(take, depth - 1) if depth else await aio.run(items.get)
    return item

def take(depth):
    return aio.wait(take_async(depth), loop=random.choice([None, loop]))

def worker():
    while True:
        try:
            if random.random() < 0.5:
                with coev.timeout(random.random() / 100):
                    taken.append(take(random.randrange(3)))
            else:
                taken.append(aio.wait(take_async(random.randrange(3)), random.random() / 100))
        except TimeoutError:
            pass
        except coev.CoroutineExit:
            return

workers = [coev.spawn(worker) for _ in range(8)]
while time.monotonic() < stop:
    items.put(put)
    put += 1
    coev.sleep(random.choice([0, 0, 0.001, 0.003]))
    if random.random() < 0.1:
        i = random.randrange(8)
        workers[i].kill()
        workers[i].join(10)
        workers[i] = coev.spawn(worker)
for each in workers:
    each.kill()
    each.join(10)
left = []
while not items.empty():
    left.append(items.get())
assert sorted(taken + left) == list(range(put)), (put, len(taken), len(left))
assert put > 20 and taken
end(loop, coroutine)
assert not asyncio.all_tasks(background_loop())
""",
        STRESS_SECONDS,
        timeout=60 + 2 * STRESS_SECONDS,
    )
