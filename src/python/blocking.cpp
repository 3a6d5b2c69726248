#include "python/blocking.h"

#include <cmath>
#include <cstring>

#include "python/coroutine_type.h"
#include "python/signals.h"

namespace coev::python {
namespace {

constexpr double kNsPerSecond = 1e9;
constexpr double kMaximumNs = 9.2e18;  // just under what an int64 holds

// Whether the name of an argument is `text`, which is ASCII.
bool is_named(PyObject* name, const char* text) noexcept {
  return PyUnicode_IS_COMPACT_ASCII(name) &&
         static_cast<std::size_t>(PyUnicode_GET_LENGTH(name)) == std::strlen(text) &&
         std::strcmp(static_cast<const char*>(PyUnicode_DATA(name)), text) == 0;
}

}  // namespace

bool handle_interrupt() noexcept {
  Coroutine& self = thread_state::scheduler().current();
  Scheduler::clear_interrupt(self);
  if (raise_pending(self)) return false;
  return signals::run_pending();
}

bool can_block() noexcept {
  if (is_closed()) [[unlikely]] {
    PyErr_SetString(PyExc_RuntimeError, "cannot block at interpreter shutdown");
    return false;
  }
  // A finalizer may run while the scheduler looks for somebody to run.
  Scheduler* scheduler = Scheduler::find();
  if (scheduler == nullptr || scheduler->current().state == CoroutineState::kRunning) [[likely]] {
    return true;
  }
  PyErr_SetString(PyExc_RuntimeError, "cannot block between two coroutines");
  return false;
}

PyObject* raise(Status status) noexcept {
  switch (status) {
    case Status::kTimedOut:
      PyErr_SetString(PyExc_TimeoutError, "timed out");
      break;
    case Status::kClosed:
      errno = EBADF;
      PyErr_SetFromErrno(PyExc_OSError);
      break;
    case Status::kSystemError:
      PyErr_SetFromErrno(PyExc_OSError);
      break;
    case Status::kNotOwner:
      PyErr_SetString(PyExc_RuntimeError, "release unlocked lock");
      break;
    case Status::kEndOfStream:
      PyErr_SetString(PyExc_EOFError, "the stream ended before all bytes came");
      break;
    case Status::kLimit:
      PyErr_SetString(PyExc_ValueError, "the delimiter did not come within the limit");
      break;
    case Status::kNoMemory:
      PyErr_NoMemory();
      break;
    case Status::kInterrupted:
    case Status::kOk:
      break;
  }
  return nullptr;
}

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
  constexpr double kMaximumSeconds = 9e9;
  *deadline = Deadline::never();
  if (seconds == Py_None) return true;
  const double value = PyFloat_CheckExact(seconds)  ? PyFloat_AS_DOUBLE(seconds)
                       : PyLong_CheckExact(seconds) ? PyLong_AsDouble(seconds)
                                                    : NAN;
  if (value == -1.0 && PyErr_Occurred() != nullptr) {  // too large for a double
    PyErr_Clear();
    return false;
  }
  if (!(std::fabs(value) < kMaximumSeconds)) return false;
  *deadline = value > 0
                  ? Deadline::after(static_cast<std::int64_t>(std::ceil(value * kNsPerSecond)))
                  : Deadline::at(0);
  return true;
}

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
    raise(Status::kClosed);
  }
  return fd;
}

}  // namespace coev::python
