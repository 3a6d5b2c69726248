// coev.timeout: a block that may take so long.
#pragma once

#include <Python.h>

namespace coev::python {

[[nodiscard]] bool add_timeout_type(PyObject* module) noexcept;

}  // namespace coev::python
