// The methods of _socket.socket that block, and the resolver functions, made to
// suspend the coroutine instead. socket.socket and every subclass and existing
// object have them at once.
#pragma once

#include <Python.h>

#include "core/status.h"
#include "core/time.h"

namespace coev {
class Patience;
}

namespace coev::python::socket_methods {

// False with an exception set.
[[nodiscard]] bool install() noexcept;

// Waits until the descriptor of `socket` has `event`, kReadable or kWritable, for a call
// that has said that it would block.
// SWITCHES, ERRORS: as Patience::wait(); kInterrupted with an exception set.
Status wait_ready(PyObject* socket, unsigned event, Deadline deadline, Patience& patience) noexcept;

// The peer's address, a new reference, and in `*fd` the connection. nullptr with an
// exception set. SWITCHES: always, unless somebody is there.
[[nodiscard]] PyObject* accept(PyObject* listener, int* fd) noexcept;

// What _socket.socket.close() does: None, or nullptr with an exception set.
[[nodiscard]] PyObject* close(PyObject* socket) noexcept;

// `function` is called when the first object of a class in Python is made, which may be the
// first sign of socket.socket.
void call_when_made(PyObject* function) noexcept;

// `fd` was just opened, or is about to be closed: nothing that is known of it is true.
void forget(int fd) noexcept;

}  // namespace coev::python::socket_methods
