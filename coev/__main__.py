"""Run a program with threads as coroutines.

    python -m coev SCRIPT [ARGS ...]
    python -m coev -m MODULE [ARGS ...]

SCRIPT may be a folder or a zip file with a ``__main__.py``. The program finds
``__main__``, ``sys.argv`` and ``sys.path`` as if Python had been started on it.
"""

import os
import sys
from types import ModuleType, TracebackType

import coev.monkey  # noqa: F401 - before the program imports anything

_kept: list[ModuleType] = []


def _fresh_main() -> ModuleType:
    """Put an empty ``__main__`` in the place of this module, which must outlive it."""
    _kept.append(sys.modules["__main__"])
    module = sys.modules["__main__"] = ModuleType("__main__")
    vars(module)["__builtins__"] = sys.modules["builtins"]
    if sys.version_info < (3, 14):
        vars(module)["__annotations__"] = {}
    return module


def _run_module(name: str, alter_argv: bool = True) -> None:
    import runpy

    _fresh_main()
    runpy._run_module_as_main(name, alter_argv)  # type: ignore[attr-defined]


def _is_archive(path: str) -> bool:
    """Whether *path* is a folder or a zip file: something to import from."""
    from pkgutil import get_importer

    return get_importer(path) is not None


def _run_script(path: str) -> None:
    path = os.path.join(os.getcwd(), path)  # as Python does, which leaves "./" in it
    if _is_archive(path):
        if sys.flags.safe_path:
            sys.path.insert(0, path)
        else:
            sys.path[0] = path
        _run_module("__main__", alter_argv=False)
        return
    if not sys.flags.safe_path:
        sys.path[0] = os.path.dirname(os.path.realpath(path))
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        reason = f"[Errno {error.errno}] {error.strerror}"
        print(f"{sys.executable}: can't open file {path!r}: {reason}", file=sys.stderr)
        raise SystemExit(2) from None
    from importlib.machinery import SourceFileLoader

    namespace = vars(_fresh_main())
    namespace.update(__file__=path, __loader__=SourceFileLoader("__main__", path))
    if sys.version_info < (3, 15):
        namespace["__cached__"] = None
    exec(compile(source, path, "exec", dont_inherit=True), namespace)


def _after_our_frames(traceback: TracebackType | None) -> TracebackType | None:
    """Return the part of *traceback* that begins with the program's own code."""
    rest = traceback
    while traceback is not None:
        outer, traceback = traceback, traceback.tb_next
        if outer.tb_frame.f_code.co_filename == __file__:
            rest = traceback
    return rest


def _report_without_our_frames() -> None:
    """Let the interpreter report the exception that ends the program as its own."""
    hook = sys.excepthook

    def report(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        traceback = _after_our_frames(traceback)
        error.__traceback__ = traceback
        hook(kind, error, traceback)

    sys.excepthook = report


def _run() -> None:
    arguments = sys.argv[1:]
    if arguments and arguments[0] in ("-h", "--help"):
        print((__doc__ or "").strip())
        return
    is_module = bool(arguments) and arguments[0] == "-m"
    sys.argv = arguments[is_module:]
    if not sys.argv:
        print((__doc__ or "").strip(), file=sys.stderr)
        raise SystemExit(2)
    try:
        if is_module:
            _run_module(sys.argv[0])
        else:
            _run_script(sys.argv[0])
    except BaseException:
        _report_without_our_frames()
        raise


if __name__ == "__main__":
    _run()
