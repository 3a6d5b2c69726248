// threading.Condition's wait() and notify() in C, on the same objects: a lock in the
// deque `_waiters` for each who waits. coev/_threading.py has them call this.
#pragma once

#include <Python.h>

#include "core/status.h"
#include "core/time.h"

namespace coev::python {

// Gives `lock` up, a _thread.lock or RLock that the coroutine holds, until notified
// through `waiters` or `deadline`, and takes it back, whatever the result. SWITCHES:
// always. ERRORS: kTimedOut; kInterrupted with an exception set.
[[nodiscard]] Status wait_for_notice(PyObject* lock, PyObject* waiters, Deadline deadline) noexcept;

// Wakes the longest waiter; false, perhaps with an exception set, if the first was none.
bool notify_one(PyObject* waiters) noexcept;

extern PyMethodDef condition_functions[];

}  // namespace coev::python
