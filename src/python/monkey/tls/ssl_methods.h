// The methods of _ssl._SSLSocket that wait for the peer, made to suspend the
// coroutine instead. ssl.SSLSocket and every existing object have them at once;
// ssl.SSLObject, over a MemoryBIO, never waits and stays as it is.
#pragma once

#include <Python.h>

namespace coev::python::ssl_methods {

// Installs them now, or when the program imports ssl. False with an exception set.
[[nodiscard]] bool install() noexcept;

// Whether `type` is _ssl._SSLSocket, of the first copy of the module.
[[nodiscard]] bool is_connection(PyTypeObject* type) noexcept;
// Its read() and write(), as a call by its name runs them: SWITCHES. New reference, or
// nullptr with an exception set.
PyObject* read(PyObject* connection, PyObject* const* arguments, Py_ssize_t count) noexcept;
PyObject* write(PyObject* connection, PyObject* data) noexcept;

}  // namespace coev::python::ssl_methods
