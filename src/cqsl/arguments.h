// Arguments of functions that take each one by position or by keyword, as a function
// written in Python does, with that function's messages.
#ifndef CQSL_ARGUMENTS_H
#define CQSL_ARGUMENTS_H

#include <Python.h>

namespace cqsl {

struct Signature {
  const char* function;
  const char* const* names;
  Py_ssize_t count;
  Py_ssize_t required;
};

// BORROWS: fills values[count]; nullptr for an argument that was not given.
// ERRORS: false with TypeError set.
[[nodiscard]] bool parse_arguments(const Signature& signature, PyObject* const* arguments,
                                   Py_ssize_t positional, PyObject* keywords,
                                   PyObject** values) noexcept;

}  // namespace cqsl

#endif  // CQSL_ARGUMENTS_H
