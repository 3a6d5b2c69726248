#include "arguments.h"

#include <algorithm>

namespace cqsl {
namespace {

void complain_of_count(const Signature& signature, Py_ssize_t given) noexcept {
  const char* were = given == 1 ? "was" : "were";
  if (signature.required == signature.count) {
    PyErr_Format(PyExc_TypeError, "%s() takes %zd positional argument%s but %zd %s given",
                 signature.function, signature.count, signature.count == 1 ? "" : "s", given, were);
    return;
  }
  PyErr_Format(PyExc_TypeError, "%s() takes from %zd to %zd positional arguments but %zd %s given",
               signature.function, signature.required, signature.count, given, were);
}

// ERRORS: -1 with TypeError set.
Py_ssize_t index_of(const Signature& signature, PyObject* name) noexcept {
  for (Py_ssize_t i = 0; i < signature.count; ++i) {
    if (PyUnicode_CompareWithASCIIString(name, signature.names[i]) == 0) return i;
  }
  PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", signature.function,
               name);
  return -1;
}

}  // namespace

bool parse_arguments(const Signature& signature, PyObject* const* arguments, Py_ssize_t positional,
                     PyObject* keywords, PyObject** values) noexcept {
  if (positional > signature.count) {
    complain_of_count(signature, positional);
    return false;
  }
  std::copy_n(arguments, positional, values);
  std::fill(values + positional, values + signature.count, nullptr);
  const Py_ssize_t named = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  for (Py_ssize_t i = 0; i < named; ++i) {
    PyObject* name = PyTuple_GET_ITEM(keywords, i);
    const Py_ssize_t index = index_of(signature, name);
    if (index < 0) return false;
    if (values[index] != nullptr) {
      PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'",
                   signature.function, name);
      return false;
    }
    values[index] = arguments[positional + i];
  }
  // Every signature here requires its first argument alone, or none.
  if (signature.required > 0 && values[0] == nullptr) {
    PyErr_Format(PyExc_TypeError, "%s() missing 1 required positional argument: '%s'",
                 signature.function, signature.names[0]);
    return false;
  }
  return true;
}

}  // namespace cqsl
