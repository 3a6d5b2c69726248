// Arguments as a vectorcall brings them, packed as PyObject_Call() takes them.
#pragma once

#include <Python.h>

#include <climits>

#include "python/base/ref.h"

namespace coev::python {

// A tuple of the positional ones; empty with an exception set.
inline Ref pack(PyObject* const* arguments, Py_ssize_t count) noexcept {
  Ref tuple = Ref::steal(PyTuple_New(count));
  for (Py_ssize_t i = 0; tuple && i < count; ++i) {
    PyTuple_SET_ITEM(tuple.get(), i, Py_NewRef(arguments[i]));
  }
  return tuple;
}

// A dict of the named ones; `names` may be nullptr for none. Empty with an
// exception set.
inline Ref pack_keywords(PyObject* const* values, PyObject* names) noexcept {
  Ref dict = Ref::steal(PyDict_New());
  const Py_ssize_t count = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
  for (Py_ssize_t i = 0; dict && i < count; ++i) {
    if (PyDict_SetItem(dict.get(), PyTuple_GET_ITEM(names, i), values[i]) < 0) return {};
  }
  return dict;
}

// An instance of `type` before its __init__(). Empty with an exception set.
inline Ref new_instance(PyTypeObject* type) noexcept {
  static PyObject* const nothing = PyTuple_New(0);
  return Ref::steal(nothing == nullptr ? nullptr : type->tp_new(type, nothing, nullptr));
}

// A tuple of both; empty with an exception set, as also if one of them is empty.
inline Ref pair(Ref first, Ref second) noexcept {
  PyObject* tuple = first && second ? PyTuple_New(2) : nullptr;
  if (tuple == nullptr) return {};
  PyTuple_SET_ITEM(tuple, 0, first.release());
  PyTuple_SET_ITEM(tuple, 1, second.release());
  return Ref::steal(tuple);
}

// An int, or an object with __index__(). False with an exception set.
[[nodiscard]] inline bool parse_int(PyObject* object, int* value) noexcept {
  const long wide = PyLong_AsLong(object);
  if (wide == -1 && PyErr_Occurred()) return false;
  if (wide < INT_MIN || wide > INT_MAX) {
    PyErr_SetString(PyExc_OverflowError, "signed integer is out of range");
    return false;
  }
  *value = static_cast<int>(wide);
  return true;
}

// Arguments of a METH_FASTCALL | METH_KEYWORDS function, by position or name.
// `names` ends with nullptr; `values` receives borrowed references or nullptr.
[[nodiscard]] bool parse_arguments(const char* function, PyObject* const* arguments,
                                   Py_ssize_t count, PyObject* keywords, const char* const* names,
                                   int required, PyObject** values) noexcept;

// A file descriptor, or an object with fileno(); -1 with an exception set,
// EBADF where the object has been closed.
[[nodiscard]] int parse_fd(PyObject* object) noexcept;

}  // namespace coev::python
