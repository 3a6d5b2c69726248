#include "python/waiting/acquiring.h"

#include <cmath>

#include "python/base/arguments.h"
#include "python/waiting/coroutine_object.h"
#include "python/waiting/timeouts.h"

namespace coev::python {

RecursiveLock::Owner lock_owner() noexcept { return current_ident(); }

AcquireMode parse_acquire(PyObject* const* arguments, Py_ssize_t count, PyObject* keywords,
                          Deadline* deadline) noexcept {
  *deadline = Deadline::never();
  if (count == 0 && keywords == nullptr) [[likely]]
    return AcquireMode::kWait;
  static constexpr const char* kNames[] = {"blocking", "timeout", nullptr};
  PyObject* values[2];
  if (!parse_arguments("acquire", arguments, count, keywords, kNames, 0, values)) {
    return AcquireMode::kInvalid;
  }
  const int blocking = values[0] == nullptr ? 1 : PyObject_IsTrue(values[0]);
  const double timeout = values[1] == nullptr ? -1.0 : PyFloat_AsDouble(values[1]);
  if (blocking < 0 || PyErr_Occurred()) return AcquireMode::kInvalid;
  if (blocking == 0 && timeout == -1.0) return AcquireMode::kTry;
  if (timeout == -1.0) return AcquireMode::kWait;
  if (blocking == 0 || std::isnan(timeout) || timeout < 0 || timeout > kTimeoutMax) {
    return AcquireMode::kInvalid;
  }
  if (timeout == 0.0) return AcquireMode::kTry;
  *deadline = Deadline::after_seconds(timeout);
  return AcquireMode::kWait;
}

}  // namespace coev::python
