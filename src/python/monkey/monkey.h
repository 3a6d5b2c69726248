// coev.monkey: all of its parts, in their order.
#pragma once

#include <Python.h>

namespace coev::python::monkey {

// The functions that coev/monkey.py and coev/_threading.py call.
[[nodiscard]] bool add_functions(PyObject* module) noexcept;

}  // namespace coev::python::monkey
