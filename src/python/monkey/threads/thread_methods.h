// What the methods of threading.Thread do once threads are coroutines; coev/_threading.py
// has them call this.
//
// A Thread keeps every attribute that it always had, with the same values at the same
// times, and is found in the same dicts and sets under the same locks. Where its class,
// its Event, or what stands in threading is not what CPython put there, nothing is done
// and the method's own Python code runs.
#pragma once

#include <Python.h>

namespace coev::python {

extern PyMethodDef thread_functions[];

}  // namespace coev::python
