// One try to accept a connection of IPv4, as _socket.socket._accept() would, which
// spends most of its time on printing the peer's address.
#pragma once

#include <Python.h>

namespace coev::python {

// The peer's address, a new reference, and the connection in `*fd`. nullptr with OSError
// set: also BlockingIOError.
// REQUIRES: `listener` is a _socket.socket of AF_INET whose descriptor does not block.
// SWITCHES: never.
[[nodiscard]] PyObject* accept_ipv4(PyObject* listener, int* fd) noexcept;

}  // namespace coev::python
