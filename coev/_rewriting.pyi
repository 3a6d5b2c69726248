from collections.abc import Callable
from types import FunctionType
from typing import Any

__all__ = ["rewrite"]

def rewrite(
    function: FunctionType, replacement: Callable[..., Any], **constants: object
) -> None: ...
