// SocketStandIn: for one call, an SSL object takes a socket object of ours, over
// the same descriptor, for its own.
//
// The methods of an SSL object ask its socket object for the timeout and wait
// themselves. The one of ours has the timeout we want, and the user's never shows
// another than the user's, not even to a callback that runs within the call.
#pragma once

#include <Python.h>

#include <cstdint>

namespace coev::python {

// The user's socket object of `ssl`, an _ssl._SSLSocket, also while another stands in
// for it; borrowed. nullptr if it has none, over a MemoryBIO, or none any more.
[[nodiscard]] PyObject* socket_of(PyObject* ssl) noexcept;

class SocketStandIn {
 public:
  // `socket` is socket_of(ssl); both are borrowed.
  // Empty with an exception set.
  SocketStandIn(PyObject* ssl, PyObject* socket, std::int64_t timeout_ns) noexcept;
  ~SocketStandIn();
  SocketStandIn(const SocketStandIn&) = delete;
  SocketStandIn& operator=(const SocketStandIn&) = delete;
  explicit operator bool() const noexcept { return in_place_; }
  [[nodiscard]] PyObject* object() const noexcept { return own_.object; }

  // An object of ours, and the weak reference that an SSL object has to it.
  struct Own {
    PyObject* object = nullptr;
    PyObject* reference = nullptr;
  };

 private:
  PyObject* ssl_;
  PyObject* users_ = nullptr;  // the weak reference that we replace
  Own own_;
  bool in_place_ = false;
};

}  // namespace coev::python
