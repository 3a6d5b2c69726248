"""The layers: what each folder may include or import, read from the sources.

src/core  <-  src/python/{base <- cpython <- waiting <- api <- capsule; monkey/*}  <-  coev/  <-  drivers
"""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)

#: Folder: the folders whose headers its files may include beside their own. The
#: longest name that fits a file says what holds for it.
MAY_INCLUDE = {
    "core": (),
    "python/base": ("core",),
    "python/cpython": ("core", "python/base"),
    "python/waiting": ("core", "python/base", "python/cpython"),
    "python/api": ("core", "python/base", "python/cpython", "python/waiting"),
    "python/capsule": ("core", "python/base", "python/cpython", "python/waiting", "python/api"),
    "python/monkey": ("core", "python/base", "python/cpython", "python/waiting"),
    "python/lifecycle": ("core", "python/base", "python/cpython", "python/waiting"),
    "python/module": ("core", "python/base", "python/cpython", "python/waiting"),
}
#: What single files and parts may include besides.
ALSO = {
    "python/monkey/monkey.cpp": ("python/monkey",),
    "python/monkey/threads": ("python/monkey/locks",),
    "python/monkey/tls": ("python/monkey/sockets",),
    "python/monkey/libraries": ("python/monkey/threads",),
    "python/lifecycle.cpp": ("python/monkey/threads",),
    "python/module.cpp": (
        "python/api/api.h",
        "python/capsule/capsule.h",
        "python/monkey/monkey.h",
        "python/lifecycle.h",
    ),
}
MONKEY_PARTS = ("libraries", "threads", "locks", "sockets", "tls", "files", "processes", "signals")
DRIVERS = ("psycoev", "evmemcached", "coewsgi", "cqsl")
#: What Python code of a package may import beside itself and the standard library.
PACKAGES = {
    "coev": (),
    "cqsl": (),
    "psycoev": ("coev",),
    "evmemcached": ("coev",),
    "coewsgi": ("coev",),
}
#: The faces that a driver has for a framework, and only they, name that framework.
FRAMEWORKS = {
    "psycoev/sqlalchemy": ("sqlalchemy",),
    "psycoev/django": ("django",),
    "evmemcached/django": ("django",),
    "evmemcached/dogpile": ("dogpile",),
    "coewsgi": ("paste", "gunicorn", "django"),
}


def native_files(*folders):
    found = [
        path
        for folder in folders
        for path in sorted((ROOT / "src" / folder).rglob("*"))
        if path.suffix in (".h", ".cpp")
    ]
    return [pytest.param(path, id=str(path.relative_to(ROOT / "src"))) for path in found]


def included(path):
    """The headers that *path* includes, as (quoted or "", bracketed or "") pairs."""
    return INCLUDE.findall(path.read_text())


def folder_of(name):
    """Where a header of ours lives, as the tables name folders: without the file."""
    folder = name.rpartition("/")[0]
    if folder == "python":  # module and lifecycle stand beside the folders
        return name.rpartition(".")[0]
    return folder


def allowed_for(name):
    own = folder_of(name)
    allowed = {own}
    rule = max((key for key in MAY_INCLUDE if own == key or own.startswith(key + "/")), key=len)
    allowed.update(MAY_INCLUDE[rule])
    for place, more in ALSO.items():
        if name == place or own == place:
            allowed.update(more)
    return allowed


def may_include(name, header):
    allowed = allowed_for(name)
    if header in allowed or folder_of(header) in allowed:
        return True
    return any(place in allowed and header.startswith(place + "/") for place in ("python/monkey",))


@pytest.mark.parametrize("path", native_files("core", "python"))
def test_native_code_includes_only_its_own_layer_and_those_below(path):
    name = str(path.relative_to(ROOT / "src"))
    for quoted, bracketed in included(path):
        if quoted:
            assert (ROOT / "src" / quoted).exists(), quoted
            assert may_include(name, quoted), quoted
        elif name.startswith("core/"):
            assert not re.search(r"Python\.h|structmember|frameobject|pybind11|python", bracketed)


