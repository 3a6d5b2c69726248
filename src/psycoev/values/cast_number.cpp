#include <charconv>
#include <string>

#include "values/casts.h"
#include "values/error.h"

namespace psycoev::values {
namespace {

PyObject* decimal_type;

// Whatever the fast paths do not take: spaces, signs, underscores, more digits than a long has.
PyObject* integer_as_python_reads(const char* data, Py_ssize_t size) {
  const std::string text(data, static_cast<size_t>(size));
  return PyLong_FromString(text.c_str(), nullptr, 0);
}

}  // namespace

bool prepare_numbers() {
  const Ref module(PyImport_ImportModule("decimal"));
  decimal_type = module ? PyObject_GetAttrString(module.get(), "Decimal") : nullptr;
  return decimal_type != nullptr;
}

PyObject* cast_integer(const char* data, Py_ssize_t size, CursorObject*) {
  const char* digit = data;
  const char* end = data + size;
  const bool negative = size > 0 && *digit == '-';
  if (negative) ++digit;
  // 18 digits always fit; a leading zero has a meaning of its own in Python.
  const Py_ssize_t digits = end - digit;
  if (digits < 1 || digits > 18 || (*digit == '0' && digits > 1)) {
    return integer_as_python_reads(data, size);
  }
  long value = 0;
  for (; digit < end; ++digit) {
    const auto number = static_cast<unsigned>(*digit - '0');
    if (number > 9) return integer_as_python_reads(data, size);
    value = value * 10 + static_cast<long>(number);
  }
  return PyLong_FromLong(negative ? -value : value);
}

PyObject* cast_float(const char* data, Py_ssize_t size, CursorObject*) {
  double value = 0;
  const auto [end, error] = std::from_chars(data, data + size, value);
  if (error == std::errc() && end == data + size) return PyFloat_FromDouble(value);
  const Ref text(PyUnicode_DecodeUTF8(data, size, nullptr));
  return text ? PyFloat_FromString(text.get()) : nullptr;
}

PyObject* cast_decimal(const char* data, Py_ssize_t size, CursorObject*) {
  const Ref text(PyUnicode_DecodeUTF8(data, size, nullptr));
  return text ? PyObject_CallOneArg(decimal_type, text.get()) : nullptr;
}

PyObject* cast_boolean(const char* data, Py_ssize_t size, CursorObject* cursor) {
  switch (size == 0 ? 0 : *data) {
    case 't':
    case 'T':
      Py_RETURN_TRUE;
    case 'f':
    case 'F':
      Py_RETURN_FALSE;
    default:
      break;
  }
  const std::string text(data, static_cast<size_t>(size));
  return raise(exceptions.interface_error, cursor, ("can't parse boolean: '" + text + "'").c_str());
}

}  // namespace psycoev::values
