// queue.Queue's put() and get() in C, on the same objects, where nothing is unusual:
// no subclass, no bound, no shutdown. coev/_threading.py has them call this.
#pragma once

#include <Python.h>

namespace coev::python {

[[nodiscard]] bool add_queue_methods(PyObject* module) noexcept;

}  // namespace coev::python
