// Explicit transfers between coroutines, and the functions that give way.
#pragma once

#include <Python.h>

#include "python/waiting/coroutine_object.h"

namespace coev::python {

// Suspends the current coroutine and runs `target`, which receives `value`
// (borrowed) from its own switch(). Returns what is passed back. New reference.
// SWITCHES: always. ERRORS: nullptr with RuntimeError or TypeError set.
[[nodiscard]] PyObject* switch_to(CoroutineObject* target, PyObject* value) noexcept;

extern PyMethodDef switching_functions[];

}  // namespace coev::python
