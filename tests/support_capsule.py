"""Builds the two extensions that use the C API, in C and in Cython, against the installed coev."""

import importlib.util
import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import coev

SOURCES = Path(__file__).resolve().parent / "capsule"
INSTALLED = Path(coev.__file__).resolve().parent.parent
READABLE, WRITABLE, PERMIT, CLOSED = 1, 2, 4, 8
NEVER = (1 << 63) - 1  # COEV_NEVER


def compiler():
    return shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **options)
    assert done.returncode == 0, f"{shlex.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done


def compile_module(folder, name, source, *flags, include=None):
    """Compile *source* as extension *name*; return the path of the module."""
    target = folder / (name + sysconfig.get_config_var("EXT_SUFFIX"))
    run(
        [*compiler(), "-shared", "-fPIC", "-O1", "-pthread", f"-DMODULE_NAME={name}", *flags]
        + ["-I" + sysconfig.get_path("include"), "-I" + (include or coev.get_include())]
        + [str(source), "-o", str(target)]
    )
    return target


def load(path):
    name = path.name.partition(".")[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build_c(folder):
    return compile_module(folder, "capsule_c", SOURCES / "capsule_c.c", "-Wall", "-Werror")


def build_cython(folder):
    pytest.importorskip("Cython", reason="the Cython module needs Cython, see the extra 'test'")
    translated = folder / "capsule_cython.c"
    # Nothing but the installed package says where the declarations are.
    run(
        [sys.executable, "-m", "cython", str(SOURCES / "capsule_cython.pyx"), "-o", translated],
        cwd=folder,
        env=dict(os.environ, PYTHONPATH=str(INSTALLED)),
    )
    return compile_module(folder, "capsule_cython", translated)


@pytest.fixture(scope="session", params=[build_c, build_cython], ids=["c", "cython"])
def built(request, tmp_path_factory):
    return load(request.param(tmp_path_factory.mktemp("capsule")))


@pytest.fixture
def api(built):
    return built


@pytest.fixture(scope="session")
def c_module(tmp_path_factory):
    return load(build_c(tmp_path_factory.mktemp("capsule_c")))


def settle(seconds=0.0):
    """Let every other coroutine run until it waits."""
    for _ in range(3):
        coev.yield_now()
    if seconds:
        coev.sleep(seconds)
