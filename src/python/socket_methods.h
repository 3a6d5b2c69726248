// The methods of _socket.socket that block, and the resolver functions, made to
// suspend the coroutine instead. socket.socket and every subclass and existing
// object have them at once.
#pragma once

#include <Python.h>

namespace coev::python::socket_methods {

// False with an exception set.
[[nodiscard]] bool install() noexcept;

}  // namespace coev::python::socket_methods
