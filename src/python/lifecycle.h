// From the first scheduler to the end of the interpreter: the core's hooks, and shutting down.
#pragma once

#include <Python.h>

namespace coev::python {

void install_hooks() noexcept;
extern PyMethodDef lifecycle_functions[];

}  // namespace coev::python
