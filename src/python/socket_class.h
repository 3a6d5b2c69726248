// What methods of socket.socket, the class of Lib/socket.py, do in C while the class is
// as that file defines it. See coev/_socket_class.py, whose code calls it.
#pragma once

#include <Python.h>

namespace coev::python {

extern PyMethodDef socket_class_functions[];

// Call it with each socket object that is made: the first of a class in Python may be
// the first sign of socket.socket. False with an exception set.
[[nodiscard]] bool socket_made(PyObject* socket) noexcept;

}  // namespace coev::python
