#include "python/waiting/timeouts.h"

#include <cmath>

namespace coev::python {
namespace {

constexpr double kNsPerSecond = 1e9;
constexpr double kMaximumNs = 9.2e18;  // just under what an int64 holds

}  // namespace

bool parse_seconds(PyObject* seconds, std::int64_t* ns) noexcept {
  const double value = PyFloat_AsDouble(seconds);
  if (value == -1.0 && PyErr_Occurred()) return false;
  if (std::isnan(value)) {
    PyErr_SetString(PyExc_ValueError, "timeout must not be NaN (not a number)");
    return false;
  }
  const double wanted = value * kNsPerSecond;
  *ns = wanted >= kMaximumNs    ? INT64_MAX
        : wanted <= -kMaximumNs ? -INT64_MAX
                                : static_cast<std::int64_t>(std::ceil(wanted));
  return true;
}

bool parse_timeout(PyObject* seconds, Deadline* deadline) noexcept {
  *deadline = Deadline::never();
  if (seconds == nullptr || seconds == Py_None) return true;
  std::int64_t ns = 0;
  if (!parse_seconds(seconds, &ns)) return false;
  if (ns < 0) {
    PyErr_SetString(PyExc_ValueError, "timeout must be a non-negative number");
    return false;
  }
  *deadline = ns == 0 ? Deadline::at(0) : Deadline::after(ns);
  return true;
}

bool parse_ordinary_timeout(PyObject* seconds, Deadline* deadline) noexcept {
  *deadline = Deadline::never();
  if (seconds == Py_None) return true;
  const double value = PyFloat_CheckExact(seconds)  ? PyFloat_AS_DOUBLE(seconds)
                       : PyLong_CheckExact(seconds) ? PyLong_AsDouble(seconds)
                                                    : NAN;
  if (value == -1.0 && PyErr_Occurred() != nullptr) {  // too large for a double
    PyErr_Clear();
    return false;
  }
  if (!(std::fabs(value) <= kTimeoutMax)) return false;
  *deadline = value > 0 ? Deadline::after_seconds(value) : Deadline::at(0);
  return true;
}

}  // namespace coev::python
