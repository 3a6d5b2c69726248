// Looking at the scheduler from Python: counters, coroutines, settings.
#pragma once

#include <Python.h>

namespace coev::python {

[[nodiscard]] bool add_introspection(PyObject* module) noexcept;

}  // namespace coev::python
