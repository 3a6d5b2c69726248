// coev.Lock, RLock, Semaphore, Event and Condition.
#pragma once

#include <Python.h>

namespace coev::python {

[[nodiscard]] bool add_lock_types(PyObject* module) noexcept;

}  // namespace coev::python