@pytest.mark.parametrize("path", native_files(*DRIVERS))
def test_driver_includes_only_its_own_files_and_the_c_api(path):
    driver = path.relative_to(ROOT / "src").parts[0]
    for quoted, bracketed in included(path):
        if quoted:
            assert (ROOT / "src" / driver / quoted).exists(), quoted
        else:
            assert not re.search(r"pybind11|^ev\.h$", bracketed), bracketed
            assert not bracketed.startswith("coev/") or bracketed == "coev/coev.h", bracketed


def test_public_header_needs_only_python():
    for quoted, bracketed in included(ROOT / "coev/include/coev/coev.h"):
        assert not quoted
        assert bracketed in {"Python.h", "stddef.h", "stdint.h"}


def test_each_rule_saw_its_files():
    least = {"core": 40, "python/base": 15, "python/cpython": 2, "python/waiting": 15}
    least |= {"python/api": 18, "python/capsule": 10} | {
        f"python/monkey/{part}": 2 for part in MONKEY_PARTS
    }
    for folder, count in least.items():
        assert len(native_files(folder)) >= count, folder
    assert {p.name for p in (ROOT / "src/python/monkey").iterdir() if p.is_dir()} == set(
        MONKEY_PARTS
    )
    assert {p.name for p in (ROOT / "src").iterdir()} <= {"core", "python", *DRIVERS}


def test_no_two_headers_include_each_other():
    graph = {}
    for parameter in native_files("core", "python", *DRIVERS):
        path = parameter.values[0]
        if path.suffix == ".h":
            top = path.relative_to(ROOT / "src").parts[0]
            base = ROOT / "src" / (top if top in DRIVERS else "")
            graph[path] = [base / quoted for quoted, _ in included(path) if quoted]
    done, open_ = set(), []

    def visit(path):
        if path in done:
            return
        assert path not in open_, [str(p) for p in open_[open_.index(path) :]]
        open_.append(path)
        for other in graph.get(path, ()):
            visit(other)
        done.add(open_.pop())

    for path in graph:
        visit(path)
    assert len(done) > 80


def test_folders_of_the_binding_do_not_include_in_circles():
    """Between folders: what includes another folder is not included by that folder."""
    arrows = set()
    for parameter in native_files("core", "python"):
        name = str(parameter.values[0].relative_to(ROOT / "src"))
        for quoted, _ in included(parameter.values[0]):
            if quoted and folder_of(quoted) != folder_of(name):
                arrows.add((folder_of(name), folder_of(quoted)))
    assert len(arrows) > 20
    reach = {}
    for start, _ in arrows:
        seen, todo = set(), [start]
        while todo:
            here = todo.pop()
            todo += [to for source, to in arrows if source == here and to not in seen]
            seen.update(to for source, to in arrows if source == here)
        reach[start] = seen
    assert not [folder for folder, seen in reach.items() if folder in seen]


@pytest.mark.parametrize("path", native_files("python", *DRIVERS))
def test_only_the_folder_about_cpython_asks_for_its_version(path):
    if path.parent.name == "cpython":
        return
    assert "PY_VERSION_HEX" not in path.read_text()
    assert "PY_MINOR_VERSION" not in path.read_text()


@pytest.mark.parametrize("path", [p for p in native_files("core") if p.values[0].suffix == ".h"])
def test_core_names_nothing_of_python(path):
    assert not re.search(r"\bPy[A-Z_]\w*", path.read_text())


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module


def python_files():
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield pytest.param(package, path, id=str(path.relative_to(ROOT)))


@pytest.mark.parametrize(("package", "path"), list(python_files()))
def test_python_code_imports_only_what_its_layer_may(package, path):
    name = str(path.relative_to(ROOT))
    allowed = sys.stdlib_module_names | {package, *PACKAGES[package]}
    for place, frameworks in FRAMEWORKS.items():
        if name.startswith((place + "/", place + ".")):
            allowed |= set(frameworks)
    for module in imported_modules(path):
        assert module.partition(".")[0] in allowed, module
        if package != "coev":
            assert not module.startswith("coev._"), module
