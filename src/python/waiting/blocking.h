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
#include "python/cpython/thread_state.h"

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

// Lets every other ready coroutine run once. SWITCHES: if one is ready. ERRORS: false with an
// exception set, before or after the others have run.
[[nodiscard]] bool yield_now() noexcept;
// The same for the coroutine that was spawned last alone, if it may run now.
[[nodiscard]] bool yield_to_newest() noexcept;

}  // namespace coev::python
