// Lines from a terminal: what input() and the interactive interpreter wait for, with
// GNU readline or without.
//
// CPython reads them through a function that blocks the OS thread, with a lock
// around it. Ours stands in its place: it waits for each read of the terminal as
// a coroutine. Coroutines that call input() meanwhile wait for one another.
#pragma once

#include <Python.h>

namespace coev::python::line_input {

// False with an exception set.
[[nodiscard]] bool install() noexcept;

}  // namespace coev::python::line_input
