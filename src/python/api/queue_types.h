// coev.Queue and coev.Channel: objects handed from coroutine to coroutine.
#pragma once

#include <Python.h>

namespace coev::python {

[[nodiscard]] bool add_queue_types(PyObject* module) noexcept;

}  // namespace coev::python
