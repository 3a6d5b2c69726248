"""Builds coev._coev; everything that needs no program stands in pyproject.toml.

Environment: COEV_WERROR=1, COEV_DEBUG=1, COEV_CONTEXT=ucontext,
COEV_SANITIZE=address,undefined (or thread), COEV_BUILD_JOBS=<number>.
"""

import hashlib
import os
import subprocess
import sys
import sysconfig
import tempfile
from glob import glob
from pathlib import Path

import pybind11
from pybind11.setup_helpers import ParallelCompile
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


def compile_args() -> list[str]:
    args = ["-std=c++20", "-O2", "-g", "-fvisibility=hidden", "-fno-plt", "-MMD"]
    args += ["-isystem", pybind11.get_include(), "-Wall", "-Wextra", "-Wshadow"]
    # Both are how CPython's own tables of types and methods have to be filled.
    args += ["-Wno-missing-field-initializers", "-Wno-cast-function-type"]
    if os.environ.get("COEV_WERROR") == "1":
        args.append("-Werror")
    if os.environ.get("COEV_DEBUG") == "1":
        args += ["-O0", "-UNDEBUG", "-DCOEV_DEBUG=1"]
    if os.environ.get("COEV_CONTEXT") == "ucontext":
        args.append("-DCOEV_USE_UCONTEXT=1")
    return args + sanitizer_args()


#: The others are compiled without exceptions: src/core/allocation.h says why.
WITH_EXCEPTIONS = {"src/core/allocation.cpp", "src/python/introspect.cpp"}


def sanitizer_args() -> list[str]:
    sanitizers = os.environ.get("COEV_SANITIZE")
    return [f"-fsanitize={sanitizers}", "-fno-omit-frame-pointer"] if sanitizers else []


#: Optimizes across files: what one of them asks another for on each switch is inlined.
LINK_TIME = ["-flto=auto", "-O2"]


def is_plain_release() -> bool:
    return not (os.environ.get("COEV_DEBUG") == "1" or sanitizer_args())


def is_stale(object_file: str, source: str) -> bool:
    """Whether *object_file* is older than anything it was compiled from."""
    try:
        built = os.stat(object_file).st_mtime
        rule = Path(object_file).with_suffix(".d").read_text().replace("\\\n", " ")
        return any(os.stat(path).st_mtime > built for path in rule.split(":", 1)[1].split())
    except FileNotFoundError:
        return True


class BuildExt(build_ext):
    def finalize_options(self) -> None:
        super().finalize_options()
        # One folder for each set of flags, in editable installs too: an object
        # is used again only in the build it was made for.
        flags = [compile_args(), sorted(WITH_EXCEPTIONS), self.include_dirs]
        flags += sysconfig.get_config_vars("EXT_SUFFIX", "INCLUDEPY", "CFLAGS")
        flags += [os.environ.get(name) for name in ("CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS")]
        digest = hashlib.sha256(repr(flags).encode()).hexdigest()[:12]
        self.build_temp = str(Path("build", "objects", digest))
        # Linking is always due: the date of the last one says nothing of its flags.
        self.force = True

    def build_extensions(self) -> None:
        if not self.has_libev():
            sys.exit("coev needs libev's header ev.h: apt-get install libev-dev")
        compile_source = self.compiler._compile

        def compile_with_own_flags(obj, source, ext, cc_args, extra, pp_opts):
            own = [] if source in WITH_EXCEPTIONS else ["-fno-exceptions"]
            compile_source(obj, source, ext, cc_args, extra + own, pp_opts)

        self.compiler._compile = compile_with_own_flags
        if is_plain_release() and self.has_link_time_optimization():
            for extension in self.extensions:
                extension.extra_compile_args += LINK_TIME
                extension.extra_link_args += LINK_TIME
        super().build_extensions()

    def compiles(self, program: str, *arguments: str) -> bool:
        command = [*self.compiler.compiler_so, *arguments, "-x", "c++", "-"]
        return subprocess.run(command, input=program.encode(), capture_output=True).returncode == 0

    def has_libev(self) -> bool:
        return self.compiles("#include <ev.h>", "-E")

    def has_link_time_optimization(self) -> bool:
        # Not every linker knows what the compiler would give it.
        with tempfile.TemporaryDirectory() as folder:
            library = str(Path(folder, "library.so"))
            return self.compiles("int f() { return 1; }", *LINK_TIME, "-shared", "-o", library)


if not sys.platform.startswith("linux"):
    sys.exit("coev runs on Linux only")
if sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit("coev does not support the free-threaded build of CPython")

ParallelCompile("COEV_BUILD_JOBS", needs_recompile=is_stale).install()

setup(
    cmdclass={"build_ext": BuildExt},
    ext_modules=[
        Extension(
            "coev._coev",
            sources=sorted(glob("src/core/*.cpp") + glob("src/python/*.cpp")),
            depends=sorted(glob("src/*/*.h") + glob("coev/include/coev/*.h")),
            include_dirs=["src", "coev/include"],
            libraries=["ev"],
            extra_compile_args=compile_args(),
            extra_link_args=sanitizer_args(),
            language="c++",
        )
    ],
)
