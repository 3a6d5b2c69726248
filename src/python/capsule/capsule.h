// The capsule through which other extensions reach the scheduler (coev.h).
#pragma once

#include <Python.h>

namespace coev::python {

[[nodiscard]] bool add_capsule(PyObject* module) noexcept;

}  // namespace coev::python
