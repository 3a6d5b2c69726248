"""What a type checker must know of coev; tests/test_stubs.py has mypy read it."""

from typing import assert_type

import coev
from coev import aio


def length(text: str, /, *, twice: bool = False) -> int:
    return len(text) * (2 if twice else 1)


coroutine = coev.spawn(length, "abc", twice=True)
assert_type(coroutine, coev.Coroutine[int])
assert_type(coroutine.result(timeout=1), int)
assert_type(coroutine.exception(), BaseException | None)
assert_type(coev.offload(length, "abc"), int)
coev.spawn(length, 3)  # type: ignore[arg-type]
coev.spawn(length)  # type: ignore[call-arg]

with coev.TaskGroup() as group, coev.timeout(1.5) as scope:
    assert_type(group.spawn(length, "abc"), coev.Coroutine[int])
    assert_type(scope.expired, bool)

queue: coev.Queue[int] = coev.Queue(maxsize=3)
queue.put(1)
assert_type(queue.get(timeout=1), int)
queue.put("one")  # type: ignore[arg-type]

channel = coev.Channel[str]()
assert_type([text for text in channel], list[str])

condition = coev.Condition()
with condition:
    assert_type(condition.wait_for(lambda: 3), int)

with coev.Lock() as acquired:
    assert_type(acquired, bool)
assert_type(coev.wait(0, coev.READABLE | coev.WRITABLE), int)
assert_type(coev.get_include(), str)
assert_type(coev.BufferedSocket(0).read_until(b"\n"), bytes)


def anything(coroutine: coev.Coroutine[object]) -> None:
    """Accept a coroutine of any result: it only gives it away."""


anything(coroutine)


async def double(number: int) -> int:
    return 2 * await aio.run(length, "x" * number)


assert_type(aio.wait(double(2), timeout=1), int)
aio.wait(3)  # type: ignore[arg-type]
