// OpenSSL's queue of errors, of which each OS thread has one.
//
// An operation of TLS has to find it empty, for what is in there is taken for its own error
// (SSL_get_error(3)). Natively what a connection leaves there can only meet the same thread;
// among coroutines it would be the next connection's error.
#pragma once

#include <Python.h>

namespace coev::python {

class OpensslErrors {
 public:
  // Empties the queue: to be called before an operation, and after one that failed.
  static void clear() noexcept {
    if (peek_ != nullptr && peek_() != 0) [[unlikely]]
      clear_();
  }

  // Finds the queue in the library that `_ssl` uses. Where that hides its symbols, as one
  // linked into the interpreter may, nothing is ever emptied.
  static void find(PyObject* module) noexcept;

 private:
  static unsigned long (*peek_)();  // ERR_peek_error(3)
  static void (*clear_)();          // ERR_clear_error(3)
};

}  // namespace coev::python
