"""Builds the extension modules; everything that needs no program stands in pyproject.toml.

Environment: COEV_WERROR=1, COEV_DEBUG=1, COEV_CONTEXT=ucontext,
COEV_SANITIZE=address,undefined (or thread), COEV_BUILD_JOBS=<number>,
COEV_WITHOUT=psycoev (or several packages, with commas between),
COEV_LINK_TIME=0 (no optimization across files: builds in half the time).
"""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pybind11
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

#: Compiled with exceptions, as no other file of the core: src/core/allocation.h says why.
WITH_EXCEPTIONS = {"src/core/allocation.cpp", "src/python/api/introspect.cpp"}

#: Optimizes across files: what one of them asks another for on each switch is inlined.
LINK_TIME = ["-flto=auto", "-O2"]

WITHOUT = {name for name in os.environ.get("COEV_WITHOUT", "").split(",") if name}


def compile_args() -> list[str]:
    args = ["-std=c++20", "-O2", "-g", "-fvisibility=hidden", "-fno-plt", "-MMD"]
    args += ["-Wall", "-Wextra", "-Wshadow"]
    # Both are how CPython's own tables of types and methods have to be filled.
    args += ["-Wno-missing-field-initializers", "-Wno-cast-function-type"]
    if os.environ.get("COEV_WERROR") == "1":
        args.append("-Werror")
    if os.environ.get("COEV_DEBUG") == "1":
        args += ["-O0", "-UNDEBUG", "-DCOEV_DEBUG=1"]
    if os.environ.get("COEV_CONTEXT") == "ucontext":
        args.append("-DCOEV_USE_UCONTEXT=1")
    return args + sanitizer_args()


def sanitizer_args() -> list[str]:
    sanitizers = os.environ.get("COEV_SANITIZE")
    return [f"-fsanitize={sanitizers}", "-fno-omit-frame-pointer"] if sanitizers else []


def is_plain_release() -> bool:
    return not (
        os.environ.get("COEV_DEBUG") == "1"
        or os.environ.get("COEV_LINK_TIME") == "0"
        or sanitizer_args()
    )


def is_stale(object_file: str, source: str) -> bool:
    """Whether *object_file* is older than anything it was compiled from."""
    try:
        built = os.stat(object_file).st_mtime
        rule = Path(object_file).with_suffix(".d").read_text().replace("\\\n", " ")
        return any(os.stat(path).st_mtime > built for path in rule.split(":", 1)[1].split())
    except FileNotFoundError:
        return True


def files(*patterns: str) -> list[str]:
    return sorted(str(path) for pattern in patterns for path in Path().glob(pattern))


def extension(
    name: str,
    folders: list[str],
    *,
    include: list[str],
    libraries: list[str] | None = None,
    **options: list[str],
) -> Extension:
    """The extension module *name*, out of every source below *folders*."""
    return Extension(
        name,
        sources=files(*(f"{folder}/**/*.cpp" for folder in folders)),
        depends=files("coev/include/coev/*.h", *(f"{folder}/**/*.h" for folder in folders)),
        include_dirs=include,
        libraries=libraries or [],
        extra_compile_args=compile_args() + options.pop("compile_args", []),
        extra_link_args=sanitizer_args(),
        language="c++",
        **options,
    )


def driver(package: str, module: str, **options: list[str]) -> list[Extension]:
    """A driver's extension module: it sees its own folder and coev.h, nothing else of coev."""
    if package in WITHOUT or not Path("src", package).is_dir():
        return []
    options["include"] = [f"src/{package}", "coev/include", *options.pop("include", [])]
    return [extension(f"{package}.{module}", [f"src/{package}"], **options)]


