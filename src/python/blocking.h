// Blocking from Python: timeouts, interrupts and errors, the same for every call.
//
// An operation of the core that ends with kInterrupted was interrupted by an
// exception thrown into the coroutine, by a signal, or by nothing that concerns
// it any more. wait() finds out: it raises, or repeats the operation with its
// old deadline (PEP 475).
#pragma once

#include <Python.h>

#include "core/scheduler.h"
#include "core/status.h"
#include "core/time.h"
#include "python/thread_state.h"

namespace coev::python {

// Deals with the interrupt of the current coroutine. True: repeat the operation;
// false: an exception is set.
[[nodiscard]] bool handle_interrupt() noexcept;

// Runs `operation` until it is not merely interrupted. On kInterrupted an
// exception is set.
template <typename Operation>
Status wait(Operation operation) noexcept {
  for (;;) {
    const Status status = operation();
    if (status != Status::kInterrupted || !handle_interrupt()) return status;
  }
}

// False, with RuntimeError set, when this is no time to block: at the end of the
// interpreter, or in a finalizer that runs between two coroutines.
[[nodiscard]] bool can_block() noexcept;
// Whether the interpreter has come to its end: nothing blocks or switches any more.
[[nodiscard]] inline bool is_closed() noexcept { return thread_state::finalizing(); }

// Sets the Python exception for `status`; kInterrupted has one already.
// Always returns nullptr.
PyObject* raise(Status status) noexcept;

// Seconds as a number, or None for no limit. ERRORS: false with TypeError,
// ValueError (negative, NaN) or OverflowError set. Infinity means no limit.
[[nodiscard]] bool parse_timeout(PyObject* seconds, Deadline* deadline) noexcept;
// The same without the check for negative numbers, in nanoseconds; saturates.
[[nodiscard]] bool parse_seconds(PyObject* seconds, std::int64_t* ns) noexcept;

// A timeout as threading has them, where anything below zero does not wait. False for
// what the function that is stood in for should judge; no exception is set.
[[nodiscard]] bool parse_ordinary_timeout(PyObject* seconds, Deadline* deadline) noexcept;

// Arguments of a METH_FASTCALL | METH_KEYWORDS function, by position or name.
// `names` ends with nullptr; `values` receives borrowed references or nullptr.
[[nodiscard]] bool parse_arguments(const char* function, PyObject* const* arguments,
                                   Py_ssize_t count, PyObject* keywords, const char* const* names,
                                   int required, PyObject** values) noexcept;

// A file descriptor, or an object with fileno(); -1 with an exception set,
// EBADF where the object has been closed.
[[nodiscard]] int parse_fd(PyObject* object) noexcept;

}  // namespace coev::python
