// Acquiring locks: who a coroutine is to a recursive one, and the arguments of acquire().
#pragma once

#include <Python.h>

#include "core/lock.h"
#include "core/time.h"

namespace coev::python {

// The owner number of the running coroutine for a recursive lock.
[[nodiscard]] RecursiveLock::Owner lock_owner() noexcept;

// The arguments of acquire(blocking=True, timeout=-1), as threading has them.
// kInvalid: let the original say what is wrong with them.
enum class AcquireMode { kTry, kWait, kInvalid };
[[nodiscard]] AcquireMode parse_acquire(PyObject* const* arguments, Py_ssize_t count,
                                        PyObject* keywords, Deadline* deadline) noexcept;

}  // namespace coev::python
