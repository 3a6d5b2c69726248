// The fields of CPython's socket object, the same from 3.9 to 3.15 on 64 bits.
//
// They are read directly, after a check on a probe object. The shadow is a
// socket object of our own that borrows another one's descriptor for one call
// of an original method without blocking: so the user's object never shows
// another timeout than the user's.
#pragma once

#include <Python.h>

#include <cstdint>

#include "core/time.h"

namespace coev::python {

struct SocketFields {
  PyObject_HEAD int fd;
  int family;
  int type;
  int protocol;
  PyObject* (*error_handler)();
  std::int64_t timeout_ns;  // negative: none; 0: does not block

  [[nodiscard]] bool blocks() const noexcept { return timeout_ns != 0; }
  [[nodiscard]] Deadline deadline() const noexcept {
    return timeout_ns < 0 ? Deadline::never() : Deadline::after(timeout_ns);
  }
};

inline SocketFields& socket_fields(PyObject* socket) noexcept {
  return *reinterpret_cast<SocketFields*>(socket);
}

// `type` is _socket.socket. False with ImportError set if it differs.
[[nodiscard]] bool check_socket_layout(PyTypeObject* type) noexcept;

[[nodiscard]] PyTypeObject* socket_type() noexcept;  // _socket.socket; borrowed

// All that C keeps in a socket object, also what only some versions have. The
// descriptor must be taken out of `to` again.
void copy_socket(PyObject* to, PyObject* from) noexcept;

// A shadow of `socket`, which does not block; the caller's alone until it is returned.
// nullptr with an exception set.
[[nodiscard]] PyObject* borrow_shadow(PyObject* socket) noexcept;
void return_shadow(PyObject* shadow) noexcept;

}  // namespace coev::python
