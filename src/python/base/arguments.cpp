#include "python/base/arguments.h"

#include <cerrno>
#include <cstring>

namespace coev::python {
namespace {

// Whether the name of an argument is `text`, which is ASCII.
bool is_named(PyObject* name, const char* text) noexcept {
  return PyUnicode_IS_COMPACT_ASCII(name) &&
         static_cast<std::size_t>(PyUnicode_GET_LENGTH(name)) == std::strlen(text) &&
         std::strcmp(static_cast<const char*>(PyUnicode_DATA(name)), text) == 0;
}

}  // namespace

bool parse_arguments(const char* function, PyObject* const* arguments, Py_ssize_t count,
                     PyObject* keywords, const char* const* names, int required,
                     PyObject** values) noexcept {
  int known = 0;
  while (names[known] != nullptr) values[known++] = nullptr;
  if (count > known) {
    PyErr_Format(PyExc_TypeError, "%s() takes at most %d arguments (%zd given)", function, known,
                 count);
    return false;
  }
  for (Py_ssize_t i = 0; i < count; ++i) values[i] = arguments[i];
  const Py_ssize_t named = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  for (Py_ssize_t k = 0; k < named; ++k) {
    PyObject* name = PyTuple_GET_ITEM(keywords, k);
    int i = 0;
    while (i < known && !is_named(name, names[i])) ++i;
    if (i == known || values[i] != nullptr) {
      PyErr_Format(PyExc_TypeError,
                   i == known ? "%s() got an unexpected keyword argument '%U'"
                              : "%s() got multiple values for argument '%U'",
                   function, name);
      return false;
    }
    values[i] = arguments[count + k];
  }
  for (int i = 0; i < required; ++i) {
    if (values[i] != nullptr) continue;
    PyErr_Format(PyExc_TypeError, "%s() missing required argument '%s'", function, names[i]);
    return false;
  }
  return true;
}

int parse_fd(PyObject* object) noexcept {
  const int fd = PyObject_AsFileDescriptor(object);
  // A closed socket or file says -1: as for any fd that is not open.
  if (fd < 0 && !PyLong_Check(object) && PyErr_ExceptionMatches(PyExc_ValueError)) {
    PyErr_Clear();
    errno = EBADF;
    PyErr_SetFromErrno(PyExc_OSError);
  }
  return fd;
}

}  // namespace coev::python
