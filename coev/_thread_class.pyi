from collections.abc import Callable, Iterable, Mapping
from contextvars import Context
from typing import Any

__all__ = ["ContextThread", "HandleThread", "LockThread"]

class LockThread:
    def __init__(
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        daemon: bool | None = None,
    ) -> None: ...
    def start(self) -> None: ...
    def join(self, timeout: float | None = None) -> None: ...

class HandleThread:
    def __init__(
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        daemon: bool | None = None,
    ) -> None: ...
    def start(self) -> None: ...
    def join(self, timeout: float | None = None) -> None: ...

class ContextThread:
    def __init__(
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        daemon: bool | None = None,
        context: Context | None = None,
    ) -> None: ...
    def start(self) -> None: ...
    def join(self, timeout: float | None = None) -> None: ...
