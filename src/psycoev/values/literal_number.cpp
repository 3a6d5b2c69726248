#include <charconv>
#include <cmath>
#include <string_view>

#include "values/literals.h"

namespace psycoev::values {
namespace {

// A minus next to another one would begin a comment: "1 -%s". So it stands behind a space.
void append_number(std::string_view digits, Buffer& out) {
  if (!digits.empty() && digits[0] == '-') out.push_back(' ');
  out.append(digits);
}

bool append_number_object(PyObject* text, Buffer& out) {
  const Ref owned(text);
  if (!owned) return false;
  Py_ssize_t size;
  const char* digits = PyUnicode_AsUTF8AndSize(text, &size);
  if (digits == nullptr) return false;
  append_number({digits, static_cast<size_t>(size)}, out);
  return true;
}

}  // namespace

bool write_as_is(PyObject* value, const LiteralScope&, Buffer& out) {
  if (value == Py_None) {
    out.append("NULL");
    return true;
  }
  const Ref text(PyObject_Str(value));
  const Ref bytes(text ? PyUnicode_AsUTF8String(text.get()) : nullptr);
  if (!bytes) return false;
  out.append_bytes(bytes.get());
  return true;
}

bool write_boolean(PyObject* value, const LiteralScope&, Buffer& out) {
  const int truth = PyObject_IsTrue(value);
  if (truth < 0) return false;
  out.append(truth ? "true" : "false");
  return true;
}

bool write_integer(PyObject* value, const LiteralScope&, Buffer& out) {
  if (PyLong_CheckExact(value)) {
    int overflow;
    const long number = PyLong_AsLongAndOverflow(value, &overflow);
    if (overflow == 0) {
      char digits[24];
      const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
      append_number({digits, static_cast<size_t>(end - digits)}, out);
      return true;
    }
    return append_number_object(PyObject_Str(value), out);
  }
  // An enum says its name in str(): its number is wanted.
  const Ref number(PyNumber_Long(value));
  const Ref exact(number ? PyLong_CheckExact(number.get())
                               ? Py_NewRef(number.get())
                               : PyNumber_Add(number.get(), Ref(PyLong_FromLong(0)).get())
                         : nullptr);
  return exact && append_number_object(PyObject_Str(exact.get()), out);
}

bool write_float(PyObject* value, const LiteralScope&, Buffer& out) {
  const double number = PyFloat_AsDouble(value);
  if (number == -1.0 && PyErr_Occurred()) return false;
  if (std::isnan(number)) {
    out.append("'NaN'::float");
  } else if (std::isinf(number)) {
    out.append(number > 0 ? "'Infinity'::float" : "'-Infinity'::float");
  } else if (PyFloat_CheckExact(value)) {
    char* digits = PyOS_double_to_string(number, 'r', 0, Py_DTSF_ADD_DOT_0, nullptr);
    if (digits == nullptr) return false;
    append_number(digits, out);
    PyMem_Free(digits);
  } else {
    return append_number_object(PyObject_Repr(value), out);
  }
  return true;
}

bool write_decimal(PyObject* value, const LiteralScope&, Buffer& out) {
  const Ref finite(PyObject_CallMethod(value, "is_finite", nullptr));
  const int is_finite = finite ? PyObject_IsTrue(finite.get()) : -1;
  if (is_finite < 0) return false;
  if (is_finite) return append_number_object(PyObject_Str(value), out);
  // Infinities too, because numeric has them since PostgreSQL 14 only.
  out.append("'NaN'::numeric");
  return true;
}

}  // namespace psycoev::values
