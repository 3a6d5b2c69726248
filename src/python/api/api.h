// What `import coev` and coev.h offer: all of its parts, in their order.
#pragma once

#include <Python.h>

namespace coev::python {

[[nodiscard]] bool add_api(PyObject* module) noexcept;

}  // namespace coev::python
