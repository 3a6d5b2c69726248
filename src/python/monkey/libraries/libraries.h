// C libraries that wait in the scheduler: which ones, when they are found, what was done.
//
// Only libraries that are named, by the table here or by the program. A library that is
// loaded later is adopted when an extension module has been loaded, or ctypes has loaded
// something.
#pragma once

#include <Python.h>

namespace coev::python::libraries {

// Adopts what the table names and is loaded, and later what comes. False with an
// exception set.
[[nodiscard]] bool install() noexcept;

extern PyMethodDef library_functions[];

}  // namespace coev::python::libraries
