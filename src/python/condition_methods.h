// threading.Condition's wait() and notify() in C, on the same objects: a lock in the
// deque `_waiters` for each who waits. coev/_threading.py has them call this.
#pragma once

#include <Python.h>

namespace coev::python {

extern PyMethodDef condition_functions[];

}  // namespace coev::python
