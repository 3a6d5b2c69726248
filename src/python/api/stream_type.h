// coev.BufferedSocket: protocol input and output over a socket or another fd.
#pragma once

#include <Python.h>

namespace coev::python {

[[nodiscard]] bool add_stream_type(PyObject* module) noexcept;

}  // namespace coev::python
