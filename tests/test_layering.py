"""The layers: what each folder may include or import, read from the sources.

src/core  <-  src/python  <-  coev/
"""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)

# Folder: what it may include in quotes, and which headers in brackets it may not.
LAYERS = {
    "src/core": (("core/",), re.compile(r"Python\.h|structmember|frameobject|pybind11|python")),
    "src/python": (("core/", "python/", "coev/coev.h"), re.compile(r"^$")),
    "coev/include/coev": ((), re.compile(r"pybind11|^ev\.h$")),
}
ABOUT_VERSIONS = {"thread_state.h", "thread_state.cpp"}


def sources(folder, *suffixes):
    found = [p for p in sorted((ROOT / folder).iterdir()) if p.suffix in suffixes]
    assert found, folder
    return found


def native_files():
    for folder in LAYERS:
        for path in sources(folder, ".h", ".cpp"):
            yield pytest.param(folder, path, id=f"{folder}/{path.name}")


@pytest.mark.parametrize(("folder", "path"), list(native_files()))
def test_native_code_includes_only_its_own_layer_and_those_below(folder, path):
    allowed, forbidden = LAYERS[folder]
    for quoted, bracketed in INCLUDE.findall(path.read_text()):
        if quoted:
            assert quoted.startswith(allowed or ("\0",)), quoted
            assert (ROOT / "src" / quoted).exists() or (ROOT / "coev/include" / quoted).exists()
        else:
            assert not forbidden.search(bracketed), bracketed


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(p, id=p.name)
        for p in sources("src/python", ".h", ".cpp")
        if p.name not in ABOUT_VERSIONS
    ],
)
def test_only_thread_state_asks_for_the_version_of_cpython(path):
    assert "PY_VERSION_HEX" not in path.read_text()
    assert "PY_MINOR_VERSION" not in path.read_text()


@pytest.mark.parametrize("path", [pytest.param(p, id=p.name) for p in sources("src/core", ".h")])
def test_core_names_nothing_of_python(path):
    assert not re.search(r"\bPy[A-Z_]\w*", path.read_text())


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "coev" if node.level else node.module


@pytest.mark.parametrize("path", [pytest.param(p, id=p.name) for p in sources("coev", ".py")])
def test_facade_imports_only_itself_and_the_standard_library(path):
    allowed = sys.stdlib_module_names | {"coev"}
    for module in imported_modules(path):
        assert module.partition(".")[0] in allowed, module
