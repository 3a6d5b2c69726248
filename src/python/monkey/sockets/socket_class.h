// What methods of socket.socket, the class of Lib/socket.py, do in C while the class is
// as that file defines it. See coev/_socket_class.py, whose code calls it.
#pragma once

#include <Python.h>

namespace coev::python {

extern PyMethodDef socket_class_functions[];

}  // namespace coev::python