def libpq() -> dict[str, list[str]]:
    """How to compile and link with libpq; ends with a sentence where that is missing."""
    if "psycoev" in WITHOUT:
        return {}
    program = shutil.which(os.environ.get("PG_CONFIG", "pg_config"))
    if program is None:
        sys.exit(
            "psycoev needs libpq and its pg_config: apt-get install libpq-dev"
            " (or build coev without psycoev: COEV_WITHOUT=psycoev pip install .)"
        )

    def ask(option: str) -> str:
        return subprocess.run(
            [program, option], capture_output=True, text=True, check=True
        ).stdout.strip()

    # PostgreSQL's headers are not ours to warn about.
    return {
        "compile_args": ["-isystem", ask("--includedir")],
        "library_dirs": [ask("--libdir")],
        "libraries": ["pq"],
    }


class BuildExt(build_ext):
    def finalize_options(self) -> None:
        super().finalize_options()
        # One folder for each set of flags, in editable installs too: an object
        # is used again only in the build it was made for.
        flags = [compile_args(), is_plain_release(), sorted(WITH_EXCEPTIONS), self.include_dirs]
        flags += sysconfig.get_config_vars("EXT_SUFFIX", "INCLUDEPY", "CFLAGS")
        flags += [os.environ.get(name) for name in ("CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS")]
        digest = hashlib.sha256(repr(flags).encode()).hexdigest()[:12]
        self.build_temp = str(Path("build", "objects", digest))

    def build_extensions(self) -> None:
        if not self.compiles("#include <ev.h>", "-E"):
            sys.exit("coev needs libev's header ev.h: apt-get install libev-dev")
        self.link_time = LINK_TIME if self.has_link_time_optimization() else []
        super().build_extensions()

    def build_extension(self, ext: Extension) -> None:
        jobs = int(os.environ.get("COEV_BUILD_JOBS") or os.cpu_count() or 1)
        with ThreadPoolExecutor(jobs) as pool:
            objects = list(pool.map(partial(self.compile_source, ext), ext.sources))
        # Linking is always due: the date of the last one says nothing of its flags.
        self.compiler.link_shared_object(
            objects,
            self.get_ext_fullpath(ext.name),
            libraries=self.get_libraries(ext),
            library_dirs=ext.library_dirs,
            extra_postargs=ext.extra_link_args + self.link_time,
            export_symbols=self.get_export_symbols(ext),
            build_temp=self.build_temp,
            target_lang=ext.language,
        )

    def compile_source(self, ext: Extension, source: str) -> str:
        [target] = self.compiler.object_filenames([source], output_dir=self.build_temp)
        if self.force or is_stale(target, source):
            own = [] if source in WITH_EXCEPTIONS else ["-fno-exceptions"]
            self.compiler.compile(
                [source],
                output_dir=self.build_temp,
                include_dirs=ext.include_dirs,
                extra_postargs=ext.extra_compile_args + self.link_time + own,
                depends=[source],
            )
        return target

    def compiles(self, program: str, *arguments: str) -> bool:
        command = [*self.compiler.compiler_so, *arguments, "-x", "c++", "-"]
        return subprocess.run(command, input=program.encode(), capture_output=True).returncode == 0

    def has_link_time_optimization(self) -> bool:
        # Not every linker knows what the compiler would give it.
        with tempfile.TemporaryDirectory() as folder:
            library = str(Path(folder, "library.so"))
            program = "int f() { return 1; }"
            return is_plain_release() and self.compiles(
                program, *LINK_TIME, "-shared", "-o", library
            )


class BuildPy(build_py):
    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        return (
            []
            if package.partition(".")[0] in WITHOUT
            else super().find_package_modules(package, package_dir)
        )


if not sys.platform.startswith("linux"):
    sys.exit("coev runs on Linux only")
if sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit("coev does not support the free-threaded build of CPython")

setup(
    cmdclass={"build_ext": BuildExt, "build_py": BuildPy},
    ext_modules=[
        extension(
            "coev._coev",
            ["src/core", "src/python"],
            include=["src", "coev/include"],
            libraries=["ev"],
            compile_args=["-isystem", pybind11.get_include()],
        ),
        *driver("psycoev", "_psycopg", **libpq()),
        *driver("evmemcached", "_memcached"),
        *driver("coewsgi", "_coewsgi"),
        *driver("cqsl", "_cqsl"),
    ],
)
