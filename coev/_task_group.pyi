from collections.abc import Callable
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from ._coev import Coroutine

_P = ParamSpec("_P")
_T = TypeVar("_T")

class TaskGroup:
    def __init__(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> bool: ...
    def spawn(
        self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> Coroutine[_T]: ...
