from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

def wait(
    awaitable: Awaitable[_T], timeout: float | None = None, loop: AbstractEventLoop | None = None
) -> _T: ...
async def run(fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T: ...

__all__ = ["run", "wait"]
