// recv(), recv_into(), send() and sendall() of ssl.SSLSocket, the class of Lib/ssl.py, in C:
// they call the SSL object at once while the class is as that file defines it. What is not
// ordinary, and any other class, has the methods in Python. See coev/_ssl_class.py.
#pragma once

#include <Python.h>

namespace coev::python {

extern PyMethodDef ssl_class_functions[];

}  // namespace coev::python
