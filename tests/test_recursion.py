"""Recursion without end: RecursionError as in a thread, never a crash or a neighbour's harm."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from run_script import ROOT, check_script, describe, run_script
from support_recursion import NAMES


def outcomes(kind, names):
    """Run the recursions, again after each crash; a dict of what each did."""
    found = {}
    left = list(names)
    while left:
        done = subprocess.run(
            [sys.executable, Path(__file__).with_name("support_recursion.py"), kind, *left],
            env=dict(os.environ, PYTHONPATH=str(ROOT)),
            capture_output=True,
            text=True,
            timeout=120,
        )
        lines = [line.split() for line in done.stdout.splitlines() if line]
        for name, *outcome in lines:
            found[name] = outcome
        if done.returncode == 0:
            return found
        assert lines, done.stderr
        found[lines[-1][0]] = [signal.Signals(-done.returncode).name]
        left = left[left.index(lines[-1][0]) + 1 :]
    return found


def test_recursion_in_a_coroutine_ends_as_in_a_thread_and_the_slot_is_used_again():
    native = outcomes("native", NAMES)
    ours = outcomes("coroutine", NAMES)
    different = {
        name: (native[name], ours[name])
        for name in NAMES
        if ours[name] != native[name] and ours[name] != ["RecursionError", "nothing"]
    }
    assert not different


def test_recursion_error_leaves_other_coroutines_alone():
    check_script(
        """
        import coev.monkey, threading, time
        def deep():
            return sorted([1], key=lambda _: deep())
        results = []
        def work(number):
            for _ in range(5):
                time.sleep(0)
                try:
                    deep()
                except RecursionError:
                    results.append(number)
        threads = [threading.Thread(target=work, args=(i,)) for i in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(results) == sorted(list(range(10)) * 5)
        print("ok")
        """,
        expect="ok",
    )


def test_switches_in_the_depth_of_a_recursion_keep_each_ones_depth():
    check_script(
        """
        import coev.monkey, coev, threading, time
        def deep(n):
            if n == 0:
                time.sleep(0)
                return 0
            return 1 + next(map(deep, (n - 1,)))
        results = []
        threads = [threading.Thread(target=lambda: results.append(deep(150))) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [150] * 50
        def deep_sleep(n):
            return time.sleep(9) if n == 0 else next(map(deep_sleep, (n - 1,)))
        for _ in range(3):  # killed in the depth: the next user of the slot starts afresh
            coroutine = coev.spawn(deep_sleep, 120)
            time.sleep(0)
            coroutine.kill()
            coroutine.exception()
            assert coev.spawn(deep, 150).result() == 150
        print("ok")
        """,
        expect="ok",
    )


def test_setrecursionlimit_holds_in_coroutines():
    check_script(
        """
        import coev.monkey, sys, threading, time
        def depth(n=1):
            try:
                return depth(n + 1)
            except RecursionError:
                return n
        results = []
        def run():
            time.sleep(0.001)
            results.append(depth())
        def measure():
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
        measure()
        waiting = threading.Thread(target=run)
        waiting.start()
        sys.setrecursionlimit(5000)
        waiting.join()
        measure()
        sys.setrecursionlimit(300)
        measure()
        a, b, c, d = results
        assert 900 < a <= 1000 and 4900 < b <= 5000 and 4900 < c <= 5000 and 200 < d <= 300, results
        print("ok")
        """,
        expect="ok",
    )


def test_stack_size_is_respected():
    check_script(
        """
        import coev.monkey, re, sys, threading
        def mapped_bytes():
            return int(re.search(r"VmSize:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
        assert threading.stack_size() == 0
        assert threading.stack_size(64 * 2**20) == 0
        assert threading.stack_size() == 64 * 2**20
        for bad in [1, 4096, -1]:
            try:
                threading.stack_size(bad)
            except ValueError:
                pass
            else:
                raise AssertionError(bad)
        results = []
        # The parser recurses without counting, here through more than 512 KiB.
        text = "lambda: " * 50 + "1"
        before = mapped_bytes()
        thread = threading.Thread(target=lambda: results.append(callable(eval(text))))
        thread.start()
        thread.join()
        assert results == [True]
        grown = mapped_bytes() - before
        assert grown >= 60 * 2**20, grown
        threading.stack_size(0)
        print("ok")
        """,
        expect="ok",
    )


@pytest.mark.parametrize("kib", [32, 64, 128])
def test_ordinary_code_runs_on_a_small_stack(kib):
    check_script(
        f"""
        import coev.monkey, io, logging, sys, threading
        def depth(n):
            return 0 if n == 0 else 1 + depth(n - 1)
        def ordinary():
            import json, re, sqlite3, ssl, urllib.request
            assert json.dumps(json.loads('{{"a": [1, 2, {{"b": [1]}}]}}'))
            assert re.compile(r"((a|b)*(c|d[ef]+)?\\w{{2,3}})+").match("abcdef")
            logger = logging.Logger("x")
            logger.addHandler(logging.StreamHandler(io.StringIO()))
            try:
                1 / 0
            except ZeroDivisionError:
                logger.exception("logged")
            try:
                urllib.request.urlopen("http://127.0.0.1:1/", timeout=1)
            except OSError:
                pass
            database = sqlite3.connect(":memory:")
            database.execute("create table t(a, b)")
            ssl.create_default_context()
            assert depth(900) == 900
            done.append(1)
        done = []
        threading.stack_size({kib} * 1024)
        assert threading.stack_size({kib} * 1024) == {kib} * 1024
        thread = threading.Thread(target=ordinary)
        thread.start()
        thread.join()
        assert done
        print("ok")
        """,
        expect="ok",
    )


def test_recursion_through_sorting_and_others_together_ends_in_time():
    check_script(
        """
        import coev.monkey, sys, threading
        sys.setrecursionlimit(20000)
        class Deep:
            def __repr__(self):
                return repr([self])
        def sort(n):
            try:
                sorted([1, 2], key=lambda x: sort(n - 1))
            except RecursionError:
                try:
                    repr(Deep())
                except RecursionError:
                    pass
                raise
        ended = []
        def run():
            for _ in range(3):
                try:
                    sort(100000)
                except RecursionError:
                    ended.append(1)
        thread = threading.Thread(target=run)
        if sys.version_info < (3, 12):  # one limit for all
            sys.setrecursionlimit(1000)
        thread.start()
        thread.join()
        assert ended == [1] * 3
        print("ok")
        """,
        expect="ok",
    )


OVERRUN = """
import coev.monkey, coev, ctypes, mmap, sys, time
import resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
# Neighbours on both sides, each deep in its own stack, with something to lose.
def neighbour(number):
    text = str(number) * 100
    time.sleep(0.01)
    return text
neighbours = [coev.spawn(neighbour, i) for i in range(10)]
def overrun():
    time.sleep(0)
    print("before", flush=True)
    # Machine code: push rax; jmp -3, which walks down the stack page by page.
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes([0x50, 0xEB, 0xFD]))
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    ctypes.CFUNCTYPE(None)(address)()
bad = coev.spawn(overrun)
neighbours += [coev.spawn(neighbour, i) for i in range(10, 20)]
# A child that survives on a stack of its own would show what was overwritten.
time.sleep(0.005)
print("after", flush=True)
"""


def test_overrun_of_a_stack_in_c_ends_on_the_guard_page():
    if os.uname().machine != "x86_64":
        pytest.skip("the overrun is x86-64 machine code")
    done = run_script(OVERRUN)
    assert done.returncode == -signal.SIGSEGV, describe(done)
    assert done.stdout == "before\n", describe(done)
    assert "Segmentation fault" in done.stderr  # faulthandler runs on a stack of its own
    assert "in overrun" in done.stderr


def test_uncounted_recursion_ends_on_the_guard_page():
    # A chain of 200,000 iterators: CPython recurses in C without counting.
    done = run_script("""
        import coev.monkey, coev, resource, time
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        chain = iter([1])
        for _ in range(200_000):
            chain = map(abs, chain)
        for _ in range(5):
            coev.spawn(time.sleep, 9)
        def run():
            next(chain)
        coroutine = coev.spawn(run)
        coroutine.join()
        """)
    assert done.returncode == -signal.SIGSEGV, describe(done)


def test_compiling_every_module_of_the_standard_library_fits_a_coroutines_stack():
    check_script(
        """
        import coev.monkey, pathlib, sysconfig, threading, warnings
        warnings.simplefilter("ignore")
        files = sorted(pathlib.Path(sysconfig.get_path("stdlib")).glob("*.py"))
        compiled = []
        def run():
            for file in files:
                compile(file.read_bytes(), str(file), "exec")
                compiled.append(file)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        assert compiled == files and len(files) > 100
        print("ok")
        """,
        expect="ok",
        timeout=60,
    )
