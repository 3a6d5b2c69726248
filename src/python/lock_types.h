// coev.Lock, RLock, Semaphore, Event and Condition.
#pragma once

#include <Python.h>

#include "core/lock.h"

namespace coev::python {

[[nodiscard]] bool add_lock_types(PyObject* module) noexcept;

// The owner number of the running coroutine for a recursive lock.
[[nodiscard]] RecursiveLock::Owner lock_owner() noexcept;

// The arguments of acquire(blocking=True, timeout=-1), as threading has them.
// kInvalid: let the original say what is wrong with them.
enum class AcquireMode { kTry, kWait, kInvalid };
[[nodiscard]] AcquireMode parse_acquire(PyObject* const* arguments, Py_ssize_t count,
                                        PyObject* keywords, Deadline* deadline) noexcept;

}  // namespace coev::python
