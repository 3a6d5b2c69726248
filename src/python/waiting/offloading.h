// Offloading: a call into Python on a thread of the pool, while the coroutine waits.
#pragma once

#include <Python.h>

#include "core/offload.h"

namespace coev::python {

// Runs function(*arguments) on a thread of the offload pool. `function` is
// called with the GIL held. New reference, or nullptr with its exception set.
// SWITCHES: always.
[[nodiscard]] PyObject* run_offloaded(PyObject* function, PyObject* arguments, PyObject* keywords,
                                      PyObject* timeout,
                                      offload::Limit limit = offload::Limit::kObeyed) noexcept;

}  // namespace coev::python
