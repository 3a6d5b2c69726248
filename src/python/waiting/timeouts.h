// Timeouts as Python gives them: seconds, None, or what threading accepts.
#pragma once

#include <Python.h>

#include <cstdint>

#include "core/time.h"

namespace coev::python {

// Seconds as a number, or None for no limit. ERRORS: false with TypeError,
// ValueError (negative, NaN) or OverflowError set. Infinity means no limit.
[[nodiscard]] bool parse_timeout(PyObject* seconds, Deadline* deadline) noexcept;
// The same without the check for negative numbers, in nanoseconds; saturates.
[[nodiscard]] bool parse_seconds(PyObject* seconds, std::int64_t* ns) noexcept;

// A timeout as threading has them, where anything below zero does not wait. False for
// what the function that is stood in for should judge; no exception is set.
[[nodiscard]] bool parse_ordinary_timeout(PyObject* seconds, Deadline* deadline) noexcept;

}  // namespace coev::python
