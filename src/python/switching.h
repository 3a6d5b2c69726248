// Explicit transfers between coroutines, and the functions that give way.
#pragma once

#include <Python.h>

#include "python/coroutine_type.h"

namespace coev::python {

// Suspends the current coroutine and runs `target`, which receives `value`
// (borrowed) from its own switch(). Returns what is passed back. New reference.
// SWITCHES: always. ERRORS: nullptr with RuntimeError or TypeError set.
[[nodiscard]] PyObject* switch_to(CoroutineObject* target, PyObject* value) noexcept;

// Lets every other ready coroutine run once. SWITCHES: if one is ready. ERRORS: false with an
// exception set, before or after the others have run.
[[nodiscard]] bool yield_now() noexcept;
// The same for the coroutine that was spawned last alone, if it may run now.
[[nodiscard]] bool yield_to_newest() noexcept;

extern PyMethodDef switching_functions[];

}  // namespace coev::python
