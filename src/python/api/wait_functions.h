// The functions that wait: sleep, fd readiness, offload.
#pragma once

#include <Python.h>

namespace coev::python {

extern PyMethodDef waiting_functions[];

}  // namespace coev::python
