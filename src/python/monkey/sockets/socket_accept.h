// One try to accept a connection of IPv4, as _socket.socket._accept() would, which
// spends most of its time on printing the peer's address.
#pragma once

#include <Python.h>

#include "core/status.h"

namespace coev::python {

// A connection in `*fd`, and the peer's address, a new reference, in `*address`.
// ERRORS: kTimedOut: nobody is there. kSystemError: an exception is set.
// REQUIRES: `listener` is a _socket.socket of AF_INET whose descriptor does not block.
// SWITCHES: never.
[[nodiscard]] Status accept_ipv4(PyObject* listener, int* fd, PyObject** address) noexcept;

}  // namespace coev::python
