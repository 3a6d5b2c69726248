// Name resolution: the C library blocks in it, so it runs on a real thread.
// What is a number already is answered at once.
#pragma once

#include <Python.h>

namespace coev::python::resolver {

[[nodiscard]] bool install(PyObject* socket_module) noexcept;

// `address` as connect() or sendto() of `socket` takes it, with a host name
// replaced by its address. New reference, or nullptr with an exception set.
// SWITCHES: only if there is a name to look up.
[[nodiscard]] PyObject* resolve(PyObject* socket, PyObject* address) noexcept;

}  // namespace coev::python::resolver
