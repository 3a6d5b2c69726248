"""Puts cqsl's functions in the place of urllib.parse's, and back."""

import importlib.util
import sys
import urllib.parse
from collections.abc import Callable
from types import ModuleType
from typing import Any

from cqsl import _cqsl

_Function = Callable[..., Any]

_NAMES = ("parse_qs", "parse_qsl", "unquote", "unquote_plus", "unquote_to_bytes")


def _second_module() -> ModuleType:
    """The extension module once more: function objects that only patch() hands out.

    They tell what patch() changed from what a program imported from cqsl itself.
    """
    spec = _cqsl.__spec__
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_ours = _second_module()
_PAIRS: list[tuple[_Function, _Function]] = [
    (getattr(urllib.parse, name), getattr(_ours, name)) for name in _NAMES
]
#: The types of these functions: nothing else in a module is asked for its hash.
_KINDS = tuple({type(function) for pair in _PAIRS for function in pair})


def _rebind(replacements: dict[_Function, _Function]) -> None:
    # By identity and not by name, because modules import these functions under names
    # of their own: webob.compat has parse_qsl as parse_qsl_text.
    for module in list(sys.modules.values()):
        if module is sys.modules[__name__] or not isinstance(module, ModuleType):
            continue
        for name, value in list(vars(module).items()):
            if isinstance(value, _KINDS) and value in replacements:
                setattr(module, name, replacements[value])


def patch() -> None:
    """Have the whole program use cqsl: in urllib.parse, and wherever it was imported from there.

    Modules that did ``from urllib.parse import parse_qsl``, under whatever name, get ours as
    well; modules imported later find ours in urllib.parse. Copies kept elsewhere, such as in a
    default argument, stay. Calling it again looks again. Switches: never.
    """
    _rebind(dict(_PAIRS))


def unpatch() -> None:
    """Undo patch(), also in modules that were imported since. Switches: never."""
    _rebind({ours: theirs for theirs, ours in _PAIRS})
