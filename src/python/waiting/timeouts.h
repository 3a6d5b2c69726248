// Timeouts as Python gives them: seconds, None, or what threading accepts.
#pragma once

#include <Python.h>

#include <cstdint>

#include "core/time.h"

namespace coev::python {

// threading.TIMEOUT_MAX, in seconds: what a timeout of the standard library may be at most.
inline constexpr double kTimeoutMax = 9223372036.0;

// Seconds as a number, or None for no limit. ERRORS: false with TypeError,
// ValueError (negative, NaN) or OverflowError set. Infinity means no limit.
[[nodiscard]] bool parse_timeout(PyObject* seconds, Deadline* deadline) noexcept;
// Seconds as a number, perhaps negative, in nanoseconds; saturates. ERRORS: false with TypeError,
// ValueError (NaN) or OverflowError set.
[[nodiscard]] bool parse_seconds(PyObject* seconds, std::int64_t* ns) noexcept;

// A timeout as threading has them: None waits without limit, and anything below zero does not
// wait. False, without an exception, for what the replaced function should judge.
[[nodiscard]] bool parse_ordinary_timeout(PyObject* seconds, Deadline* deadline) noexcept;

}  // namespace coev::python
