// coev.Coroutine: what Python sees of a coroutine's object.
#pragma once

#include <Python.h>

namespace coev::python {

[[nodiscard]] bool add_coroutine_type(PyObject* module) noexcept;

}  // namespace coev::python
