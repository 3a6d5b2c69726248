"""Subinterpreters: code that runs in one suspends only the coroutine."""

import pytest
from run_script import check_script

HEAD = """
    import coev.monkey
    import os, sys, threading, time
    try:
        import _interpreters
    except ImportError:
        import _xxsubinterpreters as _interpreters
"""


def test_code_that_blocks_in_a_subinterpreter_suspends_only_its_coroutine():
    check_script(
        HEAD
        + """
    def wait_there():
        interpreter = _interpreters.create()
        _interpreters.run_string(interpreter, f"import os; os.read({readable}, 1)")
        order.append("ran")
        _interpreters.destroy(interpreter)

    order = []
    readable, writable = os.pipe()
    threads = [threading.Thread(target=wait_there) for _ in range(20)]
    for thread in threads: thread.start()
    time.sleep(0.2)
    order.append("others")
    os.write(writable, b"x" * 20)
    for thread in threads: thread.join()
    print(order == ["others"] + 20 * ["ran"])
    """,
        expect="True",
    )


def test_threads_in_a_subinterpreter_are_real_ones():
    check_script(
        HEAD
        + """
    code = '''
    import os, threading, time
    thread = threading.Thread(target=lambda: os.write(%d, str(threading.get_native_id()).encode()))
    thread.start()
    thread.join()
    '''
    import textwrap
    readable, writable = os.pipe()
    if sys.version_info < (3, 12):
        interpreter = _interpreters.create(isolated=False)
    else:
        interpreter = _interpreters.create()
    _interpreters.run_string(interpreter, textwrap.dedent(code % writable))
    _interpreters.destroy(interpreter)
    print(int(os.read(readable, 100)) != threading.get_native_id())
    """,
        expect="True",
    )


def test_sending_to_a_channel_waits_for_the_coroutine_that_receives():
    pytest.importorskip("_interpchannels")
    check_script(
        HEAD
        + """
    import _interpchannels
    channel = _interpchannels.create(3)
    received = []
    def receive():
        time.sleep(0.05)
        received.append(_interpchannels.recv(channel)[0])
    thread = threading.Thread(target=receive)
    thread.start()
    _interpchannels.send(channel, b"message", blocking=True)
    print(received)
    """,
        expect="[b'message']",
    )
